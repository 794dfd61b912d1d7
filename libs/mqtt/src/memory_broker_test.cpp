#include "tapir/mqtt/memory_broker.hpp"

#include <map>
#include <optional>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "topic.hpp"

namespace tapir::mqtt {
namespace {

using testing::ElementsAre;

Message message(std::string topic, std::string_view text) {
    return {std::move(topic), to_bytes(text)};
}

// What a client kept, and whether it is able to.
struct Client {
    std::vector<std::string> kept;
    int sessions_lost = 0;
    bool is_full = false;

    Handlers handlers() {
        return {.keep = [this](std::span<const Message> batch) -> Result<void> {
                    if (is_full) {
                        return fail(Code::exhausted, "full");
                    }
                    for (const Message& m : batch) {
                        kept.emplace_back(as_text(m.payload));
                    }
                    return {};
                },
                .session_lost = [this] { ++sessions_lost; }};
    }
};

const SubscriberSettings core{.client_id = "core", .topics = {"events/up/+/new_qname"}};

std::vector<Published> publish(Publisher& publisher, std::string_view text) {
    const std::vector<Message> one{message("events/up/edge-1/new_qname", text)};
    return publisher.publish(one);
}

TEST(Topic, MatchesAsTheStandardSays) {
    // The examples of MQTT 5 §4.7.1.2, §4.7.1.3 and §4.7.2.
    EXPECT_TRUE(matches("sport/tennis/player1/#", "sport/tennis/player1"));
    EXPECT_TRUE(matches("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"));
    EXPECT_TRUE(matches("sport/#", "sport"));
    EXPECT_TRUE(matches("sport/tennis/+", "sport/tennis/player1"));
    EXPECT_FALSE(matches("sport/tennis/+", "sport/tennis/player1/ranking"));
    EXPECT_FALSE(matches("sport/+", "sport"));
    EXPECT_TRUE(matches("sport/+", "sport/"));
    EXPECT_TRUE(matches("+/+", "/finance"));
    EXPECT_TRUE(matches("/+", "/finance"));
    EXPECT_FALSE(matches("+", "/finance"));
    EXPECT_FALSE(matches("#", "$SYS/monitor/Clients"));
    EXPECT_FALSE(matches("+/monitor/Clients", "$SYS/monitor/Clients"));
    EXPECT_TRUE(matches("$SYS/#", "$SYS/monitor/Clients"));
    EXPECT_FALSE(matches("sport", "sport/"));
    EXPECT_FALSE(matches("sport/", "sport"));
    EXPECT_FALSE(matches("Sport", "sport"));
}

TEST(Topic, IsAcceptedOrRefusedAsTheStandardSays) {
    for (const char* good : {"#", "+", "a/#", "+/tennis/#", "sport/+/player1", "/"}) {
        EXPECT_TRUE(is_filter(good)) << good;
    }
    for (const char* bad : {"", "a/tennis#", "a/#/b", "sport+", "$share/group/a"}) {
        EXPECT_FALSE(is_filter(bad)) << bad;
    }
    EXPECT_TRUE(is_topic("events/up/edge-1.example/new_qname"));
    for (const char* bad : {"", "a/+", "#", "$SYS/a"}) {
        EXPECT_FALSE(is_topic(bad)) << bad;
    }
    EXPECT_FALSE(is_topic(std::string_view("a\0b", 3)));
    EXPECT_FALSE(is_topic(std::string(topic_size_max + 1, 'a')));
    EXPECT_TRUE(is_topic_level("edge-1.example"));
    for (const char* bad : {"", "a/b", "+", "a#", "$a"}) {
        EXPECT_FALSE(is_topic_level(bad)) << bad;
    }
}

TEST(MemoryBroker, SaysUnheardWhenNobodyIsSubscribed) {
    MemoryBroker broker;
    const auto publisher = broker.publisher("edge-1");
    EXPECT_THAT(publish(*publisher, "1"), ElementsAre(Published::unheard));
    Client other;
    const auto subscriber =
        broker.subscriber({.client_id = "policy", .topics = {"observations/#"}}, other.handlers());
    EXPECT_THAT(publish(*publisher, "2"), ElementsAre(Published::unheard));
    EXPECT_EQ(broker.waiting(), 0U);
}

TEST(MemoryBroker, RefusesWhatIsNoTopicOrTooLarge) {
    MemoryBroker broker;
    Client client;
    const auto subscriber =
        broker.subscriber({.client_id = "all", .topics = {"#"}}, client.handlers());
    const std::vector<Message> bad{
        message("a/+", ""), {"a", Bytes(payload_size_max + 1)}, {"a", Bytes(payload_size_max)}};
    EXPECT_THAT(broker.publisher("p")->publish(bad),
                ElementsAre(Published::refused, Published::refused, Published::accepted));
}

TEST(MemoryBroker, LetsWaitWhatIsNotKept) {
    MemoryBroker broker;
    Client client;
    client.is_full = true;
    const auto subscriber = broker.subscriber(core, client.handlers());
    const auto publisher = broker.publisher("edge-1");
    EXPECT_THAT(publish(*publisher, "1"), ElementsAre(Published::accepted));
    EXPECT_THAT(publish(*publisher, "2"), ElementsAre(Published::accepted));
    EXPECT_EQ(broker.deliver(), 0U);
    EXPECT_EQ(broker.waiting(), 2U);
    client.is_full = false;
    EXPECT_EQ(broker.deliver(), 2U);
    EXPECT_EQ(broker.waiting(), 0U);
    EXPECT_THAT(client.kept, ElementsAre("1", "2"));
}

TEST(MemoryBroker, KeepsASessionForAClientThatEnded) {
    MemoryBroker broker;
    Client client;
    auto subscriber = broker.subscriber(core, client.handlers());
    broker.deliver();
    EXPECT_EQ(client.sessions_lost, 1);
    EXPECT_TRUE(subscriber->is_connected());
    subscriber.reset();
    EXPECT_THAT(publish(*broker.publisher("edge-1"), "meanwhile"),
                ElementsAre(Published::accepted));
    EXPECT_EQ(broker.deliver(), 0U);
    subscriber = broker.subscriber(core, client.handlers());
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_THAT(client.kept, ElementsAre("meanwhile"));
    EXPECT_EQ(client.sessions_lost, 1);
}

TEST(MemoryBroker, TellsOfALostSession) {
    MemoryBroker broker;
    Client client;
    const auto subscriber = broker.subscriber(core, client.handlers());
    broker.deliver();
    publish(*broker.publisher("edge-1"), "lost");
    broker.forget_sessions();
    publish(*broker.publisher("edge-1"), "new");
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_EQ(client.sessions_lost, 2);
    EXPECT_THAT(client.kept, ElementsAre("new"));
}

TEST(MemoryBroker, NeitherTakesNorGivesWhileItIsAway) {
    MemoryBroker broker;
    Client client;
    Client late;
    const auto subscriber = broker.subscriber(core, client.handlers());
    const auto publisher = broker.publisher("edge-1");
    publish(*publisher, "1");
    broker.set_away(true);
    const auto second = broker.subscriber({.client_id = "late", .topics = {"#"}}, late.handlers());
    EXPECT_FALSE(subscriber->is_connected());
    EXPECT_FALSE(second->is_connected());
    EXPECT_THAT(publish(*publisher, "2"), ElementsAre(Published::unavailable));
    EXPECT_EQ(broker.deliver(), 0U);
    broker.set_away(false);
    EXPECT_TRUE(second->is_connected());
    publish(*publisher, "3");
    EXPECT_EQ(broker.deliver(), 3U);
    EXPECT_THAT(client.kept, ElementsAre("1", "3"));
    EXPECT_THAT(late.kept, ElementsAre("3"));
}

TEST(MemoryBroker, HandsOverAtMostABatchAndLetsHandlersPublish) {
    MemoryBroker broker;
    const auto publisher = broker.publisher("edge-1");
    std::vector<std::size_t> sizes;
    const auto subscriber =
        broker.subscriber(core, {.keep = [&](std::span<const Message> batch) -> Result<void> {
                                     sizes.push_back(batch.size());
                                     if (sizes.size() == 1) {
                                         publish(*publisher, "from a handler");
                                     }
                                     return {};
                                 },
                                 .session_lost = {}});
    for (std::size_t i = 0; i < batch_size_max + 1; ++i) {
        publish(*publisher, "x");
    }
    while (broker.deliver() > 0) {
    }
    EXPECT_THAT(sizes, ElementsAre(batch_size_max, 2U));
}

TEST(MemoryBroker, GivesASessionToTheNewestOfOneClientId) {
    MemoryBroker broker;
    Client old;
    Client young;
    const auto first = broker.subscriber(core, old.handlers());
    publish(*broker.publisher("edge-1"), "1");
    const auto second = broker.subscriber(core, young.handlers());
    EXPECT_FALSE(first->is_connected());
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_THAT(young.kept, ElementsAre("1"));
    EXPECT_TRUE(old.kept.empty());
}

TEST(MemoryBroker, StopsAndCancelsForGood) {
    MemoryBroker broker;
    Client client;
    const auto subscriber = broker.subscriber(core, client.handlers());
    const auto publisher = broker.publisher("edge-1");
    publish(*publisher, "1");
    subscriber->stop();
    publisher->cancel();
    EXPECT_EQ(broker.deliver(), 0U);
    EXPECT_EQ(broker.waiting(), 1U);
    EXPECT_FALSE(subscriber->is_connected());
    EXPECT_THAT(publish(*publisher, "2"), ElementsAre(Published::unavailable));
}

// Whatever happens in whatever order: what was accepted is kept exactly once, in order, in the end.
RC_GTEST_PROP(MemoryBroker, LosesAndDoublesNothingThatItAccepted, ()) {
    MemoryBroker broker;
    const auto publisher = broker.publisher("edge-1");
    Client client;
    auto subscriber = broker.subscriber(core, client.handlers());
    std::vector<std::string> accepted;
    const auto steps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 6));
    for (std::size_t i = 0; i < steps.size(); ++i) {
        switch (steps[i]) {
            case 0:
                broker.deliver();
                break;
            case 1:
                client.is_full = !client.is_full;
                break;
            case 2:
                subscriber.reset();
                break;
            case 3:
                subscriber = broker.subscriber(core, client.handlers());
                break;
            case 4:
                broker.set_away(i % 2 == 0);
                break;
            default:
                if (publish(*publisher, std::to_string(i)).at(0) == Published::accepted) {
                    accepted.push_back(std::to_string(i));
                }
        }
    }
    broker.set_away(false);
    client.is_full = false;
    subscriber = broker.subscriber(core, client.handlers());
    while (broker.deliver() > 0) {
    }
    RC_ASSERT(client.kept == accepted);
    RC_ASSERT(broker.waiting() == 0U);
    RC_ASSERT(client.sessions_lost == 1);
}

}  // namespace
}  // namespace tapir::mqtt
