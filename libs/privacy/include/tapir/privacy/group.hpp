// Sites of one operator that reach the threshold together (R10).
//
// At a site the gate asks a Group what the others have seen, and tells it what is seen here:
//
//     GateSettings settings{.group = &group};
//
// At the aggregator a GroupTable counts what the sites tell, by the same pending tables, and keeps
// which names were released today, and by whom: not at all, or by somebody:
//
//     GroupTable table(limits, 3, seed);
//     const GroupOutcome outcome = table.add(record);       // of products::Sightings
//     const auto slice = table.since(cursor, releases_max);
//     table.start_day();
//
// Counting is commutative: as long as nothing is evicted, which names are released is the same in
// whatever order records come, from however many sites, once or more often. Memory is fixed. One
// thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "tapir/privacy/pending.hpp"
#include "tapir/products/sightings.hpp"

namespace tapir::privacy {

// What a site knows of its group, and tells it. Called in the gate's thread.
class Group {
public:
    enum class State : std::uint8_t {
        pending,   // nothing is known: it counts here
        released,  // T was reached together: who sees it next releases it
        taken,     // a site has
    };

    virtual ~Group() = default;
    virtual State state_of(Fingerprint name) = 0;
    // Something that this site has not told: a client or a network.
    virtual void saw(const products::SightingRecord& record) = 0;
    // This site releases it: from here on it is `taken`, here and everywhere. `by_group`: T was
    // reached together, not here alone.
    virtual void took(Fingerprint name, bool by_group) = 0;
    // What was told and heard belongs to the day before. `day`: UTC days since 1970-01-01.
    virtual void start_day(std::int64_t day) = 0;
};

// What became of a record. Each value names a counter.
enum class GroupOutcome : std::uint8_t {
    counted,
    known,     // it says nothing new
    released,  // with it T was reached
    taken,     // a site has released the name
    full,      // as many names as may be were released today: this one is not
};
inline constexpr std::size_t group_outcome_count = 5;
std::string_view to_string(GroupOutcome outcome);

struct GroupLimits {
    std::size_t name_count = 1U << 20U;          // pending: 96 octets each, rounded up to 2^n
    std::size_t released_count_max = 1U << 18U;  // released or taken in a day; about 80 octets each
};

class GroupTable {
public:
    // `seed`: anything that nobody outside knows.
    GroupTable(const GroupLimits& limits, unsigned networks_min, std::uint64_t seed);

    GroupOutcome add(const products::SightingRecord& record);

    struct Slice {
        std::vector<products::ReleaseRecord> records;
        std::uint32_t cursor = 0;  // of what comes after them
    };
    // What was released or taken since a cursor; 0 is the beginning of the day. A cursor that was
    // never given is the end.
    Slice since(std::uint32_t cursor, std::size_t count_max) const;

    void start_day();

    // Names that fell out before they were decided, since this object was made.
    std::uint64_t evicted() const { return pending_.names_evicted(); }
    // Looks at all places.
    std::size_t pending_names() const { return pending_.names_used(); }
    std::size_t released_names() const { return states_.size(); }

private:
    // The names come from outside: nobody may choose which fall together.
    struct Mix {
        std::uint64_t seed;
        std::size_t operator()(std::uint64_t name) const;
    };
    bool enter(std::uint64_t name, products::ReleaseState state);

    const GroupLimits limits_;
    Pending pending_;
    std::unordered_map<std::uint64_t, products::ReleaseState, Mix> states_;
    std::vector<products::ReleaseRecord> log_;  // in the order in which it became so
};

}  // namespace tapir::privacy
