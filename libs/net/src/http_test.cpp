#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tapir/net/http_client.hpp"
#include "tapir/net/http_server.hpp"
#include "tapir/net/stream.hpp"
#include "tapir/net/testing.hpp"
#include "tapir/world/testing.hpp"

namespace tapir::net {
namespace {

using namespace std::chrono_literals;

// Streams that a test sends on, as a service would keep them.
class Feed {
public:
    void add(std::shared_ptr<SseStream> stream) {
        const std::lock_guard lock(mutex_);
        streams_.push_back(std::move(stream));
        changed_.notify_all();
    }
    std::shared_ptr<SseStream> wait_for(std::size_t count) {
        std::unique_lock lock(mutex_);
        const bool has = changed_.wait_for(lock, 10s, [&] { return streams_.size() >= count; });
        EXPECT_TRUE(has);
        return has ? streams_[count - 1] : nullptr;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::shared_ptr<SseStream>> streams_;
};

// Answers with what it was asked.
HttpResponse reflect(const HttpRequest& request) {
    std::string out =
        fmt::format("{} {} client={}\n", request.method, request.target, request.client_name);
    for (const auto& [name, value] : request.fields) {
        out += fmt::format("{}={}\n", name, value);
    }
    return HttpResponse::text(200, out + std::string(as_text(request.body)));
}

HttpRoutes test_routes(Feed& feed) {
    HttpRoutes routes;
    routes.add({.method = "GET", .path = "/reflect", .handle = reflect});
    routes.add({.method = "POST", .path = "/reflect", .body_size_max = 100'000, .handle = reflect});
    routes.add({.method = "POST",
                .path = "/large",
                .body_size_max = 8U << 20U,
                .handle = [](const HttpRequest& r) {
                    return HttpResponse::text(201, std::to_string(r.body.size()));
                }});
    routes.add({.method = "GET", .path = "/under/*", .handle = reflect});
    routes.add({.method = "GET",
                .path = "/stream",
                .subscribe = [&feed](const HttpRequest& r, const std::shared_ptr<SseStream>& stream)
                    -> std::optional<HttpResponse> {
                    if (r.parameter("refuse")) {
                        return HttpResponse::error(403);
                    }
                    const auto last = r.fields.find("Last-Event-ID").value_or("none");
                    stream->send("", "start", last);
                    feed.add(stream);
                    return std::nullopt;
                }});
    return routes;
}

class Http : public testing::Test {
protected:
    void serve() { serve({}); }
    void serve(HttpServerSettings settings) {
        settings.listen = Endpoint::parse("127.0.0.1:0").take();
        is_tls_ = settings.tls.has_value();
        server_ =
            HttpServer::start(std::move(settings), test_routes(feed_), log_, counters_).take();
    }
    std::string url(const std::string& target) const {
        return fmt::format("{}://127.0.0.1:{}{}", is_tls_ ? "https" : "http", server_->port(),
                           target);
    }
    std::int64_t refused(const std::string& reason) const {
        return counters_.value(
            fmt::format("tapir_http_refused_total{{server=\"http\",reason=\"{}\"}}", reason));
    }
    std::unique_ptr<ByteStream> connect() const {
        return connect_stream(Endpoint::ip(PeerAddress::parse("127.0.0.1", server_->port()).take()),
                              5s)
            .take();
    }
    // What comes back on a plain connection for octets of our own, to the end.
    std::string raw(const std::string& octets) const {
        const auto stream = connect();
        static_cast<void>(stream->write(as_bytes(octets)));
        std::string out;
        Bytes buffer(1000);
        for (;;) {
            const auto count = stream->read(buffer);
            if (!count || *count == 0) {
                return out;
            }
            out += as_text(ByteView(buffer).first(*count));
        }
    }
    Log log_ = Log::to_nowhere();
    Counters counters_;
    Feed feed_;
    bool is_tls_ = false;
    std::unique_ptr<HttpServer> server_;
    std::unique_ptr<HttpClient> client_ = open_http_client({}).take();
};

TEST_F(Http, CarriesFieldsAndBodyExactlyAsSent) {
    serve();
    const auto got = client_->send({.method = "POST",
                                    .url = url("/reflect?a=%20b"),
                                    .fields = {{"X-One", "1"}, {"x-ONE", "two  words"}, {"E", ""}},
                                    .body = to_bytes(std::string("a\0b\r\n", 5))});
    ASSERT_TRUE(got) << got.error().what();
    EXPECT_EQ(got->status, 200);
    EXPECT_EQ(as_text(got->body),
              fmt::format("POST /reflect?a=%20b client=\nHost=127.0.0.1:{}\nX-One=1\n"
                          "x-ONE=two  words\nE=\nContent-Length=5\n",
                          server_->port()) +
                  std::string("a\0b\r\n", 5));
    EXPECT_EQ(got->fields.find("content-type"), "text/plain; charset=utf-8");
    EXPECT_EQ(counters_.value("tapir_http_responses_total{server=\"http\",code=\"200\"}"), 1);
}

TEST_F(Http, KeepsTheOrderOfFieldsAlsoWhereNamesRepeat) {
    serve();
    const auto got =
        raw("GET /reflect HTTP/1.1\r\nA: 1\r\nB: 2\r\na:  3 \r\nConnection: close\r\n\r\n");
    EXPECT_NE(got.find("A=1\nB=2\na=3\nConnection=close\n"), std::string::npos) << got;
}

TEST_F(Http, FindsRoutesByPathMethodAndPrefix) {
    serve();
    const auto status = [&](const char* method, const char* target) {
        return client_->send({.method = method, .url = url(target)})->status;
    };
    EXPECT_EQ(status("GET", "/reflect"), 200);
    EXPECT_EQ(status("GET", "/reflect/"), 404);
    EXPECT_EQ(status("PUT", "/reflect"), 405);
    EXPECT_EQ(status("GET", "/under/a/b"), 200);
    EXPECT_EQ(status("GET", "/"), 404);
}

TEST_F(Http, ServesManyRequestsOnOneConnectionAndManyConnections) {
    serve();
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < 25; ++i) {
                    const auto got = client_->send({.url = url("/reflect")});
                    ASSERT_TRUE(got) << got.error().what();
                    ASSERT_EQ(got->status, 200);
                }
            });
        }
    }
    const auto two =
        raw("GET /reflect HTTP/1.1\r\n\r\nGET /reflect HTTP/1.1\r\nConnection: close\r\n\r\n");
    EXPECT_NE(two.find("HTTP/1.1 200 OK", 20), std::string::npos) << two;
}

TEST_F(Http, TakesLargeAndChunkedBodies) {
    serve();
    EXPECT_EQ(as_text(client_
                          ->send({.method = "POST",
                                  .url = url("/large"),
                                  .body = Bytes(8U << 20U, std::byte{1})})
                          ->body),
              std::to_string(8U << 20U));
    EXPECT_NE(raw("POST /large HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                  "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
                  .find("\r\n\r\n5"),
              std::string::npos);
    EXPECT_NE(raw("POST /large HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\n"
                  "Connection: close\r\n\r\n")
                  .find("201 Created"),
              std::string::npos);
}

TEST_F(Http, SaysContinueToWhoWaitsForIt) {
    serve();
    const auto stream = connect();
    ASSERT_TRUE(stream->write(
        as_bytes("POST /large HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")));
    Bytes buffer(1000);
    const auto count = stream->read(buffer);
    ASSERT_TRUE(count);
    EXPECT_EQ(as_text(ByteView(buffer).first(*count)), "HTTP/1.1 100 Continue\r\n\r\n");
    ASSERT_TRUE(stream->write(as_bytes("abc")));
    EXPECT_GT(stream->read(buffer).value(), 0U);
    EXPECT_TRUE(as_text(buffer).starts_with("HTTP/1.1 201 Created"));
}

TEST_F(Http, RefusesBodiesOverTheLimitBeforeReadingThem) {
    serve();
    const auto got = client_->send(
        {.method = "POST", .url = url("/reflect"), .body = Bytes(100'001, std::byte{'x'})});
    ASSERT_TRUE(got) << got.error().what();
    EXPECT_EQ(got->status, 413);
    EXPECT_NE(raw("POST /reflect HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n").find(" 413 "),
              std::string::npos);
    EXPECT_NE(raw("POST /reflect HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n30000\r\n" +
                  std::string(0x30000, 'x'))
                  .find(" 413 "),
              std::string::npos);
    EXPECT_EQ(refused("body_too_large"), 3);
    // A route without a body limit takes no body.
    EXPECT_NE(raw("GET /reflect HTTP/1.1\r\nContent-Length: 1\r\n\r\nx").find(" 413 "),
              std::string::npos);
}

TEST_F(Http, RefusesHeadersOverTheLimitAndGarbage) {
    serve();
    EXPECT_NE(
        raw("GET /reflect HTTP/1.1\r\nA: " + std::string(20'000, 'x') + "\r\n\r\n").find(" 431 "),
        std::string::npos);
    EXPECT_EQ(refused("header_too_large"), 1);
    for (const std::string& garbage :
         {std::string("\x16\x03\x01\x02"
                      "garbage\r\n\r\n"),
          std::string("GET\r\n\r\n"), std::string("GET / HTTP/9.9\r\n\r\n"),
          std::string("GET reflect HTTP/1.1\r\n\r\n"),
          std::string("GET /reflect HTTP/1.1\r\nA b: c\r\n\r\n"),
          std::string("POST /reflect HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
          std::string("POST /reflect HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
          std::string("POST /reflect HTTP/1.1\r\nContent-Length: 3\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")}) {
        const auto before = refused("bad_request");
        EXPECT_NE(raw(garbage).find(" 400 "), std::string::npos) << garbage;
        EXPECT_EQ(refused("bad_request"), before + 1) << garbage;
    }
    EXPECT_EQ(client_->send({.url = url("/reflect")})->status, 200);
}

TEST_F(Http, ClosesConnectionsThatAreTooSlow) {
    serve({.header_time_max = 50ms, .body_time_max = 50ms, .idle_time_max = 50ms});
    EXPECT_EQ(raw(""), "");
    EXPECT_EQ(raw("GET /reflect HTTP/1.1\r\nA:"), "");
    EXPECT_EQ(raw("POST /reflect HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"), "");
    EXPECT_TRUE(world::eventually([&] { return refused("timeout") == 3; }));
}

TEST_F(Http, ClosesConnectionsOverTheLimit) {
    serve({.connections_max = 1});
    const auto first = connect();
    ASSERT_TRUE(first->write(as_bytes("GET /reflect HTTP/1.1\r\n\r\n")));
    Bytes buffer(1000);
    ASSERT_GT(first->read(buffer).value(), 0U);
    EXPECT_EQ(raw("GET /reflect HTTP/1.1\r\n\r\n"), "");
    EXPECT_EQ(refused("connections"), 1);
}

TEST_F(Http, FinishesARequestThatIsBeingAnsweredWhenItStops) {
    std::promise<void> entered;
    std::promise<void> leave;
    HttpRoutes routes;
    routes.add({.path = "/slow", .handle = [&](const HttpRequest&) {
                    entered.set_value();
                    leave.get_future().wait();
                    return HttpResponse::text(200, "done");
                }});
    HttpServerSettings settings;
    settings.listen = Endpoint::parse("127.0.0.1:0").take();
    server_ = HttpServer::start(settings, std::move(routes), log_, counters_).take();
    const auto idle = connect();
    auto answer =
        std::async(std::launch::async, [&] { return client_->send({.url = url("/slow")}); });
    entered.get_future().wait();
    auto stopped = std::async(std::launch::async, [&] { server_->stop(); });
    Bytes buffer(10);
    EXPECT_EQ(idle->read(buffer).value(), 0U);  // the stop has begun
    leave.set_value();
    const auto got = answer.get();
    ASSERT_TRUE(got) << got.error().what();
    EXPECT_EQ(as_text(got->body), "done");
    EXPECT_EQ(got->fields.find("Connection"), "close");
    stopped.get();
    EXPECT_EQ(client_->send({.url = url("/slow")}).error().code(), Code::unavailable);
}

TEST_F(Http, SaysWhenAnAddressIsInUse) {
    serve();
    HttpServerSettings settings;
    settings.listen = Endpoint::ip(PeerAddress::parse("127.0.0.1", server_->port()).take());
    const auto second = HttpServer::start(settings, {}, log_, counters_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), Code::unavailable);
}

// ---- Event streams -----------------------------------------------------------------------------

TEST_F(Http, StreamsEventsInOrderUntilTheServiceClosesThem) {
    serve();
    std::vector<SseEvent> got;
    Cancel cancel;
    bool is_open = false;
    auto end = std::async(std::launch::async, [&] {
        return client_->subscribe(
            {.url = url("/stream"), .fields = {{"Last-Event-ID", "41"}}}, cancel,
            [&](const SseEvent& e) { got.push_back(e); }, {}, [&] { is_open = true; });
    });
    const auto stream = feed_.wait_for(1);
    for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(stream->send(std::to_string(i), "", "line\nline"));
    }
    stream->close();
    EXPECT_FALSE(stream->send("x", "", ""));
    const auto ended = end.get();
    EXPECT_TRUE(ended) << ended.error().what();
    EXPECT_TRUE(is_open);
    ASSERT_EQ(got.size(), 1001U);
    EXPECT_EQ(got.front(), (SseEvent{"", "start", "41"}));
    EXPECT_EQ(got.back(), (SseEvent{"999", "message", "line\nline"}));
}

TEST_F(Http, CancelsASubscriptionFromAnotherThread) {
    serve();
    Cancel cancel;
    auto end = std::async(std::launch::async, [&] {
        return client_->subscribe({.url = url("/stream")}, cancel, [](const SseEvent&) {});
    });
    const auto stream = feed_.wait_for(1);
    cancel.request();
    EXPECT_EQ(end.get().error().code(), Code::unavailable);
    // The server notices without sending.
    EXPECT_TRUE(world::eventually([&] { return !stream->is_open(); }));
}

TEST_F(Http, RefusesASubscriptionWithAStatus) {
    serve();
    const Cancel cancel;
    const auto ignore = [](const SseEvent&) {};
    EXPECT_EQ(client_->subscribe({.url = url("/stream?refuse=1")}, cancel, ignore).error().code(),
              Code::denied);
    EXPECT_EQ(client_->subscribe({.url = url("/none")}, cancel, ignore).error().code(),
              Code::not_found);
    EXPECT_EQ(client_->subscribe({.url = url("/reflect")}, cancel, ignore).error().code(),
              Code::unavailable);
}

TEST_F(Http, KeepsAQuietStreamAliveAndClientsNoticeSilence) {
    serve({.sse_keep_alive = 10ms});
    Cancel cancel;
    std::vector<SseEvent> got;
    auto end = std::async(std::launch::async, [&] {
        return client_->subscribe({.url = url("/stream")}, cancel,
                                  [&](const SseEvent& e) { got.push_back(e); },
                                  {.silence_max = 2000ms}, {});
    });
    const auto stream = feed_.wait_for(1);
    EXPECT_EQ(end.wait_for(300ms), std::future_status::timeout);
    stream->close();
    EXPECT_TRUE(end.get());
    EXPECT_EQ(got.size(), 1U);

    serve({.sse_keep_alive = 60s});
    const auto silent = client_->subscribe({.url = url("/stream")}, cancel, [](const SseEvent&) {},
                                           {.silence_max = 50ms}, {});
    ASSERT_FALSE(silent);
    EXPECT_EQ(silent.error().code(), Code::unavailable);
}

TEST_F(Http, ClosesAndCountsASlowSubscriber) {
    serve({.sse_queue_size_max = 100'000});
    const auto slow = connect();
    ASSERT_TRUE(slow->write(as_bytes("GET /stream HTTP/1.1\r\n\r\n")));
    const auto stream = feed_.wait_for(1);
    const std::string data(10'000, 'x');
    // Until kernel and queue are full.
    ASSERT_TRUE(world::eventually([&] { return !stream->send("", "", data); }));
    EXPECT_FALSE(stream->is_open());
    EXPECT_EQ(refused("sse_slow"), 1);
    Bytes buffer(100'000);
    for (auto count = slow->read(buffer); count && *count > 0; count = slow->read(buffer)) {
    }
}

TEST_F(Http, EndsStreamsWhenItStopsAndTheyMayOutliveIt) {
    serve();
    const Cancel cancel;
    auto end = std::async(std::launch::async, [&] {
        return client_->subscribe({.url = url("/stream")}, cancel, [](const SseEvent&) {});
    });
    const auto stream = feed_.wait_for(1);
    std::atomic<bool> is_over{false};
    std::jthread sender([&] {
        while (!is_over.load()) {
            stream->send("1", "", "x");
            std::this_thread::yield();
        }
    });
    server_.reset();
    is_over.store(true);
    sender.join();
    static_cast<void>(end.get());
    EXPECT_FALSE(stream->send("1", "", "x"));
    EXPECT_FALSE(stream->is_open());
}

// ---- TLS ---------------------------------------------------------------------------------------

class Https : public Http {
protected:
    Https() {
        ca_.write(folder_ / "ca.pem");
        ca_.issue("127.0.0.1", TestAuthority::Use::server)
            .write(folder_ / "server.pem", folder_ / "server.key");
        ca_.issue("edge-1", TestAuthority::Use::client)
            .write(folder_ / "edge.pem", folder_ / "edge.key");
        other_ca_.write(folder_ / "other-ca.pem");
        other_ca_.issue("edge-1", TestAuthority::Use::client)
            .write(folder_ / "other.pem", folder_ / "other.key");
    }
    HttpServerSettings settings(bool with_clients = true) {
        HttpServerSettings out;
        out.tls = {folder_ / "server.pem", folder_ / "server.key",
                   with_clients ? (folder_ / "ca.pem") : ""};
        return out;
    }
    std::unique_ptr<HttpClient> client(const std::string& ca, const std::string& name = {}) {
        HttpClientSettings out;
        out.ca_file = folder_ / ca;
        if (!name.empty()) {
            out.certificate_file = folder_ / name + ".pem";
            out.key_file = folder_ / name + ".key";
        }
        return open_http_client(out).take();
    }
    world::TemporaryFolder folder_;
    TestAuthority ca_ = TestAuthority::create("Test CA");
    TestAuthority other_ca_ = TestAuthority::create("Other CA");
};

TEST_F(Https, ShowsTheHandlerTheVerifiedClientsName) {
    serve(settings());
    const auto got =
        client("ca.pem", "edge")
            ->send(
                {.method = "POST", .url = url("/reflect"), .body = Bytes(90'000, std::byte{'x'})});
    ASSERT_TRUE(got) << got.error().what();
    EXPECT_TRUE(as_text(got->body).starts_with("POST /reflect client=edge-1\n"));
    EXPECT_EQ(got->body.size() > 90'000, true);
}

TEST_F(Https, RefusesClientsWithoutACertificateOfItsAuthority) {
    serve(settings());
    for (const char* name : {"", "other"}) {
        const auto got = client("ca.pem", name)->send({.url = url("/reflect")});
        ASSERT_FALSE(got) << name;
        EXPECT_EQ(got.error().code(), Code::denied) << got.error().what();
    }
    // A server's certificate is not a client's.
    const auto wrong = client("ca.pem", "server")->send({.url = url("/reflect")});
    ASSERT_FALSE(wrong);
    // A client may hear of the refusal before the server has counted it.
    EXPECT_TRUE(world::eventually([&] { return refused("tls") == 3; }));
    EXPECT_EQ(counters_.value("tapir_http_responses_total{server=\"http\",code=\"200\"}"), 0);
}

TEST_F(Https, ClientRefusesServersThatItDoesNotBelieve) {
    serve(settings(false));
    EXPECT_EQ(client("other-ca.pem")->send({.url = url("/reflect")}).error().code(), Code::denied);
    EXPECT_EQ(client_->send({.url = url("/reflect")}).error().code(), Code::denied);
    const auto got = client("ca.pem")->send({.url = url("/reflect")});
    ASSERT_TRUE(got) << got.error().what();
    EXPECT_TRUE(as_text(got->body).starts_with("GET /reflect client=\n"));
    // The right authority and purpose, the wrong name.
    ca_.issue("core.example", TestAuthority::Use::other_server)
        .write(folder_ / "server.pem", folder_ / "server.key");
    ASSERT_TRUE(server_->reload_certificates());
    const auto misled = client("ca.pem")->send({.url = url("/reflect")});
    ASSERT_FALSE(misled) << "believed a certificate of another name";
    EXPECT_EQ(misled.error().code(), Code::denied) << misled.error().what();
}

TEST_F(Https, ReloadsCertificatesAndKeepsTheOldOnesOnAnError) {
    serve(settings());
    other_ca_.issue("127.0.0.1", TestAuthority::Use::server)
        .write(folder_ / "server.pem", folder_ / "server.key");
    ASSERT_TRUE(server_->reload_certificates());
    EXPECT_TRUE(client("other-ca.pem", "edge")->send({.url = url("/reflect")}));
    ::unlink((folder_ / "server.key").c_str());
    EXPECT_EQ(server_->reload_certificates().error().code(), Code::not_found);
    EXPECT_TRUE(client("other-ca.pem", "edge")->send({.url = url("/reflect")}));
}

TEST_F(Https, ReportsBadFilesAtTheStart) {
    auto bad = settings();
    bad.listen = Endpoint::parse("127.0.0.1:0").take();
    bad.tls->key_file = folder_ / "edge.key";
    EXPECT_EQ(HttpServer::start(bad, {}, log_, counters_).error().code(), Code::invalid);
    bad.tls->key_file = folder_ / "none.key";
    const auto none = HttpServer::start(bad, {}, log_, counters_);
    EXPECT_EQ(none.error().code(), Code::not_found);
    EXPECT_TRUE(none.error().what().starts_with(folder_ / "none.key")) << none.error().what();
    EXPECT_EQ(open_http_client({.ca_file = folder_ / "none.pem"}).error().code(), Code::not_found);
}

TEST_F(Https, CountsGarbageAndPlainHttpAsTls) {
    serve(settings());
    raw("GET /reflect HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(world::eventually([&] { return refused("tls") == 1; }));
}

TEST_F(Https, StreamsEventsAndEndsThemCleanly) {
    serve(settings());
    const auto edge = client("ca.pem", "edge");
    std::vector<SseEvent> got;
    const Cancel cancel;
    auto end = std::async(std::launch::async, [&] {
        return edge->subscribe({.url = url("/stream")}, cancel,
                               [&](const SseEvent& e) { got.push_back(e); });
    });
    const auto stream = feed_.wait_for(1);
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(stream->send(std::to_string(i), "", std::string(1000, 'x')));
    }
    stream->close();
    const auto ended = end.get();
    EXPECT_TRUE(ended) << ended.error().what();
    EXPECT_EQ(got.size(), 101U);
}

TEST_F(Https, CancelsAndStopsStreamsToo) {
    serve(settings());
    const auto edge = client("ca.pem", "edge");
    Cancel cancel;
    const auto subscribe = [&] {
        return edge->subscribe({.url = url("/stream")}, cancel, [](const SseEvent&) {});
    };
    auto stopped = std::async(std::launch::async, subscribe);
    const auto first = feed_.wait_for(1);
    server_->stop();
    EXPECT_TRUE(stopped.get());
    serve(settings());
    auto cancelled = std::async(std::launch::async, subscribe);
    const auto second = feed_.wait_for(2);
    cancel.request();
    EXPECT_FALSE(cancelled.get());
    EXPECT_TRUE(world::eventually([&] { return !second->is_open(); }));
}

// ---- The client
// ----------------------------------------------------------------------------------

TEST_F(Http, ClientLimitsTheAnswerAndTheTime) {
    serve();
    const auto large = client_->send(
        {.method = "POST", .url = url("/reflect"), .body = Bytes(1000), .answer_size_max = 999});
    EXPECT_EQ(large.error().code(), Code::exhausted);
    const auto slow = client_->send({.url = url("/stream"), .time_max = 50ms});
    EXPECT_EQ(slow.error().code(), Code::unavailable);
    Cancel cancel;
    auto cancelled = std::async(std::launch::async,
                                [&] { return client_->send({.url = url("/stream")}, &cancel); });
    static_cast<void>(feed_.wait_for(2));
    cancel.request();
    EXPECT_EQ(cancelled.get().error().code(), Code::unavailable);
}

TEST_F(Http, ClientRefusesWhatIsNoCall) {
    serve();
    const auto code = [&](const HttpCall& call) { return client_->send(call).error().code(); };
    EXPECT_EQ(code({.url = "ftp://127.0.0.1/"}), Code::invalid);
    EXPECT_EQ(code({.url = "not a url"}), Code::invalid);
    EXPECT_EQ(code({.method = "GET /x HTTP/1.1\r\n", .url = url("/reflect")}), Code::invalid);
    EXPECT_EQ(code({.url = url("/reflect"), .fields = {{"A", "b\r\nC: d"}}}), Code::invalid);
    EXPECT_EQ(code({.url = url("/reflect"), .fields = {{"A b", "c"}}}), Code::invalid);
    EXPECT_EQ(code({.url = "http://127.0.0.1:1/"}), Code::unavailable);
}

TEST(HttpFields, FindsByNameWithoutCase) {
    const HttpFields fields{{"A", "1"}, {"b", "2"}, {"a", "3"}};
    EXPECT_EQ(fields.find("a"), "1");
    EXPECT_EQ(fields.all("A"), (std::vector<std::string_view>{"1", "3"}));
    EXPECT_EQ(fields.find("c"), std::nullopt);
}

TEST(HttpRequest, DecodesParameters) {
    HttpRequest request;
    set_target(request, "/x?a=1&b=%41+%2f&c&d=%4&=e");
    EXPECT_EQ(request.path, "/x");
    EXPECT_EQ(request.parameter("a"), "1");
    EXPECT_EQ(request.parameter("b"), "A /");
    EXPECT_EQ(request.parameter("c"), "");
    EXPECT_EQ(request.parameter("d"), std::nullopt);
    EXPECT_EQ(request.parameter("x"), std::nullopt);
}

TEST(MemoryHttpClient, AsksTheSameRoutesWithoutSockets) {
    Feed feed;
    const HttpRoutes routes = test_routes(feed);
    const auto client = open_memory_http_client(routes, "edge-1");
    const auto got = client->send(
        {.method = "POST", .url = "https://core/reflect?x=1", .body = to_bytes("hello")});
    ASSERT_TRUE(got);
    EXPECT_EQ(as_text(got->body),
              "POST /reflect?x=1 client=edge-1\nHost=core\nContent-Length=5\nhello");
    EXPECT_EQ(
        client->send({.method = "POST", .url = "https://core/reflect", .body = Bytes(100'001)})
            ->status,
        413);
    std::vector<SseEvent> events;
    const Cancel cancel;
    auto end = std::async(std::launch::async, [&] {
        return client->subscribe({.url = "https://core/stream"}, cancel,
                                 [&](const SseEvent& e) { events.push_back(e); });
    });
    const auto stream = feed.wait_for(1);
    stream->send("1", "", "x");
    stream->close();
    EXPECT_TRUE(end.get());
    EXPECT_EQ(events, (std::vector<SseEvent>{{"", "start", "none"}, {"1", "message", "x"}}));
    EXPECT_EQ(
        client->subscribe({.url = "https://core/stream?refuse=1"}, cancel, [](const SseEvent&) {})
            .error()
            .code(),
        Code::denied);
}

}  // namespace
}  // namespace tapir::net
