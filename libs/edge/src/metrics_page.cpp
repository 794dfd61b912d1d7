#include "metrics_page.hpp"

#include <utility>

#include "tapir/net/http_server.hpp"

namespace tapir::edge {
namespace {

class HttpPage final : public MetricsPage {
public:
    explicit HttpPage(std::unique_ptr<net::HttpServer> server) : server_(std::move(server)) {}

private:
    std::unique_ptr<net::HttpServer> server_;
};

}  // namespace

Result<std::unique_ptr<MetricsPage>> MetricsPage::open(const std::string& endpoint, const Log& log,
                                                       Counters& counters) {
    net::HttpServerSettings settings;
    settings.name = "metrics";
    settings.listen = TRY(net::Endpoint::parse(endpoint));
    settings.threads = 1;
    net::HttpRoutes routes;
    net::HttpRoute route;
    route.path = "/metrics";
    route.handle = [&counters](const net::HttpRequest&) {
        return net::HttpResponse::text(200, counters.to_prometheus(),
                                       "text/plain; version=0.0.4; charset=utf-8");
    };
    routes.add(std::move(route));
    auto server =
        TRY(net::HttpServer::start(std::move(settings), std::move(routes), log, counters));
    return std::unique_ptr<MetricsPage>(std::make_unique<HttpPage>(std::move(server)));
}

}  // namespace tapir::edge
