// Inside of the HTTP server: one connection, over TCP or TLS. Only http_server.cpp and
// http_connection.cpp see Beast.
//
// All of a connection happens on the thread of the io_context, except that handlers run in the pool
// and event streams are written to by anybody. So nothing of it is locked but SseQueue.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "tapir/net/http_server.hpp"

namespace tapir::net {

namespace asio = boost::asio;

struct HttpCounters {
    HttpCounters(Counters& all, const std::string& server);
    Counter& response(int status) const;
    Counter& refused(const char* reason) const;

    Counters& counters;
    std::string server;
    Counter& bad_request;
    Counter& header_too_large;
    Counter& body_too_large;
    Counter& tls;
    Counter& timeout;
    Counter& connections;
    Counter& sse_slow;
};

class HttpConnection;

// What the connections of one server share. Outlives them.
struct HttpShared {
    HttpShared(HttpServerSettings s, HttpRoutes r, const Log& l, Counters& c)
        : settings(std::move(s)),
          routes(std::move(r)),
          log(l),
          counters(c, settings.name),
          pool(settings.threads) {}

    HttpServerSettings settings;
    HttpRoutes routes;
    const Log& log;
    HttpCounters counters;
    // Called once when a connection is gone, on whatever thread that happens. Before io,
    // which at its end still destroys connections.
    std::function<void(HttpConnection*)> on_end;
    asio::io_context io{1};
    asio::thread_pool pool;
    std::atomic<bool> is_stopping{false};
};

// The events that wait for one subscriber. It may outlive connection and server: then it is closed.
class SseQueue final : public SseStream {
public:
    SseQueue(std::size_t size_max, Counter& slow) : size_max_(size_max), slow_(slow) {}

    bool send(std::string_view id, std::string_view event, std::string_view data) override;
    bool is_open() const override;
    void close() override;

    // From now on `wake` is called (under the lock, so it must only post) when there is something
    // to do; end() ends that, and when it returns no call is running.
    void begin(std::function<void()> wake);
    void end();

    struct Taken {
        std::string octets;
        bool is_last = false;
        bool is_slow = false;  // the queue was full: do not write the rest
    };
    Taken take();
    // What take() gave has been written.
    void written();

private:
    void wake_locked();

    const std::size_t size_max_;
    Counter& slow_;
    mutable std::mutex mutex_;
    std::function<void()> wake_;
    std::string octets_;
    std::size_t in_flight_ = 0;
    bool is_open_ = true;
    bool is_slow_ = false;
};

class HttpConnection {
public:
    virtual ~HttpConnection() = default;
    virtual void start() = 0;
    // The server stops: ends when idle, or after the answer that is being made.
    virtual void finish() = 0;
    // From outside, when the io_context runs no more: nothing may post to it after this.
    virtual void detach() = 0;
};

std::shared_ptr<HttpConnection> new_http_connection(HttpShared& shared,
                                                    asio::ip::tcp::socket socket,
                                                    std::shared_ptr<asio::ssl::context> tls);

}  // namespace tapir::net
