#include "tapir/world/clock.hpp"

#include <algorithm>
#include <chrono>

namespace tapir::world {

UtcTime system_now() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return UtcTime::from_ns(std::chrono::duration_cast<Duration>(since).count());
}

UtcTime SystemClock::now() const {
    return system_now();
}

Duration SystemClock::monotonic() const {
    return std::chrono::duration_cast<Duration>(
        std::chrono::steady_clock::now().time_since_epoch());
}

// Times are changed before the list is locked, and a Waiter joins the list before it looks at the
// time: so it either sees the new time or is woken. Locks are taken in the order clock, Waiter.
void ManualClock::advance(Duration by) {
    TAPIR_ASSERT(by >= Duration::zero());
    now_ns_ += by.count();
    monotonic_ns_ += by.count();
    const std::lock_guard lock(mutex_);
    for (Waiter* waiter : waiters_) {
        waiter->clock_moved();
    }
}

void ManualClock::step_to(UtcTime now) {
    now_ns_ = now.ns();
}

void ManualClock::attach(Waiter& waiter) const {
    const std::lock_guard lock(mutex_);
    waiters_.push_back(&waiter);
}

void ManualClock::detach(Waiter& waiter) const {
    const std::lock_guard lock(mutex_);
    const auto it = std::find(waiters_.begin(), waiters_.end(), &waiter);
    TAPIR_ASSERT(it != waiters_.end());
    waiters_.erase(it);
}

void Waiter::notify() {
    {
        const std::lock_guard lock(mutex_);
        notified_ = true;
    }
    changed_.notify_one();
}

void Waiter::clock_moved() {
    // The lock makes sure that no wait is between its look at the time and its sleep.
    {
        const std::lock_guard lock(mutex_);
    }
    changed_.notify_all();
}

bool Waiter::wait_until(Duration deadline) {
    clock_.attach(*this);
    std::unique_lock lock(mutex_);
    const auto is_over = [&] { return notified_ || clock_.monotonic() >= deadline; };
    if (clock_.runs()) {
        const std::chrono::steady_clock::time_point until(
            std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline));
        changed_.wait_until(lock, until, [&] { return notified_; });
    } else {
        changed_.wait(lock, is_over);
    }
    const bool was_notified = notified_;
    notified_ = false;
    lock.unlock();
    clock_.detach(*this);
    return was_notified;
}

}  // namespace tapir::world
