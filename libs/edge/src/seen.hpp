// Which names were released before, ever.
//
//     Seen seen(*store, log, counters);
//     if (seen.add(name)) { ... }              // true: it is new; from now on it is under way
//     seen.settle(names, Settle::kept);        // their batch is on the disk: remembered for good
//     seen.settle(names, Settle::lost);        // it is not: here they are new again
//
// A name is remembered only after its batch was accepted: a crash between the two lets it leave
// twice, never not at all. The store holds what was released, under the name's text in lower case,
// and nothing else. When it fails the name counts as new (whoever receives it twice can tell), is
// remembered in memory, and the failure is counted and logged. Threads may share it.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <unordered_set>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/store/store.hpp"

namespace tapir::edge {

inline constexpr std::string_view seen_family = "released";
inline constexpr std::size_t seen_cache_max = 100'000;  // names

class Seen {
public:
    enum class Settle : std::uint8_t { kept, lost };

    Seen(store::Store& store, const Log& log, Counters& counters);

    bool add(const std::string& name);
    enum class State : std::uint8_t { unknown, under_way, kept };
    State state_of(const std::string& name);
    // What became of names that add() called new.
    void settle(std::span<const std::string> names, Settle how);

private:
    State state_locked(const std::string& name);

    store::Store& store_;
    const Log& log_;
    Counter& errors_;
    std::mutex mutex_;
    std::unordered_set<std::string> under_way_;  // as many as the batches hold that are not written
    std::unordered_set<std::string> cache_;      // of what is in the store, or should be
};

}  // namespace tapir::edge
