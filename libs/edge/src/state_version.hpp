// Which format the state folder has: one number for all in it (docs/operating/upgrade.md).
//
//     TRY(enter_state(files, "/var/lib/tapir/edge", log));     // before anything else opens it
//
// The file `version` in it holds the number. A newer one is refused: what an older program does not
// know it could destroy. An older one is brought up to date, step by step.
#pragma once

#include <cstdint>
#include <string>

#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

// 0: before there was the file. 1: the same formats, with it.
inline constexpr std::int64_t state_version = 1;

// The version that the folder had. Again: does nothing.
Result<std::int64_t> enter_state(world::Files& files, const std::string& directory, const Log& log);

}  // namespace tapir::edge
