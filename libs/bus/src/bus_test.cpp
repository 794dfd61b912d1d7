#include "tapir/bus/bus.hpp"

#include <future>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace tapir::bus {
namespace {

using namespace std::chrono_literals;

TEST(Bus, MatchesASubjectOrAllBelowIt) {
    EXPECT_TRUE(matches("a.b", "a.b"));
    EXPECT_FALSE(matches("a.b", "a.bc"));
    EXPECT_FALSE(matches("a.b", "a.b.c"));
    EXPECT_TRUE(matches("a.>", "a.b"));
    EXPECT_TRUE(matches("a.>", "a.b.c"));
    EXPECT_FALSE(matches("a.>", "a"));
    EXPECT_FALSE(matches("a.>", "ab.c"));
}

TEST(Bus, DeliversToEverySubscriptionThatMatchesInOrder) {
    Counters counters;
    MemoryBus bus(counters);
    auto all = bus.subscribe("events.>").value().release();
    const std::unique_ptr<Subscription> all_owner(all);
    auto one = bus.subscribe("events.new_qname");
    auto other = bus.subscribe("other");
    ASSERT_TRUE(bus.publish("events.new_qname", to_bytes("1")));
    ASSERT_TRUE(bus.publish("events.suspect", to_bytes("2")));
    const auto first = all->next(0s);
    const auto second = all->next(0s);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->subject, "events.new_qname");
    EXPECT_EQ(*first->body, to_bytes("1"));
    EXPECT_EQ(*second->body, to_bytes("2"));
    EXPECT_FALSE(all->next(0s));
    EXPECT_EQ((*one)->queued(), 1U);
    EXPECT_EQ((*other)->queued(), 0U);
}

TEST(Bus, RefusesForAllWhenOneThatRefusesIsFull) {
    Counters counters;
    MemoryBus bus(counters);
    auto slow = bus.subscribe("a", {.queue_max = 1, .when_full = WhenFull::refuse});
    auto quick = bus.subscribe("a");
    ASSERT_TRUE(bus.publish("a", {}));
    EXPECT_EQ(bus.publish("a", {}).error().code(), Code::exhausted);
    EXPECT_EQ((*quick)->queued(), 1U);
    EXPECT_EQ(counters.value("tapir_bus_overflow_total{subject=\"a\",action=\"refused\"}"), 1);
    ASSERT_TRUE((*slow)->next(0s));
    EXPECT_TRUE(bus.publish("a", {}));
}

TEST(Bus, DropsTheOldestWhereAskedTo) {
    Counters counters;
    MemoryBus bus(counters);
    auto slow = bus.subscribe("a", {.queue_max = 2, .when_full = WhenFull::drop_oldest});
    for (const char* text : {"1", "2", "3"}) {
        ASSERT_TRUE(bus.publish("a", to_bytes(text)));
    }
    EXPECT_EQ(*(*slow)->next(0s)->body, to_bytes("2"));
    EXPECT_EQ(*(*slow)->next(0s)->body, to_bytes("3"));
    EXPECT_EQ(counters.value("tapir_bus_overflow_total{subject=\"a\",action=\"dropped\"}"), 1);
}

TEST(Bus, RefusesWhatIsNoSubject) {
    Counters counters;
    MemoryBus bus(counters);
    for (const char* text : {"", ".", "a.", ".a", "a..b", "a b", "a.>", "*"}) {
        EXPECT_EQ(bus.publish(text, {}).error().code(), Code::invalid) << text;
    }
    for (const char* text : {"", ">", ".>", "a.>.b", "a.*"}) {
        EXPECT_EQ(bus.subscribe(text).error().code(), Code::invalid) << text;
    }
}

TEST(Bus, CloseWakesWhoWaitsAndKeepsWhatIsQueued) {
    Counters counters;
    MemoryBus bus(counters);
    auto a = bus.subscribe("a");
    auto waits = std::async(std::launch::async, [&] { return (*a)->next(1h); });
    (*a)->close();
    EXPECT_FALSE(waits.get());
    auto b = bus.subscribe("b");
    ASSERT_TRUE(bus.publish("b", to_bytes("x")));
    (*b)->close();
    ASSERT_TRUE(bus.publish("b", to_bytes("y")));
    EXPECT_TRUE((*b)->next(0s));
    EXPECT_FALSE((*b)->next(1h));
}

TEST(Bus, MayEndBeforeItsSubscriptions) {
    Counters counters;
    auto bus = std::make_unique<MemoryBus>(counters);
    auto a = bus->subscribe("a");
    bus.reset();
    EXPECT_TRUE((*a)->is_closed());
    EXPECT_FALSE((*a)->next(1h));
}

TEST(Bus, LosesNothingBetweenManyThreads) {
    Counters counters;
    MemoryBus bus(counters);
    auto a = bus.subscribe("a", {.queue_max = 10, .when_full = WhenFull::refuse});
    constexpr int per_thread = 500;
    std::vector<std::jthread> publishers;
    for (int t = 0; t < 3; ++t) {
        publishers.emplace_back([&] {
            for (int i = 0; i < per_thread;) {
                if (bus.publish("a", {})) {
                    ++i;
                } else {
                    std::this_thread::yield();
                }
            }
        });
    }
    for (int i = 0; i < 3 * per_thread; ++i) {
        ASSERT_TRUE((*a)->next(30s));
    }
    EXPECT_EQ((*a)->queued(), 0U);
}

}  // namespace
}  // namespace tapir::bus
