// Observations by MQTT: kept before they are acknowledged, and gaps closed by snapshots.
#include "broker_feed.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tapir/jose/jws.hpp"
#include "tapir/mqtt/memory_broker.hpp"
#include "tapir/products/observation.hpp"

namespace tapir::policy {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* topic = "observations/down/tapir-pop";

// A store that can be told to refuse, and that a power cut can strike: what was written and not
// synced is gone.
class MortalStore final : public store::Store {
public:
    MortalStore() : disk_(store::open_memory(store_families())) { recover(); }
    bool is_full = false;

    void cut_power() { recover(); }

    Result<std::optional<Bytes>> get(std::string_view family, ByteView key) const override {
        return live_->get(family, key);
    }
    Result<std::unique_ptr<store::Cursor>> scan(std::string_view family, ByteView prefix,
                                                ByteView from) const override {
        return live_->scan(family, prefix, from);
    }
    std::unique_ptr<store::Reader> snapshot() const override { return live_->snapshot(); }
    Result<void> write(const store::Batch& batch, store::Durability durability) override {
        if (is_full) {
            return fail(Code::exhausted, "No space left on device");
        }
        unsynced_.push_back(batch);
        if (durability == store::Durability::synced) {
            for (const auto& earlier : std::exchange(unsynced_, {})) {
                TRY(disk_->write(earlier, durability));
            }
        }
        return live_->write(batch, durability);
    }

private:
    void recover() {
        unsynced_.clear();
        live_ = store::open_memory(store_families());
        store::Batch all;
        for (const auto& family : store_families()) {
            const auto cursor = *disk_->scan(family);
            for (; cursor->valid(); cursor->next()) {
                all.put(family, cursor->key(), cursor->value());
            }
        }
        TAPIR_ASSERT(live_->write(all, store::Durability::synced).has_value());
    }
    std::unique_ptr<store::Store> disk_;
    std::unique_ptr<store::Store> live_;
    std::vector<store::Batch> unsynced_;
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
        engine = *Engine::open(std::move(settings), store, log, counters, clock.now());
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

    std::string jws(const std::vector<std::string>& added,
                    const std::vector<std::string>& removed = {}, std::int64_t ttl_s = 3600) {
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
        const std::string json = observation.to_json();
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
    MortalStore store;
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
    store.cut_power();
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
    store.cut_power();
    start();
    clock.advance(2400s);
    engine->expire(clock.now());
    engine->commit(clock.now());
    EXPECT_THAT(blocked({"a.example"}), ElementsAre("a.example"));
}

TEST_F(BrokerFeedTest, AcknowledgesNothingThatTheStoreRefuses) {
    publish(jws({"a.example"}));
    store.is_full = true;
    EXPECT_EQ(broker.deliver(), 0U);
    EXPECT_EQ(broker.waiting(), 1U);
    store.cut_power();
    store.is_full = false;
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
    store.is_full = true;
    EXPECT_EQ(broker.deliver(), 0U);
    store.is_full = false;
    EXPECT_FALSE(engine->commit(clock.now()));
    EXPECT_FALSE(engine->is_dirty());
    EXPECT_EQ(broker.deliver(), 1U);
    store.cut_power();
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
    subscriber.reset();
    publish(jws({"a.example"}));
    start();
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_THAT(blocked({"a.example"}), ElementsAre("a.example"));
    EXPECT_EQ(counters.value("tapir_policy_mqtt_sessions_lost_total"), 1);  // the first one ever
}

TEST_F(BrokerFeedTest, WithoutACoreALostSessionIsSaid) {
    broker.deliver();
    broker.forget_sessions();
    start();
    broker.deliver();
    EXPECT_EQ(counters.value("tapir_policy_mqtt_sessions_lost_total"), 2);
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
    store.cut_power();
    core.is_away = true;
    start(&core);
    EXPECT_THAT(blocked({"a.example", "b.example", "c.example"}),
                ElementsAre("a.example", "c.example"));
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
