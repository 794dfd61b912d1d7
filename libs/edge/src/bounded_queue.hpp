// A queue of limited length between two threads.
//
//     BoundedQueue<Batch> queue(64);
//     if (!queue.try_push(batch)) { ... }        // full: `batch` is untouched
//     while (auto batch = queue.pop()) { ... }   // nothing: closed and empty
//
// Any number of threads may push and pop. Items may be of different weight: `size_max` is the
// weight from which on the queue is full, so the last one may go beyond it.
#pragma once

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

// `Weigh` says the weight of an item, the same before and after it is moved into the queue.
template <class T, class Weigh = EachIsOne>
class BoundedQueue {
public:
    explicit BoundedQueue(std::size_t size_max) : size_max_(size_max) {}

    // False if the queue is full or closed.
    bool try_push(T& item) {
        {
            const std::lock_guard lock(mutex_);
            if (closed_ || weight_ >= size_max_) {
                return false;
            }
            put(std::move(item));
        }
        filled_.notify_one();
        return true;
    }

    // Waits for room. What is pushed after close() is dropped.
    void push(T item) {
        {
            std::unique_lock lock(mutex_);
            emptied_.wait(lock, [this] { return closed_ || weight_ < size_max_; });
            if (closed_) {
                return;
            }
            put(std::move(item));
        }
        filled_.notify_one();
    }

    // Pushes whether there is room or not: for the few words that must not be lost.
    void push_over(T item) {
        {
            const std::lock_guard lock(mutex_);
            if (closed_) {
                return;
            }
            put(std::move(item));
        }
        filled_.notify_one();
    }

    // Waits for an item; nothing once the queue is closed and empty.
    std::optional<T> pop() {
        std::optional<T> item;
        {
            std::unique_lock lock(mutex_);
            filled_.wait(lock, [this] { return closed_ || !items_.empty(); });
            if (items_.empty()) {
                return item;
            }
            get(item);
        }
        emptied_.notify_one();
        return item;
    }

    // The next item if there is one now.
    std::optional<T> try_pop() {
        std::optional<T> item;
        {
            const std::lock_guard lock(mutex_);
            if (items_.empty()) {
                return item;
            }
            get(item);
        }
        emptied_.notify_one();
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
    // Under the lock.
    void put(T&& item) {
        weight_ += Weigh{}(item);
        items_.push_back(std::move(item));
    }
    void get(std::optional<T>& item) {
        weight_ -= Weigh{}(items_.front());
        item.emplace(std::move(items_.front()));
        items_.pop_front();
    }

    const std::size_t size_max_;
    mutable std::mutex mutex_;
    std::condition_variable filled_;
    std::condition_variable emptied_;
    std::deque<T> items_;
    std::size_t weight_ = 0;  // of items_
    bool closed_ = false;
};

}  // namespace tapir::edge
