// Events over MQTT: what a subscriber sees, and what becomes of what a broker does not take.
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "day.hpp"
#include "outlet.hpp"
#include "setup.hpp"
#include "tapir/edge/station.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/mqtt/memory_broker.hpp"
#include "tapir/mqtt/testing.hpp"
#include "testing_tools.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;
using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const SendOptions options{.created = UtcTime::from_seconds(1'790'000'000)};

// What the gate has released, opened again from an outbox.
privacy::Released<privacy::Payload> released(const std::string& name, Bytes octets) {
    const ledger::Salt salt{};
    const std::vector<ledger::LeafPayload> unsent{
        {.name = name, .size = octets.size(), .commitment = ledger::commit(salt, octets)}};
    const privacy::Product product = *privacy::product_of_payload(name);
    return privacy::reopen({.product = product, .name = name, .octets = std::move(octets)}, salt,
                           unsent)
        .take();
}

privacy::Released<privacy::Payload> batch(const std::vector<std::string>& messages,
                                          const std::string& name = "new_qname.json") {
    return released(name, to_bytes(jose::join_batch(messages, 4096)));
}

std::vector<std::string> some_messages(std::size_t count) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < count; ++i) {
        out.push_back(R"({"payload":")" + std::to_string(i) + R"("})");
    }
    return out;
}

// Gives the outcomes that it is told, then success; remembers what it was given.
class ScriptedPublisher final : public mqtt::Publisher {
public:
    std::vector<mqtt::Published> publish(std::span<const mqtt::Message> messages) override {
        std::vector<mqtt::Published> out;
        calls.push_back(messages.size());
        for (const mqtt::Message& message : messages) {
            given.push_back(message);
            out.push_back(next < script.size() ? script[next] : mqtt::Published::accepted);
            ++next;
        }
        return out;
    }
    void cancel() override { is_cancelled = true; }

    std::vector<mqtt::Published> script;
    std::vector<mqtt::Message> given;
    std::vector<std::size_t> calls;
    std::size_t next = 0;
    bool is_cancelled = false;
};

// The way to the core.
class RecordingOutlet final : public Outlet {
public:
    explicit RecordingOutlet(std::vector<std::string>& names) : names_(names) {}
    SendOutcome send(const privacy::Released<privacy::Payload>& payload,
                     const SendOptions& /*options*/) override {
        names_.push_back(payload.value().name);
        return {Sent::busy, "the core's word"};
    }
    void cancel() override { names_.emplace_back("cancelled"); }

private:
    std::vector<std::string>& names_;
};

class MqttOutletTest : public ::testing::Test {
protected:
    std::unique_ptr<Outlet> over(mqtt::Publisher& publisher, std::unique_ptr<Outlet> rest = {}) {
        return Outlet::over_mqtt(publisher, {}, key_, std::move(rest), parts_).take();
    }

    const jose::PrivateJwk key_ = public_test_signing_key();
    world::SystemClock clock_;
    world::SeededChance chance_{1};
    std::string lines_;
    Log log_ = Log::to_string(lines_);
    Counters counters_;
    MqttParts parts_{clock_, chance_, log_, counters_};
};

const std::string histogram_name =
    "dns_histogram-2026-09-21T14-14-00Z_2026-09-21T14-15-00Z.parquet";

// The topics and octets that the existing edge published, seen by a subscriber then and now. That
// our signer makes the same octets of the same events is for Compatible.WritesSends....
TEST_F(MqttOutletTest, PublishesAsTheExistingEdgeDoes) {
    const auto key = jose::PrivateJwk::parse(read_text(golden("signing-key.jwk")));
    ASSERT_TRUE(key.has_value());
    std::vector<mqtt::Message> theirs;
    std::vector<std::string> messages;
    for (const std::string& line : lines_of(read_text(golden("cases/new_qname.jsonl")))) {
        const auto seen = text::Json::parse(line);
        theirs.push_back({*seen->string("topic"), to_bytes(*seen->string("payload"))});
        messages.push_back(*seen->string("payload"));
    }
    ASSERT_GT(theirs.size(), 10U);
    std::vector<mqtt::Message> ours;
    mqtt::MemoryBroker broker;
    const auto subscriber =
        broker.subscriber({.client_id = "core", .topics = {"events/up/+/new_qname"}},
                          {.keep = [&](std::span<const mqtt::Message> got) -> Result<void> {
                               ours.insert(ours.end(), got.begin(), got.end());
                               return {};
                           },
                           .session_lost = {}});
    const auto publisher = broker.publisher("edge");
    const auto outlet = Outlet::over_mqtt(*publisher, {}, *key, {}, parts_).take();
    EXPECT_EQ(outlet->send(batch(messages), options).sent, Sent::accepted);
    while (broker.deliver() > 0) {
    }
    EXPECT_EQ(ours, theirs);
}

TEST_F(MqttOutletTest, SendsNothingForABatchWithoutEvents) {
    ScriptedPublisher publisher;
    const auto outlet = over(publisher);
    EXPECT_EQ(outlet->send(batch({}), options).sent, Sent::accepted);
    EXPECT_TRUE(publisher.given.empty());
}

TEST_F(MqttOutletTest, SaysLaterWhileNobodyListens) {
    mqtt::MemoryBroker broker;
    const auto publisher = broker.publisher("edge");
    const auto outlet = over(*publisher);
    const auto outcome = outlet->send(batch(some_messages(1)), options);
    EXPECT_EQ(outcome.sent, Sent::unavailable);
    EXPECT_THAT(outcome.detail, HasSubstr("nobody is subscribed"));
}

TEST_F(MqttOutletTest, MapsWhatTheBrokerSays) {
    for (const auto& [said, sent] : {std::pair{mqtt::Published::accepted, Sent::accepted},
                                     {mqtt::Published::unheard, Sent::unavailable},
                                     {mqtt::Published::unavailable, Sent::unavailable},
                                     {mqtt::Published::busy, Sent::busy},
                                     {mqtt::Published::denied, Sent::denied},
                                     {mqtt::Published::refused, Sent::refused}}) {
        ScriptedPublisher publisher;
        publisher.script = {mqtt::Published::accepted, said};
        const auto outlet = over(publisher);
        EXPECT_EQ(outlet->send(batch(some_messages(3)), options).sent, sent) << to_string(said);
    }
}

TEST_F(MqttOutletTest, SendsAgainOnlyWhatTheBrokerDoesNotHave) {
    ScriptedPublisher publisher;
    publisher.script = {mqtt::Published::accepted, mqtt::Published::refused,
                        mqtt::Published::unavailable};
    const auto outlet = over(publisher);
    const auto payload = batch(some_messages(4));
    EXPECT_EQ(outlet->send(payload, options).sent, Sent::unavailable);
    const auto outcome = outlet->send(payload, options);
    EXPECT_EQ(outcome.sent, Sent::refused) << "one of them will never be taken";
    EXPECT_THAT(outcome.detail, HasSubstr("1 of 4"));
    EXPECT_THAT(publisher.calls, ElementsAre(4U, 2U));
    // Another payload begins at its beginning, and so does this one when it comes again.
    EXPECT_EQ(outlet->send(batch(some_messages(3), "new_qname-1.json"), options).sent,
              Sent::accepted);
    EXPECT_EQ(outlet->send(payload, options).sent, Sent::accepted);
    EXPECT_THAT(publisher.calls, ElementsAre(4U, 2U, 3U, 4U));
}

// The first payload of every batch of events has the same name.
TEST_F(MqttOutletTest, TellsPayloadsOfOneNameApart) {
    ScriptedPublisher publisher;
    publisher.script = {mqtt::Published::accepted, mqtt::Published::refused,
                        mqtt::Published::unavailable};
    const auto outlet = over(publisher);
    EXPECT_EQ(outlet->send(batch(some_messages(4)), options).sent, Sent::unavailable);
    EXPECT_EQ(outlet->send(batch(some_messages(2)), options).sent, Sent::accepted)
        << "its first two are not those that the broker has taken";
    EXPECT_THAT(publisher.calls, ElementsAre(4U, 2U));
}

TEST_F(MqttOutletTest, SendsALargeBatchInLots) {
    ScriptedPublisher publisher;
    const auto outlet = over(publisher);
    EXPECT_EQ(outlet->send(batch(some_messages(2500)), options).sent, Sent::accepted);
    EXPECT_THAT(publisher.calls, ElementsAre(1024U, 1024U, 452U));
}

TEST_F(MqttOutletTest, LeavesHistogramsToTheCore) {
    std::vector<std::string> names;
    ScriptedPublisher publisher;
    const auto outlet = over(publisher, std::make_unique<RecordingOutlet>(names));
    EXPECT_EQ(outlet->send(released(histogram_name, to_bytes("PAR1")), options).sent, Sent::busy);
    EXPECT_EQ(outlet->send(batch(some_messages(1)), options).sent, Sent::accepted);
    outlet->cancel();
    EXPECT_TRUE(publisher.is_cancelled);
    EXPECT_THAT(names, ElementsAre(histogram_name, "cancelled"));
}

TEST_F(MqttOutletTest, KeepsHistogramsHereWithoutACore) {
    ScriptedPublisher publisher;
    const auto outlet = over(publisher);
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(outlet->send(released(histogram_name, to_bytes("PAR1")), options).sent,
                  Sent::unrouted);
    }
    EXPECT_NE(lines_.find("histograms stay here"), std::string::npos);
    EXPECT_EQ(lines_.find("histograms stay here"), lines_.rfind("histograms stay here"));
    EXPECT_TRUE(publisher.given.empty());
}

TEST_F(MqttOutletTest, RefusesAPrefixThatIsNoTopic) {
    ScriptedPublisher publisher;
    for (const char* bad : {"", "events/", "/up", "events/#", "$SYS"}) {
        const auto outlet = Outlet::over_mqtt(publisher, {.topic_prefix = bad}, key_, {}, parts_);
        ASSERT_FALSE(outlet.has_value()) << bad;
        EXPECT_THAT(outlet.error().what(), HasSubstr("topic prefix"));
    }
}

TEST_F(MqttOutletTest, RefusesABrokerThatItCannotSpeakTo) {
    const auto outlet = Outlet::open_mqtt({.url = "mqtt://192.0.2.1"}, key_, nullptr, parts_);
    ASSERT_FALSE(outlet.has_value());
    EXPECT_THAT(outlet.error().what(), HasSubstr("without TLS on loopback only"));
}

// Through a real broker, which says of each message what it is to say.
TEST_F(MqttOutletTest, SpeaksToMosquitto) {
    const TemporaryFolder folder;
    const mqtt::TestBroker broker({.folder = folder / ""});
    const auto outlet = Outlet::open_mqtt({.url = broker.url()}, key_, {}, parts_).take();
    const auto payload = batch(some_messages(3));
    EXPECT_EQ(outlet->send(payload, options).sent, Sent::unavailable) << "nobody listens";
    std::atomic<std::size_t> kept{0};
    const auto subscriber =
        mqtt::open_subscriber({.url = broker.url()},
                              {.client_id = "core", .topics = {"events/up/+/new_qname"}},
                              {clock_, chance_, log_, counters_},
                              {.keep = [&](std::span<const mqtt::Message> got) -> Result<void> {
                                   kept += got.size();
                                   return {};
                               },
                               .session_lost = {}})
            .take();
    wait_until([&] { return subscriber->is_connected(); });
    EXPECT_EQ(outlet->send(payload, options).sent, Sent::accepted);
    wait_until([&] { return kept == 3; });
    EXPECT_EQ(counters_.value("tapir_mqtt_connections_total{client=\"offline.invalid-tapir\"}"), 1);
}

}  // namespace
}  // namespace tapir::edge
