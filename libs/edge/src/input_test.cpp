// The ways in: which there are, what peers may do on them, and what is said of how clients asked.
#include "input.hpp"

#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector.hpp"
#include "metrics.hpp"
#include "setup.hpp"
#include "tapir/dnstap/testing.hpp"
#include "tapir/edge/station.hpp"
#include "tapir/net/stream.hpp"
#include "tapir/net/testing.hpp"
#include "testing_frames.hpp"
#include "testing_tools.hpp"
#include "transport.hpp"
#include "upstream_loss.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;
using namespace testing;
using ::testing::HasSubstr;

class NullSink final : public BatchSink {
public:
    void take(ReadyBatch&& /*batch*/) override {}
};

// A pipeline behind inputs, as the daemon has it.
class Rig {
public:
    explicit Rig(const std::vector<std::string>& sets, std::string_view toml = {})
        : settings_(settings_of(sets, toml)),
          lists_(*load_lists(files_, settings_, privacy::Profile::standard)),
          collector_({}, lists_, seen_, wildcards_, metrics_, rows_),
          pipeline_({}, lists_, DayKeys(public_test_day_key()), DataClock(), collector_) {}
    ~Rig() { pipeline_.finish(); }
    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;

    std::string open(const InheritedInputs& inherited = *InheritedInputs::none()) {
        auto opened = Inputs::open(settings_, inherited, pipeline_, log_, counters_);
        if (!opened) {
            return opened.error().what();
        }
        inputs_ = std::move(*opened);
        return "";
    }
    std::unique_ptr<net::ByteStream> connect(const std::string& at) const {
        auto stream = net::connect_stream(*net::Endpoint::parse(at), 5'000ms);
        EXPECT_TRUE(stream.has_value()) << at;
        return std::move(*stream);
    }
    std::string tcp(const std::string& name) const {
        return "127.0.0.1:" + std::to_string(inputs_->port(name));
    }
    std::int64_t value(const std::string& counter) {
        metrics_.add(pipeline_.take_dispatcher_fates());
        return counters_.value(counter);
    }
    void expect(const std::string& counter, std::int64_t wanted) {
        EXPECT_TRUE(world::eventually([&] { return value(counter) == wanted; }))
            << counter << ": " << value(counter) << "\n"
            << counters_.to_prometheus();
    }
    void stop() { inputs_->stop(); }

private:
    text::Settings settings_;
    std::string lines_;
    Log log_ = Log::to_string(lines_);
    Counters counters_;
    EdgeMetrics metrics_{counters_};
    world::SystemFiles files_;
    std::shared_ptr<const Lists> lists_;
    std::unique_ptr<store::Store> store_ = store::open_memory(store_families());
    Seen seen_{*store_, {}, log_, counters_};
    Wildcards wildcards_{*store_, crypto::Secret::copy_of(Bytes(32)), log_, counters_};
    NullSink sink_;
    RowGate rows_{{}, metrics_, log_, sink_};
    Collector collector_;
    Pipeline pipeline_;
    std::unique_ptr<Inputs> inputs_;
};

std::string query_of() {
    return fstrm_of({frame_of({.client = client_of(1)})});
}
std::string ended(const std::string& how) {
    return "tapir_edge_streams_ended_total{how=\"" + how + "\"}";
}
std::string frames_by(const std::string& input) {
    return "tapir_edge_input_frames_total{input=\"" + input + "\"}";
}

TEST(Inputs, AreManyAtOnce) {
    const TemporaryFolder folder;
    Rig rig({"input.unix=" + folder / "a.sock" + "," + folder / "b.sock",
             "input.tcp=127.0.0.1:0,127.0.0.1:0", "input.powerdns=127.0.0.1:0"});
    ASSERT_EQ(rig.open(), "");
    EXPECT_NE(rig.tcp("dnstap-tcp"), rig.tcp("dnstap-tcp-2"));
    const std::vector<std::pair<std::string, std::string>> places{
        {"dnstap-unix", folder / "a.sock"},
        {"dnstap-unix-2", folder / "b.sock"},
        {"dnstap-tcp", rig.tcp("dnstap-tcp")},
        {"dnstap-tcp-2", rig.tcp("dnstap-tcp-2")}};
    for (const auto& [name, at] : places) {
        // Unidirectional: START without READY. Then the same again: a resolver that comes back.
        for (int round = 1; round <= 2; ++round) {
            const auto stream = rig.connect(at);
            ASSERT_TRUE(stream->write(as_bytes(query_of())).has_value());
            rig.expect(frames_by(name), round);
        }
    }
    rig.expect(ended("stopped"), 8);
    std::string message = read_text(std::string(TAPIR_SOURCE) +
                                    "/libs/powerdns/golden/pdns-recursor-4.8.8-client.bin");
    const auto stream = rig.connect(rig.tcp("powerdns"));
    message += std::string("\0\2\xff\xff", 4);
    ASSERT_TRUE(stream->write(as_bytes(message)).has_value());
    stream->end_writing();
    rig.expect(frames_by("powerdns"), 25);
    rig.expect("tapir_edge_powerdns_errors_total{reason=\"undecodable\"}", 1);
    rig.expect("tapir_edge_frames_total{fate=\"frame\",reason=\"undecodable\"}", 1);
    rig.expect("tapir_edge_messages_total{type=\"client_response\"}", 12 + 8);
    rig.expect("tapir_edge_responses_total{transport=\"tcp\"}", 2);
    rig.expect(ended("cut_off"), 1);
}

TEST(Inputs, TakeAPlainStringForOneSocket) {
    const TemporaryFolder folder;
    Rig rig({}, "[input]\nunix = \"" + folder / "dnstap.sock" + "\"\n");
    ASSERT_EQ(rig.open(), "");
    rig.connect(folder / "dnstap.sock");
    Rig nothing({}, "[input]\nunix = \"\"\n");
    EXPECT_EQ(nothing.open(), "");
}

TEST(Inputs, SayWhatIsWrongAndWhere) {
    const TemporaryFolder folder;
    const auto error = [&](const std::string& lines) {
        Rig rig({}, "input.unix = []\n" + lines);
        return rig.open();
    };
    EXPECT_THAT(error("input.tcp = 'localhost'"),
                HasSubstr("edge.toml:2: input.tcp: expected addresses with ports, got localhost"));
    EXPECT_THAT(error("input.tcp = '/run/x'"), HasSubstr("edge.toml:2: input.tcp: expected"));
    EXPECT_THAT(error("input.allow = ['10.0.0.0/8', 'all']"), HasSubstr("input.allow"));
    EXPECT_THAT(error("input.socket_mode = '0999'"), HasSubstr("edge.toml:2: input.socket_mode"));
    EXPECT_THAT(error("input.tls = '127.0.0.1:0'"), HasSubstr("input.tls_cert: expected a file"));
    EXPECT_THAT(error("input.tls = '127.0.0.1:0'\ninput.tls_cert = '/nowhere'\n"
                      "input.tls_key = '/nowhere'"),
                HasSubstr("/nowhere"));
    write_text(folder / "file", "mine");
    Rig rig({"input.unix=" + folder / "file"});
    EXPECT_THAT(rig.open(), HasSubstr("something else than a socket"));
    EXPECT_EQ(read_text(folder / "file"), "mine");
}

TEST(Inputs, CountWhyAStreamIsRefused) {
    const TemporaryFolder folder;
    Rig rig({"input.unix=" + folder / "s"});
    ASSERT_EQ(rig.open(), "");
    const auto control = [](std::uint32_t type, std::string_view content) {
        Bytes out;
        append_u32(out, 0);
        append_u32(out, static_cast<std::uint32_t>(content.empty() ? 4 : 12 + content.size()));
        append_u32(out, type);
        if (!content.empty()) {
            append_u32(out, 1);
            append_u32(out, static_cast<std::uint32_t>(content.size()));
            append(out, content);
        }
        return std::string(as_text(out));
    };
    const std::string start = control(2, "protobuf:dnstap.Dnstap");
    const std::string large(600, 'x');
    for (const auto& [reason, octets] : std::vector<std::pair<std::string, std::string>>{
             {"control_too_small", std::string("\0\0\0\0\0\0\0\1", 8)},
             {"control_too_large", control(4, large)},
             {"control_malformed", std::string("\0\0\0\0\0\0\0\6\0\0\0\4\0\0", 14)},
             {"control_unexpected", control(5, "")},
             {"content_type_refused", control(4, "protobuf:other")},
             {"data_before_start", std::string("\0\0\0\1x", 5)}}) {
        const auto stream = rig.connect(folder / "s");
        ASSERT_TRUE(stream->write(as_bytes(octets)).has_value());
        rig.expect("tapir_edge_stream_errors_total{reason=\"" + reason + "\"}", 1);
    }
    rig.expect(ended("failed"), 6);
    {
        // READY without a type is answered without one; a control frame inside the data means
        // nothing; the end comes without STOP.
        const auto stream = rig.connect(folder / "s");
        ASSERT_TRUE(stream->write(as_bytes(control(4, ""))).has_value());
        Bytes accept(100);
        EXPECT_EQ(stream->read(accept).take(), 12U);
        ASSERT_TRUE(stream->write(as_bytes(control(2, "") + control(77, ""))).has_value());
        ASSERT_TRUE(stream
                        ->write(as_bytes(
                            query_of().substr(start.size(), query_of().size() - start.size() - 12)))
                        .has_value());
    }
    rig.expect(ended("cut_off"), 1);
    rig.expect("tapir_edge_stream_controls_skipped_total", 1);
    rig.expect(frames_by("dnstap-unix"), 1);
}

TEST(Inputs, EndConnectionsThatSayNothing) {
    const TemporaryFolder folder;
    Rig rig({"input.unix=" + folder / "s", "input.handshake_max=1s", "input.idle_max=10s"});
    ASSERT_EQ(rig.open(), "");
    const auto silent = rig.connect(folder / "s");
    const auto ready = rig.connect(folder / "s");
    ASSERT_TRUE(ready->write(as_bytes(query_of().substr(0, 42))).has_value());
    // An octet of a READY now and then: that is no handshake in time either.
    const auto slow = rig.connect(folder / "s");
    std::jthread drip([&](const std::stop_token& stop) {
        while (!stop.stop_requested() && slow->write(as_bytes(std::string(1, '\0')))) {
            Bytes nothing(1);
            slow->limit_reads({.pause_max = 300ms, .whole_max = {}});
            (void)slow->read(nothing);
        }
    });
    rig.expect(ended("slow_handshake"), 2);
    rig.expect("tapir_stream_connections{server=\"dnstap-unix\"}", 1);
}

TEST(Inputs, LimitConnectionsAndPeers) {
    const TemporaryFolder folder;
    Rig rig({"input.unix=" + folder / "s", "input.connections_max=2", "input.tcp=127.0.0.1:0",
             "input.allow=192.0.2.0/24"});
    ASSERT_EQ(rig.open(), "");
    std::vector<std::unique_ptr<net::ByteStream>> streams;
    for (int i = 0; i < 3; ++i) {
        streams.push_back(rig.connect(folder / "s"));
        rig.expect("tapir_stream_connections{server=\"dnstap-unix\"}", std::min(i + 1, 2));
    }
    rig.expect("tapir_stream_refused_total{server=\"dnstap-unix\",reason=\"connections\"}", 1);
    rig.connect(rig.tcp("dnstap-tcp"));
    rig.expect("tapir_stream_refused_total{server=\"dnstap-tcp\",reason=\"peer\"}", 1);
}

TEST(Inputs, TakeDnstapOverTls) {
    const TemporaryFolder folder;
    const auto authority = net::TestAuthority::create("CA");
    authority.write(folder / "ca.pem");
    authority.issue("127.0.0.1", net::TestAuthority::Use::server)
        .write(folder / "server.pem", folder / "server.key");
    authority.issue("resolver", net::TestAuthority::Use::client)
        .write(folder / "client.pem", folder / "client.key");
    Rig rig({"input.unix=", "input.tls=127.0.0.1:0", "input.tls_cert=" + folder / "server.pem",
             "input.tls_key=" + folder / "server.key", "input.tls_client_ca=" + folder / "ca.pem"});
    ASSERT_EQ(rig.open(), "");
    write_text(folder / "capture", query_of());
    const auto send = [&](const std::string& client) {
        const std::string command = "(cat " + folder / "capture" +
                                    "; sleep 0.5) | timeout 20 openssl s_client -quiet "
                                    "-no_ign_eof -verify_return_error -CAfile " +
                                    folder / "ca.pem" + " -connect " + rig.tcp("dnstap-tls") +
                                    client + " >/dev/null 2>&1";
        return std::system(command.c_str());  // NOLINT(cert-env33-c): a test
    };
    send(" -cert " + folder / "client.pem" + " -key " + folder / "client.key");
    rig.expect(frames_by("dnstap-tls"), 1);
    send("");
    rig.expect("tapir_stream_refused_total{server=\"dnstap-tls\",reason=\"tls\"}", 1);
    rig.expect(frames_by("dnstap-tls"), 1);
}

TEST(UpstreamLoss, IsTheImbalanceOfAConnectionThatCarriesBoth) {
    Counters counters;
    UpstreamLoss loss(counters);
    constexpr Added query{.frames = 1, .client_queries = 1};
    constexpr Added response{.frames = 1, .client_responses = 1};
    constexpr Added other{.frames = 1};
    const std::string gauge = "tapir_edge_connection_imbalance{input=\"i\",connection=\"1\"}";
    {
        UpstreamLoss::Connection connection(loss, "i");
        UpstreamLoss::Connection one_sided(loss, "i");
        for (int i = 0; i < 5; ++i) {
            one_sided.see(response);
            connection.see(query);
            connection.see(other);
        }
        connection.show();
        EXPECT_EQ(counters.value(gauge), 0) << "only one kind so far";
        connection.see(response);
        connection.see(response);
        connection.show();
        one_sided.show();
        EXPECT_EQ(counters.value(gauge), 3);
        EXPECT_THAT(counters.to_prometheus(), ::testing::Not(HasSubstr("connection=\"2\"")));
    }
    EXPECT_EQ(counters.value(gauge), 0) << "it has ended";
    EXPECT_EQ(counters.value("tapir_edge_upstream_missing_total{message=\"response\"}"), 3);
    {
        UpstreamLoss::Connection connection(loss, "i");
        connection.see(query);
        connection.see(response);
        connection.see(response);
        connection.show();
        EXPECT_EQ(counters.value(gauge), -1) << "the place is used again";
    }
    EXPECT_EQ(counters.value("tapir_edge_upstream_missing_total{message=\"query\"}"), 1);
}

TEST(Inputs, CountWhatAConnectionIsMissing) {
    const TemporaryFolder folder;
    Rig rig({"input.unix=" + folder / "a.sock"});
    ASSERT_EQ(rig.open(), "");
    const auto of_type = [](dnstap::MessageType type) {
        return frame_of({.client = client_of(1), .type = type});
    };
    const Bytes query = of_type(dnstap::MessageType::client_query);
    const Bytes response = of_type(dnstap::MessageType::client_response);
    const Bytes other = of_type(dnstap::MessageType::resolver_response);
    ASSERT_TRUE(rig.connect(folder / "a.sock")
                    ->write(as_bytes(fstrm_of({query, query, query, other, other, response})))
                    .has_value());
    rig.expect("tapir_edge_upstream_missing_total{message=\"response\"}", 2);
}

// The whole of what five resolvers sent, quirks and all: each frame has a fate, and no response is
// malformed.
TEST(Quirks, OfEachResolverAreNoFaults) {
    struct Case {
        const char* file;
        std::int64_t queries;
        std::int64_t responses;  // that count
        std::int64_t others;
        std::map<std::string, int> transports;
    };
    for (const Case& expected : std::vector<Case>{
             {"unbound-1.17.1-all", 39 + 27, 38, 26, {{"udp", 32}, {"tcp", 6}}},
             {"bind-9.18.49-all", 37 + 31, 33, 29, {{"udp", 27}, {"tcp", 6}}},
             {"bind-9.18.49-client-manyaddr", 65, 65, 0, {{"udp", 60}, {"tcp", 5}}},
             {"kresd-5.6.0-client", 65, 65, 0, {{"udp", 59}, {"tcp", 6}}},
             {"pdns-recursor-4.8.8-resolver", 65, 0, 65, {{"udp", 0}, {"unknown", 0}}},
             {"dnsdist-1.7.3-client", 65, 65, 0, {{"udp", 59}, {"tcp", 6}}}}) {
        const TemporaryFolder folder;
        run_twin({.captures = {std::string(TAPIR_SOURCE) + "/libs/dnstap/golden/" + expected.file +
                               ".fstrm"},
                  .out = folder / "out",
                  .single_interval = true,
                  .version = "test"},
                 {"client_networks=127.0.0.0/8,::1"});
        const text::Json report = read_json(folder / "out/report.json");
        const auto fate = [&report](const char* group, const char* reason) {
            return *report.find("frames")->find("fates")->find(group)->find(reason)->if_integer();
        };
        EXPECT_EQ(fate("skipped", "query"), expected.queries) << expected.file;
        EXPECT_EQ(fate("skipped", "other_response"), expected.others) << expected.file;
        for (const char* reason : {"undecodable", "type_missing", "message_missing"}) {
            EXPECT_EQ(fate("frame", reason), 0) << expected.file;
        }
        EXPECT_EQ(fate("dns", "malformed") + fate("dns", "missing"), 0) << expected.file;
        EXPECT_EQ(*report.find("frames")->find("read")->if_integer(),
                  expected.queries + expected.responses + expected.others);
        for (const auto& [transport, count] : expected.transports) {
            EXPECT_EQ(*report.find("transports")->find(transport)->if_integer(), count)
                << expected.file << " " << transport;
        }
    }
}

TEST(Captures, OfPacketsAreReadLikeFrames) {
    const TemporaryFolder folder;
    std::vector<std::string> reports;
    for (const char* form : {"pcap", "pcapng"}) {
        const std::string out = folder / form;
        run_twin({.captures = {std::string(TAPIR_SOURCE) + "/libs/pcap/golden/loopback." + form},
                  .out = out,
                  .single_interval = true,
                  .version = "test"},
                 {"client_networks=127.0.0.0/8,::1"});
        const text::Json report = read_json(out + "/report.json");
        const text::Json& frames = *report.find("frames");
        EXPECT_EQ(*frames.find("read")->if_integer(), 26) << form;
        EXPECT_EQ(*frames.find("fates")->find("skipped")->find("query")->if_integer(), 13);
        EXPECT_EQ(*report.find("transports")->find("tcp")->if_integer(), 4);
        EXPECT_EQ(*report.find("transports")->find("udp")->if_integer(), 9);
        const text::Json& capture = report.find("captures")->if_array()->front();
        EXPECT_EQ(*capture.find("packets")->find("udp")->if_integer(), 18);
        EXPECT_EQ(*capture.find("streams_lost")->if_integer(), 0);
        reports.push_back(frames.to_pretty());
    }
    EXPECT_EQ(reports[0], reports[1]);
    write_text(
        folder / "bad.pcap",
        read_text(std::string(TAPIR_SOURCE) + "/libs/pcap/golden/loopback.pcap").substr(0, 4) +
            std::string(40, 'x'));
    world::SystemFiles files;
    const Log log = Log::to_nowhere();
    const auto bad = process({.captures = {folder / "bad.pcap"},
                              .out = folder / "bad",
                              .single_interval = false,
                              .version = "test"},
                             settings_of({}), files, log);
    EXPECT_THAT(bad.error().what(), HasSubstr("bad.pcap: expected a packet capture"));
}

dnstap::ResponseFields fields_of(const dnstap::testing::Fields& fields) {
    static Bytes frame;
    frame = dnstap::testing::encode(fields);
    return *dnstap::ResponseFields::parse(frame);
}

TEST(Listeners, CorrectWhatAResolverSaysOfItsTransport) {
    const auto listeners = [](std::string_view toml) {
        return Listeners::from(settings_of({}, toml));
    };
    const Bytes here = v4(192, 0, 2, 1);
    const Bytes elsewhere = v4(192, 0, 2, 2);
    const auto tcp_at = [](const Bytes& address, std::uint32_t port) {
        dnstap::testing::Fields fields;
        fields.protocol = 2;
        fields.response_address = address;
        fields.response_port = port;
        return fields;
    };
    const auto none = *listeners("");
    using enum Transport;
    for (const auto& [protocol, transport] :
         std::vector<std::pair<std::optional<std::uint32_t>, Transport>>{{1, udp},
                                                                         {2, tcp},
                                                                         {3, dot},
                                                                         {4, doh},
                                                                         {5, dnscrypt},
                                                                         {6, dnscrypt},
                                                                         {7, doq},
                                                                         {8, unknown},
                                                                         {0, unknown},
                                                                         {4'000'000'000, unknown},
                                                                         {std::nullopt, unknown}}) {
        dnstap::testing::Fields fields;
        fields.protocol = protocol;
        EXPECT_EQ(none.transport_of(fields_of(fields)), transport) << protocol.value_or(99);
    }
    const auto rows = *listeners(
        "[[listener]]\naddress = '192.0.2.1'\nport = 853\n"
        "transport = 'dot'\n[[listener]]\nport = 443\n"
        "transport = 'doh'\n[[listener]]\naddress = '::1'\n"
        "transport = 'doq'\n");
    EXPECT_EQ(rows.transport_of(fields_of(tcp_at(here, 853))), dot);
    EXPECT_EQ(rows.transport_of(fields_of(tcp_at(elsewhere, 853))), tcp);
    EXPECT_EQ(rows.transport_of(fields_of(tcp_at(here, 53))), tcp);
    EXPECT_EQ(rows.transport_of(fields_of(tcp_at(elsewhere, 443))), doh);
    Bytes loopback(16);
    loopback.back() = std::byte{1};
    EXPECT_EQ(rows.transport_of(fields_of(tcp_at(loopback, 9))), doq);
    dnstap::testing::Fields silent;  // unbound, of DNS over HTTPS: no protocol
    silent.response_port = 443;
    EXPECT_EQ(rows.transport_of(fields_of(silent)), doh);
    EXPECT_THAT(listeners("[[listener]]\ntransport = 'dot'\n").error().what(),
                HasSubstr("edge.toml:1: listener[1].port: expected an address, a port, or both"));
    EXPECT_THAT(
        listeners("[[listener]]\naddress = '10.0.0.0/8'\ntransport = 'dot'\n").error().what(),
        HasSubstr("edge.toml:2: listener[1].address: expected an IPv4 or IPv6 address"));
}

}  // namespace
}  // namespace tapir::edge
