// Which minute a frame belongs to, and when a minute is over (DESIGN.md §11, "data clock").
//
//     const Placed placed = clock.place(message.response_time());
//     if (placed.turned) { ... }      // before this frame is counted: clock.minute() is new
//
// The clock is the highest response second so far. Two minutes are open: the clock's and the one
// before it. A frame at most 60 s late goes to its own minute; a later one, one without a time, and
// one whose minute is of another UTC day than the clock's (its tags would be of another key), goes
// to the clock's minute. Frames of one second may come in any order: each is placed alike.
//
// Live, now() is the floor: the clock also follows the time of day by tick(), and a frame that
// claims to come from after `now` goes to the clock's minute and does not move it.
#pragma once

#include <cstdint>
#include <optional>

#include "tapir/base/time.hpp"

namespace tapir::edge {

inline constexpr std::int64_t lateness_s_max = 60;

// Minutes since 1970-01-01T00:00Z.
using Minute = std::int64_t;
inline UtcTime start_of(Minute minute) {
    return UtcTime::from_seconds(minute * 60);
}

// How a frame came by its minute. Each value names a counter.
enum class Timing : std::uint8_t {
    in_time,
    without_time,
    late,    // more than lateness_s_max, or of the day before
    future,  // live only: from after now
};
inline constexpr std::size_t timing_count = 4;

struct Placed {
    Minute minute = 0;
    Timing timing = Timing::in_time;
    bool turned = false;  // the clock entered a new minute by this frame
};

class DataClock {
public:
    // Follows the data alone: the twin.
    DataClock() = default;
    // Follows the time of day, as tick() tells it.
    static DataClock live(UtcTime now);
    // All frames are of minute 0; bounds() says what the data spans.
    static DataClock single_interval();

    Placed place(std::optional<UtcTime> time);
    // Live: the time of day. True if the clock entered a new minute. It never goes back.
    bool tick(UtcTime now);

    // False until the first frame with a time (or tick). Until then frames are of minute 0, and
    // what was counted there belongs to the first minute that comes.
    bool has_started() const { return second_.has_value(); }
    Minute minute() const { return second_.value_or(0) / 60; }
    std::int64_t second() const { return second_.value_or(0); }

    // First minute to last minute + 1 of the frames with a time; nothing if there was none.
    struct Bounds {
        Minute first = 0;
        Minute end = 0;
    };
    std::optional<Bounds> bounds() const { return bounds_; }

private:
    enum class Kind : std::uint8_t { data, live, single };

    Kind kind_ = Kind::data;
    std::optional<std::int64_t> second_;
    std::optional<Bounds> bounds_;
};

}  // namespace tapir::edge
