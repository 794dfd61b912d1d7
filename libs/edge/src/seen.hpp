// Which names were released before.
//
//     Seen seen(*store, {}, log, counters);
//     if (seen.add(name)) { ... }              // true: it is new; from now on it is under way
//     switch (seen.offer(name)) { ... }        // the same where there may be too many under way
//     seen.settle(names, Settle::kept);        // their batch is on the disk: remembered
//     seen.settle(names, Settle::lost);        // it is not: here they are new again
//     seen.tidy(now);                          // each second: a few steps of forgetting the oldest
//
// A name is remembered only after its batch was accepted: a crash between the two lets it leave
// twice, never not at all. The store holds what was released, under the name's text in lower case,
// and nothing else. When it fails the name counts as new (whoever receives it twice can tell), is
// remembered in memory, and the failure is counted and logged. Threads may share it; tidy() is for
// one.
//
// It is bounded: names are forgotten `age_max` after they were released, if that is set, and the
// oldest beyond `names_max`. Once a day, and when there are too many, tidy() walks over all of them
// and counts them by day; then, if some must go, once more. Each call does little, so that nobody
// waits for it. A value says on which day its name was released; docs/formats/seen.md.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <boost/unordered/unordered_flat_map.hpp>

#include "name_filter.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/time.hpp"
#include "tapir/privacy/gate_key.hpp"
#include "tapir/store/store.hpp"
#include "tapir/text/settings.hpp"

namespace tapir::edge {

inline constexpr std::string_view seen_family = "released";
inline constexpr std::size_t seen_cache_max = 100'000;                  // names
inline constexpr std::size_t seen_filter_size = std::size_t{4} << 20U;  // octets: 3 M names
inline constexpr std::size_t seen_steps_usual = 20'000;  // names that one tidy() looks at

// The rows `seen.…` of the settings.
text::SettingTable seen_settings_table();

struct SeenSettings {
    Duration age_max{};                    // 0: never
    std::uint64_t names_max = 20'000'000;  // then the oldest go
    std::size_t steps = seen_steps_usual;  // of one tidy()
    // Names under way at a time, for offer(): what they take until their batch is on the disk is
    // memory that nothing else limits.
    std::size_t under_way_max = std::numeric_limits<std::size_t>::max();
};
SeenSettings seen_settings(const text::Settings& settings);

// The day that a value says, in days since 1970-01-01; nothing for values of before there were
// days, and of later versions.
std::optional<std::uint32_t> seen_day(ByteView value);
Bytes seen_value(std::uint32_t day);

class Seen {
public:
    enum class Settle : std::uint8_t { kept, lost };

    Seen(store::Store& store, const SeenSettings& settings, const Log& log, Counters& counters);

    // Whether it is new; then it is under way.
    bool add(const std::string& name);
    enum class Offered : std::uint8_t { is_new, known, no_room };
    // The same; but where `under_way_max` are, it is as new the next time.
    Offered offer(const std::string& name);
    enum class State : std::uint8_t { unknown, under_way, kept };
    State state_of(const std::string& name);
    // What became of names that add() called new.
    void settle(std::span<const std::string> names, Settle how);
    // Marks names as released before; how many of them were not. They are remembered as of today.
    // An error: none is marked.
    Result<std::uint64_t> import(std::span<const std::string> names);
    // The time, and some steps.
    void tidy(UtcTime now);

private:
    // Keyed by chance: whoever chooses names cannot choose where they come to lie.
    struct NameHash {
        using is_avalanching = void;  // all bits are good: the table need not mix them again
        std::array<std::uint64_t, 2> key;
        std::size_t operator()(std::string_view name) const {
            return privacy::siphash_2_4(key[0], key[1], as_bytes(name));
        }
    };
    using States = boost::unordered_flat_map<std::string, State, NameHash>;

    Offered add_if(const std::string& name, std::size_t under_way_max);
    // Into the store, as of today. Without the lock.
    void write(std::span<const std::string> names);
    // Whether the store has it. If it cannot be read: no.
    bool is_stored(const std::string& name);
    // That it is in the store.
    void note(std::string_view name);
    void keep(States::iterator known);
    void forget_kept();
    // Counts of names by day: of one walk.
    struct Survey {
        std::map<std::uint32_t, std::uint64_t> by_day;
        std::uint64_t names = 0;
    };
    // What must go: all before `day`, and `of_day` of that day.
    struct Cut {
        std::uint32_t day = 0;
        std::uint64_t of_day = 0;
        std::uint64_t too_old = 0;  // of those, by age
    };
    enum class Walk : std::uint8_t { none, survey, erase };

    void begin(Walk walk);
    void step();
    void look_at(ByteView name, ByteView value, store::Batch& batch);
    void end_survey();
    void end_erase();
    void fail_walk(const Error& error);

    store::Store& store_;
    const SeenSettings settings_;
    const Log& log_;
    Counter& errors_;
    Counter& forgotten_old_;
    Counter& forgotten_many_;
    Counter& imported_;
    Gauge& names_shown_;
    std::atomic<std::uint32_t> today_{0};
    std::atomic<std::uint64_t> names_{0};  // as of the last survey, and since
    std::mutex mutex_;                     // all until walk_
    const NameHash hash_;
    // Those under way: as many as the batches hold that are not written. Of those that are in the
    // store, or should be, the last.
    States lately_;
    std::size_t kept_lately_ = 0;
    // Most names that are asked for are not in the store, and need not be looked for there. Known
    // since a walk has seen all names; anew each day, as names are forgotten.
    std::optional<NameFilter> stored_;
    bool is_stored_known_ = false;

    // Of tidy() alone.
    Walk walk_ = Walk::none;
    std::optional<std::uint32_t> surveyed_;  // on which day
    Bytes from_;                             // where the walk goes on
    Survey survey_;
    Cut cut_;
    std::uint64_t erased_ = 0;
};

}  // namespace tapir::edge
