// Sends what lies in the outbox, in order, until the core has it.
//
//     SendSteps steps(parts);
//     const Duration pause = steps.work();    // again after this pause, or when a batch has come
//     steps.cancel();
//
// Batches leave at the minute's second that the day's key has fixed (R6), all that wait together;
// in the lab, at once. After a failure it waits: a second, twice that, … up to five minutes, each
// with chance in it, at least as long as the core asks for (an hour at most), and begins again with
// the oldest.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "outbox.hpp"
#include "outlet.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"

namespace tapir::edge {

inline constexpr std::int64_t retry_s_max = 300;

struct SenderParts {
    Outbox& outbox;
    Outlet& outlet;
    const world::Clock& clock;
    world::Chance& chance;
    const Log& log;
    Counters& counters;
    // The second of the minute at which to send; empty: at once.
    std::function<unsigned()> second;
};

// One thread at a time; any may cancel().
class SendSteps {
public:
    explicit SendSteps(const SenderParts& parts);

    // Does what is due now; how long until there is something to do, unless a new batch comes.
    Duration work();
    // Ends a work() that waits for the core, and all sending, for good.
    void cancel();

private:
    // Until nothing waits (true) or something failed that may succeed later.
    bool send_all();
    bool send_batch(std::uint64_t index);
    Duration until_due() const;
    Duration back_off();

    SenderParts parts_;
    Counter& batches_;
    Counter& lost_altered_;
    Counter& rejected_;
    std::array<Counter*, sent_count> uploads_{};
    std::atomic<bool> cancelled_{false};
    std::optional<Duration> due_;  // monotonic; of what waits
    Duration again_{};             // monotonic; not before, after a failure
    Duration retry_after_{};       // what the core asked for, at the last failure
    std::int64_t failures_ = 0;
    std::set<std::string> done_;            // payloads of the batch that is being sent
    bool is_unrouted_ = false;              // whether one of them stays here
    std::optional<std::uint64_t> done_of_;  // which that is
};

}  // namespace tapir::edge
