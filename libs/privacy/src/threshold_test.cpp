#include "tapir/privacy/threshold.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <random>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace tapir::privacy {
namespace {

const Threshold& standard() {
    return rule_for(Product::new_qname, Profile::standard).threshold;
}
const Threshold& strict() {
    return rule_for(Product::new_qname, Profile::strict).threshold;
}

TEST(Table, HasOneRowForEachProductAndProfile) {
    EXPECT_EQ(release_table().size(), product_count * profile_count - 2)
        << "compatible has no thresholds to reach together";
    for (const Product product : {Product::histogram, Product::new_qname}) {
        for (const Profile profile : {Profile::standard, Profile::strict, Profile::compatible}) {
            const Rule& rule = rule_for(product, profile);
            EXPECT_EQ(rule.product, product);
            EXPECT_EQ(rule.profile, profile);
            EXPECT_EQ(rule.threshold.applies(), profile != Profile::compatible);
            EXPECT_EQ(rule.sketches,
                      profile == Profile::compatible && product == Product::histogram);
            EXPECT_GE(rule.time_s, 60U);
        }
    }
}

TEST(Table, NamesItsProfiles) {
    for (const Profile profile : {Profile::standard, Profile::strict, Profile::compatible}) {
        EXPECT_EQ(profile_named(to_string(profile)), profile);
    }
    EXPECT_FALSE(profile_named("Standard"));
    EXPECT_FALSE(profile_named(""));
}

TEST(Threshold, StatesTheAdvantageOfItsNoise) {
    EXPECT_NEAR(advantage_max(standard()), 0.245, 0.001);
    EXPECT_NEAR(advantage_max(strict()), 0.124, 0.001);
}

TEST(Threshold, IsTheCentreForALargeDraw) {
    EXPECT_EQ(draw_threshold(standard(), ~std::uint64_t{0}), 20U);
    EXPECT_EQ(draw_threshold(strict(), ~std::uint64_t{0}), 40U);
}

TEST(Threshold, IsClippedAtBothEnds) {
    EXPECT_EQ(draw_threshold(standard(), 0), 40U);
    EXPECT_EQ(draw_threshold(standard(), 1), 10U);
    EXPECT_EQ(draw_threshold(strict(), 0), 80U);
    EXPECT_EQ(draw_threshold(strict(), 1), 20U);
}

// Neighbouring values differ by no more than the factor e^epsilon: that is the whole promise.
TEST(Threshold, FallsOffByTheFactorOfItsEpsilon) {
    std::mt19937_64 random(7);
    std::array<double, 64> seen{};
    const int draws = 400'000;
    for (int i = 0; i < draws; ++i) {
        seen.at(draw_threshold(standard(), random())) += 1;
    }
    const double a = std::exp(-0.5);
    const double peak = (1 - a) / (1 + a);
    for (unsigned distance = 0; distance <= 6; ++distance) {
        const double expected = peak * std::pow(a, distance) * draws;
        EXPECT_NEAR(seen.at(20 + distance), expected, 5 * std::sqrt(expected)) << distance;
        EXPECT_NEAR(seen.at(20 - distance), expected, 5 * std::sqrt(expected)) << distance;
    }
}

RC_GTEST_PROP(Threshold, StaysWithinItsBoundsAndRepeats, (std::uint64_t uniform)) {
    for (const Threshold* threshold : {&standard(), &strict()}) {
        const unsigned t = draw_threshold(*threshold, uniform);
        RC_ASSERT(t >= threshold->min && t <= threshold->max);
        RC_ASSERT(t == draw_threshold(*threshold, uniform));
    }
}

TEST(Floors, AreOneTwoFive) {
    const std::array<std::array<std::uint64_t, 2>, 14> cases{{{0, 0},
                                                              {9, 0},
                                                              {10, 10},
                                                              {19, 10},
                                                              {20, 20},
                                                              {49, 20},
                                                              {50, 50},
                                                              {99, 50},
                                                              {100, 100},
                                                              {199, 100},
                                                              {200, 200},
                                                              {499, 200},
                                                              {500, 500},
                                                              {1'234'567, 1'000'000}}};
    for (const auto& [exact, floored] : cases) {
        EXPECT_EQ(floor_clients(exact), floored) << exact;
    }
    EXPECT_EQ(floor_clients(~std::uint64_t{0}), 10'000'000'000'000'000'000ULL);
}

RC_GTEST_PROP(Floors, NeverRiseAndNeverLoseTwoThirds, (std::uint64_t n)) {
    const std::uint64_t floored = floor_clients(n);
    RC_ASSERT(floored <= n);
    RC_ASSERT(n < 10 || floored > n / 3);
    RC_ASSERT(floor_clients(floored) == floored);
    RC_ASSERT(floor_to_tens(n) <= n && n - floor_to_tens(n) < 10 && floor_to_tens(n) % 10 == 0);
}

}  // namespace
}  // namespace tapir::privacy
