// A queue of limited length between two threads.
//
//     BoundedQueue<Batch> queue(64);
//     if (!queue.try_push(batch)) { ... }        // full: `batch` is untouched
//     while (auto batch = queue.pop()) { ... }   // nothing: closed and empty
//
// Any number of threads may push and pop. Items may be of different weight: `size_max` is the
// weight from which on the queue is full, so the last one may go beyond it.
//
// A thread that is woken costs as much as many frames. So who has found the queue full is woken
// when half of it is free, and who pops may be left asleep until there is something to do: see
// Wake.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace tapir::edge {

struct EachIsOne {
    template <class T>
    std::size_t operator()(const T& /*item*/) const {
        return 1;
    }
};

// When who waits for an item is woken: with the first one, or when they weigh so much. Until then
// it looks by itself each millisecond: for items that nobody is in a hurry for.
struct Wake {
    std::size_t weight_min = 0;
    static constexpr std::chrono::milliseconds looks_again{1};
    bool is_lazy() const { return weight_min > 0; }
};

// `Weigh` says the weight of an item, the same before and after it is moved into the queue.
template <class T, class Weigh = EachIsOne>
class BoundedQueue {
public:
    explicit BoundedQueue(std::size_t size_max, Wake wake = {})
        : size_max_(size_max), wake_(wake) {}

    // False if the queue is full or closed.
    bool try_push(T& item) {
        bool wakes = false;
        {
            const std::lock_guard lock(mutex_);
            if (closed_ || weight_ >= size_max_) {
                return false;
            }
            wakes = put(std::move(item));
        }
        wake(wakes);
        return true;
    }

    // Waits for room. What is pushed after close() is dropped.
    void push(T item) {
        bool wakes = false;
        {
            std::unique_lock lock(mutex_);
            if (weight_ >= size_max_) {
                emptied_.wait(lock, [this] { return closed_ || has_much_room(); });
            }
            if (closed_) {
                return;
            }
            wakes = put(std::move(item));
        }
        wake(wakes);
    }

    // Pushes whether there is room or not: for the few words that must not be lost.
    void push_over(T item) {
        bool wakes = false;
        {
            const std::lock_guard lock(mutex_);
            if (closed_) {
                return;
            }
            wakes = put(std::move(item));
        }
        wake(wakes);
    }

    // Waits for an item; nothing once the queue is closed and empty.
    std::optional<T> pop() {
        std::optional<T> item;
        bool has_room = false;
        {
            std::unique_lock lock(mutex_);
            const auto is_over = [this] { return closed_ || !items_.empty(); };
            if (!wake_.is_lazy()) {
                filled_.wait(lock, is_over);
            }
            while (!is_over()) {
                filled_.wait_for(lock, Wake::looks_again);
            }
            if (items_.empty()) {
                return item;
            }
            has_room = get(item);
        }
        offer_room(has_room);
        return item;
    }

    // The next item if there is one now.
    std::optional<T> try_pop() {
        std::optional<T> item;
        bool has_room = false;
        {
            const std::lock_guard lock(mutex_);
            if (items_.empty()) {
                return item;
            }
            has_room = get(item);
        }
        offer_room(has_room);
        return item;
    }

    std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return items_.size();
    }

    // No more will be pushed; what is there can still be popped.
    void close() {
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
        }
        filled_.notify_all();
        emptied_.notify_all();
    }

private:
    bool has_much_room() const { return weight_ <= size_max_ / 2; }
    // Under the lock: whether who waits for an item is to be woken.
    bool put(T&& item) {
        weight_ += Weigh{}(item);
        items_.push_back(std::move(item));
        return weight_ >= wake_.weight_min;
    }
    // Under the lock: whether who waits for room is to be woken. Each of several who wait is, as
    // each item that they push is popped with as much room or more.
    bool get(std::optional<T>& item) {
        weight_ -= Weigh{}(items_.front());
        item.emplace(std::move(items_.front()));
        items_.pop_front();
        return has_much_room();
    }
    void wake(bool wakes) {
        if (wakes) {
            filled_.notify_one();
        }
    }
    void offer_room(bool has_room) {
        if (has_room) {
            emptied_.notify_one();
        }
    }

    const std::size_t size_max_;
    const Wake wake_;
    mutable std::mutex mutex_;
    std::condition_variable filled_;
    std::condition_variable emptied_;
    std::deque<T> items_;
    std::size_t weight_ = 0;  // of items_
    bool closed_ = false;
};

}  // namespace tapir::edge
