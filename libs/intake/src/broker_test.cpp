// Events that come by MQTT.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.hpp"
#include "tapir/mqtt/memory_broker.hpp"
#include "tapir/products/new_qname.hpp"

namespace tapir::intake {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A store that can be told to refuse.
class FullStore final : public store::Store {
public:
    explicit FullStore(store::Store& inner) : inner_(inner) {}
    bool is_full = false;
    std::size_t synced = 0;  // writes

    Result<std::optional<Bytes>> get(std::string_view family, ByteView key) const override {
        return inner_.get(family, key);
    }
    Result<std::unique_ptr<store::Cursor>> scan(std::string_view family, ByteView prefix,
                                                ByteView from) const override {
        return inner_.scan(family, prefix, from);
    }
    std::unique_ptr<store::Reader> snapshot() const override { return inner_.snapshot(); }
    Result<void> write(const store::Batch& batch, store::Durability durability) override {
        if (is_full) {
            return fail(Code::exhausted, "No space left on device");
        }
        synced += durability == store::Durability::synced ? 1 : 0;
        return inner_.write(batch, durability);
    }

private:
    store::Store& inner_;
};

class BrokerTest : public testing::Test {
protected:
    BrokerTest() {
        bench.keys_are("edges", {&edge, &other});
        begin();
    }

    // A core that begins on what is on the disk, and is known to the broker.
    void begin() {
        subscriber.reset();
        intake = std::make_unique<Intake>(
            bench.settings, IntakeParts{store, bench.files, bench.clock, bench.keys, bench.bus,
                                        bench.lake, bench.log, bench.counters});
        ASSERT_TRUE(intake->open());
        subscriber = broker.subscriber(
            {.client_id = "core.example", .topics = {std::string(events_topics)}},
            {.keep = [this](auto messages) { return intake->take(messages); }, .session_lost = {}});
    }

    std::string jws(const jose::PrivateJwk& key, const std::string& qname,
                    const std::string& message_id = "") const {
        const products::NewQname event{.qname = qname,
                                       .qtype = 1,
                                       .flags = 33155,
                                       .timestamp = bench.clock.now(),
                                       .message_id = message_id};
        const std::string json = event.to_json();
        return *jose::sign_jws(key, as_bytes(json));
    }
    void publish(const std::string& kid, const std::string& payload) {
        send({.topic = "events/up/" + kid + "/new_qname", .payload = to_bytes(payload)});
    }
    void send(const mqtt::Message& message) {
        const auto sender = broker.publisher("somebody");
        EXPECT_THAT(sender->publish({&message, 1}), ElementsAre(mqtt::Published::accepted));
    }
    std::vector<std::string> published() {
        std::vector<std::string> names;
        const auto subscription = *bench.bus.subscribe(events_subject);
        while (intake->publish()) {
        }
        while (const auto message = subscription->next(Duration(0))) {
            const auto json = *text::Json::parse(as_text(*message->body));
            names.push_back(products::NewQname::parse(*json.string("event"))->qname);
        }
        return names;
    }
    std::int64_t rejected(const std::string& reason) const {
        return bench.events("outcome=\"rejected\",reason=\"" + reason + "\"");
    }

    Bench bench;
    FullStore store{*bench.store};
    mqtt::MemoryBroker broker;
    jose::PrivateJwk edge = test_key("edge-1.example", 1);
    jose::PrivateJwk other = test_key("edge-2.example", 2);
    std::unique_ptr<Intake> intake;
    std::unique_ptr<mqtt::Subscriber> subscriber;
};

TEST_F(BrokerTest, KeepsABatchInOneSyncedWrite) {
    publish("edge-1.example", jws(edge, "a.example."));
    publish("edge-2.example", jws(other, "b.example."));
    publish("edge-1.example", jws(edge, "a.example."));
    const auto before = store.synced;
    EXPECT_EQ(broker.deliver(), 3U);
    EXPECT_EQ(store.synced, before + 1);
    EXPECT_THAT(published(), ElementsAre("a.example.", "b.example."));
    EXPECT_EQ(bench.events("outcome=\"accepted\""), 2);
    EXPECT_EQ(bench.events("outcome=\"duplicate\""), 1);
    EXPECT_EQ(bench.counters.value("tapir_core_mqtt_events_total"), 3);
}

TEST_F(BrokerTest, CountsOnceWhatComesByBothWaysAndAfterARestart) {
    const std::string id = "0b6f1c1e-0000-8000-8000-000000000001";
    const auto with_id = jws(edge, "a.example.", id);
    const auto without = jws(edge, "b.example.");
    const auto over_https =
        signed_request(edge, bench.clock.now(), "/api/v1/event/new_qname", "application/jose+json",
                       jose::join_batch(std::vector{with_id, without}, 4096));
    EXPECT_EQ(intake->events(over_https).status, 202);
    EXPECT_THAT(published(), ElementsAre("a.example.", "b.example."));
    begin();
    publish("edge-1.example", with_id);
    publish("edge-1.example", without);
    publish("edge-1.example", jws(edge, "c.example.", id));  // another text of the same event
    EXPECT_EQ(broker.deliver(), 3U);
    EXPECT_EQ(bench.events("outcome=\"duplicate\""), 3);
    EXPECT_EQ(bench.events("outcome=\"accepted\""), 2);
}

TEST_F(BrokerTest, WantsTheTopicToBeOfWhoSigned) {
    publish("edge-2.example", jws(edge, "a.example."));
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_EQ(rejected("sender_mismatch"), 1);
    EXPECT_THAT(bench.logged, HasSubstr("sender_mismatch"));
    EXPECT_THAT(published(), IsEmpty());
}

TEST_F(BrokerTest, CallsKeptWhatWillNeverBeGood) {
    const auto stranger = test_key("edge-3.example", 3);
    publish("edge-1.example", "hello");
    publish("edge-1.example", "");
    publish("edge-1.example", "[" + jws(edge, "a.example.") + "]");
    publish("edge-3.example", jws(stranger, "a.example."));
    publish("edge-1.example", std::string(jose::jws_size_max + 1, ' '));
    publish("edge-1.example", jws(edge, "a..example."));
    publish("edge-1.example", jws(edge, "good.example."));
    EXPECT_EQ(broker.deliver(), 7U);
    EXPECT_EQ(broker.waiting(), 0U);
    EXPECT_EQ(rejected("malformed"), 3);
    EXPECT_EQ(rejected("unknown_key"), 1);
    EXPECT_EQ(rejected("too_large"), 1);
    EXPECT_EQ(rejected("bad_qname"), 1);
    EXPECT_THAT(published(), ElementsAre("good.example."));
}

// It is acknowledged, so it must not be lost because the folder of keys is read only now and then.
TEST_F(BrokerTest, LooksForAKeyThatIsNotKnownYetOnceASecond) {
    const auto late = test_key("edge-3.example", 3);
    const auto install = [&](const jose::PrivateJwk& key) {
        const std::string json = key.public_jwk().to_json();
        ASSERT_TRUE(bench.files.write_atomically("edges/" + key.kid() + ".jwk", as_bytes(json)));
    };
    install(late);
    publish("edge-3.example", jws(late, "a.example."));
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_THAT(published(), ElementsAre("a.example."));
    EXPECT_EQ(rejected("unknown_key"), 0);

    const auto later = test_key("edge-4.example", 4);
    install(later);
    publish("edge-4.example", jws(later, "b.example."));
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_EQ(rejected("unknown_key"), 1) << "looked twice within a second";
    bench.clock.advance(std::chrono::seconds(1));
    publish("edge-4.example", jws(later, "c.example."));
    publish("edge-5.example", jws(test_key("edge-5.example", 5), "d.example."));
    EXPECT_EQ(broker.deliver(), 2U);
    EXPECT_EQ(rejected("unknown_key"), 2);
    EXPECT_THAT(published(), ElementsAre("c.example."));
}

TEST_F(BrokerTest, KeepsTheKeysItHasIfTheFolderCannotBeRead) {
    ASSERT_TRUE(bench.files.rename("edges", "elsewhere"));
    publish("edge-3.example", jws(test_key("edge-3.example", 3), "a.example."));
    publish("edge-1.example", jws(edge, "b.example."));
    EXPECT_EQ(broker.deliver(), 2U);
    EXPECT_EQ(rejected("unknown_key"), 1);
    EXPECT_THAT(bench.logged, HasSubstr("the folder of keys cannot be read"));
    EXPECT_THAT(published(), ElementsAre("b.example."));
}

TEST_F(BrokerTest, CountsTopicsOfAnotherShape) {
    const auto payload = to_bytes(jws(edge, "a.example."));
    const std::vector<mqtt::Message> messages{
        {.topic = "events/up/edge-1.example/other", .payload = payload},
        {.topic = "events/up/new_qname", .payload = payload},
        {.topic = "events/up//new_qname", .payload = payload},
        {.topic = "events/up/.hidden/new_qname", .payload = payload},
        {.topic = "events/up/a/b/new_qname", .payload = payload},
        {.topic = "", .payload = payload}};
    EXPECT_TRUE(intake->take(messages));
    EXPECT_EQ(rejected("topic"), 6);
    EXPECT_THAT(published(), IsEmpty());
}

TEST_F(BrokerTest, AcknowledgesNothingThatTheStoreRefuses) {
    publish("edge-1.example", jws(edge, "a.example."));
    publish("edge-1.example", "hello");
    store.is_full = true;
    EXPECT_EQ(broker.deliver(), 0U);
    EXPECT_EQ(broker.waiting(), 2U);
    EXPECT_THAT(bench.logged, HasSubstr("No space left on device"));
    EXPECT_EQ(rejected("malformed"), 0) << "it comes again, and counts once";
    begin();  // killed in between: the broker still has it
    EXPECT_EQ(broker.waiting(), 2U);
    store.is_full = false;
    EXPECT_EQ(broker.deliver(), 2U);
    EXPECT_EQ(rejected("malformed"), 1);
    EXPECT_THAT(published(), ElementsAre("a.example."));
}

}  // namespace
}  // namespace tapir::intake
