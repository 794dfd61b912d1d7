// Analysis: events in, observations out.
//
//     Analysis analysis({.ttl = 1h}, std::move(analysers), {store, clock, bus, log, counters});
//     TRY(analysis.open());                          // before anything publishes events
//     while (running) { analysis.work(1s); }         // one thread
//
// It reads "events.new_qname" from the bus and publishes on "observations" what follows, as
// {"id":1,"observation":TEXT}: ids only grow, also over restarts. For each name:
//  1. Each flag lives for the time-to-live from its last sighting. tag_mask is the OR of the flags
//     that live; ttl is the time until the first of them ends.
//  2. A sighting that sets or refreshes flags issues one observation, however many analysers spoke.
//  3. When a flag ends and others live on, an observation with the rest follows. When the last one
//     ends, nothing does: the time-to-live said so.
//  4. A name that is withdrawn issues an observation that removes it, at once.
// Names are one and the same with and without the final dot and in either case; observations
// carry them in lower case without the dot.
//
// State and message are written together, then published, then acknowledged (events on
// "events.done", and observations are forgotten once "observations.done" came): so a crash at any
// instant loses none and issues none twice under two ids.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/analysis/analyser.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/bus/bus.hpp"
#include "tapir/store/store.hpp"
#include "tapir/world/clock.hpp"

namespace tapir::analysis {

inline constexpr std::string_view events_subject = "events.new_qname";
inline constexpr std::string_view events_done_subject = "events.done";
inline constexpr std::string_view observations_subject = "observations";
inline constexpr std::string_view observations_done_subject = "observations.done";

struct AnalysisSettings {
    Duration ttl = std::chrono::hours(1);
    std::string creator = "tapir-core";  // member of observations
};

// What an Analysis works with; all must outlive it.
struct AnalysisParts {
    store::Store& store;
    const world::Clock& clock;
    bus::Bus& bus;
    const Log& log;
    Counters& counters;
};

// The store's families that this service owns.
std::vector<std::string> store_families();

class Analysis {
public:
    Analysis(AnalysisSettings settings, std::vector<std::unique_ptr<Analyser>> analysers,
             AnalysisParts parts);
    ~Analysis();
    Analysis(const Analysis&) = delete;
    Analysis& operator=(const Analysis&) = delete;

    // Reads its state and subscribes. Once, before anything else.
    Result<void> open();

    // Waits for events, at most so long; takes those that are there; ends what is over; publishes.
    // Trouble is counted and logged, and tried again at the next call.
    void work(Duration wait_at_most);

    // Takes back all that is said of a name. Code::not_found if nothing is.
    Result<void> withdraw(std::string_view name, std::string_view why);

    // Ends a wait in work(), for good.
    void close();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::analysis
