#include "tapir/rpz/zone.hpp"

#include <map>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tapir/rpz/trigger.hpp"

namespace tapir::rpz {
namespace {

using Model = std::map<std::string, Action>;

std::string key_of(unsigned n) {
    return Trigger::parse("n" + std::to_string(n % 7) + ".x" + std::to_string(n) + ".example")
        ->key();
}

Zone zone_of(const Model& model) {
    Zone::Builder builder;
    for (const auto& [key, action] : model) {
        builder.add(key, action);
    }
    return std::move(builder).finish();
}

Model model_of(const Zone& zone) {
    Model model;
    auto cursor = zone.begin();
    while (const auto record = cursor.next()) {
        EXPECT_TRUE(model.empty() || model.rbegin()->first < record->key);
        model.emplace(record->key, record->action);
    }
    EXPECT_EQ(model.size(), zone.size());
    return model;
}

rc::Gen<Model> arbitrary_model(unsigned names) {
    return rc::gen::map(rc::gen::container<std::map<unsigned, int>>(rc::gen::inRange(0U, names),
                                                                    rc::gen::inRange(1, 6)),
                        [](const std::map<unsigned, int>& raw) {
                            Model model;
                            for (const auto& [n, action] : raw) {
                                model.emplace(key_of(n), static_cast<Action>(action));
                            }
                            return model;
                        });
}

RC_GTEST_PROP(Zone, AppliedDifferenceGivesTheOtherZone, ()) {
    const Model a = *arbitrary_model(60);
    const Model b = *arbitrary_model(60);
    const Delta delta = difference(zone_of(a), zone_of(b));
    const Zone applied = zone_of(a).apply(delta);
    RC_ASSERT(applied == zone_of(b));
    RC_ASSERT(model_of(applied) == b);
    RC_ASSERT(delta.empty() == (a == b));
    const auto decoded = Delta::decode(delta.encode());
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(*decoded == delta);
}

TEST(Zone, StaysWhatItsModelSaysThroughManyChangesAcrossBlocks) {
    Model model;
    Zone zone;
    std::uint32_t random = 1;
    for (int round = 0; round < 60; ++round) {
        Model next = model;
        for (int i = 0; i < (round % 10 == 0 ? 2'000 : 5); ++i) {
            random = random * 1'664'525U + 1'013'904'223U;
            const std::string key = key_of((random >> 8U) % 5'000);
            if ((random & 3U) == 0 || round > 45) {
                next.erase(key);
            } else {
                next[key] = static_cast<Action>(1 + (random >> 4U) % 5);
            }
        }
        const Delta delta = difference(zone, zone_of(next));
        zone = zone.apply(delta);
        model = std::move(next);
        ASSERT_EQ(model_of(zone), model);
    }
    for (unsigned n = 0; n < 5'000; ++n) {
        const auto found = model.find(key_of(n));
        ASSERT_EQ(zone.find(key_of(n)), found == model.end() ? Action::none : found->second);
    }
}

TEST(Zone, AnswersOfAnEmptyOne) {
    const Zone zone;
    EXPECT_EQ(zone.size(), 0U);
    EXPECT_EQ(zone.find(key_of(1)), Action::none);
    EXPECT_FALSE(zone.has_below(key_of(1)));
    EXPECT_EQ(zone.apply({}), zone);
}

TEST(Zone, KnowsWhatLiesBelowAName) {
    const Zone zone = zone_of({{Trigger::parse("a.b.example")->key(), Action::nxdomain}});
    EXPECT_TRUE(zone.has_below(Trigger::parse("example")->key()));
    EXPECT_TRUE(zone.has_below(Trigger::parse("b.example")->key()));
    EXPECT_FALSE(zone.has_below(Trigger::parse("a.b.example")->key()));
    EXPECT_FALSE(zone.has_below(Trigger::parse("c.example")->key()));
}

TEST(Delta, RefusesWhatItDidNotWrite) {
    Delta delta;
    delta.added.push_back({key_of(1), Action::drop});
    const Bytes good = delta.encode();
    for (std::size_t size = 0; size < good.size(); ++size) {
        EXPECT_FALSE(Delta::decode(ByteView(good).first(size)).has_value());
    }
    Bytes longer = good;
    append_u8(longer, 0);
    EXPECT_FALSE(Delta::decode(longer).has_value());
    Bytes action = good;
    action[8] = std::byte{9};
    EXPECT_FALSE(Delta::decode(action).has_value());
}

TEST(Delta, RefusesKeysThatAreNoTriggers) {
    for (const auto& bad : {std::string("\0", 1), std::string("a\0\0", 3), std::string("a"),
                            std::string("A\0", 2), std::string(64, 'a') + std::string(1, '\0')}) {
        Delta delta;
        delta.added.push_back({bad, Action::drop});
        EXPECT_FALSE(Delta::decode(delta.encode()).has_value());
    }
}

RC_GTEST_PROP(Serial, NextIsNewerEverywhereOnTheCircle, (std::uint32_t value)) {
    const Serial serial(value);
    RC_ASSERT(serial.next().newer_than(serial));
    RC_ASSERT(!serial.newer_than(serial.next()));
    RC_ASSERT(!serial.newer_than(serial));
    RC_ASSERT(serial.next().value() != 0U);
}

TEST(Serial, WrapsOverTheEnd) {
    EXPECT_EQ(Serial(0xffff'ffffU).next().value(), 1U);
    EXPECT_TRUE(Serial(1).newer_than(Serial(0xffff'fff0U)));
    EXPECT_FALSE(Serial(0x8000'0001U).newer_than(Serial(1)));
}

RC_GTEST_PROP(Snapshot, StepsFromAnySerialLeadToTheZone, ()) {
    const auto count = *rc::gen::inRange<std::size_t>(1, 12);
    Snapshot now;
    now.serial = Serial(0xffff'fffaU);  // over the wrap
    std::vector<Snapshot> all{now};
    for (std::size_t i = 0; i < count; ++i) {
        const Delta delta = difference(now.zone, zone_of(*arbitrary_model(30)));
        if (delta.empty()) {
            continue;
        }
        const Serial before = now.serial;
        now = publish(now, delta);
        RC_ASSERT(now.serial.newer_than(before));
        all.push_back(now);
    }
    for (const Snapshot& then : all) {
        if (then.serial == now.serial) {
            continue;
        }
        const auto steps = now.steps_from(then.serial);
        RC_ASSERT(steps.has_value());
        Zone zone = then.zone;
        Serial serial = then.serial;
        for (const auto& step : *steps) {
            RC_ASSERT(step.from == serial);
            zone = zone.apply(*step.delta);
            serial = step.to;
        }
        RC_ASSERT(serial == now.serial);
        RC_ASSERT(zone == now.zone);
    }
    RC_ASSERT(!now.steps_from(Serial(77)).has_value());
}

TEST(Snapshot, HistoryIsBounded) {
    Snapshot now;
    for (unsigned i = 0; i < history_deltas_max + 10; ++i) {
        Delta delta;
        delta.added.push_back({key_of(100'000 + i), Action::drop});
        now = publish(now, delta);
    }
    EXPECT_EQ(now.history.size(), history_deltas_max);
    EXPECT_EQ(now.history.back().to, now.serial);
    EXPECT_FALSE(now.steps_from(Serial(1)).has_value());
    EXPECT_TRUE(now.steps_from(now.history.front().from).has_value());
}

TEST(Snapshot, ADeltaLargerThanTheHistoryLeavesNoHistory) {
    Snapshot snapshot;
    auto huge = std::make_shared<Delta>();
    huge->added.resize(history_records_max + 1, {"x", Action::drop});
    append_history(snapshot, {Serial(1), Serial(2), huge});
    EXPECT_TRUE(snapshot.history.empty());
    EXPECT_EQ(snapshot.history_records, 0U);
}

}  // namespace
}  // namespace tapir::rpz
