// What leaves and what does not, octet by octet, with a broker that does only what it is told.
#include <future>
#include <thread>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tapir/mqtt/mqtt.hpp"

namespace tapir::mqtt {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

// First octets of packets (MQTT 5 §2.1).
constexpr int connect_packet = 0x10;
constexpr int publish_packet = 0x32;  // QoS 1
constexpr int puback_packet = 0x40;
constexpr int subscribe_packet = 0x82;
constexpr int disconnect_packet = 0xE0;

struct Packet {
    int type = -1;  // -1: the connection has ended
    Bytes body;
};

class ScriptedBroker {
public:
    ScriptedBroker() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size), 0);
        EXPECT_EQ(::listen(listener_, 16), 0);
        EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size), 0);
        const timeval patience{20, 0};
        ::setsockopt(listener_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        port_ = ntohs(at.sin_port);
    }
    ScriptedBroker(const ScriptedBroker&) = delete;
    ScriptedBroker& operator=(const ScriptedBroker&) = delete;
    ~ScriptedBroker() {
        hang_up();
        ::close(listener_);
    }

    std::string url(std::string_view scheme = "mqtt") const {
        return std::string(scheme) + "://127.0.0.1:" + std::to_string(port_);
    }
    // False: nobody came.
    bool accept() {
        hang_up();
        connection_ = ::accept(listener_, nullptr, nullptr);
        const timeval patience{20, 0};
        ::setsockopt(connection_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        return connection_ >= 0;
    }
    // Whether somebody is about to be accepted; gives others a moment.
    bool is_called() const {
        pollfd waiting{listener_, POLLIN, 0};
        return ::poll(&waiting, 1, 1) > 0;
    }
    bool somebody_waits() const {
        const timeval now{0, 1};
        const timeval patience{20, 0};
        ::setsockopt(listener_, SOL_SOCKET, SO_RCVTIMEO, &now, sizeof now);
        const int one = ::accept(listener_, nullptr, nullptr);
        ::setsockopt(listener_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ::close(one);
        return one >= 0;
    }
    void hang_up() {
        if (connection_ >= 0) {
            ::close(connection_);
            connection_ = -1;
        }
    }

    Packet read() {
        Packet out;
        Bytes type = read_octets(1);
        if (type.empty()) {
            return out;
        }
        out.type = static_cast<int>(type[0]);
        std::size_t size = 0;
        for (unsigned shift = 0;; shift += 7) {
            const auto octet = static_cast<unsigned>(read_octets(1).at(0));
            size |= (octet & 0x7FU) << shift;
            if ((octet & 0x80U) == 0) {
                break;
            }
        }
        out.body = read_octets(size);
        return out;
    }
    // Whether the client has sent anything that was not read. On loopback what was written is here.
    bool has_more() const {
        std::byte octet{};
        return ::recv(connection_, &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    }
    void send(int type, const std::vector<int>& body) {
        Bytes out{std::byte(type), std::byte(body.size())};
        for (const int octet : body) {
            out.push_back(std::byte(octet));
        }
        EXPECT_EQ(::send(connection_, out.data(), out.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(out.size()));
    }

    // The connection up to the client's subscription, if it has one.
    Packet welcome(bool has_session = true) {
        EXPECT_TRUE(accept());
        Packet out = read();
        EXPECT_EQ(out.type, connect_packet);
        send(0x20, {has_session ? 1 : 0, 0, 0});
        return out;
    }
    void welcome_subscriber(int granted = 1) {
        welcome();
        const Packet packet = read();
        ASSERT_EQ(packet.type, subscribe_packet);
        send(0x90, {int(packet.body[0]), int(packet.body[1]), 0, granted});
    }
    void publish(int id) { send(publish_packet, {0, 1, 'a', 0, id, 0, 'x'}); }

private:
    Bytes read_octets(std::size_t count) {
        Bytes out(count);
        if (count > 0 &&
            ::recv(connection_, out.data(), count, MSG_WAITALL) != static_cast<ssize_t>(count)) {
            out.clear();
        }
        return out;
    }

    int listener_;
    int connection_ = -1;
    std::uint16_t port_ = 0;
};

class Wire : public testing::Test {
protected:
    std::unique_ptr<Subscriber> subscriber(
        std::function<Result<void>(std::span<const Message>)> keep) {
        return open_subscriber({.url = broker_.url()},
                               {.client_id = "core", .topics = {"a"}, .session_expiry = 3600s},
                               parts_, {.keep = std::move(keep), .session_lost = {}})
            .take();
    }
    std::unique_ptr<Publisher> publisher(Duration time_max = 20s) {
        return open_publisher({.url = broker_.url()}, {.client_id = "edge-1", .time_max = time_max},
                              parts_)
            .take();
    }
    std::int64_t value(const std::string& name) const { return counters_.value(name); }

    ScriptedBroker broker_;
    world::SystemClock clock_;
    world::SeededChance chance_{1};
    Log log_ = Log::to_nowhere();
    Counters counters_;
    Parts parts_{clock_, chance_, log_, counters_};
};

const std::vector<Message> one{{"a", to_bytes("x")}};

TEST_F(Wire, IntroducesASubscriberWithItsSessionAndItsLimits) {
    const auto inbox = subscriber([](auto) { return Result<void>{}; });
    const Packet packet = broker_.welcome();
    const std::string body(as_text(packet.body));
    EXPECT_EQ(body.substr(2, 4), "MQTT");
    EXPECT_EQ(body[6], 5);
    EXPECT_EQ(body[7], 0);                                                        // clean start: no
    EXPECT_NE(body.find(std::string("\x11\0\0\x0E\x10", 5)), std::string::npos);  // expiry 3600 s
    EXPECT_NE(body.find(std::string("\x21\x01\0", 3)), std::string::npos);        // 256 in flight
    EXPECT_NE(body.find("core"), std::string::npos);
    // What is retained is not wanted.
    EXPECT_EQ(as_text(broker_.read().body).substr(3), std::string("\0\1a\x21", 4));
}

TEST_F(Wire, HoldsAcknowledgementsUntilMessagesAreKept) {
    std::promise<std::size_t> entered;
    std::promise<void> leave;
    std::atomic<int> calls{0};
    const auto inbox = subscriber([&](std::span<const Message> batch) -> Result<void> {
        if (calls++ == 0) {
            entered.set_value(batch.size());
            leave.get_future().wait();
        }
        return {};
    });
    broker_.welcome_subscriber();
    broker_.publish(1);
    entered.get_future().wait();
    EXPECT_FALSE(broker_.has_more());
    broker_.publish(2);
    broker_.publish(3);
    leave.set_value();
    for (const int id : {1, 2, 3}) {
        const Packet packet = broker_.read();
        EXPECT_EQ(packet.type, puback_packet);
        EXPECT_THAT(packet.body, ElementsAre(std::byte{0}, std::byte(id)));
    }
}

TEST_F(Wire, NeverAcknowledgesWhatWasNotKept) {
    std::atomic<bool> is_full{true};
    const auto inbox = subscriber([&](auto) -> Result<void> {
        return is_full ? Result<void>(fail(Code::exhausted, "full")) : Result<void>{};
    });
    for (int i = 0; i < 2; ++i) {
        broker_.welcome_subscriber();
        broker_.publish(1);
        broker_.publish(2);
        EXPECT_EQ(broker_.read().type, -1) << "something left";
    }
    is_full = false;
    broker_.welcome_subscriber();
    broker_.publish(1);
    EXPECT_EQ(broker_.read().type, puback_packet);
}

TEST_F(Wire, AcknowledgesWhatWasKeptBeforeItSaysGoodbye) {
    std::promise<void> kept;
    auto inbox = subscriber([&](auto) {
        kept.set_value();
        return Result<void>{};
    });
    broker_.welcome_subscriber();
    broker_.publish(1);
    kept.get_future().wait();
    inbox->stop();
    EXPECT_EQ(broker_.read().type, puback_packet);
    EXPECT_EQ(broker_.read().type, disconnect_packet);
    EXPECT_EQ(broker_.read().type, -1);
}

TEST_F(Wire, ComesBackAfterASubscriptionThatIsDenied) {
    const auto inbox = subscriber([](auto) { return Result<void>{}; });
    broker_.welcome_subscriber(0x87);
    EXPECT_EQ(broker_.read().type, -1);
    EXPECT_FALSE(inbox->is_connected());
    broker_.welcome_subscriber();
    EXPECT_EQ(value("tapir_mqtt_disconnects_total{client=\"core\",reason=\"denied\"}"), 1);
}

TEST_F(Wire, ComesBackAfterABrokerThatRefuses) {
    const auto inbox = subscriber([](auto) { return Result<void>{}; });
    ASSERT_TRUE(broker_.accept());
    broker_.read();
    broker_.send(0x20, {0, 0x87, 0});
    EXPECT_EQ(broker_.read().type, -1);
    broker_.welcome_subscriber();
    EXPECT_EQ(value("tapir_mqtt_disconnects_total{client=\"core\",reason=\"refused\"}"), 1);
}

TEST_F(Wire, WaitsLongerAfterEachFailure) {
    world::ManualClock clock;
    const auto inbox =
        open_subscriber({.url = broker_.url()}, {.client_id = "core", .topics = {"a"}},
                        {clock, chance_, log_, counters_},
                        {.keep = [](auto) { return Result<void>{}; }, .session_lost = {}})
            .take();
    const auto ended = [&] {
        return value("tapir_mqtt_disconnects_total{client=\"core\",reason=\"lost\"}");
    };
    const auto fail_once = [&](int times) {
        ASSERT_TRUE(broker_.accept());
        broker_.hang_up();
        while (ended() < times) {
            std::this_thread::yield();
        }
    };
    // The clock may be moved before the client begins to wait, so that it takes longer; never less.
    const auto until_next = [&] {
        Duration passed{};
        while (!broker_.is_called() && passed < 60s) {
            clock.advance(10ms);
            passed += 10ms;
        }
        return passed;
    };
    fail_once(1);
    fail_once(2);  // at once
    for (int times = 3; times <= 5; ++times) {
        const Duration least = 500ms * (1 << (times - 3));  // half of 1 s, 2 s, 4 s
        const Duration passed = until_next();
        EXPECT_GE(passed, least);
        EXPECT_LT(passed, 60s);
        fail_once(times);
    }
}

TEST_F(Wire, StopsAtOnceWhateverItWaitsFor) {
    auto inbox = subscriber([](auto) { return Result<void>{}; });
    ASSERT_TRUE(broker_.accept());
    broker_.read();  // and no answer
    inbox->stop();
    EXPECT_EQ(broker_.read().type, -1);
    inbox = nullptr;
    // Nobody listens: it waits between two attempts.
    inbox =
        open_subscriber({.url = "mqtt://127.0.0.1:1"}, {.client_id = "core", .topics = {"a"}},
                        parts_, {.keep = [](auto) { return Result<void>{}; }, .session_lost = {}})
            .take();
    while (value("tapir_mqtt_disconnects_total{client=\"core\",reason=\"unreachable\"}") < 2) {
        std::this_thread::yield();
    }
    inbox->stop();
}

TEST_F(Wire, StopsAtOnceWhileTheHostDoesNotAnswer) {
    // Whose queue is full: the kernel leaves further connections without an answer.
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&at), size), 0);
    ASSERT_EQ(::listen(listener, 0), 0);
    ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size), 0);
    std::vector<int> filling;
    for (int i = 0; i < 4; ++i) {
        filling.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        ::connect(filling.back(), reinterpret_cast<sockaddr*>(&at), size);
    }
    pollfd last{filling.back(), POLLOUT, 0};
    ASSERT_EQ(::poll(&last, 1, 0), 0) << "the queue is not full";
    const std::string url = "mqtt://127.0.0.1:" + std::to_string(ntohs(at.sin_port));
    const auto began = clock_.monotonic();
    {
        const auto inbox =
            open_subscriber({.url = url}, {.client_id = "core", .topics = {"a"}}, parts_,
                            {.keep = [](auto) { return Result<void>{}; }, .session_lost = {}})
                .take();
        const auto outbox = open_publisher({.url = url}, {.client_id = "edge-1"}, parts_).take();
        auto outcome = std::async(std::launch::async, [&] { return outbox->publish(one); });
        outbox->cancel();
        EXPECT_THAT(outcome.get(), ElementsAre(Published::unavailable));
        inbox->stop();
    }
    EXPECT_LT(clock_.monotonic() - began, 9s) << "less than any time limit of ours";
    for (const int fd : filling) {
        ::close(fd);
    }
    ::close(listener);
}

TEST_F(Wire, MapsEachAnswerOfTheBroker) {
    const std::vector<std::pair<int, Published>> answers{
        {0x00, Published::accepted}, {0x10, Published::unheard}, {0x80, Published::busy},
        {0x83, Published::busy},     {0x87, Published::denied},  {0x90, Published::refused},
        {0x95, Published::refused},  {0x97, Published::busy},    {0x99, Published::refused}};
    const auto outbox = publisher();
    const std::vector<Message> messages(answers.size(), one[0]);
    auto outcomes = std::async(std::launch::async, [&] { return outbox->publish(messages); });
    broker_.welcome();
    for (const auto& [reason, outcome] : answers) {
        const Packet packet = broker_.read();
        ASSERT_EQ(packet.type, publish_packet);
        ASSERT_EQ(as_text(packet.body).substr(0, 3), std::string("\0\1a", 3));
        broker_.send(puback_packet, {int(packet.body[3]), int(packet.body[4]), reason});
    }
    const auto got = outcomes.get();
    for (std::size_t i = 0; i < answers.size(); ++i) {
        EXPECT_EQ(got[i], answers[i].second) << answers[i].first;
    }
}

TEST_F(Wire, ForgetsWhatWasNotAcknowledgedInTime) {
    const auto outbox = publisher(500ms);
    auto first = std::async(std::launch::async, [&] { return outbox->publish(one); });
    broker_.welcome();
    EXPECT_EQ(broker_.read().type, publish_packet);
    EXPECT_THAT(first.get(), ElementsAre(Published::unavailable));
    EXPECT_EQ(broker_.read().type, -1);
    const std::vector<Message> other{{"b", to_bytes("y")}};
    auto second = std::async(std::launch::async, [&] { return outbox->publish(other); });
    const Packet hello = broker_.welcome(false);
    EXPECT_EQ(int(hello.body[7]), 2);  // clean start: yes
    const Packet packet = broker_.read();
    EXPECT_EQ(as_text(packet.body).substr(0, 3), std::string("\0\1b", 3));
    broker_.send(puback_packet, {int(packet.body[3]), int(packet.body[4])});
    EXPECT_THAT(second.get(), ElementsAre(Published::accepted));
    EXPECT_FALSE(broker_.has_more());
    EXPECT_EQ(value("tapir_mqtt_disconnects_total{client=\"edge-1\",reason=\"timeout\"}"), 1);
}

TEST_F(Wire, KeepsToTheWindow) {
    const auto outbox =
        open_publisher({.url = broker_.url()}, {.client_id = "edge-1", .inflight_max = 2}, parts_)
            .take();
    const std::vector<Message> messages(3, one[0]);
    auto outcomes = std::async(std::launch::async, [&] { return outbox->publish(messages); });
    broker_.welcome();
    const Packet first = broker_.read();
    const Packet second = broker_.read();
    ASSERT_EQ(second.type, publish_packet);
    EXPECT_FALSE(broker_.has_more());
    for (const Packet& packet : {first, second}) {
        broker_.send(puback_packet, {int(packet.body[3]), int(packet.body[4])});
    }
    const Packet third = broker_.read();
    broker_.send(puback_packet, {int(third.body[3]), int(third.body[4])});
    EXPECT_THAT(outcomes.get(), testing::Each(Published::accepted));
}

TEST_F(Wire, CancelsAtOnceWhateverItWaitsFor) {
    const auto outbox = publisher(600s);
    auto silent = std::async(std::launch::async, [&] { return outbox->publish(one); });
    ASSERT_TRUE(broker_.accept());
    EXPECT_EQ(broker_.read().type, connect_packet);  // and no answer
    outbox->cancel();
    EXPECT_THAT(silent.get(), ElementsAre(Published::unavailable));
    EXPECT_THAT(outbox->publish(one), ElementsAre(Published::unavailable));
    EXPECT_FALSE(broker_.somebody_waits());
}

TEST_F(Wire, IsNotHeldUpByAConnectionThatIsResetInTheHandshake) {
    const auto outbox = open_publisher(
        {.url = broker_.url("mqtts"), .ca_file = "/etc/ssl/certs/ca-certificates.crt"},
        {.client_id = "edge-1", .time_max = 600s}, parts_);
    ASSERT_TRUE(outbox) << outbox.error().what();
    auto outcome = std::async(std::launch::async, [&] { return (*outbox)->publish(one); });
    ASSERT_TRUE(broker_.accept());
    broker_.hang_up();  // with the hello unread: a reset
    EXPECT_THAT(outcome.get(), ElementsAre(Published::unavailable));
}

TEST(Settings, AreCheckedAtTheStart) {
    world::SystemClock clock;
    world::SeededChance chance(1);
    const Log log = Log::to_nowhere();
    Counters counters;
    const Parts parts{clock, chance, log, counters};
    const auto error = [&](const Broker& broker) {
        const auto out = open_publisher(broker, {.client_id = "a"}, parts);
        return out ? std::string() : out.error().what();
    };
    EXPECT_EQ(error({.url = "mqtt://127.0.0.1"}), "");
    EXPECT_EQ(error({.url = "mqtt://[::1]:1883/"}), "");
    for (const char* bad : {"", "http://a:1", "mqtt://", "mqtt://localhost:0", "mqtt://localhost:x",
                            "mqtt://[::1", "mqtt://localhost:1883/a", "mqtts://u@h:1"}) {
        EXPECT_THAT(error({.url = bad}), testing::HasSubstr("expected mqtts://HOST:PORT")) << bad;
    }
    EXPECT_THAT(error({.url = "mqtt://192.0.2.1:1883"}), testing::HasSubstr("loopback only"));
    EXPECT_THAT(error({.url = "mqtts://192.0.2.1:8883"}), testing::HasSubstr("authority"));
    EXPECT_THAT(error({.url = "mqtts://192.0.2.1:8883", .ca_file = "/nowhere"}),
                testing::HasSubstr("/nowhere"));
    EXPECT_FALSE(open_publisher({.url = "mqtt://127.0.0.1"}, {.client_id = ""}, parts));
    for (const auto& topics : std::vector<std::vector<std::string>>{{}, {"a#"}}) {
        EXPECT_FALSE(open_subscriber(
            {.url = "mqtt://127.0.0.1"}, {.client_id = "a", .topics = topics}, parts,
            {.keep = [](auto) { return Result<void>{}; }, .session_lost = {}}));
    }
}

}  // namespace
}  // namespace tapir::mqtt
