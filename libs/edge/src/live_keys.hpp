// The day key on disk, and the operator's consent to `compatible`: what the daemon alone needs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "day.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

inline constexpr std::int64_t consent_days = 30;

// The keys of today: read from `path` and moved on to today, or made by chance. What is on disk is
// overwritten at once: no past day can be computed from it.
Result<DayKeys> open_day_keys(world::Files& files, const std::string& path, UtcTime now,
                              world::Chance& chance);
// The day whose key lies at `path`; the key itself is not kept.
Result<std::int64_t> day_of_key(world::Files& files, const std::string& path);
// Overwrites what is on disk with this day's key.
Result<void> write_day_key(world::Files& files, const std::string& path, const Day& day);

// Until when the consent in a file holds: its first line is a date ("2026-11-24"), and 30 days from
// it are the end. An error if there is no such file, or no date, or one that has not come.
Result<UtcTime> consent_end(world::Files& files, const std::string& path, UtcTime now);

}  // namespace tapir::edge
