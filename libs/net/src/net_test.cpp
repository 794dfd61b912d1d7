#include <chrono>
#include <future>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tapir/net/address.hpp"
#include "tapir/net/dns_transport.hpp"
#include "tapir/net/http.hpp"
#include "tapir/net/sse.hpp"
#include "tapir/net/stream.hpp"
#include "tapir/world/testing.hpp"

namespace tapir::net {
namespace {

using namespace std::chrono_literals;

// ---- Addresses ---------------------------------------------------------------------------------

TEST(PeerAddress, ReadsAndPrintsBothFamilies) {
    EXPECT_EQ(PeerAddress::parse("192.0.2.1", 53)->to_string(), "192.0.2.1:53");
    EXPECT_EQ(PeerAddress::parse("2001:DB8:0::1", 53)->to_string(), "[2001:db8::1]:53");
    EXPECT_EQ(PeerAddress::parse("::ffff:192.0.2.1")->ip(), "192.0.2.1");
    EXPECT_EQ(PeerAddress().to_string(), "unix");
    EXPECT_TRUE(PeerAddress::parse("127.1.2.3")->is_loopback());
    EXPECT_TRUE(PeerAddress::parse("::1")->is_loopback());
    EXPECT_FALSE(PeerAddress::parse("::2")->is_loopback());
    EXPECT_FALSE(PeerAddress().is_loopback());
    for (const char* text : {"", "1.2.3", "1.2.3.4.5", "localhost", "[::1]", "1.2.3.4/8"}) {
        EXPECT_FALSE(PeerAddress::parse(text)) << text;
    }
    EXPECT_FALSE(PeerAddress::parse(std::string_view("1.2.3.4\0x", 9)));
    EXPECT_FALSE(PeerAddress::parse(std::string_view("::\0", 3)));
}

TEST(Endpoint, ReadsAddressesAndPaths) {
    EXPECT_EQ(Endpoint::parse("127.0.0.1:53")->to_string(), "127.0.0.1:53");
    EXPECT_EQ(Endpoint::parse("tcp:127.0.0.1:53")->to_string(), "127.0.0.1:53");
    EXPECT_EQ(Endpoint::parse("[::1]:53")->to_string(), "[::1]:53");
    EXPECT_EQ(Endpoint::parse("unix:/run/a.sock")->path(), "/run/a.sock");
    EXPECT_EQ(Endpoint::parse("/run/a.sock")->to_string(), "unix:/run/a.sock");
    for (const char* text : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
                             "::1:53", "[127.0.0.1]:53", "localhost:53", ":53", "unix:"}) {
        const auto got = Endpoint::parse(text);
        ASSERT_FALSE(got) << text;
        EXPECT_EQ(got.error().code(), Code::invalid);
    }
    EXPECT_FALSE(Endpoint::parse("unix:/" + std::string(200, 'x')));
}

// ---- Event streams -----------------------------------------------------------------------------

std::vector<SseEvent> events_of(const std::vector<std::string>& pieces, SseLimits limits = {}) {
    SseParser parser(limits);
    std::vector<SseEvent> out;
    for (const auto& piece : pieces) {
        EXPECT_TRUE(parser.feed(as_bytes(piece), [&](const SseEvent& e) { out.push_back(e); }));
    }
    return out;
}

TEST(SseParser, ReadsTheExamplesOfTheStandard) {
    EXPECT_EQ(events_of({"data: YHOO\ndata: +2\ndata: 10\n\n"}),
              (std::vector<SseEvent>{{"", "message", "YHOO\n+2\n10"}}));
    EXPECT_EQ(events_of({": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n"
                         "data:  third event\n\n"}),
              (std::vector<SseEvent>{{"1", "message", "first event"},
                                     {"", "message", "second event"},
                                     {"", "message", " third event"}}));
    EXPECT_EQ(events_of({"data\n\ndata\ndata\n\ndata:"}),
              (std::vector<SseEvent>{{"", "message", ""}, {"", "message", "\n"}}));
    EXPECT_EQ(events_of({"data:test\n\ndata: test\n\n"}),
              (std::vector<SseEvent>{{"", "message", "test"}, {"", "message", "test"}}));
}

TEST(SseParser, TakesEveryLineEndAndAByteOrderMark) {
    const std::vector<SseEvent> expected{{"7", "reset", "x"}};
    for (const std::string end : {"\n", "\r", "\r\n"}) {
        const std::string text =
            "\xEF\xBB\xBFid: 7" + end + "event: reset" + end + "data: x" + end + end + "data: y";
        EXPECT_EQ(events_of({text}), expected);
    }
}

TEST(SseParser, KeepsTheIdAndTakesItOverOnlyWithItsEvent) {
    SseParser parser;
    const auto ignore = [](const SseEvent&) {};
    ASSERT_TRUE(parser.feed(as_bytes("id: 1\ndata: a\n\nid: 2\ndata: b\n"), ignore));
    EXPECT_EQ(parser.last_id(), "1");
    ASSERT_TRUE(parser.feed(as_bytes("\n"), ignore));
    EXPECT_EQ(parser.last_id(), "2");
    ASSERT_TRUE(parser.feed(as_bytes(std::string("id: 3\0\n\n", 8)), ignore));
    EXPECT_EQ(parser.last_id(), "2");
    ASSERT_TRUE(parser.feed(as_bytes("retry: 1500\nretry: 1x\n\n"), ignore));
    EXPECT_EQ(parser.retry(), 1500ms);
}

TEST(SseParser, RefusesLinesAndEventsThatAreTooLong) {
    const auto ignore = [](const SseEvent&) {};
    SseParser lines({.line_size_max = 10, .event_size_max = 100});
    EXPECT_TRUE(lines.feed(as_bytes("data: 1234\n"), ignore));
    EXPECT_EQ(lines.feed(as_bytes("data: 12345"), ignore).error().code(), Code::exhausted);
    SseParser events({.line_size_max = 100, .event_size_max = 10});
    EXPECT_TRUE(events.feed(as_bytes("data: 1234\n"), ignore));
    EXPECT_EQ(events.feed(as_bytes("data: 123456\n"), ignore).error().code(), Code::exhausted);
}

RC_GTEST_PROP(SseParser, ReadsTheSameHoweverItIsCut, (const std::vector<std::uint8_t>& cuts)) {
    const std::string text = *rc::gen::container<std::string>(
        rc::gen::elementOf(std::string("\r\n\n:: dataevid1\xEF\xBB\xBF")));
    std::vector<std::string> pieces;
    std::size_t at = 0;
    for (const auto cut : cuts) {
        pieces.push_back(text.substr(at, cut % 8));
        at += pieces.back().size();
    }
    pieces.push_back(text.substr(at));
    RC_ASSERT(events_of(pieces) == events_of({text}));
}

RC_GTEST_PROP(SseParser, ReadsWhatOurServerWrites, (const std::string& data)) {
    RC_PRE(data.find('\r') == std::string::npos);
    const auto got = events_of({sse_event("12", "observation", data)});
    RC_ASSERT(got == (std::vector<SseEvent>{{"12", "observation", data}}));
}

TEST(SseParser, CannotBeMadeToReadAnotherFieldFromAnId) {
    EXPECT_EQ(events_of({sse_event("1\nevent: x", "a\rid: 9", "d")}),
              (std::vector<SseEvent>{{"1", "a", "d"}}));
}

// ---- DNS ---------------------------------------------------------------------------------------

Bytes dns_message(std::uint16_t id, bool is_answer, std::size_t size = dns_header_size) {
    Bytes out;
    append_u16(out, id);
    append_u16(out, is_answer ? 0x8000 : 0);
    out.resize(size);
    return out;
}

class Dns : public testing::Test {
protected:
    void serve(DnsServer::Handler handler, std::chrono::milliseconds idle = 10s,
               std::size_t connections_max = 64) {
        DnsServerSettings settings;
        settings.listen = Endpoint::parse("127.0.0.1:0").take();
        settings.idle_time_max = idle;
        settings.connections_max = connections_max;
        server_ = DnsServer::start(settings, std::move(handler), log_, counters_).take();
        at_ = Endpoint::ip(PeerAddress::parse("127.0.0.1", server_->port()).take());
    }
    std::int64_t refused(const std::string& reason) const {
        return counters_.value(
            fmt::format("tapir_dns_refused_total{{server=\"dns\",reason=\"{}\"}}", reason));
    }
    // Answers with the same octets and QR set.
    static DnsAnswer reflect(const DnsQuery& query) {
        Bytes out = to_bytes(query.message);
        out[2] |= std::byte{0x80};
        return DnsAnswer::one(std::move(out));
    }
    Log log_ = Log::to_nowhere();
    Counters counters_;
    Endpoint at_ = Endpoint::unix_socket("none");
    SystemDnsClient client_;
    std::unique_ptr<DnsServer> server_;  // last: ends first
};

TEST_F(Dns, AnswersOverUdpAndTcpOnOnePort) {
    serve([](const DnsQuery& query) {
        EXPECT_TRUE(query.peer.is_loopback());
        return reflect(query);
    });
    EXPECT_EQ(client_.query_udp(at_, dns_message(7, false)).value(), dns_message(7, true));
    EXPECT_EQ(client_.query_tcp(at_, dns_message(8, false, 60'000), 5s).value(),
              dns_message(8, true, 60'000));
    EXPECT_EQ(counters_.value("tapir_dns_queries_total{server=\"dns\",transport=\"udp\"}"), 1);
    EXPECT_EQ(counters_.value("tapir_dns_queries_total{server=\"dns\",transport=\"tcp\"}"), 1);
}

TEST_F(Dns, TakesManyQueriesOnOneConnection) {
    serve(reflect);
    const auto connection = client_.connect_tcp(at_, 5s).take();
    for (std::uint16_t id = 0; id < 50; ++id) {
        ASSERT_TRUE(connection->send(dns_message(id, false)));
    }
    for (std::uint16_t id = 0; id < 50; ++id) {
        EXPECT_EQ(connection->receive(5s).value(), dns_message(id, true));
    }
}

TEST_F(Dns, StreamsAnAnswerOfManyMessagesOneAtATime) {
    std::atomic<int> made{0};
    serve([&](const DnsQuery&) {
        return DnsAnswer::many([&made]() -> std::optional<Bytes> {
            return made < 2000 ? std::optional(
                                     dns_message(static_cast<std::uint16_t>(made++), true, 60'000))
                               : std::nullopt;
        });
    });
    const auto connection = client_.connect_tcp(at_, 5s).take();
    ASSERT_TRUE(connection->send(dns_message(1, false)));
    ASSERT_TRUE(connection->receive(5s));
    // What the kernel buffers, and no more, is made ahead.
    EXPECT_LT(made.load(), 1000);
    for (int i = 1; i < 2000; ++i) {
        ASSERT_TRUE(connection->receive(5s)) << i;
    }
    EXPECT_FALSE(connection->receive(1ms));
}

TEST_F(Dns, StopsMakingMessagesForAClientThatHasGone) {
    // Held by the answer alone, so that its end is the answer's.
    auto held = std::make_shared<int>();
    const std::weak_ptr<int> seen = held;
    serve([&held](const DnsQuery&) {
        return DnsAnswer::many([moved = std::exchange(held, nullptr)] {
            return std::optional(dns_message(1, true, 60'000));
        });
    });
    {
        const auto connection = client_.connect_tcp(at_, 5s).take();
        ASSERT_TRUE(connection->send(dns_message(1, false)));
        ASSERT_TRUE(connection->receive(5s));
    }
    EXPECT_TRUE(world::eventually([&] { return seen.expired(); }));
    EXPECT_TRUE(world::eventually([&] { return refused("write") == 1; }));
}

TEST_F(Dns, CountsShortMessagesAndClosesIdleConnections) {
    serve(reflect, 50ms);
    // Too short to have an ID, or no message at all.
    const auto tcp = client_.connect_tcp(at_, 5s).take();
    ASSERT_TRUE(tcp->send(Bytes(11)));
    EXPECT_FALSE(tcp->receive(5s));
    EXPECT_EQ(refused("short"), 1);
    const auto idle = client_.connect_tcp(at_, 5s).take();
    EXPECT_FALSE(idle->receive(5s));
    EXPECT_TRUE(world::eventually([&] { return refused("idle") == 1; }));
    // A message that does not end.
    const auto half = connect_stream(at_, 5s).take();
    ASSERT_TRUE(half->write(as_bytes(std::string("\xff\xff half", 7))));
    Bytes answer(10);
    EXPECT_EQ(half->read(answer).take(), 0U);
    EXPECT_TRUE(world::eventually([&] { return refused("idle") == 2; }));
}

TEST_F(Dns, LimitsConnections) {
    serve(reflect, 10s, 1);
    const auto first = client_.connect_tcp(at_, 5s).take();
    ASSERT_TRUE(first->send(dns_message(1, false)));
    ASSERT_TRUE(first->receive(5s));
    const auto second = client_.connect_tcp(at_, 5s).take();
    EXPECT_FALSE(second->receive(5s));
    EXPECT_EQ(refused("connections"), 1);
}

TEST_F(Dns, ClientTriesAgainAndIgnoresAnswersToOtherQuestions) {
    std::atomic<int> asked{0};
    serve([&](const DnsQuery& query) {
        switch (asked++) {
            case 0:
                return DnsAnswer::none();
            case 1:
                return DnsAnswer::one(dns_message(99, true));
            default:
                return reflect(query);
        }
    });
    EXPECT_EQ(
        client_.query_udp(at_, dns_message(7, false), {.time_max = 20ms, .tries_max = 10}).value(),
        dns_message(7, true));
    EXPECT_GE(asked.load(), 3);
    server_->stop();
    EXPECT_EQ(client_.query_udp(at_, dns_message(7, false), {.time_max = 1ms, .tries_max = 2})
                  .error()
                  .code(),
              Code::unavailable);
}

TEST_F(Dns, StopCutsOffAnAnswerThatHasNoEnd) {
    serve([](const DnsQuery&) {
        return DnsAnswer::many([] { return std::optional(dns_message(1, true, 60'000)); });
    });
    const auto connection = client_.connect_tcp(at_, 5s).take();
    ASSERT_TRUE(connection->send(dns_message(1, false)));
    ASSERT_TRUE(connection->receive(5s));
    server_->stop();
    while (connection->receive(5s)) {
    }
}

TEST_F(Dns, InMemoryAnswersToo) {
    MemoryDnsClient client(reflect);
    EXPECT_EQ(client.query_udp(at_, dns_message(7, false)).value(), dns_message(7, true));
    EXPECT_EQ(client.query_tcp(at_, dns_message(7, false), 1s).value(), dns_message(7, true));
}

}  // namespace
}  // namespace tapir::net
