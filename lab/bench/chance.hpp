// Chance from a seed: the same numbers on every machine, by every compiler.
//
//     Chance chance(7);
//     const std::uint64_t die = chance.below(6);
//     const Zipf rank(1'000'000, 19, 20);            // exponent 19/20
//     names[order[rank.draw(chance)]]
//
// Only operations that IEEE 754 rounds in one way are used: no pow, no exp, no log. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tapir::bench {

// SplitMix64 (Steele, Lea, Flood 2014).
class Chance {
public:
    explicit Chance(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        state_ += 0x9E3779B97F4A7C15ULL;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31U);
    }
    // 0 to `end` - 1; `end` is at most 2^32.
    std::uint64_t below(std::uint64_t end) { return (next() >> 32U) * end >> 32U; }
    // True with probability `of_thousand` / 1000.
    bool happens(std::uint64_t of_thousand) { return below(1000) < of_thousand; }
    // 0 up to, not including, 1.
    double uniform() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }

private:
    std::uint64_t state_;
};

// Zipf's law over ranks 0 to n - 1: the weight of rank r is (r + 1) to the power of -exponent.
class Zipf {
public:
    // The exponent is numerator / denominator, 0 to below 2.
    Zipf(std::size_t n, unsigned numerator, unsigned denominator);
    std::size_t draw(Chance& chance) const;

private:
    std::vector<double> sums_;
};

// 0 to n - 1 in an order by chance.
std::vector<std::uint32_t> shuffled(std::size_t n, Chance& chance);

}  // namespace tapir::bench
