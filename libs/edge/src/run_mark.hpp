// A mark on the disk that says: an edge is at work here. What it finds at its start is how the run
// before it ended.
//
//     const RunMark mark(files, state, now, log, counters);   // logs and counts an unclean end
//     ...                                                     // at work
//                                                             // its end takes the mark away
//
// What is still being counted (the open intervals, the gate's pending names) is in memory only, so
// that no client's tag lies on a disk, and a crash loses it; after an orderly end there is nothing
// of it left. A crash runs no destructor: then the mark stays. Let it end after all has drained.
#pragma once

#include <string>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/time.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

class RunMark {
public:
    // `state` is a folder that is there. A mark that cannot be written is logged: the work is more
    // than the mark.
    RunMark(world::Files& files, const std::string& state, UtcTime now, const Log& log,
            Counters& counters);
    ~RunMark();
    RunMark(const RunMark&) = delete;
    RunMark& operator=(const RunMark&) = delete;

private:
    world::Files& files_;
    const Log& log_;
    const std::string path_;
};

}  // namespace tapir::edge
