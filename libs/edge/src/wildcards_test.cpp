#include "wildcards.hpp"

#include <gtest/gtest.h>

namespace tapir::edge {
namespace {

class WildcardsOverAStore : public ::testing::Test {
protected:
    Wildcards open() {
        auto opened = Wildcards::open(*store_, chance_, log_, counters_);
        EXPECT_TRUE(opened.has_value());
        return std::move(*opened);
    }

    std::string logged_;
    Log log_ = Log::to_string(logged_);
    Counters counters_;
    world::SeededChance chance_{1};
    std::unique_ptr<store::Store> store_ = store::open_memory({std::string(wildcard_family)});
};

TEST_F(WildcardsOverAStore, AreRememberedForThirtyDaysOverRestarts) {
    auto first = open();
    first.start_day(100);
    EXPECT_FALSE(first.was_wildcard("cdn.example.se."));
    first.became_wildcard("cdn.example.se.");
    for (const std::uint64_t day : {100U, 101U, 129U}) {
        auto again = open();
        again.start_day(day);
        EXPECT_TRUE(again.was_wildcard("cdn.example.se.")) << day;
        EXPECT_FALSE(again.was_wildcard("cdn.example.com."));
        EXPECT_EQ(again.size(), 1U);
    }
    auto late = open();
    late.start_day(130);
    EXPECT_FALSE(late.was_wildcard("cdn.example.se."));
    EXPECT_EQ(late.size(), 0U);
    late.start_day(100);
    EXPECT_FALSE(late.was_wildcard("cdn.example.se.")) << "it is gone from the disk too";
}

TEST_F(WildcardsOverAStore, HoldNoName) {
    auto wildcards = open();
    wildcards.start_day(1);
    wildcards.became_wildcard("cdn.example.se.");
    const auto cursor = store_->scan(wildcard_family);
    std::size_t entries = 0;
    for (; (*cursor)->valid(); (*cursor)->next()) {
        ++entries;
        for (const ByteView octets : {(*cursor)->key(), (*cursor)->value()}) {
            EXPECT_EQ(as_text(octets).find("example"), std::string_view::npos);
        }
    }
    EXPECT_EQ(entries, 2U) << "the key and one entry";
}

TEST_F(WildcardsOverAStore, AreOfTheirStoreAlone) {
    auto wildcards = open();
    wildcards.start_day(1);
    wildcards.became_wildcard("cdn.example.se.");
    ASSERT_TRUE(store_->put(wildcard_family, as_bytes("key"), as_bytes("short"),
                            store::Durability::buffered));
    auto again = open();
    again.start_day(1);
    EXPECT_FALSE(again.was_wildcard("cdn.example.se.")) << "another key, other fingerprints";
    EXPECT_NE(logged_.find("damaged"), std::string::npos);
}

TEST_F(WildcardsOverAStore, OfAClockThatWasWrongGo) {
    auto wildcards = open();
    wildcards.start_day(50'000);
    wildcards.became_wildcard("cdn.example.se.");
    wildcards.start_day(20'000);
    EXPECT_FALSE(wildcards.was_wildcard("cdn.example.se."));
    EXPECT_EQ(wildcards.size(), 0U);
}

TEST(Wildcards, OfAStoreThatFailsAreNone) {
    std::string logged;
    const Log log = Log::to_string(logged);
    Counters counters;
    const auto store = store::open_memory({});
    Wildcards wildcards(*store, crypto::Secret::copy_of(Bytes(32)), log, counters);
    wildcards.start_day(1);
    wildcards.became_wildcard("cdn.example.se.");
    EXPECT_FALSE(wildcards.was_wildcard("cdn.example.se."));
    EXPECT_NE(counters.to_prometheus().find("tapir_edge_wildcard_errors_total 3"),
              std::string::npos)
        << counters.to_prometheus();
}

}  // namespace
}  // namespace tapir::edge
