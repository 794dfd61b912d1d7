// Virtual time: what happens when, in one queue.
//
//     Agenda agenda;
//     agenda.at(5s, [&] { ... });
//     Repeater sending(agenda, [&] { return station.send(); });    // again after what it returns
//     sending.wake();                                              // or now
//     agenda.run_until(30min, [&](Duration by) { clock.advance(by); }, [&] { bury_the_dead(); });
//
// Events of the same instant happen in the order in which they were entered.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "tapir/base/time.hpp"

namespace tapir::sim {

class Agenda {
public:
    using Act = std::function<void()>;

    Duration now() const { return now_; }
    void at(Duration time, Act act);
    void after(Duration pause, Act act) { at(now_ + pause, std::move(act)); }

    // `moved` is told how far time moves on, `between` is called after each event; it may enter
    // others. Ends at `end`, or when `between` says false.
    void run_until(Duration end, const std::function<void(Duration)>& moved,
                   const std::function<bool()>& between);

private:
    struct Event {
        Duration time{};
        std::uint64_t number = 0;
        Act act;
        bool operator<(const Event& other) const {
            return time != other.time ? time > other.time : number > other.number;
        }
    };

    Duration now_{};
    std::uint64_t numbers_ = 0;
    std::priority_queue<Event> events_;
};

// One step that is called again and again, as its own answers say, or when woken.
class Repeater {
public:
    // Shorter pauses are stretched to this, so that time goes on.
    static constexpr Duration pause_min = std::chrono::milliseconds(10);

    Repeater(Agenda& agenda, std::function<Duration()> step)
        : agenda_(agenda), step_(std::move(step)) {}
    Repeater(const Repeater&) = delete;
    Repeater& operator=(const Repeater&) = delete;

    void wake(Duration pause = {});
    void stop() { ++generation_; }

private:
    void enter(Duration time);

    Agenda& agenda_;
    std::function<Duration()> step_;
    std::uint64_t generation_ = 0;  // of the one entry that counts
    Duration due_ = Duration::max();
};

}  // namespace tapir::sim
