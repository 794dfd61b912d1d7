#include "seen.hpp"

namespace tapir::edge {

Seen::Seen(store::Store& store, const Log& log, Counters& counters)
    : store_(store),
      log_(log),
      errors_(counters.counter("tapir_edge_store_errors_total",
                               "Reads and writes of the store of released names that failed.")) {}

bool Seen::add(const std::string& name) {
    if (cache_.contains(name)) {
        return false;
    }
    if (cache_.size() >= seen_cache_max) {
        cache_.clear();
    }
    cache_.insert(name);
    const auto found = store_.get(seen_family, as_bytes(name));
    if (!found) {
        errors_.add();
        log_.error("seen", "cannot read the store of released names",
                   {{"reason", found.error().what()}});
        return true;
    }
    if (*found) {
        return false;
    }
    const auto stored = store_.put(seen_family, as_bytes(name), {}, store::Durability::buffered);
    if (!stored) {
        errors_.add();
        log_.error("seen", "cannot write the store of released names",
                   {{"reason", stored.error().what()}});
    }
    return true;
}

}  // namespace tapir::edge
