// Shared state and its lock as one object: what is guarded cannot be reached without the lock.
//
//     Guarded<Stats> stats;
//     stats.with([](Stats& s) { ++s.hits; });
//
// Do not call out to unknown code, and do not wait, inside `with`.
#pragma once

#include <mutex>
#include <utility>

namespace tapir {

template <class T>
class Guarded {
public:
    Guarded() = default;
    explicit Guarded(T value) : value_(std::move(value)) {}
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;

    template <class F>
    decltype(auto) with(F&& f) {
        const std::lock_guard lock(mutex_);
        return std::forward<F>(f)(value_);
    }
    template <class F>
    decltype(auto) with(F&& f) const {
        const std::lock_guard lock(mutex_);
        return std::forward<F>(f)(value_);
    }

private:
    mutable std::mutex mutex_;
    T value_{};
};

}  // namespace tapir
