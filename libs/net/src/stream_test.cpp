// Streams over unix sockets, TCP and TLS, and who may have one.
#include "tapir/net/stream.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include <fmt/format.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tapir/net/address.hpp"
#include "tapir/net/testing.hpp"
#include "tapir/world/testing.hpp"

namespace tapir::net {
namespace {

using namespace std::chrono_literals;

// Sends back what it reads.
void echo(ByteStream& stream) {
    Bytes buffer(stream_read_size);
    for (;;) {
        const auto count = stream.read(buffer);
        if (!count || *count == 0 || !stream.write(ByteView(buffer).first(*count))) {
            return;
        }
    }
}

std::string read_all(ByteStream& stream) {
    std::string out;
    Bytes buffer(1000);
    for (;;) {
        const auto count = stream.read(buffer);
        if (!count || *count == 0) {
            return out;
        }
        out += as_text(ByteView(buffer).first(*count));
    }
}

class Streams : public testing::Test {
protected:
    std::unique_ptr<StreamServer> serve(const Endpoint& at, StreamServer::Handler handler,
                                        std::size_t connections_max = 64) {
        StreamServerSettings settings;
        settings.listen = at;
        settings.connections_max = connections_max;
        return StreamServer::start(settings, std::move(handler), log_, counters_).take();
    }
    static Endpoint loopback(std::uint16_t port = 0) {
        return Endpoint::ip(PeerAddress::parse("127.0.0.1", port).take());
    }
    Log log_ = Log::to_nowhere();
    Counters counters_;
    world::TemporaryFolder folder_;
};

TEST_F(Streams, CarryOctetsBothWaysOverTcpAndUnixSockets) {
    const auto unix_at = Endpoint::unix_socket(folder_.path() + "/s");
    const auto tcp = serve(loopback(), echo);
    const auto unix_server = serve(unix_at, echo);
    const std::string text(3U << 20U, 'x');
    for (const auto& at : {loopback(tcp->port()), unix_at}) {
        const auto client = connect_stream(at, 5s).take();
        auto answer = std::async(std::launch::async, [&] { return read_all(*client); });
        ASSERT_TRUE(client->write(as_bytes(text)));
        client->end_writing();
        EXPECT_TRUE(answer.get() == text);
    }
}

TEST_F(Streams, KeepAUnixSocketsModeAndRemoveItAtTheEnd) {
    const std::string path = folder_.path() + "/s";
    auto server = serve(Endpoint::unix_socket(path), echo);
    struct stat status{};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0660U);
    server->stop();
    EXPECT_NE(::stat(path.c_str(), &status), 0);
}

TEST_F(Streams, RemoveAStaleSocketButNeverAnotherFileOrOneInUse) {
    const auto at = Endpoint::unix_socket(folder_.path() + "/s");
    const std::string aside = folder_.path() + "/aside";
    StreamServerSettings settings;
    settings.listen = at;
    {
        // As after a crash: the socket is there and nobody listens.
        const auto server = serve(at, echo);
        const auto second = StreamServer::start(settings, echo, log_, counters_);
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code(), Code::unavailable);
        ASSERT_EQ(::rename(at.path().c_str(), aside.c_str()), 0);
    }
    ASSERT_EQ(::rename(aside.c_str(), at.path().c_str()), 0);
    EXPECT_TRUE(StreamServer::start(settings, echo, log_, counters_));
    FILE* file = std::fopen(at.path().c_str(), "w");
    ASSERT_NE(file, nullptr);
    std::fclose(file);
    EXPECT_EQ(StreamServer::start(settings, echo, log_, counters_).error().code(), Code::conflict);
    EXPECT_EQ(::access(at.path().c_str(), F_OK), 0);
}

TEST_F(Streams, RefuseAndCountConnectionsOverTheLimit) {
    const auto server = serve(loopback(), echo, 1);
    const auto first = connect_stream(loopback(server->port()), 5s).take();
    ASSERT_TRUE(world::eventually([&] { return server->connections() == 1; }));
    const auto second = connect_stream(loopback(server->port()), 5s).take();
    EXPECT_EQ(read_all(*second), "");
    EXPECT_EQ(
        counters_.value("tapir_stream_refused_total{server=\"stream\",reason=\"connections\"}"), 1);
    first->shut_down();
    ASSERT_TRUE(world::eventually([&] { return server->connections() == 0; }));
    const auto third = connect_stream(loopback(server->port()), 5s).take();
    ASSERT_TRUE(third->write(as_bytes("x")));
    third->end_writing();
    EXPECT_EQ(read_all(*third), "x");
}

TEST_F(Streams, StopEndsHandlersThatWaitAndTellsTheOtherSide) {
    auto server = serve(loopback(), echo);
    const auto client = connect_stream(loopback(server->port()), 5s).take();
    ASSERT_TRUE(world::eventually([&] { return server->connections() == 1; }));
    server->stop();
    EXPECT_EQ(read_all(*client), "");
    EXPECT_EQ(server->connections(), 0U);
    EXPECT_FALSE(connect_stream(loopback(server->port()), 1s));
}

TEST_F(Streams, InMemoryBehaveAsOnSockets) {
    auto [a, b] = memory_streams(1000);
    std::jthread server([&stream = *b] {
        echo(stream);
        stream.end_writing();
    });
    const std::string text(100'000, 'x');
    auto answer = std::async(std::launch::async, [&stream = *a] { return read_all(stream); });
    ASSERT_TRUE(a->write(as_bytes(text)));
    a->end_writing();
    EXPECT_EQ(answer.get(), text);
    server.join();
    b.reset();
    EXPECT_FALSE(a->write(as_bytes("x")));
}

TEST(PeerNetworks, KnowWhoIsInThem) {
    const std::vector<std::string> words{"192.0.2.0/25", "2001:db8::/33", "198.51.100.7",
                                         "10.9.8.7/8"};
    const auto networks = PeerNetworks::parse(words);
    ASSERT_TRUE(networks) << networks.error().what();
    for (const auto& [peer, is_in] : {std::pair{"192.0.2.127", true},
                                      {"192.0.2.128", false},
                                      {"198.51.100.7", true},
                                      {"198.51.100.6", false},
                                      {"10.255.0.1", true},
                                      {"11.0.0.1", false},
                                      {"2001:db8:7fff::1", true},
                                      {"2001:db8:8000::1", false},
                                      {"::ffff:10.0.0.1", true}}) {
        EXPECT_EQ(networks->contains(PeerAddress::parse(peer).take()), is_in) << peer;
        EXPECT_TRUE(PeerNetworks::everybody().contains(PeerAddress::parse(peer).take()));
        EXPECT_FALSE(PeerNetworks().contains(PeerAddress::parse(peer).take()));
    }
    EXPECT_FALSE(networks->contains(PeerAddress())) << "the peer of a unix socket";
    for (const char* bad : {"192.0.2.0/33", "::/129", "192.0.2.0/", "x", "1.2.3.4/-1", "/8"}) {
        EXPECT_FALSE(PeerNetworks::parse(std::vector<std::string>{bad})) << bad;
    }
}

TEST_F(Streams, TakeOnlyPeersThatMayConnect) {
    StreamServerSettings settings;
    settings.listen = loopback();
    settings.peers = PeerNetworks::parse(std::vector<std::string>{"192.0.2.0/24"}).take();
    const auto server = StreamServer::start(settings, echo, log_, counters_).take();
    const auto stranger = connect_stream(loopback(server->port()), 5s).take();
    EXPECT_EQ(read_all(*stranger), "");
    EXPECT_EQ(counters_.value("tapir_stream_refused_total{server=\"stream\",reason=\"peer\"}"), 1);
    EXPECT_EQ(counters_.value("tapir_stream_connections_total{server=\"stream\"}"), 0);
    // Whom a unix socket lets in, its mode says.
    settings.listen = Endpoint::unix_socket(folder_.path() + "/s");
    const auto unix_server = StreamServer::start(settings, echo, log_, counters_).take();
    const auto known = connect_stream(settings.listen, 5s).take();
    ASSERT_TRUE(known->write(as_bytes("x")));
    known->end_writing();
    EXPECT_EQ(read_all(*known), "x");
}

TEST_F(Streams, GiveAUnixSocketItsGroup) {
    StreamServerSettings settings;
    settings.listen = Endpoint::unix_socket(folder_.path() + "/s");
    settings.socket_group = "no-such-group";
    EXPECT_EQ(StreamServer::start(settings, echo, log_, counters_).error().code(), Code::not_found);
    EXPECT_NE(::access(settings.listen.path().c_str(), F_OK), 0) << "nothing is left behind";
    const ::group* own = ::getgrgid(::getegid());
    ASSERT_NE(own, nullptr);
    settings.socket_group = own->gr_name;
    settings.socket_mode = 0600;
    const auto server = StreamServer::start(settings, echo, log_, counters_).take();
    struct stat status{};
    ASSERT_EQ(::stat(settings.listen.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_gid, ::getegid());
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(Streams, LeaveAloneWhatHasTakenTheSocketsPlace) {
    const auto at = Endpoint::unix_socket(folder_.path() + "/s");
    auto server = serve(at, echo);
    ASSERT_EQ(::unlink(at.path().c_str()), 0);
    FILE* file = std::fopen(at.path().c_str(), "w");
    ASSERT_NE(file, nullptr);
    std::fclose(file);
    server->stop();
    EXPECT_EQ(::access(at.path().c_str(), F_OK), 0);
}

TEST_F(Streams, LimitHowLongAReadWaits) {
    std::promise<std::vector<Code>> outcomes;
    const auto server = serve(loopback(), [&](ByteStream& stream) {
        std::vector<Code> codes;
        Bytes buffer(10);
        stream.limit_reads({.pause_max = 50ms, .whole_max = {}});
        codes.push_back(stream.read(buffer).error().code());
        // Octet after octet, never a pause: the whole has its limit all the same.
        stream.limit_reads({.pause_max = 10s, .whole_max = 300ms});
        ASSERT_TRUE(stream.write(as_bytes("go")));
        for (;;) {
            const auto got = stream.read(buffer);
            if (!got) {
                codes.push_back(got.error().code());
                break;
            }
        }
        outcomes.set_value(codes);
    });
    const auto client = connect_stream(loopback(server->port()), 5s).take();
    Bytes go(2);
    ASSERT_TRUE(client->read(go));
    auto result = outcomes.get_future();
    while (result.wait_for(5ms) == std::future_status::timeout) {
        (void)client->write(as_bytes("x"));
    }
    EXPECT_EQ(result.get(), (std::vector<Code>{Code::exhausted, Code::exhausted}));
}

// `there` has an echo behind it.
void expect_input_when_there_is_some(ByteStream& there) {
    EXPECT_FALSE(there.has_input());
    ASSERT_TRUE(there.write(as_bytes("two")));
    EXPECT_TRUE(world::eventually([&] { return there.has_input(); }));
    Bytes buffer(2);
    for (std::size_t got = 0; got < 3;) {
        EXPECT_TRUE(world::eventually([&] { return there.has_input(); })) << got;
        const auto some = there.read(buffer);
        ASSERT_TRUE(some.has_value());
        got += *some;
    }
    EXPECT_FALSE(there.has_input());
    there.end_writing();
    EXPECT_TRUE(world::eventually([&] { return there.has_input(); })) << "its end";
    EXPECT_EQ(there.read(buffer).value(), 0U);
}

TEST_F(Streams, SayWhetherThereIsSomethingToRead) {
    const auto unix_at = Endpoint::unix_socket(folder_.path() + "/s");
    const auto tcp = serve(loopback(), echo);
    const auto unix_server = serve(unix_at, echo);
    for (const auto& at : {loopback(tcp->port()), unix_at}) {
        expect_input_when_there_is_some(*connect_stream(at, 5s).take());
    }
    auto [here, there] = memory_streams(1000);
    const std::jthread behind([&stream = there] {
        echo(*stream);
        stream.reset();
    });
    expect_input_when_there_is_some(*here);
}

TEST_F(Streams, TakeOverInheritedSockets) {
    const std::string path = folder_.path() + "/s";
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(static_cast<char*>(name.sun_path), sizeof name.sun_path - 1);
    ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    EXPECT_FALSE(InheritedSocket::adopt(::dup(fd), "x")) << "nobody listens yet";
    ASSERT_EQ(::listen(fd, 5), 0);
    const auto of = [fd](const char* count, int own_pid) {
        return inherited_sockets({.pid = "7", .count = count, .names = "dnstap", .first_fd = fd},
                                 own_pid);
    };
    EXPECT_EQ(of("1", 8)->size(), 0U) << "meant for another process";
    EXPECT_FALSE(of("65", 7));
    EXPECT_FALSE(of("-1", 7));
    // A resolver connects and writes before anybody serves.
    const auto early = connect_stream(Endpoint::unix_socket(path), 5s).take();
    ASSERT_TRUE(early->write(as_bytes("early")));
    early->end_writing();
    const auto sockets = of("1", 7).take();
    ASSERT_EQ(sockets.size(), 1U);
    EXPECT_EQ(sockets[0]->name(), "dnstap");
    EXPECT_EQ(sockets[0]->at(), Endpoint::unix_socket(path));
    for (int round = 0; round < 2; ++round) {
        StreamServerSettings settings;
        settings.inherited = sockets[0];
        const auto server = StreamServer::start(settings, echo, log_, counters_).take();
        if (round == 0) {
            EXPECT_EQ(read_all(*early), "early");
        }
        const auto client = connect_stream(Endpoint::unix_socket(path), 5s).take();
        ASSERT_TRUE(client->write(as_bytes("x")));
        client->end_writing();
        EXPECT_EQ(read_all(*client), "x") << round;
    }
    EXPECT_EQ(::access(path.c_str(), F_OK), 0) << "it is not ours to remove";
}

// ---- TLS ---------------------------------------------------------------------------------------

// What the server sends to the `openssl` program, which sends it `input` and waits a little.
std::string tls_answer(std::uint16_t port, const std::string& options, const std::string& input,
                       const std::string& then = ":") {
    const world::TemporaryFolder folder;
    std::ofstream(folder / "input") << input;
    const std::string command = fmt::format(
        "(cat {}/input; {}; sleep 0.5) | timeout 20 openssl s_client -quiet -no_ign_eof "
        "-verify_return_error "
        "-connect 127.0.0.1:{} {} 2>/dev/null",
        folder.path(), then, port, options);
    std::string output;
    FILE* pipe = ::popen(command.c_str(), "r");  // NOLINT(cert-env33-c): a test
    EXPECT_NE(pipe, nullptr);
    std::array<char, 4096> some{};
    while (const std::size_t got = std::fread(some.data(), 1, some.size(), pipe)) {
        output.append(some.data(), got);
    }
    ::pclose(pipe);
    return output;
}

class TlsStreams : public Streams {
protected:
    void SetUp() override {
        authority_.write(path("ca.pem"));
        authority_.issue("127.0.0.1", TestAuthority::Use::server)
            .write(path("server.pem"), path("server.key"));
        authority_.issue("resolver", TestAuthority::Use::client)
            .write(path("client.pem"), path("client.key"));
        settings_.listen = loopback();
        settings_.tls = TlsServerSettings{.certificate_file = path("server.pem"),
                                          .key_file = path("server.key"),
                                          .client_ca_file = {}};
    }
    std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
    std::string with_ca() const { return "-CAfile " + path("ca.pem"); }
    std::string with_client() const {
        return with_ca() + " -cert " + path("client.pem") + " -key " + path("client.key");
    }
    std::int64_t refused(const std::string& reason) const {
        return counters_.value("tapir_stream_refused_total{server=\"stream\",reason=\"" + reason +
                               "\"}");
    }
    std::unique_ptr<StreamServer> start() {
        return StreamServer::start(settings_, echo, log_, counters_).take();
    }

    TestAuthority authority_ = TestAuthority::create("CA");
    StreamServerSettings settings_;
};

TEST_F(TlsStreams, CarryOctetsBothWays) {
    const auto server = start();
    EXPECT_EQ(tls_answer(server->port(), with_ca(), "hello"), "hello");
    EXPECT_EQ(tls_answer(server->port(), with_ca() + " -tls1_2", "hello"), "");
    EXPECT_EQ(refused("tls"), 1) << "only TLS 1.3";
    const auto plain = connect_stream(loopback(server->port()), 5s).take();
    ASSERT_TRUE(plain->write(as_bytes("GET / HTTP/1.0\r\n\r\n")));
    read_all(*plain);
    EXPECT_TRUE(world::eventually([&] { return refused("tls") == 2; }));
}

TEST_F(TlsStreams, AskClientsForACertificate) {
    settings_.tls->client_ca_file = path("ca.pem");
    const auto server = start();
    EXPECT_EQ(tls_answer(server->port(), with_client(), "hello"), "hello");
    EXPECT_EQ(tls_answer(server->port(), with_ca(), "hello"), "") << "it shows none";
    const auto other = TestAuthority::create("Other CA");
    other.issue("resolver", TestAuthority::Use::client)
        .write(path("client.pem"), path("client.key"));
    EXPECT_EQ(tls_answer(server->port(), with_client(), "hello"), "") << "of another CA";
    EXPECT_TRUE(world::eventually([&] { return refused("tls") == 2; }));
}

TEST_F(TlsStreams, DoNotWaitForASlowHandshake) {
    settings_.tls_handshake_max = 2s;
    const auto server = start();
    const auto silent = connect_stream(loopback(server->port()), 5s).take();
    ASSERT_TRUE(silent->write(as_bytes("\x16")));
    EXPECT_EQ(tls_answer(server->port(), with_ca(), "hello"), "hello");
    EXPECT_EQ(read_all(*silent), "");
    EXPECT_EQ(refused("tls_slow"), 1);
}

TEST_F(TlsStreams, TakeANewCertificateWithoutARestart) {
    const auto server = start();
    const auto reloads = [&](const char* outcome) {
        return counters_.value(fmt::format(
            "tapir_stream_tls_reloads_total{{server=\"stream\",outcome=\"{}\"}}", outcome));
    };
    EXPECT_EQ(tls_answer(server->port(), with_ca(), "1"), "1");
    authority_ = TestAuthority::create("New CA");
    authority_.write(path("ca.pem"));
    const auto fresh = authority_.issue("127.0.0.1", TestAuthority::Use::server);
    fresh.write(path("server.pem"), path("unused.key"));
    EXPECT_EQ(tls_answer(server->port(), with_ca(), "2"), "") << "the old one is shown";
    EXPECT_EQ(reloads("refused"), 1) << "certificate and key do not fit";
    fresh.write(path("server.pem"), path("server.key"));
    EXPECT_EQ(tls_answer(server->port(), with_ca(), "3"), "3");
    EXPECT_EQ(reloads("taken"), 1);
    EXPECT_EQ(tls_answer(server->port(), with_ca(), "4"), "4");
    EXPECT_EQ(reloads("taken"), 1) << "read once";
}

TEST_F(TlsStreams, RefuseAKeyThatOthersMayRead) {
    ASSERT_EQ(::chmod(path("server.key").c_str(), 0644), 0);
    const auto open = StreamServer::start(settings_, echo, log_, counters_);
    ASSERT_FALSE(open);
    EXPECT_EQ(open.error().code(), Code::denied);
    ASSERT_EQ(::chmod(path("server.key").c_str(), 0640), 0);
    EXPECT_TRUE(StreamServer::start(settings_, echo, log_, counters_));
    settings_.tls->certificate_file = "/nowhere";
    EXPECT_FALSE(StreamServer::start(settings_, echo, log_, counters_));
}

// All of `text` is there when it is read, so one read takes more than the 16 KiB of a record.
TEST_F(TlsStreams, SayThatTheRestOfARecordIsThere) {
    std::promise<std::string> seen;
    const auto handler = [&seen](ByteStream& stream) {
        std::string had;
        Bytes buffer(3);
        for (int read = 0; read < 2; ++read) {
            had += world::eventually([&] { return stream.has_input(); }) ? "some " : "none ";
            had += as_text(ByteView(buffer).first(stream.read(buffer).value())).size() == 3 ? "3 "
                                                                                            : "2 ";
        }
        seen.set_value(had + (stream.has_input() ? "some" : "none"));
    };
    const auto server = StreamServer::start(settings_, handler, log_, counters_).take();
    tls_answer(server->port(), with_ca(), "hello");
    EXPECT_EQ(seen.get_future().get(), "some 3 some 2 none");
}

TEST_F(TlsStreams, GiveWhatManyRecordsHold) {
    std::promise<std::size_t> all;
    std::size_t largest = 0;
    // Twice what the pipe to the client holds, and less than what waits for a reader.
    const std::string text(200'000, 'x');
    const auto server = StreamServer::start(
                            settings_,
                            [&](ByteStream& stream) {
                                Bytes buffer(stream_read_size);
                                std::size_t sum = 0;
                                EXPECT_TRUE(world::eventually(
                                    [&] { return std::filesystem::exists(path("sent")); }));
                                while (sum < text.size()) {
                                    const auto got = stream.read(buffer);
                                    if (!got || *got == 0) {
                                        break;
                                    }
                                    sum += *got;
                                    largest = std::max(largest, *got);
                                }
                                all.set_value(sum);
                            },
                            log_, counters_)
                            .take();
    tls_answer(server->port(), with_ca(), text, "touch " + path("sent"));
    EXPECT_EQ(all.get_future().get(), text.size());
    EXPECT_GT(largest, 16'384U);
}

}  // namespace
}  // namespace tapir::net
