#include "data_clock.hpp"

#include <algorithm>

namespace tapir::edge {
namespace {

constexpr std::int64_t minutes_in_day = 1440;

Minute minute_of(std::int64_t second) {
    return second >= 0 ? second / 60 : (second - 59) / 60;
}

}  // namespace

DataClock DataClock::live(UtcTime now) {
    DataClock clock;
    clock.kind_ = Kind::live;
    clock.second_ = std::max<std::int64_t>(now.seconds(), 0);
    return clock;
}

DataClock DataClock::single_interval() {
    DataClock clock;
    clock.kind_ = Kind::single;
    return clock;
}

Placed DataClock::place(std::optional<UtcTime> time) {
    if (!time || time->ns() < 0) {
        return {.minute = minute(), .timing = Timing::without_time, .turned = false};
    }
    const std::int64_t second = time->seconds();
    Placed placed{.minute = minute(), .timing = Timing::in_time, .turned = false};
    const Minute own = minute_of(second);
    bounds_ = bounds_ ? Bounds{std::min(bounds_->first, own), std::max(bounds_->end, own + 1)}
                      : Bounds{own, own + 1};
    if (kind_ == Kind::single) {
        return placed;
    }
    if (!second_ || (kind_ == Kind::data && second > *second_)) {
        placed.turned = !second_ || own != minute();
        second_ = second;
        placed.minute = own;
        return placed;
    }
    if (second > *second_) {
        // A clock of the resolver that is a little ahead still means this minute.
        placed.timing = own == minute() ? Timing::in_time : Timing::future;
        return placed;
    }
    const bool is_late =
        *second_ - second > lateness_s_max || own / minutes_in_day != minute() / minutes_in_day;
    placed.timing = is_late ? Timing::late : Timing::in_time;
    placed.minute = is_late ? minute() : own;
    return placed;
}

bool DataClock::tick(UtcTime now) {
    const std::int64_t second = now.seconds();
    if (kind_ != Kind::live || second <= second_.value_or(0)) {
        return false;
    }
    const Minute before = minute();
    second_ = second;
    return minute() != before;
}

}  // namespace tapir::edge
