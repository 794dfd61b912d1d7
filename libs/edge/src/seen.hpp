// Which names were released before, ever.
//
//     Seen seen(*store, log, counters);
//     if (seen.add(name)) { ... }          // true: it is new, and remembered from now on
//
// The store holds what was released, under the name's text in lower case, and nothing else. When it
// fails the name counts as new (whoever receives it twice can tell), is remembered in memory, and
// the failure is counted and logged. One thread.
#pragma once

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
    Seen(store::Store& store, const Log& log, Counters& counters);

    bool add(const std::string& name);

private:
    store::Store& store_;
    const Log& log_;
    Counter& errors_;
    std::unordered_set<std::string> cache_;
};

}  // namespace tapir::edge
