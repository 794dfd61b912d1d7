// Time as a port: the only place that asks the machine what time it is.
//
//     SystemClock clock;                  // or ManualClock clock(UtcTime::parse(...));
//     const UtcTime now = clock.now();
//     Waiter waiter(clock);
//     if (!waiter.wait_for(60s)) { ... }  // false: the time passed; true: somebody called notify()
//
// Clocks and Waiters may be shared by threads. A Waiter must not outlive its Clock.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "tapir/base/time.hpp"

namespace tapir::world {

class Waiter;

class Clock {
public:
    virtual ~Clock() = default;

    // The time of day. May jump when somebody sets the clock.
    virtual UtcTime now() const = 0;
    // Time since some fixed instant. Never goes back: for timeouts and intervals.
    virtual Duration monotonic() const = 0;

protected:
    friend class Waiter;
    // Whether time passes by itself. If not, the clock wakes every attached Waiter when it is
    // moved.
    virtual bool runs() const { return true; }
    virtual void attach(Waiter& /*waiter*/) const {}
    virtual void detach(Waiter& /*waiter*/) const {}
};

// The machine's clock.
class SystemClock final : public Clock {
public:
    UtcTime now() const override;
    Duration monotonic() const override;
};

// The machine's time of day as a plain function, for Log::to_stderr.
UtcTime system_now();

// A clock that stands still until it is moved: for tests, twins and the simulator.
class ManualClock final : public Clock {
public:
    explicit ManualClock(UtcTime start = {}) : now_ns_(start.ns()) {}

    UtcTime now() const override { return UtcTime::from_ns(now_ns_.load()); }
    Duration monotonic() const override { return Duration(monotonic_ns_.load()); }

    // Both times move on, and whoever waits for a time that has now come is woken. `by` >= 0.
    void advance(Duration by);
    // Somebody sets the clock: only the time of day changes, in either direction.
    void step_to(UtcTime now);

protected:
    bool runs() const override { return false; }
    void attach(Waiter& waiter) const override;
    void detach(Waiter& waiter) const override;

private:
    std::atomic<std::int64_t> now_ns_;
    std::atomic<std::int64_t> monotonic_ns_{0};
    mutable std::mutex mutex_;
    mutable std::vector<Waiter*> waiters_;
};

// Waits for a time or for a call, whichever comes first. Calls are remembered: a notify() before
// the wait ends that wait at once, so none is lost. Several waits may run at a time; one call ends
// one of them.
class Waiter {
public:
    explicit Waiter(const Clock& clock) : clock_(clock) {}
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    // Ends a wait that runs, or the next one.
    void notify();
    // Waits until notify() or until clock.monotonic() >= deadline. True if it was a call.
    bool wait_until(Duration deadline);
    bool wait_for(Duration duration) { return wait_until(clock_.monotonic() + duration); }

private:
    friend class ManualClock;
    void clock_moved();

    const Clock& clock_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool notified_ = false;
};

}  // namespace tapir::world
