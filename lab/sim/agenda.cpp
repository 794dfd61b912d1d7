#include "agenda.hpp"

#include <algorithm>
#include <utility>

namespace tapir::sim {

void Agenda::at(Duration time, Act act) {
    events_.push({std::max(time, now_), ++numbers_, std::move(act)});
}

void Agenda::run_until(Duration end, const std::function<void(Duration)>& moved,
                       const std::function<bool()>& between) {
    while (!events_.empty() && events_.top().time <= end) {
        const Event event = events_.top();
        events_.pop();
        if (event.time > now_) {
            const Duration by = event.time - now_;
            now_ = event.time;
            moved(by);
        }
        event.act();
        if (!between()) {
            return;
        }
    }
    if (now_ < end) {
        const Duration by = end - now_;
        now_ = end;
        moved(by);
    }
}

void Repeater::wake(Duration pause) {
    const Duration time = agenda_.now() + pause;
    if (time < due_) {
        enter(time);
    }
}

void Repeater::enter(Duration time) {
    due_ = time;
    agenda_.at(time, [this, generation = ++generation_] {
        if (generation != generation_) {
            return;
        }
        due_ = Duration::max();
        const Duration pause = std::max(step_(), pause_min);
        if (generation == generation_) {
            wake(pause);
        }
    });
}

}  // namespace tapir::sim
