// Points in time and their text (RFC 3339). No clock: time is an argument, and `world` has the
// clock.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "tapir/base/result.hpp"

namespace tapir {

using Duration = std::chrono::nanoseconds;

// Nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted. Good for 1678 to 2262.
class UtcTime {
public:
    constexpr UtcTime() = default;
    static constexpr UtcTime from_ns(std::int64_t ns) { return UtcTime(ns); }
    static constexpr UtcTime from_seconds(std::int64_t s) { return UtcTime(s * 1'000'000'000); }

    // Reads "2026-05-28T12:13:00Z", with a fraction of up to nine digits and an offset if given.
    static Result<UtcTime> parse(std::string_view text);

    constexpr std::int64_t ns() const { return ns_; }
    constexpr std::int64_t us() const { return floor_to(1'000).ns_ / 1'000; }
    constexpr std::int64_t seconds() const { return floor_to(1'000'000'000).ns_ / 1'000'000'000; }

    // Rounded down to the whole second, minute, UTC day.
    constexpr UtcTime second() const { return floor_to(1'000'000'000); }
    constexpr UtcTime minute() const { return floor_to(60'000'000'000); }
    constexpr UtcTime day() const { return floor_to(86'400'000'000'000); }

    // "2026-05-28T12:13:00Z"; with_ns: always nine digits, "…00.123456789Z".
    std::string to_string() const;
    std::string to_string_ns() const;

    constexpr UtcTime operator+(Duration d) const { return UtcTime(ns_ + d.count()); }
    constexpr UtcTime operator-(Duration d) const { return UtcTime(ns_ - d.count()); }
    constexpr Duration operator-(UtcTime other) const { return Duration(ns_ - other.ns_); }
    friend constexpr auto operator<=>(UtcTime, UtcTime) = default;

private:
    constexpr explicit UtcTime(std::int64_t ns) : ns_(ns) {}
    constexpr UtcTime floor_to(std::int64_t unit) const {
        const std::int64_t rest = ns_ % unit;
        return UtcTime(ns_ - (rest < 0 ? rest + unit : rest));
    }

    std::int64_t ns_ = 0;
};

}  // namespace tapir
