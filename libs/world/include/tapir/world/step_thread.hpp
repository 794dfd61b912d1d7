// A thread around a step: services are steps, and daemons put threads around them.
//
//     StepThread sender(clock, [&] { return station.send(); });   // how long to wait then
//     sender.notify();                                            // something to do, now
//     sender.stop();
//
// notify() may come from any thread, and is not lost while the step runs.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "tapir/world/clock.hpp"

namespace tapir::world {

class StepThread {
public:
    // Does something, and says how long there is nothing to do unless somebody notifies.
    using Step = std::function<Duration()>;

    // `clock` must outlive it.
    StepThread(const Clock& clock, Step step);
    StepThread(const StepThread&) = delete;
    StepThread& operator=(const StepThread&) = delete;
    ~StepThread();  // stops

    void notify();
    // Waits for the step that is under way: whoever called for what may block ends that first.
    void stop();

private:
    const Step step_;
    Waiter waiter_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;  // last: it uses the others
};

}  // namespace tapir::world
