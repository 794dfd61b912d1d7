// From frames to what was counted: one dispatcher, some workers, one collector.
//
//     Pipeline pipeline(settings, lists, keys, DataClock(), consumer);
//     pipeline.add(frames);               // as many as are there: each call takes the lock once
//     pipeline.finish();                  // everything has reached the consumer
//
//        add ─► dispatcher: minute ─► queue ─► worker: decode, look up, count ─┐
//                        └─► plan ──────────► collector ◄── results in order ──┘─► consumer
//
// Nothing is shared between workers: each has its own tables, which the collector merges when a
// minute ends. The collector takes results in the order in which batches were dispatched, so the
// consumer sees the same whatever the number of workers. Any thread may call add(), tick() and
// flush(); the consumer is called from one thread.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <thread>
#include <variant>
#include <vector>

#include "bounded_queue.hpp"
#include "data_clock.hpp"
#include "day.hpp"
#include "frame_batch.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/world/clock.hpp"
#include "worker.hpp"

namespace tapir::edge {

inline constexpr std::size_t worker_count_max = 64;
inline constexpr std::size_t batch_queue_max = 128;  // batches waiting for one worker
inline constexpr std::size_t batch_queue_short = 4;  // with so many only full ones are added
// Where the source waits for the workers: more would only fall out of their caches meanwhile.
inline constexpr std::size_t batch_queue_paced = 8;
// What workers may have ready before the collector takes it. While that is busy with the rows of a
// minute, they go on: with few names in a batch that is a thousand batches, else as many as may
// wait for the worker.
inline constexpr std::size_t answer_names_max = batch_queue_max * batch_frame_count_max;
inline constexpr std::size_t answer_weight_min = 64;
// With so many the collector is woken; fewer it comes for by itself.
inline constexpr std::size_t answers_awaken = answer_names_max / 16;
inline constexpr std::size_t answers_max = answer_names_max / answer_weight_min;
inline constexpr std::size_t frames_abreast = 64;  // given at once, where there are many

// Who takes what was counted. Called in order, from the collector's thread; without workers from
// the caller's, inside the call that caused it.
class Consumer {
public:
    virtual ~Consumer() = default;
    virtual void on_batch(BatchResult&& result) = 0;
    // The clock has entered `minute`.
    virtual void on_minute_begin(Minute minute, const std::shared_ptr<const Day>& day) = 0;
    // All frames of a minute are counted: the tables of workers that have counted something.
    // Minutes end in ascending order.
    virtual void on_minute_end(Minute minute, std::vector<MinuteTable>&& tables) = 0;
    // What was released up to here is to leave: cut() was called.
    virtual void on_cut(UtcTime time) = 0;
    // The minute that begins next, and those after it, are counted by these lists. The minute
    // before ends later: its table says which lists it belongs to.
    virtual void on_lists(const std::shared_ptr<const Lists>& lists) = 0;
};

struct PipelineSettings {
    std::size_t workers = 1;       // 0: no threads, everything in the caller's
    bool drops_when_full = false;  // live: never wait; the twin: never drop
    WorkerSettings worker;
    // Live: how long a batch's first frame waits until it is counted. Both or none; they must
    // outlive the pipeline.
    const world::Clock* clock = nullptr;
    Histogram* delay = nullptr;
};

// Frames that were added, and how many of them are of the types that come in pairs.
struct Added {
    std::uint64_t frames = 0;
    std::uint64_t client_queries = 0;
    std::uint64_t client_responses = 0;

    Added& operator+=(const Added& more) {
        frames += more.frames;
        client_queries += more.client_queries;
        client_responses += more.client_responses;
        return *this;
    }
};

// How much a worker has before it, and holds.
struct LaneLoad {
    std::size_t batches_waiting = 0;
    std::size_t rows = 0;
};

class Pipeline {
public:
    Pipeline(const PipelineSettings& settings, const std::shared_ptr<const Lists>& lists,
             DayKeys keys, DataClock clock, Consumer& consumer);
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;
    ~Pipeline();

    // Copies the frames.
    Added add(std::span<const ByteView> frames);
    void add(ByteView frame) { add(std::span(&frame, 1)); }
    // Every frame that `frames.next()` has ready.
    template <class Frames>
    Added add_all(Frames& frames) {
        std::array<ByteView, frames_abreast> some;
        std::size_t count = 0;
        Added all;
        while (const auto frame = frames.next()) {
            some[count++] = *frame;
            if (count == some.size()) {
                all += add(some);
                count = 0;
            }
        }
        all += add(std::span(some).first(count));
        return all;
    }
    // Frames that never came here as octets: oversized, truncated.
    void add_unread(Fate fate, std::uint64_t count);
    // Sends what waits for a full batch: when there is nothing more to read at once. Live, what a
    // worker that is behind has to wait for may wait until the next tick().
    void flush();
    // Live: the time of day. Minutes end without frames too.
    void tick(UtcTime now);
    // Tells the consumer, after all frames so far.
    void cut(UtcTime time);
    // From the next minute on these lists count: no minute has rows of two. No frame waits.
    void change_lists(std::shared_ptr<const Lists> lists);
    // Ends all minutes and waits until the consumer has them. Nothing may be added after.
    void finish();

    // The current day's key, for keeping it on disk.
    std::shared_ptr<const Day> day();
    std::optional<DataClock::Bounds> bounds();
    std::uint64_t timing(Timing timing) const {
        return timings_.at(static_cast<std::size_t>(timing)).load(std::memory_order_relaxed);
    }
    // By worker, as it was when each last did something. Any thread.
    std::vector<LaneLoad> loads() const;
    // What the dispatcher itself decided since the last call: overload, and add_unread().
    FateCounts take_dispatcher_fates();

private:
    struct Close {
        Minute minute;
    };
    struct Adopt {
        Minute minute;
    };
    struct NewLists {
        std::shared_ptr<const Lists> lists;
        Minute since;
    };
    using Order = std::variant<FrameBatch, Close, Adopt, NewLists>;
    using Answer = std::variant<BatchResult, std::optional<MinuteTable>>;
    // In names, of which it may hold many more than usual: under a flood each frame has one.
    struct WeighAnswer {
        std::size_t operator()(const Answer& answer) const;
    };
    struct Lane {
        Lane(const WorkerSettings& settings, std::shared_ptr<const Lists> lists,
             std::size_t orders_max)
            : orders(orders_max),
              answers(answer_names_max, {.weight_min = answers_awaken}),
              worker(settings, std::move(lists)) {}
        BoundedQueue<Order> orders;
        BoundedQueue<Answer, WeighAnswer> answers;
        Worker worker;
        std::atomic<std::size_t> rows{0};
        std::thread thread;
    };
    struct Begin {
        Minute minute;
        std::shared_ptr<const Day> day;
    };
    struct FromLane {
        std::size_t lane;
    };
    struct Cut {
        UtcTime time;
    };
    using Step = std::variant<FromLane, Begin, Close, Cut, NewLists>;

    // When a response was given: where it counts, and the minute that it says, 1970 without a time.
    struct Timed {
        Placed placed;
        UtcTime minute;
    };
    struct TimedSecond {
        std::uint64_t second;
        Timed timed;
    };

    void add_locked(ByteView frame, Added& added);
    Timed time_of(const dnstap::ResponseFields& message);
    void turn(bool was_started);
    void flush_locked();
    std::size_t shortest_lane() const;
    void push_to_a_lane(FrameBatch batch);
    void tell_of_room(const Lane& lane);
    void close_locked(Minute minute);
    void obey(Lane& lane, Order& order);
    void take(const Step& step);
    void collect_minute(Minute minute);
    void run_here();

    const bool drops_when_full_;
    const bool is_inline_;
    const bool keeps_frames_;
    const world::Clock* const clock_of_delay_;
    Histogram* const delay_;
    Consumer& consumer_;
    const Listeners listeners_;
    std::mutex mutex_;  // the dispatcher's: all until lanes_
    DataClock clock_;
    DayKeys keys_;
    BatchPool pool_;
    FrameBatch open_batch_{0};
    dnstap::ResponseFields fields_;  // of the frame that is looked at
    // Of the frame before: most are of the same second. Nothing once the clock has moved since.
    std::optional<TimedSecond> last_second_;
    std::set<Minute> open_minutes_;
    std::shared_ptr<const Lists> next_lists_;  // that wait for the turn of the minute
    std::size_t next_lane_ = 0;                // if all are equal
    bool finished_ = false;
    FateCounts fates_;
    std::array<std::uint64_t, timing_count> timings_since_{};  // not in timings_ yet
    std::array<std::atomic<std::uint64_t>, timing_count> timings_{};

    std::vector<std::unique_ptr<Lane>> lanes_;
    std::atomic<std::uint32_t> rooms_{0};  // how often a lane had much room again
    BoundedQueue<Step> steps_;
    std::thread collector_;
};

}  // namespace tapir::edge
