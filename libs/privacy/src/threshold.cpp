#include "tapir/privacy/threshold.hpp"

#include <algorithm>
#include <cmath>

#include "tapir/base/assert.hpp"

namespace tapir::privacy {

unsigned draw_threshold(const Threshold& threshold, std::uint64_t uniform) {
    TAPIR_ASSERT(threshold.applies());
    // Two-sided geometric: P(k) = (1-a)/(1+a) a^|k| with a = e^-epsilon. One bit is the sign, the
    // others walk down the tail of |k|; P(|k| >= j) = 2 a^j / (1+a) for j >= 1. Powers are made by
    // multiplication, so that every machine draws the same.
    const double a = std::exp(-threshold.epsilon);
    const bool is_negative = (uniform & 1U) != 0;
    const double u = static_cast<double>(uniform >> 11U) * 0x1.0p-53;
    const unsigned reach =
        std::max(threshold.max - threshold.centre, threshold.centre - threshold.min);
    unsigned distance = 0;
    double tail = 2 * a / (1 + a);
    while (distance < reach && u < tail) {
        ++distance;
        tail *= a;
    }
    const unsigned drawn = is_negative ? threshold.centre - std::min(distance, threshold.centre)
                                       : threshold.centre + distance;
    return std::clamp(drawn, threshold.min, threshold.max);
}

double advantage_max(const Threshold& threshold) {
    return std::tanh(threshold.epsilon / 2);
}

std::uint64_t floor_clients(std::uint64_t clients) {
    if (clients < 10) {
        return 0;
    }
    std::uint64_t step = 10;
    while (clients / step >= 10) {
        step *= 10;
    }
    const std::uint64_t leading = clients / step;
    return leading >= 5 ? 5 * step : leading >= 2 ? 2 * step : step;
}

std::uint64_t floor_to_tens(std::uint64_t count) {
    return count - count % 10;
}

}  // namespace tapir::privacy
