// An HTTP(S) client: single requests and streams of server-sent events.
//
//     auto client = TRY(open_http_client(
//         {.ca_file = ca, .certificate_file = cert, .key_file = key}));
//     const auto answer = TRY(client->send({.method = "POST", .url = url, .body = body}));
//
//     Cancel cancel;                                    // another thread: cancel.request()
//     const Result<void> end = client->subscribe({.url = url, .fields = {{"Last-Event-ID", id}}},
//                                                cancel, [&](const SseEvent& e) { ... });
//
// TLS 1.3 at least, the server's name verified, no redirects, no proxies (not even from the
// environment), no cookies. An answer with an error status is an answer, not an Error. Errors:
// unavailable (no connection, no answer in time, cancelled), denied (certificate), exhausted
// (answer larger than asked for), invalid (URL or settings). Threads may share a client.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/net/http.hpp"
#include "tapir/net/sse.hpp"

namespace tapir::net {

// A wish to stop, that a blocking call is waiting for too. Once requested it stays so.
class Cancel {
public:
    Cancel();
    ~Cancel();
    Cancel(const Cancel&) = delete;
    Cancel& operator=(const Cancel&) = delete;

    void request();
    bool requested() const { return is_requested_.load(); }
    // Readable once requested; for poll(2) only. -1 where the system had none left: then calls
    // notice within a second.
    int fd() const { return fd_; }

private:
    int fd_;
    std::atomic<bool> is_requested_{false};
};

// Paths of PEM files; empty: none. For http:// URLs none are needed.
struct HttpClientSettings {
    std::string ca_file{};           // whom to believe; empty: nobody, https fails
    std::string certificate_file{};  // ours
    std::string key_file{};
    std::chrono::milliseconds connect_time_max{5'000};
};

struct HttpCall {
    std::string method = "GET";
    std::string url{};
    HttpFields fields{};  // sent in this order, after Host; Content-Length is added
    Bytes body{};
    std::chrono::milliseconds time_max{
        30'000};                               // of the whole call; for subscribe: until the header
    std::size_t answer_size_max = 64U << 20U;  // octets of body
};

class HttpClient {
public:
    virtual ~HttpClient() = default;

    // `cancel` may be null.
    virtual Result<HttpResponse> send(const HttpCall& call, const Cancel* cancel = nullptr) = 0;

    // Reads events until the server ends the stream (success), `cancel` is requested or
    // `silence_max` passes without an octet (both `unavailable`). `on_event` runs in this thread.
    // A status other than 200: `denied` for 401 and 403, `not_found` for 404, else `unavailable`,
    // with the status in the text. `on_open` (may be empty) is called when the stream has begun.
    struct StreamLimits {
        std::chrono::milliseconds silence_max{60'000};
        SseLimits sse{};
    };
    virtual Result<void> subscribe(const HttpCall& call, const Cancel& cancel,
                                   const std::function<void(const SseEvent&)>& on_event,
                                   const StreamLimits& limits,
                                   const std::function<void()>& on_open) = 0;
    Result<void> subscribe(const HttpCall& call, const Cancel& cancel,
                           const std::function<void(const SseEvent&)>& on_event) {
        return subscribe(call, cancel, on_event, StreamLimits{}, {});
    }
};

// The files are read now (so that errors come at the start) and again for each connection.
Result<std::unique_ptr<HttpClient>> open_http_client(HttpClientSettings settings);

// What a server gets of a call, with the client's name as if from a certificate: for clients that
// are no sockets.
Result<HttpRequest> request_of(const HttpCall& call, std::string_view client_name);

// Asks routes in the same process, with the client's name as if from a certificate: for tests and
// the simulator. Streams work as long as the routes' handlers send from other threads, or before
// they return.
std::unique_ptr<HttpClient> open_memory_http_client(const HttpRoutes& routes,
                                                    std::string client_name);

}  // namespace tapir::net
