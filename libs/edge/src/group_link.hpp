// A site of a group (R10): what the gate has seen goes to the operator's aggregator, and what that
// answers is known to the gate.
//
//     GroupLink link(parts);
//     settings.gate.group = &link;           // the collector's thread: the gate asks and tells
//     link.refresh();                        // the same thread, each batch: answers are heard
//     const Duration pause = link.work();    // another thread: what is due is told
//
// It speaks once a minute at the second that the day's key has fixed for this site, with or without
// something to tell. Away, the aggregator holds up nothing: what waits is bounded and told later,
// the site counts alone meanwhile, and each failure in a row puts the next attempt off, up to five
// minutes. What is not told is counted by reason in tapir_edge_group_sightings_total.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "outlet.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/guarded.hpp"
#include "tapir/base/log.hpp"
#include "tapir/privacy/group.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

inline constexpr std::size_t group_waiting_max = 65'536;   // records, 16 octets each
inline constexpr std::size_t group_taken_slack = 4096;     // more, of names that this site released
inline constexpr std::size_t group_known_max = 1U << 18U;  // names that are released or taken today

// The rows `aggregation.…` of the settings.
text::SettingTable aggregation_settings_table();
// Whether this site is one of a group. Under `compatible` it is not.
bool is_in_group(const text::Settings& settings, privacy::Profile profile);
// Where the day's key lies: the group's file, or state.dir/day.key.
std::string day_key_path(const text::Settings& settings);
// Errors name the setting. The URL is not empty.
Result<OutletSettings> read_group_settings(const text::Settings& settings, world::Files& files);

// For the ledger: what happened since the batch before.
struct GroupAccount {
    std::uint64_t told = 0;      // records that the aggregator has
    std::uint64_t dropped = 0;   // that it will not get
    std::uint64_t released = 0;  // names of which T was reached together
    std::string posts{};         // a line each: SHA-256 and size of what was sent
};

struct GroupParts {
    GroupOutlet& outlet;
    privacy::Profile profile;
    const world::Clock& clock;
    const Log& log;
    Counters& counters;
    // The second of the minute at which to speak; empty, in the lab: each interval_s.
    std::function<unsigned()> second;
    std::int64_t interval_s = 60;
};

// One thread is the gate's, one calls work(); any may cancel().
class GroupLink final : public privacy::Group {
public:
    explicit GroupLink(const GroupParts& parts);

    // The gate's thread.
    State state_of(privacy::Fingerprint name) override;
    void saw(const products::SightingRecord& record) override;
    void took(privacy::Fingerprint name, bool by_group) override;
    void start_day(std::int64_t day) override;
    void refresh();
    GroupAccount take_account();

    // Does what is due now; how long until there is something to do.
    Duration work();
    void cancel();

private:
    // Why a record is not told. Each value names a counter.
    enum class Drop : std::uint8_t { queue_full, day_over, refused };
    // Between the two threads.
    struct Shared {
        std::int64_t day = -1;
        std::vector<products::SightingRecord> waiting;
        std::vector<products::ReleaseRecord> heard;
        GroupAccount account;
    };

    void enqueue(const products::SightingRecord& record, std::size_t count_max);
    void drop(Shared& shared, Drop reason, std::size_t count);
    void know(std::uint64_t name, State state);
    Duration until_due() const;
    void speak(std::int64_t today);
    void settle(const GroupAnswer& answer, const privacy::Payload& payload,
                products::Sightings&& post);
    void hear(const GroupAnswer& answer, std::int64_t day);
    // What was not taken waits again, before what came meanwhile.
    void wait_again(products::Sightings&& post);
    void failed(const GroupAnswer& answer);

    const GroupParts parts_;
    std::array<Counter*, sent_count> posts_{};
    std::array<Counter*, 3> dropped_{};
    Counter& told_;
    Counter& released_;
    Counter& not_kept_;
    Counter& bad_answers_;
    Gauge& waiting_shown_;
    Gauge& known_shown_;
    Guarded<Shared> shared_;
    std::atomic<bool> has_heard_{false};

    // The gate's.
    std::unordered_map<std::uint64_t, State> known_;  // released or taken
    std::int64_t day_ = -1;

    // Of work().
    std::optional<Duration> due_;  // monotonic
    Duration again_{};             // monotonic; not before, after a failure
    std::uint32_t failures_ = 0;   // in a row
    std::int64_t cursor_day_ = -1;
    std::uint64_t epoch_ = 0;
    std::uint32_t cursor_ = 0;
    std::atomic<bool> cancelled_{false};
};

}  // namespace tapir::edge
