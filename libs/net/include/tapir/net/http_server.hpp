// An HTTP/1.1 server over TCP, with or without TLS 1.3 and client certificates.
//
//     auto server = TRY(HttpServer::start({.listen = TRY(Endpoint::parse("127.0.0.1:8443")),
//                                          .tls = tls}, std::move(routes), log, counters));
//     ...
//     server->stop();      // no new requests; those being answered are finished
//
// Handlers run on `threads` worker threads, sockets on one more. Refused input is counted in
// tapir_http_refused_total by reason: bad_request, header_too_large, body_too_large, tls, timeout,
// connections, sse_slow. Answers are counted in tapir_http_responses_total by code. Both have the
// label `server` = settings.name. `log` and `counters` must outlive the server.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/net/address.hpp"
#include "tapir/net/http.hpp"
#include "tapir/net/tls.hpp"

namespace tapir::net {

struct HttpServerSettings {
    std::string name = "http";  // in counters and log
    Endpoint listen = Endpoint::ip({});
    std::optional<TlsServerSettings> tls{};  // nothing: plain HTTP, for loopback
    std::size_t threads = 2;
    std::size_t connections_max = 256;                  // more are closed at once
    std::chrono::milliseconds header_time_max{10'000};  // TLS handshake and request header, each
    std::chrono::milliseconds body_time_max{60'000};    // and for writing a response
    std::chrono::milliseconds idle_time_max{60'000};    // between requests
    std::chrono::milliseconds sse_keep_alive{15'000};   // a comment line when nothing else is sent
    std::size_t sse_queue_size_max = 4U << 20U;         // octets a subscriber may be behind
    std::chrono::milliseconds drain_time_max{5'000};    // stop() waits this long for answers
};

class HttpServer {
public:
    // Listens when it returns. unavailable: the address is in use; not_found, denied, invalid: the
    // certificate files.
    static Result<std::unique_ptr<HttpServer>> start(HttpServerSettings settings, HttpRoutes routes,
                                                     const Log& log, Counters& counters);
    virtual ~HttpServer() = default;  // stops

    // The port listened on (of use when port 0 was asked for).
    virtual std::uint16_t port() const = 0;
    // Reads the certificate files again, for connections from now on. On an error the old ones
    // stay.
    virtual Result<void> reload_certificates() = 0;
    // Ends event streams, finishes requests that are being answered, closes. Again: does nothing.
    virtual void stop() = 0;

protected:
    HttpServer() = default;
    HttpServer(const HttpServer&) = default;
    HttpServer& operator=(const HttpServer&) = default;
};

}  // namespace tapir::net
