// Observations by MQTT.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/mqtt/memory_broker.hpp"

namespace tapir::feeds {
namespace {

using namespace std::chrono_literals;
using mqtt::Published;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// A broker of which each answer is prescribed; after those: accepted.
class ScriptedPublisher final : public mqtt::Publisher {
public:
    std::vector<Published> publish(std::span<const mqtt::Message> messages) override {
        std::vector<Published> out;
        for (const auto& message : messages) {
            const auto answer = next < answers.size() ? answers[next++] : Published::accepted;
            out.push_back(answer);
            if (answer == Published::accepted) {
                taken.push_back(message);
            }
        }
        ++calls;
        return out;
    }
    void cancel() override {}

    std::vector<Published> answers;
    std::size_t next = 0;
    std::size_t calls = 0;
    std::vector<mqtt::Message> taken;
};

class BroadcastTest : public FeedsFixture {
protected:
    std::unique_ptr<mqtt::Subscriber> follow(const std::string& client_id) {
        return broker.subscriber({.client_id = client_id, .topics = {std::string(broadcast_topic)}},
                                 {.keep =
                                      [this](std::span<const mqtt::Message> batch) {
                                          received.insert(received.end(), batch.begin(),
                                                          batch.end());
                                          return Result<void>();
                                      },
                                  .session_lost = {}});
    }
    // The names in what came, in order.
    std::vector<std::string> names() const { return names(received); }
    static std::vector<std::string> names(const std::vector<mqtt::Message>& messages) {
        std::vector<std::string> out;
        for (const auto& message : messages) {
            const auto jws = *jose::UnverifiedJws::parse(as_text(message.payload));
            const auto verified = jws.verify(test_key().public_jwk());
            EXPECT_TRUE(verified);
            out.push_back(products::Observation::parse(verified->payload_text())->added.at(0).name);
        }
        return out;
    }
    std::int64_t outcome(const std::string& word) const {
        return counters.value("tapir_core_mqtt_observations_total{outcome=\"" + word + "\"}");
    }
    std::int64_t lost(const std::string& reason) const {
        return counters.value("tapir_core_mqtt_observations_lost_total{reason=\"" + reason + "\"}");
    }

    mqtt::MemoryBroker broker;
    std::unique_ptr<mqtt::Publisher> publisher = broker.publisher("core.example");
    std::vector<mqtt::Message> received;
};

TEST_F(BroadcastTest, SendsTheOctetsOfTheStreamInTheirOrder) {
    const auto subscriber = follow("policy.example");
    const auto stream = subscribe();
    EXPECT_EQ(feeds->broadcast(*publisher), Broadcast::done);
    publish(1, {"a.example"});
    publish(2, {"b.example"});
    EXPECT_EQ(feeds->broadcast(*publisher), Broadcast::more);
    EXPECT_EQ(feeds->broadcast(*publisher), Broadcast::done);
    broker.deliver();
    EXPECT_THAT(names(), ElementsAre("a.example", "b.example"));
    EXPECT_EQ(received.back().topic, "observations/down/tapir-pop");
    EXPECT_EQ(as_text(received.back().payload), stream->last);
    EXPECT_EQ(outcome("accepted"), 2);
}

TEST_F(BroadcastTest, GoesOnWhereItWasAfterARestart) {
    const auto subscriber = follow("policy.example");
    publish(1, {"a.example"});
    feeds->broadcast(*publisher);
    publish(2, {"b.example"});
    restart();
    publish(3, {"c.example"});
    EXPECT_EQ(feeds->broadcast(*publisher), Broadcast::more);
    broker.deliver();
    EXPECT_THAT(names(), ElementsAre("a.example", "b.example", "c.example"));
}

TEST_F(BroadcastTest, WaitsForABrokerThatIsAwayAndHoldsNobodyUp) {
    const auto subscriber = follow("policy.example");
    const auto stream = subscribe();
    broker.set_away(true);
    publish(1, {"a.example"});
    EXPECT_EQ(feeds->broadcast(*publisher), Broadcast::again);
    publish(2, {"b.example"});
    EXPECT_EQ(feeds->broadcast(*publisher), Broadcast::again);
    EXPECT_THAT(stream->sent, ElementsAre("1", "2"));
    EXPECT_EQ(counters.value("tapir_core_mqtt_observations_waiting"), 2);
    EXPECT_THAT(logged, HasSubstr("unavailable"));
    broker.set_away(false);
    EXPECT_EQ(feeds->broadcast(*publisher), Broadcast::more);
    EXPECT_EQ(feeds->broadcast(*publisher), Broadcast::done);
    broker.deliver();
    EXPECT_THAT(names(), ElementsAre("a.example", "b.example"));
    EXPECT_EQ(counters.value("tapir_core_mqtt_observations_waiting"), 0);
}

TEST_F(BroadcastTest, PassesOverWhatNobodyHears) {
    publish(1, {"a.example"});
    EXPECT_EQ(feeds->broadcast(*publisher), Broadcast::more);
    EXPECT_EQ(outcome("unheard"), 1);
    const auto subscriber = follow("policy.example");
    publish(2, {"b.example"});
    feeds->broadcast(*publisher);
    broker.deliver();
    EXPECT_THAT(names(), ElementsAre("b.example"));
}

TEST_F(BroadcastTest, StopsAtTheFirstThatWasNotTaken) {
    ScriptedPublisher scripted;
    for (const auto trouble : {Published::unavailable, Published::busy, Published::denied}) {
        scripted.answers = {Published::accepted, trouble, Published::accepted};
        scripted.next = 0;
        scripted.taken.clear();
        const auto id = 3 * static_cast<std::uint64_t>(trouble);
        for (std::uint64_t n = 1; n <= 3; ++n) {
            publish(id + n, {std::string(1, static_cast<char>('`' + n)) + ".example"});
        }
        EXPECT_EQ(feeds->broadcast(scripted), Broadcast::again);
        EXPECT_EQ(feeds->broadcast(scripted), Broadcast::more);
        // The third went out twice with the same octets; the second was not passed over.
        EXPECT_THAT(names(scripted.taken),
                    ElementsAre("a.example", "c.example", "b.example", "c.example"));
        EXPECT_EQ(scripted.taken[1], scripted.taken[3]);
        EXPECT_EQ(feeds->broadcast(scripted), Broadcast::done);
    }
}

TEST_F(BroadcastTest, DoesNotLetOneThatIsRefusedForGoodStopTheOthers) {
    ScriptedPublisher scripted;
    scripted.answers = {Published::refused};
    publish(1, {"a.example"});
    publish(2, {"b.example"});
    EXPECT_EQ(feeds->broadcast(scripted), Broadcast::more);
    EXPECT_EQ(feeds->broadcast(scripted), Broadcast::done);
    EXPECT_THAT(names(scripted.taken), ElementsAre("b.example"));
    EXPECT_EQ(lost("refused"), 1);
    EXPECT_THAT(logged, HasSubstr("will never take"));
}

TEST_F(BroadcastTest, CountsWhatTheLogForgotBeforeItWasTaken) {
    const auto subscriber = follow("policy.example");
    publish(1, {"a.example"});
    feeds->broadcast(*publisher);
    broker.set_away(true);
    publish(2, {"b.example"});
    publish(3, {"c.example"});
    clock.advance(24h + 1s);
    publish(4, {"d.example"});
    EXPECT_EQ(feeds->broadcast(*publisher), Broadcast::again);
    EXPECT_EQ(lost("forgotten"), 2);
    EXPECT_THAT(logged, HasSubstr("forgotten before the broker took them"));
    restart();
    broker.set_away(false);
    EXPECT_EQ(feeds->broadcast(*publisher), Broadcast::more);
    EXPECT_EQ(lost("forgotten"), 2);  // once
    broker.deliver();
    EXPECT_THAT(names(), ElementsAre("a.example", "d.example"));
}

TEST_F(BroadcastTest, KnowsFromItsFirstStepOnWhatItOwes) {
    broker.set_away(true);
    EXPECT_EQ(feeds->broadcast(*publisher), Broadcast::done);
    publish(1, {"a.example"});
    clock.advance(24h + 1s);
    publish(2, {"b.example"});
    EXPECT_EQ(feeds->broadcast(*publisher), Broadcast::again);
    EXPECT_EQ(lost("forgotten"), 1);
}

// A core that gets a broker later owes it what it still keeps, and no more.
TEST_F(BroadcastTest, BeginsWithTheOldestThatIsKept) {
    publish(1, {"a.example"});
    clock.advance(24h + 1s);
    publish(2, {"b.example"});
    publish(3, {"c.example"});
    ScriptedPublisher scripted;
    EXPECT_EQ(feeds->broadcast(scripted), Broadcast::more);
    EXPECT_THAT(names(scripted.taken), ElementsAre("b.example", "c.example"));
    EXPECT_EQ(lost("forgotten"), 0);
}

TEST_F(BroadcastTest, SendsInBoundedPortions) {
    for (std::uint64_t id = 1; id <= broadcast_count_max + 1; ++id) {
        publish(id, {"a.example"});
    }
    ScriptedPublisher scripted;
    EXPECT_EQ(feeds->broadcast(scripted), Broadcast::more);
    EXPECT_THAT(scripted.taken, SizeIs(broadcast_count_max));
    EXPECT_EQ(feeds->broadcast(scripted), Broadcast::more);
    EXPECT_EQ(feeds->broadcast(scripted), Broadcast::done);
    EXPECT_THAT(scripted.taken, SizeIs(broadcast_count_max + 1));
    EXPECT_EQ(scripted.calls, 2U);
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in.good()) << path;
    return {std::istreambuf_iterator<char>(in), {}};
}

// What the existing bridge was given and did not publish, or we do not: why it is otherwise here.
const std::map<std::string, std::pair<bool, const char*>> differences = {
    {"020-direct-missing-member", {true, "what is absent is nothing, zero or empty"}},
    {"022-direct-bad-timestamp", {false, "the schema asks for RFC 3339, and we check it"}},
};

// The existing encoder's observations, signed with the existing bridge's key: the same octets.
TEST_F(BroadcastTest, GoldenPublishesTheOctetsOfTheExistingBridge) {
    const std::filesystem::path folder = std::string(TAPIR_GOLDEN) + "/down";
    restart(*jose::PrivateJwk::parse(read_file(folder / "core-signing-key.json")));
    const auto subscriber = follow("policy.example");
    const auto stream = subscribe();
    std::vector<std::filesystem::path> messages;
    std::map<std::string, std::set<std::string>> theirs;  // by name
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
        if (file.path().extension() == ".nats") {
            messages.push_back(file.path());
        } else if (const std::string stem = file.path().stem(); stem.find(".mqtt") != stem.npos) {
            theirs[stem.substr(0, stem.find('.'))].insert(read_file(file.path()));
        }
    }
    std::ranges::sort(messages);
    ASSERT_THAT(messages, SizeIs(22));
    std::uint64_t id = 0;
    std::size_t same = 0;
    std::size_t differing = 0;
    for (const auto& path : messages) {
        const std::string stem = path.stem();  // NAME.southN
        SCOPED_TRACE(stem);
        const std::string name = stem.substr(0, stem.find('.'));
        std::string text = read_file(path);
        text = text.substr(text.find("\r\n") + 2);
        text.resize(text.size() - 2);
        const bool was_published = theirs.contains(name);
        received.clear();
        publish_text(++id, text);
        feeds->broadcast(*publisher);
        broker.deliver();
        const auto differs = differences.find(name);
        differing += differs != differences.end() ? 1 : 0;
        const bool expected = differs != differences.end() ? differs->second.first : was_published;
        ASSERT_THAT(received, SizeIs(expected ? 1 : 0));
        if (expected) {
            EXPECT_EQ(as_text(received[0].payload), stream->last);
        }
        // They published two at a time in either order.
        if (expected && was_published) {
            EXPECT_EQ(theirs[name].erase(std::string(as_text(received[0].payload))), 1U);
            ++same;
        }
    }
    EXPECT_EQ(differing, differences.size());
    EXPECT_EQ(same, 16U);
}

}  // namespace
}  // namespace tapir::feeds
