#include "metrics_page.hpp"

#include <utility>

#include "gauges.hpp"
#include "tapir/net/http_server.hpp"
#include "tapir/net/serving.hpp"
#include "tapir/net/stream.hpp"

namespace tapir::edge {
namespace {

constexpr std::size_t readers_max = 8;  // of the socket at once

class HttpPage final : public MetricsPage {
public:
    explicit HttpPage(std::unique_ptr<net::HttpServer> server) : server_(std::move(server)) {}

private:
    std::unique_ptr<net::HttpServer> server_;
};

class UnixSocket final : public StatusSocket {
public:
    explicit UnixSocket(std::unique_ptr<net::StreamServer> server) : server_(std::move(server)) {}

private:
    std::unique_ptr<net::StreamServer> server_;
};

}  // namespace

Result<std::unique_ptr<MetricsPage>> MetricsPage::open(const std::string& endpoint, const Log& log,
                                                       Counters& counters, StatusText status) {
    net::HttpServerSettings settings;
    settings.name = "metrics";
    settings.listen = TRY(net::Endpoint::parse(endpoint));
    settings.threads = 1;
    net::HttpRoutes routes;
    net::HttpRoute metrics;
    metrics.path = "/metrics";
    metrics.handle = [&counters](const net::HttpRequest&) {
        show_process(counters);
        return net::metrics_response(counters);
    };
    routes.add(std::move(metrics));
    net::HttpRoute state;
    state.path = "/status";
    state.handle = [status = std::move(status)](const net::HttpRequest&) {
        return net::HttpResponse::text(200, status() + "\n", "application/json");
    };
    routes.add(std::move(state));
    auto server =
        TRY(net::HttpServer::start(std::move(settings), std::move(routes), log, counters));
    return std::unique_ptr<MetricsPage>(std::make_unique<HttpPage>(std::move(server)));
}

Result<std::unique_ptr<StatusSocket>> StatusSocket::open(const std::string& path, const Log& log,
                                                         Counters& counters, StatusText status) {
    net::StreamServerSettings settings;
    settings.name = "status";
    settings.listen = net::Endpoint::unix_socket(path);
    settings.connections_max = readers_max;
    const auto say = [status = std::move(status)](net::ByteStream& stream) {
        const std::string text = status() + "\n";
        static_cast<void>(stream.write(as_bytes(text)));  // who went away need not hear it
    };
    auto server = TRY(net::StreamServer::start(settings, say, log, counters));
    return std::unique_ptr<StatusSocket>(std::make_unique<UnixSocket>(std::move(server)));
}

}  // namespace tapir::edge
