#include "tapir/bus/bus.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace tapir::bus {

namespace {

bool are_words(std::string_view text) {
    if (text.empty() || text.front() == '.' || text.back() == '.' ||
        text.find("..") != std::string_view::npos) {
        return false;
    }
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '-' || c == '_';
    });
}

// One subscription's messages. Guarded by the mutex of its bus.
struct Queue {
    std::string pattern;
    Subscribe options;
    std::deque<Message> messages;
    bool is_closed = false;
    std::condition_variable changed;
    Counter* overflow = nullptr;
};

}  // namespace

bool matches(std::string_view pattern, std::string_view subject) {
    if (!pattern.ends_with(".>")) {
        return pattern == subject;
    }
    pattern.remove_suffix(1);
    return subject.size() > pattern.size() && subject.starts_with(pattern);
}

struct MemoryBus::Impl {
    explicit Impl(Counters& c) : counters(c) {}

    class QueueReader;

    Counters& counters;
    std::mutex mutex;
    std::vector<std::shared_ptr<Queue>> queues;
};

// Holds on to the bus's inside, so that it may outlive the bus.
class MemoryBus::Impl::QueueReader final : public Subscription {
public:
    QueueReader(std::shared_ptr<Impl> impl, std::shared_ptr<Queue> queue)
        : impl_(std::move(impl)), queue_(std::move(queue)) {}
    QueueReader(const QueueReader&) = delete;
    QueueReader& operator=(const QueueReader&) = delete;
    ~QueueReader() override { end(); }

    std::optional<Message> next(Duration timeout) override {
        using namespace std::chrono;
        std::unique_lock lock(impl_->mutex);
        // A time too far ahead would overflow the clock.
        const auto wait = std::min<Duration>(timeout, hours(24 * 365));
        if (wait > Duration::zero()) {
            queue_->changed.wait_until(
                lock, steady_clock::now() + duration_cast<steady_clock::duration>(wait),
                [&] { return !queue_->messages.empty() || queue_->is_closed; });
        }
        if (queue_->messages.empty()) {
            return std::nullopt;
        }
        Message message = std::move(queue_->messages.front());
        queue_->messages.pop_front();
        return message;
    }
    void close() override { end(); }
    bool is_closed() const override {
        const std::lock_guard lock(impl_->mutex);
        return queue_->is_closed;
    }
    std::size_t queued() const override {
        const std::lock_guard lock(impl_->mutex);
        return queue_->messages.size();
    }

private:
    void end() {
        const std::lock_guard lock(impl_->mutex);
        queue_->is_closed = true;
        std::erase(impl_->queues, queue_);
        queue_->changed.notify_all();
    }

    std::shared_ptr<Impl> impl_;
    std::shared_ptr<Queue> queue_;
};

MemoryBus::MemoryBus(Counters& counters) : impl_(std::make_shared<Impl>(counters)) {}

MemoryBus::~MemoryBus() {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& queue : impl_->queues) {
        queue->is_closed = true;
        queue->changed.notify_all();
    }
    impl_->queues.clear();
}

Result<void> MemoryBus::publish(std::string_view subject, Bytes body) {
    if (!are_words(subject)) {
        return fail(Code::invalid, fmt::format("no subject: '{}'", subject));
    }
    const Message message{std::string(subject), std::make_shared<const Bytes>(std::move(body))};
    const std::lock_guard lock(impl_->mutex);
    std::vector<Queue*> to;
    for (const auto& queue : impl_->queues) {
        if (!matches(queue->pattern, subject)) {
            continue;
        }
        if (queue->messages.size() >= queue->options.queue_max &&
            queue->options.when_full == WhenFull::refuse) {
            queue->overflow->add();
            return fail(Code::exhausted, fmt::format("a subscriber to {} is {} messages behind",
                                                     queue->pattern, queue->options.queue_max));
        }
        to.push_back(queue.get());
    }
    for (Queue* queue : to) {
        if (queue->messages.size() >= queue->options.queue_max) {
            queue->messages.pop_front();
            queue->overflow->add();
        }
        queue->messages.push_back(message);
        queue->changed.notify_one();
    }
    return {};
}

Result<std::unique_ptr<Subscription>> MemoryBus::subscribe(std::string_view pattern,
                                                           Subscribe options) {
    const auto words = pattern.ends_with(".>") ? pattern.substr(0, pattern.size() - 2) : pattern;
    if (!are_words(words) || options.queue_max == 0) {
        return fail(Code::invalid, fmt::format("no pattern of subjects: '{}'", pattern));
    }
    auto queue = std::make_shared<Queue>();
    queue->pattern = pattern;
    queue->options = options;
    queue->overflow = &impl_->counters.counter(
        "tapir_bus_overflow_total", "Messages that a full subscription refused or dropped.",
        {{"subject", std::string(pattern)},
         {"action", options.when_full == WhenFull::refuse ? "refused" : "dropped"}});
    const std::lock_guard lock(impl_->mutex);
    impl_->queues.push_back(queue);
    return std::unique_ptr<Subscription>(std::make_unique<Impl::QueueReader>(impl_, queue));
}

}  // namespace tapir::bus
