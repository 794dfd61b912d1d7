#include "tapir/privacy/rarity.hpp"

#include <string>

#include <gtest/gtest.h>

namespace tapir::privacy {
namespace {

GateKey key_of(std::int64_t day) {
    std::array<std::byte, gate_key_size> octets{};
    octets[0] = static_cast<std::byte>(day);
    return GateKey(octets);
}

Rarity started(std::int64_t day) {
    Rarity rarity(1U << 16U);
    rarity.start_day(day, key_of(day));
    return rarity;
}

TEST(Rarity, IsOldFromTheNextDayOn) {
    Rarity rarity = started(100);
    rarity.saw("example.com.");
    EXPECT_FALSE(rarity.is_old("example.com.")) << "today is not before";
    rarity.start_day(101, key_of(101));
    EXPECT_TRUE(rarity.is_old("example.com."));
    EXPECT_FALSE(rarity.is_old("example.net."));
    rarity.start_day(101, key_of(101));
    rarity.start_day(90, key_of(90));
    EXPECT_TRUE(rarity.is_old("example.com.")) << "a day that is not later changes nothing";
}

TEST(Rarity, ForgetsAfterThirtyDays) {
    for (const std::int64_t seen_on : {100, 107, 114, 115}) {
        Rarity rarity = started(100);
        for (std::int64_t day = 100; day < seen_on + 40; ++day) {
            rarity.start_day(day, key_of(day));
            if (day == seen_on) {
                rarity.saw("example.com.");
            } else if (day > seen_on && day - seen_on < 15) {
                EXPECT_TRUE(rarity.is_old("example.com.")) << seen_on << " " << day;
            } else if (day - seen_on >= rarity_days) {
                EXPECT_FALSE(rarity.is_old("example.com.")) << seen_on << " " << day;
            }
        }
    }
}

TEST(Rarity, ForgetsWhatLiesBeforeALongPause) {
    Rarity rarity = started(100);
    rarity.saw("example.com.");
    rarity.start_day(131, key_of(131));
    EXPECT_FALSE(rarity.is_old("example.com."));
}

TEST(Rarity, IsRightMostOfTheTime) {
    Rarity rarity = started(1);
    // As full as the usual size with 900 000 domains.
    for (int i = 0; i < 7000; ++i) {
        rarity.saw(std::to_string(i) + ".com.");
    }
    rarity.start_day(2, key_of(2));
    int wrong = 0;
    for (int i = 0; i < 7000; ++i) {
        EXPECT_TRUE(rarity.is_old(std::to_string(i) + ".com."));
        wrong += rarity.is_old(std::to_string(i) + ".net.") ? 1 : 0;
    }
    EXPECT_LT(wrong, 7000 / 25);
    EXPECT_GT(wrong, 0) << "a filter that is never wrong is no filter of this size";
}

}  // namespace
}  // namespace tapir::privacy
