// A core that nobody reaches for a day, in accelerated time: does all that the edge accepted arrive
// when it is back, and is what the outbox's limits cost counted, to the batch?
//
//     const AwayReport report = run_away({.settings = {"outbox.age_max=6h"}});
//     if (!report.broken.empty()) { ... }
//
// An hour of traffic, then so many without core and broker while the traffic goes on, then an hour
// with them, then calm. Broken is, besides the invariants of witness.hpp:
//  - a batch that was accepted and is neither at the core nor counted as lost, or is both;
//  - one that was lost though a younger one was too, but not one between them: only the oldest go;
//  - at the core another number of events or histograms than in the batches that were sent.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tapir/base/time.hpp"

namespace tapir::sim {

struct AwayOptions {
    unsigned clients = 400;
    unsigned frames_per_second = 20;  // when it is busiest
    unsigned hours = 24;              // without a core
    // KEY=VALUE for the edge. With limits that are lower than usual it may lose batches.
    std::vector<std::string> settings{};
    bool may_lose = false;
};

struct AwayReport {
    std::vector<std::string> broken;
    std::uint64_t accepted = 0;  // batches
    std::uint64_t sent = 0;
    std::uint64_t lost_too_old = 0;
    std::uint64_t lost_no_room = 0;
    std::uint64_t events = 0;      // at the core
    std::uint64_t histograms = 0;  // likewise
    std::uint64_t waiting_most = 0;
    Duration caught_up{};  // after the core was back
};

AwayReport run_away(const AwayOptions& options);

// Three of them, one line each: the usual limits, a low age, little room. Whether all is good.
bool show_away(const AwayOptions& options);

}  // namespace tapir::sim
