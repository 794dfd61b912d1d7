#include "tapir/privacy/children.hpp"

#include <cstdint>

#include <gtest/gtest.h>

namespace tapir::privacy {
namespace {

std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31U);
}
Fingerprint name(std::uint64_t n) {
    return Fingerprint{mix(n + 1)};
}
constexpr auto never = [] { return false; };

// With how many children a parent became a wildcard.
unsigned children_until_wildcard(std::uint64_t parent) {
    Children children(8);
    for (unsigned n = 0; n < 10'000; ++n) {
        if (children.add(name(parent), name(parent * 100'000 + n), never) != ParentKind::plain) {
            return n + 1;
        }
    }
    return 0;
}

TEST(Children, MakeAWildcardOfAboutSoMany) {
    double sum = 0;
    for (std::uint64_t parent = 1; parent <= 200; ++parent) {
        const unsigned children = children_until_wildcard(parent);
        EXPECT_GE(children, 227U);
        EXPECT_LE(children, 310U);
        sum += children;
    }
    EXPECT_NEAR(sum / 200, wildcard_children_min, 5);
}

TEST(Children, CountOneChildOnce) {
    Children children(8);
    for (int again = 0; again < 100; ++again) {
        for (std::uint64_t n = 0; n < 200; ++n) {
            EXPECT_EQ(children.add(name(7), name(1000 + n), never), ParentKind::plain);
        }
    }
    EXPECT_FALSE(children.is_wildcard(name(7)));
}

TEST(Children, StayAWildcardForTheDayAndAreAskedAboutOnTheNext) {
    Children children(8);
    unsigned became = 0;
    for (std::uint64_t n = 0; n < 1000; ++n) {
        became +=
            children.add(name(7), name(1000 + n), never) == ParentKind::became_wildcard ? 1 : 0;
    }
    EXPECT_EQ(became, 1U);
    EXPECT_TRUE(children.is_wildcard(name(7)));
    children.start_day();
    EXPECT_FALSE(children.is_wildcard(name(7)));
    unsigned asked = 0;
    const auto was = [&] {
        ++asked;
        return true;
    };
    EXPECT_EQ(children.add(name(7), name(1), was), ParentKind::wildcard);
    EXPECT_EQ(children.add(name(7), name(2), was), ParentKind::wildcard);
    EXPECT_EQ(asked, 1U);
}

TEST(Children, KeepThoseWithManyWhereThereIsNoRoom) {
    Children children(8);
    for (std::uint64_t n = 0; n < 1000; ++n) {
        children.add(name(7), name(1000 + n), never);
    }
    for (std::uint64_t parent = 100; parent < 1100; ++parent) {
        children.add(name(parent), name(5), never);
    }
    EXPECT_TRUE(children.is_wildcard(name(7)));
    EXPECT_GT(children.evicted(), 900U);
    EXPECT_EQ(children.memory_size(), Children(8).memory_size());
}

}  // namespace
}  // namespace tapir::privacy
