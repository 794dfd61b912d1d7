// Observations by MQTT: kept before they are acknowledged, and gaps closed by snapshots.
#include "broker_feed.hpp"

#include <algorithm>
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tapir/jose/jws.hpp"
#include "tapir/mqtt/memory_broker.hpp"
#include "tapir/products/observation.hpp"
#include "tapir/store/memory_disk.hpp"

namespace tapir::policy {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* topic = "observations/down/tapir-pop";

// The worst that can happen: below(n) is n - 1 for all n up to 40 (their least common multiple).
class WorstChance final : public world::Chance {
public:
    void fill(std::span<std::byte> out) override {
        constexpr std::uint64_t value = 5'342'931'457'063'200 - 1;
        std::memcpy(out.data(), &value, std::min(out.size(), sizeof value));
    }
};

jose::PrivateJwk core_key() {
    const Bytes seed(crypto::ed25519_size, std::byte{9});
    return {*crypto::SigningKey::from_seed(crypto::Secret::copy_of(seed)), "core.example"};
}

// A core of which the snapshot is prescribed. `meanwhile` runs while it is on its way.
class SnapshotCore final : public net::HttpClient {
public:
    Result<net::HttpResponse> send(const net::HttpCall& call, const net::Cancel*) override {
        asked.push_back(call.url);
        if (meanwhile) {
            meanwhile();
        }
        if (is_away) {
            return fail(Code::unavailable, "connection refused");
        }
        std::string body = R"({"last_id":"17","observations":[)";
        for (const auto& message : messages) {
            body += (body.ends_with('[') ? "" : ",") + message;
        }
        return net::HttpResponse::text(200, body + "]}", "application/json");
    }
    Result<void> subscribe(const net::HttpCall&, const net::Cancel&,
                           const std::function<void(const net::SseEvent&)>&, const StreamLimits&,
                           const std::function<void()>&) override {
        return fail(Code::internal, "nobody follows over HTTPS here");
    }

    bool is_away = false;
    std::vector<std::string> messages;
    std::vector<std::string> asked;
    std::function<void()> meanwhile;
};

class BrokerFeedTest : public testing::Test {
protected:
    BrokerFeedTest() { start(); }

    // A policy that begins on what is on the disk. The broker knows it by its id.
    void start(net::HttpClient* from = nullptr) {
        subscriber.reset();
        feed.reset();
        EngineSettings settings;
        settings.apex = *rpz::Apex::create("dnstapir.");
        settings.rules.mode = rpz::Mode::enforce;
        settings.rules.tag_actions[*rpz::tag_bit("globally_new")] = rpz::Action::nxdomain;
        TAPIR_ASSERT(settings.trusted_keys.add(core_key().public_jwk()).has_value());
        engine = *Engine::open(std::move(settings), *store, log, counters, clock.now());
        feed = std::make_unique<BrokerFeed>(
            BrokerFeed::Parts{.engine = *engine,
                              .engine_mutex = mutex,
                              .clock = clock,
                              .log = log,
                              .counters = counters,
                              .core = from,
                              .core_url = "http://core",
                              .on_taken = [this](bool changed) { changes += changed ? 1 : 0; },
                              .on_gap = [this] { ++gaps; }});
        subscriber =
            broker.subscriber({.client_id = "policy.example", .topics = {topic}}, feed->handlers());
    }

    // The policy ends, and what it did not sync is gone.
    void cut_power() {
        subscriber.reset();
        feed.reset();
        engine.reset();
        WorstChance chance;
        disk.cut_power(chance);
    }

    std::string jws(const std::vector<std::string>& added,
                    const std::vector<std::string>& removed = {}, std::int64_t ttl_s = 3600,
                    std::size_t padding = 0) {
        auto observation = products::Observation::of_core("tapir-core", clock.now());
        for (const auto& [names, items] :
             {std::pair(&added, &observation.added), std::pair(&removed, &observation.removed)}) {
            for (const auto& name : *names) {
                items->push_back({.name = name,
                                  .time_added = clock.now(),
                                  .ttl_s = ttl_s,
                                  .tag_mask = products::flag::globally_new,
                                  .extended_tags = {},
                                  .reasons = {},
                                  .confidence = {}});
            }
        }
        const std::string json = observation.to_json() + std::string(padding, ' ');
        return *jose::sign_jws(core_key(), as_bytes(json));
    }
    void publish(const std::string& payload) {
        const mqtt::Message message{.topic = topic, .payload = to_bytes(payload)};
        static_cast<void>(broker.publisher("core.example")->publish({&message, 1}));
    }
    std::vector<std::string> blocked(const std::vector<std::string>& names) const {
        std::vector<std::string> out;
        for (const auto& name : names) {
            if (*engine->explain(name)->string("action") == "nxdomain") {
                out.push_back(name);
            }
        }
        return out;
    }
    std::int64_t gap() const { return counters.value("tapir_policy_feed_gap"); }

    world::ManualClock clock{UtcTime::from_seconds(1'780'000'000)};
    store::MemoryDisk disk{store_families()};
    world::Fuse fuse{1};
    std::unique_ptr<store::Store> store = disk.open(fuse);
    std::string logged;
    Log log = Log::to_string(logged);
    Counters counters;
    mqtt::MemoryBroker broker;
    SnapshotCore core;
    std::mutex mutex;
    std::unique_ptr<Engine> engine;
    std::unique_ptr<BrokerFeed> feed;
    std::unique_ptr<mqtt::Subscriber> subscriber;
    int changes = 0;
    int gaps = 0;
};

TEST_F(BrokerFeedTest, WhatIsAcknowledgedIsServedAndOnTheDisk) {
    publish(jws({"a.example", "b.example"}));
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_EQ(changes, 1);
    EXPECT_THAT(blocked({"a.example", "b.example", "c.example"}),
                ElementsAre("a.example", "b.example"));
    cut_power();
    start();
    EXPECT_THAT(blocked({"a.example", "b.example"}), ElementsAre("a.example", "b.example"));
}

// A second observation of a name changes only how long it stands: that, too, must not be lost.
TEST_F(BrokerFeedTest, WhatDoesNotChangeTheZoneIsOnTheDiskToo) {
    publish(jws({"a.example"}));
    broker.deliver();
    clock.advance(1800s);
    publish(jws({"a.example"}));
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_EQ(changes, 1);
    cut_power();
    start();
    clock.advance(2400s);
    engine->expire(clock.now());
    engine->commit(clock.now());
    EXPECT_THAT(blocked({"a.example"}), ElementsAre("a.example"));
}

TEST_F(BrokerFeedTest, AcknowledgesNothingThatTheStoreRefuses) {
    publish(jws({"a.example"}));
    disk.fail_writes(Error(Code::exhausted, "No space left on device"));
    EXPECT_EQ(broker.deliver(), 0U);
    EXPECT_EQ(broker.waiting(), 1U);
    cut_power();
    disk.fail_writes(std::nullopt);
    start();
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_THAT(blocked({"a.example"}), ElementsAre("a.example"));
}

// The store refuses, then somebody else commits without a sync; the message comes again and changes
// nothing. It must still be on the disk before it is acknowledged.
TEST_F(BrokerFeedTest, AMessageThatComesAgainIsOnTheDiskBeforeItIsAcknowledged) {
    publish(jws({"a.example"}));
    broker.deliver();
    clock.advance(1800s);
    publish(jws({"a.example"}));
    disk.fail_writes(Error(Code::exhausted, "No space left on device"));
    EXPECT_EQ(broker.deliver(), 0U);
    disk.fail_writes(std::nullopt);
    EXPECT_FALSE(engine->commit(clock.now()));
    EXPECT_FALSE(engine->is_dirty());
    EXPECT_EQ(broker.deliver(), 1U);
    cut_power();
    start();
    clock.advance(2400s);
    engine->expire(clock.now());
    engine->commit(clock.now());
    EXPECT_THAT(blocked({"a.example"}), ElementsAre("a.example"));
}

TEST_F(BrokerFeedTest, ABadMessageIsCountedAndDoneWith) {
    publish("hello");
    publish(jws({"a.example"}));
    EXPECT_EQ(broker.deliver(), 2U);
    EXPECT_EQ(counters.value("tapir_policy_messages_total{result=\"malformed\"}"), 1);
    EXPECT_THAT(blocked({"a.example"}), ElementsAre("a.example"));
}

TEST_F(BrokerFeedTest, TheBrokerKeepsWhatComesWhileItIsAway) {
    broker.deliver();
    EXPECT_THAT(logged, HasSubstr("the broker does not remember us"));  // the first one ever
    logged.clear();
    subscriber.reset();
    publish(jws({"a.example"}));
    start();
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_THAT(blocked({"a.example"}), ElementsAre("a.example"));
    EXPECT_THAT(logged, Not(HasSubstr("the broker does not remember us")));
}

TEST_F(BrokerFeedTest, WithoutACoreALostSessionIsSaid) {
    broker.deliver();
    broker.forget_sessions();
    start();
    logged.clear();
    broker.deliver();
    EXPECT_THAT(logged, HasSubstr("core.url is not set"));
    EXPECT_EQ(gap(), 0);
    EXPECT_EQ(gaps, 0);
    EXPECT_EQ(feed->follow(), 60s);
}

TEST_F(BrokerFeedTest, ASnapshotClosesTheGapAndIsTriedUntilItWorks) {
    core.messages = {jws({"a.example"})};
    start(&core);
    EXPECT_EQ(gap(), 1);
    EXPECT_EQ(feed->follow(), Duration::zero());
    EXPECT_EQ(gap(), 0);
    EXPECT_THAT(core.asked, ElementsAre("http://core/api/v1/observations"));
    EXPECT_THAT(blocked({"a.example"}), ElementsAre("a.example"));
    EXPECT_EQ(feed->follow(), 60s);
    EXPECT_THAT(core.asked, testing::SizeIs(1));

    broker.deliver();
    const int before = gaps;
    broker.forget_sessions();
    core.is_away = true;
    core.messages = {jws({"b.example"})};
    subscriber =
        broker.subscriber({.client_id = "policy.example", .topics = {topic}}, feed->handlers());
    broker.deliver();
    EXPECT_EQ(gaps, before + 1);
    EXPECT_EQ(feed->follow(), 500ms);
    EXPECT_EQ(feed->follow(), 1s);
    EXPECT_EQ(gap(), 1);
    EXPECT_THAT(logged, HasSubstr("no snapshot can be had"));
    EXPECT_THAT(blocked({"a.example", "b.example"}), ElementsAre("a.example"));
    core.is_away = false;
    EXPECT_EQ(feed->follow(), Duration::zero());
    EXPECT_EQ(gap(), 0);
    EXPECT_THAT(blocked({"a.example", "b.example"}), ElementsAre("b.example"));
}

TEST_F(BrokerFeedTest, ASnapshotTakesNothingAwayThatCameWhileItWasOnItsWay) {
    core.messages = {jws({"a.example", "b.example"})};
    clock.advance(1s);
    start(&core);
    core.meanwhile = [&] {
        publish(jws({"c.example"}));
        publish(jws({}, {"b.example"}));
        EXPECT_EQ(broker.deliver(), 2U);
    };
    EXPECT_EQ(feed->follow(), Duration::zero());
    EXPECT_THAT(blocked({"a.example", "b.example", "c.example"}),
                ElementsAre("a.example", "c.example"));
    cut_power();
    core.is_away = true;
    start(&core);
    EXPECT_THAT(blocked({"a.example", "b.example", "c.example"}),
                ElementsAre("a.example", "c.example"));
}

// A message that is refused is none of what the snapshot has to give way to: whoever may write to
// the topic could keep the gap open with rubbish.
TEST_F(BrokerFeedTest, WhatIsRefusedTakesNoRoomWhileASnapshotIsOnItsWay) {
    core.messages = {jws({"a.example"})};
    start(&core);
    core.meanwhile = [&] {
        for (std::size_t i = 0; i <= newer_messages_max; ++i) {
            publish("hello");
        }
        while (broker.deliver() > 0) {
        }
    };
    EXPECT_EQ(feed->follow(), Duration::zero());
    EXPECT_THAT(blocked({"a.example"}), ElementsAre("a.example"));
}

TEST_F(BrokerFeedTest, TooManyOctetsWhileASnapshotIsOnItsWayMakeItTryAgain) {
    core.messages = {jws({"a.example"})};
    start(&core);
    const std::string large = jws({"b.example"}, {}, 3600, 40'000);
    const std::size_t count = newer_size_max / large.size();
    ASSERT_LT(count + 1, newer_messages_max);
    core.meanwhile = [&] {
        for (std::size_t i = 0; i <= count; ++i) {
            publish(large);
        }
        while (broker.deliver() > 0) {
        }
    };
    EXPECT_EQ(feed->follow(), 500ms);
    EXPECT_THAT(logged, HasSubstr("too much was observed"));
    EXPECT_EQ(gap(), 1);
    EXPECT_THAT(blocked({"a.example", "b.example"}), ElementsAre("b.example"));
    core.meanwhile = {};
    EXPECT_EQ(feed->follow(), Duration::zero());
    EXPECT_EQ(gap(), 0);
    EXPECT_THAT(blocked({"a.example", "b.example"}), ElementsAre("a.example"));
}

// What was withdrawn while the policy could not hear it; and then an old message comes, from the
// backlog or from who recorded it.
TEST_F(BrokerFeedTest, WhatASnapshotTookAwayNoOldMessageBringsBack) {
    const std::string first = jws({"a.example"});
    publish(first);
    broker.deliver();
    EXPECT_THAT(blocked({"a.example"}), ElementsAre("a.example"));
    clock.advance(10s);
    start(&core);
    EXPECT_EQ(feed->follow(), Duration::zero());
    EXPECT_THAT(blocked({"a.example"}), IsEmpty());
    publish(first);
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_THAT(blocked({"a.example"}), IsEmpty());
    cut_power();
    start(&core);
    publish(first);
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_THAT(blocked({"a.example"}), IsEmpty());
    publish(jws({"a.example"}));
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_THAT(blocked({"a.example"}), ElementsAre("a.example")) << "it is newer";
}

TEST_F(BrokerFeedTest, ASessionLostWhileASnapshotIsOnItsWayIsAnotherGap) {
    start(&core);
    core.meanwhile = [&] { feed->handlers().session_lost(); };
    EXPECT_EQ(feed->follow(), Duration::zero());
    EXPECT_EQ(gap(), 1);
    core.meanwhile = {};
    EXPECT_EQ(feed->follow(), Duration::zero());
    EXPECT_EQ(gap(), 0);
}

TEST_F(BrokerFeedTest, ACancelledFeedAsksNobody) {
    start(&core);
    feed->cancel();
    EXPECT_EQ(feed->follow(), 60s);
    EXPECT_THAT(core.asked, IsEmpty());
}

}  // namespace
}  // namespace tapir::policy
