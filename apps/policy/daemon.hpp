// The daemon: opens the ports, starts the service, stops cleanly.
#pragma once

#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/text/settings.hpp"

namespace tapir::policy {

// Until SIGTERM or SIGINT.
Result<void> run(const text::Settings& settings, const Log& log);

}  // namespace tapir::policy
