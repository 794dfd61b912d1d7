#include <algorithm>
#include <condition_variable>
#include <map>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "http_connection.hpp"
#include "tapir/base/guarded.hpp"

namespace tapir::net {

namespace {

using asio::ip::tcp;
using ErrorCode = boost::system::error_code;
using TlsContext = std::shared_ptr<asio::ssl::context>;

Failure<Error> fail_tls(const std::string& path, const ErrorCode& error) {
    ERR_clear_error();
    const bool is_absent = error.message().find("No such file") != std::string::npos;
    return fail(is_absent ? Code::not_found : Code::invalid,
                fmt::format("{}: {}", path, error.message()));
}

Result<TlsContext> load_tls(const TlsServerSettings& settings) {
    ErrorCode error;
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
    SSL_CTX* raw = context->native_handle();
    SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION);
    // Without tickets each connection shows its certificate, checked against the present CA.
    SSL_CTX_set_num_tickets(raw, 0);
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(raw, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    (void)context->use_certificate_chain_file(settings.certificate_file, error);
    if (error) {
        return fail_tls(settings.certificate_file, error);
    }
    (void)context->use_private_key_file(settings.key_file, asio::ssl::context::pem, error);
    if (error) {
        return fail_tls(settings.key_file, error);
    }
    if (!settings.client_ca_file.empty()) {
        (void)context->load_verify_file(settings.client_ca_file, error);
        if (error) {
            return fail_tls(settings.client_ca_file, error);
        }
        (void)context->set_verify_mode(
            asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert, error);
        if (error) {
            return fail_tls(settings.client_ca_file, error);
        }
    }
    return context;
}

class BeastServer final : public HttpServer {
public:
    BeastServer(HttpServerSettings settings, HttpRoutes routes, const Log& log, Counters& counters,
                TlsContext tls)
        : shared_(std::move(settings), std::move(routes), log, counters),
          tls_(std::move(tls)),
          work_(shared_.io.get_executor()),
          acceptor_(shared_.io),
          retry_(shared_.io) {
        shared_.on_end = [this](HttpConnection* gone) { forget(gone); };
    }
    BeastServer(const BeastServer&) = delete;
    BeastServer& operator=(const BeastServer&) = delete;
    // NOLINTNEXTLINE(bugprone-exception-escape): no memory to stop with is the end in any case
    ~BeastServer() override { stop(); }

    Result<void> listen() {
        const Endpoint& at = shared_.settings.listen;
        ErrorCode error;
        const tcp::endpoint endpoint(asio::ip::make_address(at.address().ip(), error), at.port());
        if (at.is_unix() || error) {
            return fail(Code::invalid, at.to_string() + ": expected ADDRESS:PORT");
        }
        (void)acceptor_.open(endpoint.protocol(), error);
        if (!error) {
            (void)acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
            (void)acceptor_.bind(endpoint, error);
        }
        if (!error) {
            (void)acceptor_.listen(asio::socket_base::max_listen_connections, error);
        }
        if (error) {
            const bool is_denied = error == asio::error::access_denied;
            return fail(is_denied ? Code::denied : Code::unavailable,
                        fmt::format("{}: {}", at.to_string(), error.message()));
        }
        port_ = acceptor_.local_endpoint(error).port();
        accept();
        io_thread_ = std::thread([this] { shared_.io.run(); });
        return {};
    }

    std::uint16_t port() const override { return port_; }

    Result<void> reload_certificates() override {
        if (!shared_.settings.tls) {
            return {};
        }
        TlsContext fresh = TRY(load_tls(*shared_.settings.tls));
        tls_.with([&](TlsContext& tls) { tls = std::move(fresh); });
        return {};
    }

    void stop() override {
        std::call_once(stopped_, [this] { stop_once(); });
    }

private:
    void accept() {
        acceptor_.async_accept([this](const ErrorCode& error, tcp::socket socket) {
            if (error == asio::error::operation_aborted) {
                return;
            }
            if (!error) {
                take(std::move(socket));
                accept();
                return;
            }
            // Out of descriptors, as a rule: again when one may have become free.
            retry_.expires_after(std::chrono::milliseconds(100));
            retry_.async_wait([this](const ErrorCode& cancelled) {
                if (!cancelled) {
                    accept();
                }
            });
        });
    }

    void take(tcp::socket socket) {
        const bool is_full = live_.with(
            [&](const auto& live) { return live.size() >= shared_.settings.connections_max; });
        if (is_full) {
            shared_.counters.connections.add();
            shared_.log.warn("net", "too many connections", {{"server", shared_.settings.name}});
            return;
        }
        const TlsContext tls = tls_.with([](const TlsContext& now) { return now; });
        const auto connection = new_http_connection(shared_, std::move(socket), tls);
        live_.with([&](auto& live) { live.emplace(connection.get(), connection); });
        connection->start();
    }

    void forget(HttpConnection* gone) {
        live_.with([&](auto& live) { live.erase(gone); });
        // The lock, even if nothing is under it, keeps the call from falling between the look and
        // the sleep of drain().
        {
            const std::lock_guard lock(drain_mutex_);
        }
        drained_.notify_all();
    }

    std::vector<std::shared_ptr<HttpConnection>> all() {
        return live_.with([](const auto& live) {
            std::vector<std::shared_ptr<HttpConnection>> out;
            for (const auto& [raw, weak] : live) {
                if (auto connection = weak.lock()) {
                    out.push_back(std::move(connection));
                }
            }
            return out;
        });
    }

    void drain() {
        std::unique_lock lock(drain_mutex_);
        drained_.wait_for(lock, shared_.settings.drain_time_max, [this] {
            return live_.with([](const auto& live) { return live.empty(); });
        });
    }

    void stop_once() {
        shared_.is_stopping.store(true);
        if (io_thread_.joinable()) {
            asio::post(shared_.io, [this] {
                ErrorCode ignored;
                (void)acceptor_.close(ignored);
                retry_.cancel();
                for (const auto& connection : all()) {
                    connection->finish();
                }
            });
            drain();
        }
        // Handlers that run now are waited for: they use what our owner is about to destroy.
        shared_.pool.join();
        shared_.io.stop();
        if (io_thread_.joinable()) {
            io_thread_.join();
        }
        // From here on streams that services still hold must not post to an io_context that goes.
        for (const auto& connection : all()) {
            connection->detach();
        }
    }

    // Before shared_, whose io_context still destroys connections, which call forget().
    Guarded<std::map<HttpConnection*, std::weak_ptr<HttpConnection>>> live_;
    std::mutex drain_mutex_;
    std::condition_variable drained_;
    HttpShared shared_;
    Guarded<TlsContext> tls_;
    // While handlers run in the pool nothing may be under way here, and yet it must go on.
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    tcp::acceptor acceptor_;
    asio::steady_timer retry_;
    std::uint16_t port_ = 0;
    std::once_flag stopped_;
    std::thread io_thread_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpServerSettings settings,
                                                      HttpRoutes routes, const Log& log,
                                                      Counters& counters) {
    TlsContext tls;
    if (settings.tls) {
        tls = TRY(load_tls(*settings.tls));
    }
    auto server = std::make_unique<BeastServer>(std::move(settings), std::move(routes), log,
                                                counters, std::move(tls));
    TRY(server->listen());
    return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace tapir::net
