// tapir-core at work: opens ports, joins services, stops cleanly.
#pragma once

#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/text/settings.hpp"

namespace tapir::core {

// Runs until SIGTERM or SIGINT. An error is one of the start; it says which setting is to blame.
Result<void> run(const text::Settings& settings, const Log& log);

}  // namespace tapir::core
