#include "chance.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

namespace tapir::bench {

Zipf::Zipf(std::size_t n, unsigned numerator, unsigned denominator) {
    // k to the power of the exponent is the product of those of its square roots (k, k^1/2, k^1/4,
    // ...) whose bit is set in the exponent: square roots are rounded alike everywhere.
    constexpr std::size_t bit_count = 24;
    std::array<bool, bit_count> bits{};
    unsigned rest = numerator;
    for (bool& bit : bits) {
        bit = rest >= denominator;
        rest = (bit ? rest - denominator : rest) * 2;
    }
    sums_.reserve(n);
    double sum = 0;
    for (std::size_t rank = 0; rank < n; ++rank) {
        auto root = static_cast<double>(rank + 1);
        double power = 1;
        for (const bool bit : bits) {
            power = bit ? power * root : power;
            root = std::sqrt(root);
        }
        sum += 1 / power;
        sums_.push_back(sum);
    }
}

std::size_t Zipf::draw(Chance& chance) const {
    const double at = chance.uniform() * sums_.back();
    const auto found = std::upper_bound(sums_.begin(), sums_.end(), at);
    return std::min(static_cast<std::size_t>(found - sums_.begin()), sums_.size() - 1);
}

std::vector<std::uint32_t> shuffled(std::size_t n, Chance& chance) {
    std::vector<std::uint32_t> order(n);
    std::iota(order.begin(), order.end(), std::uint32_t{0});
    for (std::size_t left = n; left > 1; --left) {
        std::swap(order[left - 1], order[chance.below(left)]);
    }
    return order;
}

}  // namespace tapir::bench
