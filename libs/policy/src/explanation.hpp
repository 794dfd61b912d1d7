// Why a name is or is not acted on, as JSON for people and tools.
#pragma once

#include <string_view>

#include "tapir/base/result.hpp"
#include "tapir/rpz/answer.hpp"
#include "tapir/rpz/book.hpp"
#include "tapir/rpz/zone.hpp"
#include "tapir/text/json.hpp"

namespace tapir::policy {

Result<text::Json> explain_name(const rpz::Book& book, const rpz::Apex& apex,
                                const rpz::Snapshot& snapshot, std::string_view name);

}  // namespace tapir::policy
