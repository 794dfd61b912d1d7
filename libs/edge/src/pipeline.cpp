#include "pipeline.hpp"

#include <algorithm>
#include <utility>

namespace tapir::edge {
namespace {

constexpr std::int64_t minutes_in_day = 1440;
constexpr std::uint32_t ns_in_second = 1'000'000'000;

}  // namespace

std::size_t Pipeline::WeighAnswer::operator()(const Answer& answer) const {
    const auto* result = std::get_if<BatchResult>(&answer);
    if (result == nullptr || !result->sessions.empty()) {
        return batch_frame_count_max;  // a minute's table, or a copy of each frame
    }
    return std::max(answer_weight_min, result->names.size() + result->suspects.size());
}

Pipeline::Pipeline(const PipelineSettings& settings, const std::shared_ptr<const Lists>& lists,
                   DayKeys keys, DataClock clock, Consumer& consumer)
    : drops_when_full_(settings.drops_when_full),
      is_inline_(settings.workers == 0),
      keeps_frames_(settings.worker.sessions != nullptr),
      clock_of_delay_(settings.clock),
      delay_(settings.delay),
      consumer_(consumer),
      listeners_(lists->listeners),
      clock_(clock),
      keys_(std::move(keys)),
      // A step belongs to an order, or is one of the few at a turn: the lanes bound it.
      steps_(std::numeric_limits<std::size_t>::max()) {
    const std::size_t workers = std::clamp<std::size_t>(settings.workers, 1, worker_count_max);
    for (std::size_t i = 0; i < workers; ++i) {
        lanes_.push_back(std::make_unique<Lane>(
            settings.worker, lists, drops_when_full_ ? batch_queue_max : batch_queue_paced));
    }
    if (clock_.has_started()) {
        open_minutes_.insert(clock_.minute());
        steps_.push_over(Begin{clock_.minute(), keys_.enter(clock_.minute() / minutes_in_day)});
    }
    if (is_inline_) {
        run_here();
        return;
    }
    for (const auto& lane : lanes_) {
        lane->thread = std::thread([this, &lane = *lane] {
            while (auto order = lane.orders.pop()) {
                tell_of_room(lane);
                obey(lane, *order);
            }
        });
    }
    collector_ = std::thread([this] {
        while (auto step = steps_.pop()) {
            take(*step);
        }
    });
}

// Without threads: all that was asked for so far is done, by the lane and then by the collector.
void Pipeline::run_here() {
    if (!is_inline_) {
        return;
    }
    Lane& lane = *lanes_.front();
    while (auto order = lane.orders.try_pop()) {
        obey(lane, *order);
    }
    while (auto step = steps_.try_pop()) {
        take(*step);
    }
}

Pipeline::~Pipeline() {
    finish();
}

Added Pipeline::add(std::span<const ByteView> frames) {
    const std::lock_guard lock(mutex_);
    Added added{.frames = frames.size()};
    for (const ByteView frame : frames) {
        add_locked(frame, added);
    }
    for (std::size_t i = 0; i < timing_count; ++i) {
        timings_.at(i).fetch_add(std::exchange(timings_since_.at(i), 0), std::memory_order_relaxed);
    }
    return added;
}

// Field by field: to copy what has just been written in parts would wait for them.
Pipeline::Timed Pipeline::time_of(const dnstap::ResponseFields& message) {
    const bool has_second = message.response_time_s && message.response_time_ns < ns_in_second;
    if (has_second && last_second_ && *message.response_time_s == last_second_->second) [[likely]] {
        return last_second_->timed;
    }
    const auto time = message.response_time();
    const Timed timed{.placed = clock_.place(time), .minute = time ? time->minute() : UtcTime()};
    last_second_.reset();
    if (time && has_second) {
        last_second_ = {.second = *message.response_time_s, .timed = timed};
        last_second_->timed.placed.turned = false;
    }
    return timed;
}

// A frame is read where it comes from: there it is in the cache. The memory that it is copied to
// was last used by other cores.
void Pipeline::add_locked(ByteView frame, Added& added) {
    open_batch_.prefetch();
    dnstap::ResponseFields& message = fields_;
    const auto error = message.assign(frame);
    Timed timed{.placed = {.minute = clock_.minute()}, .minute = {}};
    const Placed& placed = timed.placed;
    if (!error && !dnstap::is_query(message.type)) {
        const bool was_started = clock_.has_started();
        timed = time_of(message);
        ++timings_since_.at(static_cast<std::size_t>(placed.timing));
        if (placed.turned) {
            // What came before the turn is counted before it; this frame starts the next batch.
            flush_locked();
            turn(was_started);
        }
    }
    if (open_minutes_.empty() || *open_minutes_.rbegin() != placed.minute) {
        open_minutes_.insert(placed.minute);
    }
    if (!open_batch_.has_room_for(frame.size())) {
        flush_locked();
        if (!open_batch_.has_room_for(frame.size())) {
            open_batch_ = pool_.take(frame.size());
        }
    }
    if (delay_ != nullptr && open_batch_.is_empty()) {
        open_batch_.arrived = clock_of_delay_->monotonic();
    }
    const ByteView copy = open_batch_.add(frame);
    if (keeps_frames_) {
        open_batch_.keep_frame(frame.size());
    }
    FrameItem& item = open_batch_.add_item();
    item.minute = placed.minute;
    if (error) {
        item.error = error;
        return;
    }
    added.client_queries += message.type == dnstap::MessageType::client_query ? 1U : 0U;
    added.client_responses += message.type == dnstap::MessageType::client_response ? 1U : 0U;
    item.type = message.type;
    item.response_minute = timed.minute;
    item.client = message.query_address.in_copy(frame, copy);
    item.transport = listeners_.transport_of(message);
    item.has_response = message.response_message.has_value();
    if (message.response_message) {
        item.response = in_copy(*message.response_message, frame, copy);
    }
}

void Pipeline::add_unread(Fate fate, std::uint64_t count) {
    const std::lock_guard lock(mutex_);
    fates_.add(fate, count);
}

// Resolvers write frame by frame, so there is nothing more to read after one or two. A worker that
// is behind is not given those by themselves: its queue counts batches, and a burst of small ones
// would fill it. They go with what comes next, or at the tick.
void Pipeline::flush() {
    const std::lock_guard lock(mutex_);
    if (drops_when_full_ && lanes_[shortest_lane()]->orders.size() >= batch_queue_short) {
        return;
    }
    flush_locked();
}

void Pipeline::tick(UtcTime now) {
    const std::lock_guard lock(mutex_);
    const bool was_started = clock_.has_started();
    flush_locked();
    last_second_.reset();
    if (clock_.tick(now)) {
        turn(was_started);
    }
}

// The clock has entered a new minute; everything before is dispatched.
void Pipeline::turn(bool was_started) {
    const Minute now = clock_.minute();
    if (!was_started && !open_minutes_.empty()) {
        for (const auto& lane : lanes_) {
            lane->orders.push_over(Adopt{now});
        }
        open_minutes_.clear();
    }
    while (!open_minutes_.empty() && *open_minutes_.begin() < now - 1) {
        close_locked(*open_minutes_.begin());
    }
    open_minutes_.insert(now);
    if (next_lists_) {
        for (const auto& lane : lanes_) {
            lane->orders.push_over(NewLists{next_lists_, now});
        }
        steps_.push_over(NewLists{std::move(next_lists_), now});
        next_lists_.reset();
    }
    steps_.push_over(Begin{now, keys_.enter(now / minutes_in_day)});
    run_here();
}

void Pipeline::close_locked(Minute minute) {
    for (const auto& lane : lanes_) {
        lane->orders.push_over(Close{minute});
    }
    steps_.push_over(Close{minute});
    open_minutes_.erase(minute);
}

void Pipeline::flush_locked() {
    if (open_batch_.is_empty()) {
        return;
    }
    FrameBatch batch = std::exchange(open_batch_, pool_.take(0));
    batch.day = keys_.current();
    push_to_a_lane(std::move(batch));
    run_here();
}

// If all lanes are full, drops it or waits for any of them: a worker whose core others use may take
// long, and the next one would have nothing to do meanwhile.
void Pipeline::push_to_a_lane(FrameBatch batch) {
    const std::size_t frames = batch.items().size();
    Order order(std::move(batch));
    for (;;) {
        const std::uint32_t rooms = rooms_.load(std::memory_order_acquire);
        const std::size_t number = shortest_lane();
        if (lanes_[number]->orders.try_push(order)) {
            steps_.push_over(FromLane{number});
            next_lane_ = (number + 1) % lanes_.size();
            return;
        }
        if (drops_when_full_) {
            fates_.add(Fate::dropped_overload, frames);
            if (auto* dropped = std::get_if<FrameBatch>(&order)) {
                pool_.give_back(std::move(*dropped));
            }
            return;
        }
        rooms_.wait(rooms, std::memory_order_acquire);
    }
}

// Where half of a lane is free, not at each batch: who waits is woken for some at once.
void Pipeline::tell_of_room(const Lane& lane) {
    if (!drops_when_full_ && lane.orders.size() <= batch_queue_paced / 2) {
        rooms_.fetch_add(1, std::memory_order_release);
        rooms_.notify_one();
    }
}

// Workers share their cores with others, this thread among them, and are not equally fast. Of equal
// ones the next in turn.
std::size_t Pipeline::shortest_lane() const {
    std::size_t shortest = next_lane_;
    std::size_t least = lanes_[shortest]->orders.size();
    for (std::size_t i = 1; i < lanes_.size() && least > 0; ++i) {
        const std::size_t lane = (next_lane_ + i) % lanes_.size();
        if (const std::size_t waiting = lanes_[lane]->orders.size(); waiting < least) {
            shortest = lane;
            least = waiting;
        }
    }
    return shortest;
}

void Pipeline::finish() {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(finished_, true)) {
            return;
        }
        flush_locked();
        while (!open_minutes_.empty()) {
            close_locked(*open_minutes_.begin());
        }
        run_here();
        steps_.close();
        for (const auto& lane : lanes_) {
            lane->orders.close();
        }
    }
    if (is_inline_) {
        return;
    }
    for (const auto& lane : lanes_) {
        lane->thread.join();
    }
    collector_.join();
}

std::shared_ptr<const Day> Pipeline::day() {
    const std::lock_guard lock(mutex_);
    return keys_.current();
}

std::optional<DataClock::Bounds> Pipeline::bounds() {
    const std::lock_guard lock(mutex_);
    return clock_.bounds();
}

FateCounts Pipeline::take_dispatcher_fates() {
    const std::lock_guard lock(mutex_);
    return std::exchange(fates_, FateCounts{});
}

std::vector<LaneLoad> Pipeline::loads() const {
    std::vector<LaneLoad> all;
    all.reserve(lanes_.size());
    for (const auto& lane : lanes_) {
        all.push_back({.batches_waiting = lane->orders.size(),
                       .rows = lane->rows.load(std::memory_order_relaxed)});
    }
    return all;
}

void Pipeline::cut(UtcTime time) {
    const std::lock_guard lock(mutex_);
    flush_locked();
    steps_.push_over(Cut{time});
    run_here();
}

void Pipeline::change_lists(std::shared_ptr<const Lists> lists) {
    const std::lock_guard lock(mutex_);
    next_lists_ = std::move(lists);
}

void Pipeline::obey(Lane& lane, Order& order) {
    if (auto* batch = std::get_if<FrameBatch>(&order)) {
        auto result = lane.worker.count(*batch);
        if (delay_ != nullptr) {
            const std::chrono::duration<double> delay =
                clock_of_delay_->monotonic() - batch->arrived;
            delay_->observe(delay.count());
        }
        lane.rows.store(lane.worker.open_rows(), std::memory_order_relaxed);
        lane.answers.push(std::move(result));
        pool_.give_back(std::move(*batch));
    } else if (const auto* close = std::get_if<Close>(&order)) {
        auto table = lane.worker.take(close->minute);
        lane.rows.store(lane.worker.open_rows(), std::memory_order_relaxed);
        lane.answers.push(std::move(table));
    } else if (const auto* adopt = std::get_if<Adopt>(&order)) {
        lane.worker.adopt(adopt->minute);
    } else if (const auto* change = std::get_if<NewLists>(&order)) {
        lane.worker.change_lists(change->lists, change->since);
    }
}

void Pipeline::take(const Step& step) {
    if (const auto* from = std::get_if<FromLane>(&step)) {
        auto answer = lanes_[from->lane]->answers.pop();
        auto* result = answer ? std::get_if<BatchResult>(&*answer) : nullptr;
        TAPIR_ASSERT(result != nullptr);
        consumer_.on_batch(std::move(*result));
    } else if (const auto* begin = std::get_if<Begin>(&step)) {
        consumer_.on_minute_begin(begin->minute, begin->day);
    } else if (const auto* close = std::get_if<Close>(&step)) {
        collect_minute(close->minute);
    } else if (const auto* cut = std::get_if<Cut>(&step)) {
        consumer_.on_cut(cut->time);
    } else if (const auto* change = std::get_if<NewLists>(&step)) {
        consumer_.on_lists(change->lists);
    }
}

void Pipeline::collect_minute(Minute minute) {
    std::vector<MinuteTable> tables;
    for (const auto& lane : lanes_) {
        auto answer = lane->answers.pop();
        auto* table = answer ? std::get_if<std::optional<MinuteTable>>(&*answer) : nullptr;
        TAPIR_ASSERT(table != nullptr);
        if (*table) {
            tables.push_back(std::move(**table));
        }
    }
    consumer_.on_minute_end(minute, std::move(tables));
}

}  // namespace tapir::edge
