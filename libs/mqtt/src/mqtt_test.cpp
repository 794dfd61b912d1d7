// The port over the real mosquitto.
#include "tapir/mqtt/mqtt.hpp"

#include <atomic>
#include <filesystem>
#include <latch>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tapir/mqtt/testing.hpp"
#include "tapir/net/testing.hpp"
#include "tapir/world/testing.hpp"

namespace tapir::mqtt {
namespace {

using namespace std::chrono_literals;
using testing::Each;
using testing::ElementsAre;

Message message(std::string topic, std::string_view text) {
    return {std::move(topic), to_bytes(text)};
}

std::vector<Message> numbered(std::size_t from, std::size_t to) {
    std::vector<Message> out;
    for (std::size_t i = from; i < to; ++i) {
        out.push_back(message("events/up/edge-1/new_qname", std::to_string(i)));
    }
    return out;
}

// What a client kept. Keeps, refuses or waits as it is told.
class Keeper {
public:
    Handlers handlers() {
        return {.keep = [this](std::span<const Message> batch) { return keep(batch); },
                .session_lost = [this] { ++sessions_lost; }};
    }
    std::vector<std::string> kept() const {
        const std::lock_guard lock(mutex_);
        return kept_;
    }
    std::size_t count() const {
        const std::lock_guard lock(mutex_);
        return kept_.size();
    }
    void set_full(bool is_full) {
        const std::lock_guard lock(mutex_);
        is_full_ = is_full;
    }
    std::vector<std::size_t> batches() const {
        const std::lock_guard lock(mutex_);
        return batches_;
    }

    std::atomic<int> sessions_lost{0};
    std::atomic<int> refused{0};

private:
    Result<void> keep(std::span<const Message> batch) {
        const std::lock_guard lock(mutex_);
        if (is_full_) {
            ++refused;
            return fail(Code::exhausted, "full");
        }
        batches_.push_back(batch.size());
        for (const Message& m : batch) {
            kept_.emplace_back(as_text(m.payload));
        }
        return {};
    }

    mutable std::mutex mutex_;
    std::vector<std::string> kept_;
    std::vector<std::size_t> batches_;
    bool is_full_ = false;
};

class Mqtt : public testing::TestWithParam<bool> {
protected:
    void SetUp() override { start(""); }

    void start(std::string access, std::string more = {}) {
        std::optional<TestBroker::Tls> tls;
        if (GetParam()) {
            authority_.write(folder_ / "ca.pem");
            authority_.issue("127.0.0.1", net::TestAuthority::Use::server)
                .write(folder_ / "server.pem", folder_ / "server.key");
            for (const char* name : {"core", "edge-1"}) {
                authority_.issue(name, net::TestAuthority::Use::client)
                    .write(folder_ / std::string(name) + ".pem",
                           folder_ / std::string(name) + ".key");
            }
            tls = {folder_ / "ca.pem", folder_ / "server.pem", folder_ / "server.key"};
        }
        peer_ = nullptr;
        peer_ = std::make_unique<TestBroker>(TestBroker::Settings{
            .folder = folder_.path(), .tls = tls, .access = std::move(access), .more = more});
    }

    Broker broker(const std::string& who) const {
        if (!GetParam()) {
            return {.url = peer_->url()};
        }
        return {.url = peer_->url(),
                .ca_file = folder_ / "ca.pem",
                .certificate_file = folder_ / who + ".pem",
                .key_file = folder_ / who + ".key"};
    }
    std::unique_ptr<Publisher> publisher(Duration time_max = 30s) {
        return open_publisher(broker("edge-1"), {.client_id = "edge-1", .time_max = time_max},
                              parts_)
            .take();
    }
    std::unique_ptr<Subscriber> subscriber(Keeper& keeper) {
        return open_subscriber(broker("core"),
                               {.client_id = "core", .topics = {"events/up/+/new_qname"}}, parts_,
                               keeper.handlers())
            .take();
    }
    std::unique_ptr<Subscriber> connected_subscriber(Keeper& keeper) {
        auto out = subscriber(keeper);
        EXPECT_TRUE(world::eventually([&] { return out->is_connected(); })) << peer_->log();
        return out;
    }
    std::int64_t value(const std::string& name) const { return counters_.value(name); }

    world::TemporaryFolder folder_;
    net::TestAuthority authority_ = net::TestAuthority::create("Test CA");
    std::unique_ptr<TestBroker> peer_;
    world::SystemClock clock_;
    world::SeededChance chance_{1};
    Log log_ = Log::to_nowhere();
    Counters counters_;
    Parts parts_{clock_, chance_, log_, counters_};
};

INSTANTIATE_TEST_SUITE_P(Plain, Mqtt, testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Tls, Mqtt, testing::Values(true));

TEST_P(Mqtt, DeliversInOrderAndSaysSo) {
    Keeper keeper;
    const auto inbox = connected_subscriber(keeper);
    EXPECT_EQ(keeper.sessions_lost, 1);
    const auto outbox = publisher();
    EXPECT_THAT(outbox->publish(numbered(0, 3)), Each(Published::accepted));
    EXPECT_THAT(outbox->publish(numbered(3, 4)), ElementsAre(Published::accepted));
    ASSERT_TRUE(world::eventually([&] { return keeper.count() == 4; }));
    EXPECT_THAT(keeper.kept(), ElementsAre("0", "1", "2", "3"));
    EXPECT_EQ(value("tapir_mqtt_connections_total{client=\"edge-1\"}"), 1);
    EXPECT_EQ(value("tapir_mqtt_published_total{client=\"edge-1\",outcome=\"accepted\"}"), 4);
    EXPECT_EQ(value("tapir_mqtt_connected{client=\"core\"}"), 1);
    // It is counted after the handler has returned.
    EXPECT_TRUE(world::eventually(
        [&] { return value("tapir_mqtt_received_total{client=\"core\",outcome=\"kept\"}") == 4; }));
}

TEST_P(Mqtt, SaysUnheardWhenNobodyIsSubscribed) {
    EXPECT_THAT(publisher()->publish(numbered(0, 2)), Each(Published::unheard));
}

TEST_P(Mqtt, BringsAgainWhatWasNotKept) {
    Keeper keeper;
    keeper.set_full(true);
    const auto inbox = connected_subscriber(keeper);
    EXPECT_THAT(publisher()->publish(numbered(0, 20)), Each(Published::accepted));
    ASSERT_TRUE(world::eventually([&] { return keeper.refused >= 3; }));
    keeper.set_full(false);
    ASSERT_TRUE(world::eventually([&] { return keeper.count() >= 20; }));
    EXPECT_EQ(keeper.kept().front(), "0");
    EXPECT_EQ(keeper.kept().back(), "19");
    EXPECT_EQ(keeper.count(), 20U);
    EXPECT_EQ(keeper.sessions_lost, 1);
    EXPECT_GE(value("tapir_mqtt_disconnects_total{client=\"core\",reason=\"not_kept\"}"), 3);
    EXPECT_GE(value("tapir_mqtt_received_total{client=\"core\",outcome=\"not_kept\"}"), 3);
}

TEST_P(Mqtt, FindsItsSessionAgain) {
    Keeper keeper;
    connected_subscriber(keeper)->stop();
    EXPECT_THAT(publisher()->publish(numbered(0, 5)), Each(Published::accepted));
    const auto inbox = connected_subscriber(keeper);
    ASSERT_TRUE(world::eventually([&] { return keeper.count() == 5; }));
    EXPECT_EQ(keeper.sessions_lost, 1);
}

// Killed after the handler has the messages, and before it has said that they are kept.
TEST_P(Mqtt, BringsAgainWhatAKilledClientHadInHand) {
    Keeper keeper;
    connected_subscriber(keeper)->stop();
    EXPECT_THAT(publisher()->publish(numbered(0, 5)), Each(Published::accepted));
    const pid_t child = ::fork();
    if (child == 0) {
        const auto inbox = open_subscriber(
            broker("core"), {.client_id = "core", .topics = {"events/up/+/new_qname"}}, parts_,
            {.keep = [](std::span<const Message>) -> Result<void> {
                 ::raise(SIGKILL);
                 return {};
             },
             .session_lost = {}});
        ::pause();
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    const auto inbox = connected_subscriber(keeper);
    ASSERT_TRUE(world::eventually([&] { return keeper.count() >= 5; }));
    EXPECT_THAT(keeper.kept(), ElementsAre("0", "1", "2", "3", "4"));
    EXPECT_EQ(keeper.sessions_lost, 1);
}

TEST_P(Mqtt, OutlivesABrokerThatIsStoppedAndStartedAgain) {
    Keeper keeper;
    keeper.set_full(true);
    const auto inbox = connected_subscriber(keeper);
    const auto outbox = publisher(5s);
    EXPECT_THAT(outbox->publish(numbered(0, 100)), Each(Published::accepted));
    peer_->stop();
    EXPECT_THAT(outbox->publish(numbered(100, 101)), ElementsAre(Published::unavailable));
    keeper.set_full(false);
    peer_->start();
    ASSERT_TRUE(world::eventually([&] { return keeper.count() >= 100; }));
    EXPECT_EQ(keeper.count(), 100U);
    EXPECT_EQ(keeper.sessions_lost, 1);
    EXPECT_THAT(outbox->publish(numbered(100, 101)), ElementsAre(Published::accepted));
    ASSERT_TRUE(world::eventually([&] { return keeper.count() == 101; }));
}

TEST_P(Mqtt, TellsOfASessionThatTheBrokerLost) {
    Keeper keeper;
    const auto inbox = connected_subscriber(keeper);
    peer_->kill();
    std::filesystem::remove(folder_ / "mosquitto.db");
    peer_->start();
    ASSERT_TRUE(world::eventually([&] { return keeper.sessions_lost == 2; }));
    EXPECT_EQ(value("tapir_mqtt_sessions_lost_total{client=\"core\"}"), 2);
}

TEST_P(Mqtt, BringsALargeBurstWholeAndInOrder) {
    Keeper keeper;
    const auto inbox = connected_subscriber(keeper);
    constexpr std::size_t count = 5'000;
    const auto sent = numbered(0, count);
    EXPECT_THAT(publisher(120s)->publish(sent), Each(Published::accepted));
    ASSERT_TRUE(world::eventually([&] { return keeper.count() >= count; }));
    const auto kept = keeper.kept();
    ASSERT_EQ(kept.size(), count);
    for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(kept[i], std::to_string(i));
    }
    EXPECT_THAT(keeper.batches(), Each(testing::Le(batch_size_max)));
}

TEST_P(Mqtt, RefusesWhatNoBrokerWouldTake) {
    Keeper keeper;
    const auto inbox = connected_subscriber(keeper);
    const std::vector<Message> messages{message("events/up/+/new_qname", ""),
                                        {"events/up/edge-1/new_qname", Bytes(payload_size_max + 1)},
                                        message("events/up/\xFF/new_qname", ""),
                                        {"events/up/edge-1/new_qname", Bytes(payload_size_max)}};
    EXPECT_THAT(publisher()->publish(messages),
                ElementsAre(Published::refused, Published::refused, Published::refused,
                            Published::accepted));
    EXPECT_TRUE(world::eventually([&] { return keeper.count() == 1; }));
}

TEST_P(Mqtt, SaysWhenABrokerFindsAMessageTooLarge) {
    start("", "message_size_limit 1000\n");
    Keeper keeper;
    const auto inbox = connected_subscriber(keeper);
    const std::vector<Message> messages{{"events/up/edge-1/new_qname", Bytes(1001)},
                                        {"events/up/edge-1/new_qname", Bytes(1000)}};
    EXPECT_THAT(publisher()->publish(messages),
                ElementsAre(Published::refused, Published::accepted));
}

TEST_P(Mqtt, ConnectsAnewAfterAPause) {
    Keeper keeper;
    const auto inbox = connected_subscriber(keeper);
    world::ManualClock clock;
    const auto outbox =
        open_publisher(broker("edge-1"), {.client_id = "edge-1"}, {clock, chance_, log_, counters_})
            .take();
    EXPECT_THAT(outbox->publish(numbered(0, 1)), ElementsAre(Published::accepted));
    clock.advance(149s);
    EXPECT_THAT(outbox->publish(numbered(1, 2)), ElementsAre(Published::accepted));
    EXPECT_EQ(value("tapir_mqtt_connections_total{client=\"edge-1\"}"), 1);
    clock.advance(151s);
    EXPECT_THAT(outbox->publish(numbered(2, 3)), ElementsAre(Published::accepted));
    EXPECT_EQ(value("tapir_mqtt_connections_total{client=\"edge-1\"}"), 2);
    EXPECT_EQ(value("tapir_mqtt_disconnects_total{client=\"edge-1\",reason=\"closed\"}"), 1);
}

TEST_P(Mqtt, IsUnavailableWithoutABroker) {
    peer_->stop();
    EXPECT_THAT(publisher()->publish(numbered(0, 2)), Each(Published::unavailable));
    EXPECT_EQ(value("tapir_mqtt_disconnects_total{client=\"edge-1\",reason=\"unreachable\"}"), 1);
}

class MqttTls : public Mqtt {};
INSTANTIATE_TEST_SUITE_P(Tls, MqttTls, testing::Values(true));

TEST_P(MqttTls, SaysDeniedWhatTheBrokerDenies) {
    start("user core\ntopic read events/up/#\npattern write events/up/%u/#\n");
    Keeper keeper;
    const auto inbox = connected_subscriber(keeper);
    const std::vector<Message> messages{message("events/up/edge-1/new_qname", "mine"),
                                        message("events/up/edge-2/new_qname", "of another"),
                                        message("events/up/edge-1/new_qname", "mine too")};
    EXPECT_THAT(publisher()->publish(messages),
                ElementsAre(Published::accepted, Published::denied, Published::accepted));
    ASSERT_TRUE(world::eventually([&] { return keeper.count() == 2; }));
    EXPECT_THAT(keeper.kept(), ElementsAre("mine", "mine too"));
}

// What docs/operating recommends for the edges' listener: an id is that of the certificate.
TEST_P(MqttTls, NobodyTakesTheIdOfAnotherWhereItIsTheNameOfTheCertificate) {
    start("", "use_username_as_clientid true\n");
    Keeper keeper;
    const auto inbox = connected_subscriber(keeper);
    const auto thief = open_publisher(broker("edge-1"), {.client_id = "core"}, parts_).take();
    EXPECT_THAT(thief->publish(numbered(0, 1)), ElementsAre(Published::accepted));
    EXPECT_TRUE(world::eventually([&] { return keeper.count() == 1; }));
    EXPECT_EQ(value("tapir_mqtt_disconnects_total{client=\"core\",reason=\"lost\"}"), 0);
}

// The library's first connection sets up what all share. The leak checker finds what a second one
// that does so at the same time leaves behind.
TEST_P(MqttTls, ManyThreadsConnectFirst) {
    const std::vector<Message> one = numbered(0, 1);
    std::latch together(8);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&, i] {
            const auto outbox =
                open_publisher(broker("edge-1"), {.client_id = "edge-" + std::to_string(i)}, parts_)
                    .take();
            together.arrive_and_wait();
            EXPECT_THAT(outbox->publish(one), ElementsAre(Published::unheard));
        });
    }
}

TEST_P(MqttTls, NeverBelievesAWrongAuthority) {
    net::TestAuthority::create("Other CA").write(folder_ / "other.pem");
    Broker wrong = broker("core");
    wrong.ca_file = folder_ / "other.pem";
    Keeper keeper;
    const auto inbox =
        open_subscriber(wrong, {.client_id = "core", .topics = {"#"}}, parts_, keeper.handlers())
            .take();
    ASSERT_TRUE(world::eventually([&] {
        return value("tapir_mqtt_disconnects_total{client=\"core\",reason=\"tls\"}") >= 2;
    }));
    const auto outbox =
        open_publisher(wrong, {.client_id = "edge-1", .time_max = 20s}, parts_).take();
    EXPECT_THAT(outbox->publish(numbered(0, 1)), ElementsAre(Published::unavailable));
    EXPECT_EQ(value("tapir_mqtt_disconnects_total{client=\"edge-1\",reason=\"tls\"}"), 1);
    EXPECT_EQ(value("tapir_mqtt_connections_total{client=\"core\"}"), 0);
    EXPECT_EQ(value("tapir_mqtt_connections_total{client=\"edge-1\"}"), 0);
}

TEST_P(MqttTls, NeverBelievesAnotherName) {
    // A server's certificate of the right authority, good but for its name.
    authority_.issue("other.example", net::TestAuthority::Use::other_server)
        .write(folder_ / "server.pem", folder_ / "server.key");
    peer_->stop();
    peer_->start();
    EXPECT_THAT(publisher(20s)->publish(numbered(0, 1)), ElementsAre(Published::unavailable));
    EXPECT_EQ(value("tapir_mqtt_disconnects_total{client=\"edge-1\",reason=\"tls\"}"), 1);
}

TEST_P(MqttTls, IsNotLetInWithACertificateOfAnotherAuthority) {
    const auto other = net::TestAuthority::create("Other CA");
    other.issue("edge-1", net::TestAuthority::Use::client)
        .write(folder_ / "edge-1.pem", folder_ / "edge-1.key");
    EXPECT_THAT(publisher(20s)->publish(numbered(0, 1)), ElementsAre(Published::unavailable));
    EXPECT_EQ(value("tapir_mqtt_connections_total{client=\"edge-1\"}"), 0);
    // The broker says so and hangs up: what we see of it depends on which of the two is first.
    std::int64_t ended = 0;
    for (const char* reason : {"tls", "lost", "unreachable"}) {
        ended += value("tapir_mqtt_disconnects_total{client=\"edge-1\",reason=\"" +
                       std::string(reason) + "\"}");
    }
    EXPECT_EQ(ended, 1) << counters_.to_prometheus() << peer_->log();
}

}  // namespace
}  // namespace tapir::mqtt
