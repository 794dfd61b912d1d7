// Rows of open minutes, and how they get to whoever writes them.
//
//     SessionRecorder recorder(limits, write, true, log, counters);
//     SessionTap tap(collector, recorder);          // the pipeline's consumer
//     recorder.finish({});
//
// Memory is bounded: open minutes, minutes that wait, and the one that is being written together
// hold at most `memory_max` octets of rows; what would be more is dropped and counted. Called by
// the pipeline's collector thread, and after it has ended by who calls finish().
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "bounded_queue.hpp"
#include "pipeline.hpp"
#include "session_rows.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/products/histogram.hpp"

namespace tapir::edge {

inline constexpr std::size_t session_minutes_waiting_max = 4;

struct SessionLimits {
    std::uint64_t rows_max = 250'000;         // of one minute
    std::uint64_t memory_max = 64ULL << 20U;  // octets, of all that is not written yet
    bool single_interval = false;             // the twin's: all rows are of one file
};

// Why rows were not written. Each value names a counter.
enum class SessionDrop : std::uint8_t { rows_max, memory_max, writer_behind, no_room, error };
inline constexpr std::size_t session_drop_count = 5;

struct SessionMinute {
    products::Interval interval;
    std::vector<SessionRows> blocks;
    std::uint64_t rows = 0;
    std::uint64_t memory = 0;
};

class SessionRecorder {
public:
    using Write = std::function<Result<void>(const products::Interval& interval,
                                             std::vector<SessionRows>&& blocks)>;

    // `write` is called from a thread of the recorder's own, or from whoever ends a minute.
    SessionRecorder(const SessionLimits& limits, Write write, bool in_background, const Log& log,
                    Counters& counters);
    SessionRecorder(const SessionRecorder&) = delete;
    SessionRecorder& operator=(const SessionRecorder&) = delete;
    ~SessionRecorder();

    void take(std::vector<SessionRows>&& blocks);
    // The clock has entered `minute`; the first time, what came before any time was known is of it.
    void begin_minute(Minute minute);
    void end_minute(Minute minute);
    // Everything is written, or dropped and counted. `bounds`: of a single interval.
    void finish(const std::optional<DataClock::Bounds>& bounds);

private:
    void close(SessionMinute&& minute);
    void write(SessionMinute&& minute);
    void drop(SessionDrop why, std::uint64_t rows);

    const SessionLimits limits_;
    const Write write_;
    const Log& log_;
    Counter& written_;
    Counter& files_;
    Counter& unreadable_;
    std::array<Counter*, session_drop_count> dropped_{};
    std::atomic<std::uint64_t> memory_{0};
    std::map<Minute, SessionMinute> open_;
    bool has_begun_ = false;
    std::optional<BoundedQueue<SessionMinute>> waiting_;  // where a thread writes
    std::thread thread_;
};

// Takes what is the recorder's out of what workers give, and hands the rest on.
class SessionTap final : public Consumer {
public:
    SessionTap(Consumer& behind, SessionRecorder& recorder)
        : behind_(behind), recorder_(recorder) {}

    void on_batch(BatchResult&& result) override {
        recorder_.take(std::move(result.sessions));
        behind_.on_batch(std::move(result));
    }
    void on_minute_begin(Minute minute, const std::shared_ptr<const Day>& day) override {
        recorder_.begin_minute(minute);
        behind_.on_minute_begin(minute, day);
    }
    void on_minute_end(Minute minute, std::vector<MinuteTable>&& tables) override {
        recorder_.end_minute(minute);
        behind_.on_minute_end(minute, std::move(tables));
    }
    void on_cut(UtcTime time) override { behind_.on_cut(time); }
    void on_lists(const std::shared_ptr<const Lists>& lists) override { behind_.on_lists(lists); }

private:
    Consumer& behind_;
    SessionRecorder& recorder_;
};

}  // namespace tapir::edge
