// The offline twin: the same engine over files, with the clock of the data, to a zone file.
//
//     const BuildReport report = TRY(build_zone(config, files, now, log, counters, write));
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/policy/config.hpp"
#include "tapir/world/files.hpp"

namespace tapir::policy {

struct BuildReport {
    std::size_t rules = 0;
    std::size_t messages = 0;
    std::size_t refused = 0;
    UtcTime now;  // the time that the zone is of
};

// Reads the lists and the messages of `feed.files`, in order, and writes the zone as of `now`
// (without: the latest time that the messages speak of). The zone's serial is that time in seconds.
// The same inputs and settings give the same octets.
Result<BuildReport> build_zone(const Config& config, world::Files& files,
                               std::optional<UtcTime> now, const Log& log, Counters& counters,
                               const std::function<void(std::string_view)>& write);

}  // namespace tapir::policy
