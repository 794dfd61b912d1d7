// The noisy threshold of R3 and the floors of R5, as plain arithmetic.
//
//     const unsigned t = draw_threshold(rule.threshold, uniform);   // `uniform` from a keyed PRF
//     if (clients >= t) { row.v4client_count = floor_clients(clients); }
//
// A fixed threshold is an exact oracle for whoever owns all clients but one; the noise bounds what
// he learns from one name and day by advantage_max(). Pure functions.
#pragma once

#include <cstdint>

#include "tapir/privacy/table.hpp"

namespace tapir::privacy {

// The threshold that 64 uniform bits stand for: the same bits, the same threshold, on every
// machine. `threshold.applies()` is asserted.
unsigned draw_threshold(const Threshold& threshold, std::uint64_t uniform);

// tanh(epsilon / 2): how much better than guessing one can be about one client of one name and day.
double advantage_max(const Threshold& threshold);

// Down to 0, 10, 20, 50, 100, 200, 500, …
std::uint64_t floor_clients(std::uint64_t clients);
// Down to a multiple of ten.
std::uint64_t floor_to_tens(std::uint64_t count);

}  // namespace tapir::privacy
