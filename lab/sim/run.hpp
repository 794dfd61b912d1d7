// One run: a world from a seed, trouble, calm, and what the witness says.
//
//     const Report report = run({.seed = 17});
//     if (!report.broken.empty()) { ... }       // run({.seed = 17, .logs = true}) tells how
//
// The same options give the same run, to the octet.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "faults.hpp"
#include "witness.hpp"

namespace tapir::sim {

struct RunOptions {
    std::uint64_t seed = 1;
    bool faults = true;
    Lie lie = Lie::none;
    bool brief = false;  // some minutes instead of half an hour, with as many faults: for tests
    bool logs = false;   // what the three daemons log is kept
};

struct Report {
    std::uint64_t seed = 0;
    std::vector<std::string> broken;  // invariants, a line each
    Tally faults;
    Figures figures;
    std::uint64_t batches_not_written = 0;  // lost before they were accepted, counted by the edge
    std::int64_t virtual_s = 0;
    bool saw_midnight = false;
    std::string log;
};

Report run(const RunOptions& options);

// What to type to see this run again, without --verbose.
std::string command_of(const RunOptions& options);

}  // namespace tapir::sim
