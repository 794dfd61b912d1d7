#include "tapir/privacy/pending.hpp"

#include <set>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace tapir::privacy {
namespace {

// Client `i` of network `i % networks`, with tags as well mixed as real ones.
Sighting sighting(std::uint64_t name, std::uint64_t i, std::uint64_t networks = 3) {
    const auto mix = [](std::uint64_t x) {
        x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
        x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
        return x ^ (x >> 31U);
    };
    return {.name = Fingerprint{mix(name + 1)},
            .family = Family::ipv4,
            .client = mix(i * 7919 + name + 100),
            .network = mix(i % networks + 1'000'000),
            .client_day = mix(i + 2'000'000)};
}

TEST(Pending, ReachesItsThresholdOnceADay) {
    Pending pending({}, 3);
    EXPECT_EQ(pending.count(sighting(1, 0), 10), PendingOutcome::first_client);
    unsigned reached = 0;
    for (std::uint64_t i = 1; i < 60; ++i) {
        const PendingOutcome outcome = pending.count(sighting(1, i), 10);
        if (outcome == PendingOutcome::reached) {
            ++reached;
            EXPECT_GE(i, 9U) << "ten clients are needed";
        }
    }
    EXPECT_EQ(reached, 1U);
    EXPECT_EQ(pending.count(sighting(1, 99), 10), PendingOutcome::done);
    pending.start_day();
    EXPECT_EQ(pending.count(sighting(1, 99), 10), PendingOutcome::first_client);
}

TEST(Pending, TellsHowFullItIs) {
    Pending pending({}, 3);
    EXPECT_EQ(pending.cells_used(), 0U);
    for (std::uint64_t name = 0; name < 10; ++name) {
        pending.count(sighting(name, 0), 10);
    }
    EXPECT_EQ(pending.cells_used(), 10U);
    EXPECT_EQ(pending.names_used(), 0U);
    pending.count(sighting(3, 1), 10);  // a second client: it moves up
    EXPECT_EQ(pending.names_used(), 1U);
    EXPECT_EQ(pending.cells_used(), 9U);
    pending.start_day();
    EXPECT_EQ(pending.cells_used(), 0U);
    EXPECT_EQ(pending.names_used(), 0U);
}

// Whatever comes: a place more for each that is new, none where another goes for it.
TEST(Pending, IsFullWhenItHasToForget) {
    Pending pending({.cell_count = 64, .name_count = 16}, 0);
    for (std::uint64_t name = 0; name < 5000; ++name) {
        pending.count(sighting(name, 0), 10);
        pending.count(sighting(name - name % 3, 1), 10);
    }
    EXPECT_EQ(pending.cells_used(), pending.cell_count());
    EXPECT_EQ(pending.names_used(), pending.name_count());
    EXPECT_GT(pending.cells_evicted(), 0U);
    EXPECT_GT(pending.names_evicted(), 0U);
}

TEST(Pending, DoesNotCountAClientTwice) {
    Pending pending({}, 0);
    for (int round = 0; round < 100; ++round) {
        for (std::uint64_t i = 0; i < 9; ++i) {
            EXPECT_NE(pending.count(sighting(1, i), 10), PendingOutcome::reached);
        }
    }
}

TEST(Pending, WantsThreeNetworksUnlessTold) {
    Pending strict({}, 3);
    Pending waived({}, 0);
    bool reached = false;
    for (std::uint64_t i = 0; i < 400; ++i) {
        EXPECT_NE(strict.count(sighting(1, i, 2), 20), PendingOutcome::reached);
        reached |= waived.count(sighting(1, i, 1), 20) == PendingOutcome::reached;
    }
    EXPECT_TRUE(reached);
}

TEST(Pending, CountsFamiliesApart) {
    Pending pending({}, 0);
    for (std::uint64_t i = 0; i < 9; ++i) {
        Sighting six = sighting(1, i + 50);
        six.family = Family::ipv6;
        EXPECT_NE(pending.count(sighting(1, i), 10), PendingOutcome::reached);
        EXPECT_NE(pending.count(six, 10), PendingOutcome::reached);
    }
}

TEST(Pending, CapsWhatOneClientMayStart) {
    Pending pending({}, 0);
    unsigned started = 0;
    for (std::uint64_t name = 0; name < 500; ++name) {
        Sighting one = sighting(name, 1);
        one.client_day = 42;
        const PendingOutcome outcome = pending.count(one, 10);
        started += outcome == PendingOutcome::first_client ? 1 : 0;
        EXPECT_EQ(outcome == PendingOutcome::capped, name >= 200);
    }
    EXPECT_EQ(started, 200U);
    pending.start_hour();
    Sighting again = sighting(900, 1);
    again.client_day = 42;
    EXPECT_EQ(pending.count(again, 10), PendingOutcome::first_client);
}

TEST(Pending, EvictsTheOldestAndKeepsItsSize) {
    Pending pending({.cell_count = 8, .name_count = 8, .starts_an_hour_max = 200}, 0);
    const std::size_t before = pending.memory_size();
    for (std::uint64_t name = 0; name < 1000; ++name) {
        pending.count(sighting(name, name), 10);
    }
    EXPECT_EQ(pending.cells_evicted(), 992U);
    for (std::uint64_t name = 0; name < 1000; ++name) {
        pending.count(sighting(name, name + 5000), 10);
        pending.count(sighting(name, name + 9000), 10);
    }
    EXPECT_EQ(pending.names_evicted(), 992U);
    EXPECT_EQ(pending.memory_size(), before);
}

// The law that matters: whatever comes in whatever order, nobody is counted who was not there.
RC_GTEST_PROP(Pending, NeverReachesWithFewerClientsThanTheThreshold, ()) {
    const auto asked =
        *rc::gen::container<std::vector<std::pair<std::uint64_t, std::uint64_t>>>(rc::gen::pair(
            rc::gen::inRange<std::uint64_t>(0, 4), rc::gen::inRange<std::uint64_t>(0, 40)));
    const unsigned threshold = *rc::gen::inRange(2U, 30U);
    Pending pending({.cell_count = 8, .name_count = 8, .starts_an_hour_max = 200}, 2);
    std::vector<std::set<std::uint64_t>> clients(4);
    for (const auto& [name, client] : asked) {
        clients[name].insert(client);
        if (pending.count(sighting(name, client), threshold) == PendingOutcome::reached) {
            RC_ASSERT(clients[name].size() >= threshold);
        }
    }
}

TEST(Pending, SaysWhatIsNews) {
    for (const std::size_t cells : {std::size_t{8}, std::size_t{0}}) {
        Pending pending({.cell_count = cells, .name_count = 8}, 0);
        const auto is_news = [&pending](std::uint64_t client, std::uint64_t other_network = 0) {
            Sighting one = sighting(1, client);
            one.network += other_network;
            pending.count(one, 3);
            return pending.was_news();
        };
        EXPECT_TRUE(is_news(0)) << "the first";
        EXPECT_FALSE(is_news(0)) << "again";
        EXPECT_TRUE(is_news(1));
        EXPECT_FALSE(is_news(1));
        EXPECT_TRUE(is_news(1, 9)) << "from another network";
        EXPECT_FALSE(is_news(1, 9));
        EXPECT_TRUE(is_news(2)) << "the one with which it is reached";
        EXPECT_FALSE(is_news(3)) << "nothing is counted any more";
    }
}

TEST(Pending, WithoutCellsCountsTheFirstClientsNetworkToo) {
    const auto reaches = [](std::size_t cells) {
        Pending pending({.cell_count = cells, .name_count = 8}, 3);
        PendingOutcome last{};
        for (const std::uint64_t client : {0U, 1U, 2U}) {
            last = pending.count(sighting(1, client), 3);
        }
        return last == PendingOutcome::reached;
    };
    EXPECT_TRUE(reaches(0));
    EXPECT_FALSE(reaches(8));
}

TEST(Pending, WithoutALimitOnStartsAClientMayStartAnyNumber) {
    Pending pending({.cell_count = 4096, .name_count = 8, .starts_an_hour_max = 0}, 0);
    for (std::uint64_t name = 0; name < 1000; ++name) {
        Sighting one = sighting(name, 1);
        one.client_day = 42;
        EXPECT_EQ(pending.count(one, 10), PendingOutcome::first_client);
    }
}

}  // namespace
}  // namespace tapir::privacy
