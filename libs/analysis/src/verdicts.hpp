// What is said of names now: flags and when they end, and the observations that follow from
// changes.
//
// Families, and what is true after every batch:
//  1. analysis_names: name → its flags, each with its end.
//  2. analysis_ends: end, name → nothing, for the first end of each name in (1).
//  3. analysis_outbox: id → observation, until acknowledged. Ids only grow.
//  4. analysis_meta: the next id; the sequence of the last event taken.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/store/store.hpp"

namespace tapir::analysis {

inline constexpr std::size_t flags_of_name_max = 32;

// The flags of one name: bit to end.
using Flags = std::map<std::uint32_t, UtcTime>;

struct Outgoing {
    std::uint64_t id = 0;
    Bytes message;  // {"id":1,"observation":TEXT}
};

class Verdicts {
public:
    static const std::vector<std::string>& families();

    Verdicts(store::Store& store, Duration ttl, std::string creator)
        : store_(store), ttl_(ttl), creator_(std::move(creator)) {}

    Result<void> open();
    std::uint64_t last_event() const { return last_event_; }

    // The event `sequence` was taken, and is evidence for `mask` (0: for nothing). Adds to `batch`
    // and writes it: all or nothing.
    Result<void> take(std::uint64_t sequence, std::string_view name, std::uint32_t mask,
                      UtcTime now, store::Batch& batch);
    // Ends flags whose time has come; how many names changed, at most `count_max`.
    Result<std::size_t> expire(UtcTime now, std::size_t count_max);
    Result<void> withdraw(std::string_view name, std::string_view why, UtcTime now);

    // All writes so far are on the disk after this.
    Result<void> sync();
    Result<std::vector<Outgoing>> outgoing(std::uint64_t after, std::size_t count_max) const;
    Result<void> acknowledge(std::uint64_t id);

private:
    Result<Flags> flags_of(std::string_view name) const;
    void put_flags(std::string_view name, const Flags& before, const Flags& after,
                   store::Batch& batch) const;
    void put_observation(std::string_view name, const Flags& flags, std::string_view removed_why,
                         UtcTime now, store::Batch& batch);
    Result<void> write(store::Batch& batch);

    store::Store& store_;
    Duration ttl_;
    std::string creator_;
    std::uint64_t next_id_ = 1;
    std::uint64_t last_event_ = 0;
};

}  // namespace tapir::analysis
