// What leaves and what does not, octet by octet, with a broker that does only what it is told.
#include <fstream>
#include <future>
#include <memory>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connection.hpp"
#include "tapir/mqtt/mqtt.hpp"
#include "tapir/net/testing.hpp"
#include "tapir/world/testing.hpp"

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
    // With TLS if there is a context; it must outlive the broker.
    explicit ScriptedBroker(SSL_CTX* tls = nullptr)
        : tls_(tls), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
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
    std::uint16_t port() const { return port_; }
    // False: nobody came.
    bool accept() {
        hang_up();
        connection_ = ::accept(listener_, nullptr, nullptr);
        const timeval patience{20, 0};
        ::setsockopt(connection_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (connection_ >= 0 && tls_ != nullptr) {
            session_.reset(SSL_new(tls_));
            SSL_set_fd(session_.get(), connection_);
            return SSL_accept(session_.get()) == 1;
        }
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
        session_ = nullptr;
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
    void send(int type, const std::vector<int>& body) { send_octets(packet(type, body)); }
    // At once, and with TLS in one record.
    void send_octets(const Bytes& out) {
        const auto size = static_cast<int>(out.size());
        if (session_) {
            EXPECT_EQ(SSL_write(session_.get(), out.data(), size), size);
        } else {
            EXPECT_EQ(::send(connection_, out.data(), out.size(), MSG_NOSIGNAL), size);
        }
    }
    static Bytes packet(int type, const std::vector<int>& body) {
        Bytes out{std::byte(type), std::byte(body.size())};
        for (const int octet : body) {
            out.push_back(std::byte(octet));
        }
        return out;
    }

    // The connection up to the client's subscription, if it has one.
    Packet welcome(bool has_session = true) {
        EXPECT_TRUE(accept());
        Packet out = read();
        EXPECT_EQ(out.type, connect_packet);
        send(0x20, {has_session ? 1 : 0, 0, 0});
        return out;
    }
    void welcome_subscriber(int granted = 1, bool has_session = true) {
        welcome(has_session);
        answer_subscription({granted});
    }
    void answer_subscription(const std::vector<int>& granted) {
        const Packet question = read();
        ASSERT_EQ(question.type, subscribe_packet);
        std::vector<int> answer{int(question.body[0]), int(question.body[1]), 0};
        answer.insert(answer.end(), granted.begin(), granted.end());
        send(0x90, answer);
    }
    static Bytes message(int id) { return packet(publish_packet, {0, 1, 'a', 0, id, 0, 'x'}); }
    void publish(int id) { send_octets(message(id)); }

private:
    Bytes read_octets(std::size_t count) {
        Bytes out(count);
        for (std::size_t have = 0; have < count;) {
            const auto more = receive(std::span(out).subspan(have));
            if (more <= 0) {
                out.clear();
                break;
            }
            have += static_cast<std::size_t>(more);
        }
        return out;
    }
    ssize_t receive(std::span<std::byte> out) {
        return session_ ? SSL_read(session_.get(), out.data(), static_cast<int>(out.size()))
                        : ::recv(connection_, out.data(), out.size(), 0);
    }

    struct Freer {
        void operator()(SSL* session) const { SSL_free(session); }
    };

    SSL_CTX* tls_;
    std::unique_ptr<SSL, Freer> session_;
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
                               parts_,
                               {.keep = std::move(keep), .session_lost = [this] { ++lost_; }})
            .take();
    }
    std::unique_ptr<Publisher> publisher(Duration time_max = 20s) {
        return open_publisher({.url = broker_.url()}, {.client_id = "edge-1", .time_max = time_max},
                              parts_)
            .take();
    }
    std::int64_t value(const std::string& name) const { return counters_.value(name); }

    ScriptedBroker broker_;
    std::atomic<int> lost_{0};  // sessions
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

// The broker made a session when it accepted us, and says so from then on, though nothing is
// subscribed in it and nothing was kept for us.
TEST_F(Wire, TellsOfALostSessionOnceASubscriptionStands) {
    const auto inbox = subscriber([](auto) { return Result<void>{}; });
    broker_.welcome_subscriber(0x87, false);
    EXPECT_EQ(broker_.read().type, -1);
    broker_.welcome(true);
    EXPECT_EQ(broker_.read().type, subscribe_packet);
    broker_.hang_up();  // and no answer
    EXPECT_EQ(lost_, 0);
    broker_.welcome_subscriber(1, true);
    EXPECT_TRUE(world::eventually([&] { return lost_ == 1; }));
    EXPECT_TRUE(world::eventually([&] { return inbox->is_connected(); }));
    broker_.hang_up();
    broker_.welcome_subscriber(1, true);
    broker_.publish(1);
    EXPECT_EQ(broker_.read().type, puback_packet);
    EXPECT_EQ(lost_, 1);
    EXPECT_EQ(value("tapir_mqtt_sessions_lost_total{client=\"core\"}"), 1);
}

TEST_F(Wire, LogsALostSessionOnlyIfNobodyElseIsTold) {
    for (const bool is_told : {false, true}) {
        std::string logged;
        const Log log = Log::to_string(logged);
        int told = 0;
        const auto inbox =
            open_subscriber({.url = broker_.url()}, {.client_id = "core", .topics = {"a"}},
                            {clock_, chance_, log, counters_},
                            {.keep = [](auto) { return Result<void>{}; },
                             .session_lost = is_told ? std::function<void()>([&] { ++told; })
                                                     : std::function<void()>()})
                .take();
        broker_.welcome_subscriber(1, false);
        EXPECT_TRUE(world::eventually([&] { return inbox->is_connected(); }));
        inbox->stop();
        EXPECT_EQ(told, is_told ? 1 : 0);
        EXPECT_EQ(logged.find("no session of ours") != std::string::npos, !is_told) << logged;
    }
    EXPECT_EQ(value("tapir_mqtt_sessions_lost_total{client=\"core\"}"), 2);
}

TEST_F(Wire, EndsAConnectionWhoseSubscriptionIsAnsweredInPartOrTwice) {
    const auto inbox = subscriber([](auto) { return Result<void>{}; });
    for (const auto& granted : std::vector<std::vector<int>>{{}, {1, 1}, {1, 0x87}}) {
        broker_.welcome();
        broker_.answer_subscription(granted);
        EXPECT_EQ(broker_.read().type, -1);
        EXPECT_FALSE(inbox->is_connected());
    }
    broker_.welcome_subscriber();
    EXPECT_TRUE(world::eventually([&] { return inbox->is_connected(); }));
    EXPECT_EQ(value("tapir_mqtt_disconnects_total{client=\"core\",reason=\"lost\"}"), 3);
    EXPECT_EQ(value("tapir_mqtt_connections_total{client=\"core\"}"), 1);
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
        ASSERT_TRUE(world::eventually([&] { return ended() >= times; }));
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
    EXPECT_TRUE(world::eventually([&] {
        return value("tapir_mqtt_disconnects_total{client=\"core\",reason=\"unreachable\"}") >= 2;
    }));
    inbox->stop();
}

// How many wait for an answer of this port on 127.0.0.1 (SYN_SENT, proc(5)).
std::size_t unanswered(std::uint16_t port) {
    std::ifstream in("/proc/net/tcp");
    const std::string wanted = fmt::format(" 0100007F:{:04X} 02 ", port);
    std::size_t count = 0;
    for (std::string line; std::getline(in, line);) {
        count += line.find(wanted) != std::string::npos ? 1 : 0;
    }
    return count;
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
    const auto fillers = unanswered(ntohs(at.sin_port));
    const auto began = clock_.monotonic();
    {
        const auto inbox =
            open_subscriber({.url = url}, {.client_id = "core", .topics = {"a"}}, parts_,
                            {.keep = [](auto) { return Result<void>{}; }, .session_lost = {}})
                .take();
        const auto outbox = open_publisher({.url = url}, {.client_id = "edge-1"}, parts_).take();
        auto outcome = std::async(std::launch::async, [&] { return outbox->publish(one); });
        EXPECT_TRUE(
            world::eventually([&] { return unanswered(ntohs(at.sin_port)) == fillers + 2; }));
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

// A clock that notes at each look whether the broker has been called by then.
class LookingClock final : public world::Clock {
public:
    explicit LookingClock(const ScriptedBroker& broker) : broker_(broker) {}
    UtcTime now() const override { return {}; }
    Duration monotonic() const override {
        called_.push_back(broker_.is_called());
        return {};
    }
    const std::vector<bool>& called() const { return called_; }

private:
    const ScriptedBroker& broker_;
    mutable std::vector<bool> called_;
};

// Looking up a host may take long; that is not the broker's time.
TEST_F(Wire, GivesTheBrokerItsTimeFromWhenItIsCalled) {
    const LookingClock clock(broker_);
    Sink sink;
    const auto connection = Connection::start(
        {.url = broker_.url()}, {.host = "127.0.0.1", .port = broker_.port(), .is_tls = false},
        {.client_id = "core"}, sink, clock);
    EXPECT_THAT(clock.called(), ElementsAre(true));
}

struct FreeContext {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

// A broker with a good certificate, which asks nobody for theirs.
class WireTls : public testing::Test {
protected:
    WireTls() : context_(SSL_CTX_new(TLS_server_method())) {
        authority_.write(folder_ / "ca.pem");
        authority_.issue("127.0.0.1", net::TestAuthority::Use::server)
            .write(folder_ / "server.pem", folder_ / "server.key");
        EXPECT_EQ(SSL_CTX_use_certificate_file(context_.get(), (folder_ / "server.pem").c_str(),
                                               SSL_FILETYPE_PEM),
                  1);
        EXPECT_EQ(SSL_CTX_use_PrivateKey_file(context_.get(), (folder_ / "server.key").c_str(),
                                              SSL_FILETYPE_PEM),
                  1);
        broker_ = std::make_unique<ScriptedBroker>(context_.get());
    }

    world::TemporaryFolder folder_;
    net::TestAuthority authority_ = net::TestAuthority::create("Test CA");
    std::unique_ptr<SSL_CTX, FreeContext> context_;
    std::unique_ptr<ScriptedBroker> broker_;
    world::SystemClock clock_;
    world::SeededChance chance_{1};
    Log log_ = Log::to_nowhere();
    Counters counters_;
    Parts parts_{clock_, chance_, log_, counters_};
};

// So many that the library's socket pair for "something is queued", which nobody empties, is full.
constexpr int messages_before = 300;

TEST_F(WireTls, TakesAtOnceAllThatCameInOneRecordHoweverMuchCameBefore) {
    const auto inbox =
        open_subscriber({.url = broker_->url("mqtts"), .ca_file = folder_ / "ca.pem"},
                        {.client_id = "core", .topics = {"a"}}, parts_,
                        {.keep = [](auto) { return Result<void>{}; }, .session_lost = {}})
            .take();
    broker_->welcome_subscriber();
    for (int i = 0; i < messages_before; ++i) {
        broker_->publish(1 + i % 200);
        ASSERT_EQ(broker_->read().type, puback_packet) << i;
    }
    const auto began = clock_.monotonic();
    Bytes record;
    for (int id = 1; id <= 20; ++id) {
        append(record, ScriptedBroker::message(id));
    }
    broker_->send_octets(record);
    for (int id = 1; id <= 20; ++id) {
        const Packet packet = broker_->read();
        ASSERT_EQ(packet.type, puback_packet);
        EXPECT_THAT(packet.body, ElementsAre(std::byte{0}, std::byte(id)));
    }
    EXPECT_LT(clock_.monotonic() - began, 5s) << "one by one, as the loop happened to look";
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
    for (const char* here : {"127.0.0.1", "127.1.2.3", "localhost", "[::1]", "[0:0:0:0:0:0:0:1]"}) {
        EXPECT_EQ(error({.url = fmt::format("mqtt://{}:1883", here)}), "") << here;
    }
    for (const char* elsewhere :
         {"192.0.2.1", "127.broker.example", "127.0.0.1.example", "localhost.example", "[::2]"}) {
        EXPECT_THAT(error({.url = fmt::format("mqtt://{}:1883", elsewhere)}),
                    testing::HasSubstr("loopback only"))
            << elsewhere;
    }
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
