#include "seen.hpp"

namespace tapir::edge {

Seen::Seen(store::Store& store, const Log& log, Counters& counters)
    : store_(store),
      log_(log),
      errors_(counters.counter("tapir_edge_store_errors_total",
                               "Reads and writes of the store of released names that failed.")) {}

bool Seen::add(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (state_locked(name) != State::unknown) {
        return false;
    }
    under_way_.insert(name);
    return true;
}

Seen::State Seen::state_of(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return state_locked(name);
}

Seen::State Seen::state_locked(const std::string& name) {
    if (under_way_.contains(name)) {
        return State::under_way;
    }
    if (cache_.contains(name)) {
        return State::kept;
    }
    const auto found = store_.get(seen_family, as_bytes(name));
    if (!found) {
        errors_.add();
        log_.error("seen", "cannot read the store of released names",
                   {{"reason", found.error().what()}});
    } else if (*found) {
        if (cache_.size() >= seen_cache_max) {
            cache_.clear();
        }
        cache_.insert(name);
        return State::kept;
    }
    return State::unknown;
}

void Seen::settle(std::span<const std::string> names, Settle how) {
    const std::lock_guard lock(mutex_);
    store::Batch batch;
    for (const std::string& name : names) {
        under_way_.erase(name);
        if (how == Settle::kept) {
            if (cache_.size() >= seen_cache_max) {
                cache_.clear();
            }
            cache_.insert(name);
            batch.put(seen_family, as_bytes(name), {});
        }
    }
    if (batch.empty()) {
        return;
    }
    if (const auto stored = store_.write(batch, store::Durability::buffered); !stored) {
        errors_.add();
        log_.error("seen", "cannot write the store of released names",
                   {{"reason", stored.error().what()}});
    }
}

}  // namespace tapir::edge
