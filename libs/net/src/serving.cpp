#include "tapir/net/serving.hpp"

#include <string>
#include <utility>

namespace tapir::net {
namespace {

constexpr std::size_t readers_max = 32;  // of the counters at once

}  // namespace

Result<Endpoint> endpoint_of(const text::Settings& settings, std::string_view key) {
    const std::string& text = settings.string(key);
    auto parsed = Endpoint::parse(text);
    if (!parsed || parsed->is_unix()) {
        return settings.refuse(key, "ADDRESS:PORT", text);
    }
    return parsed;
}

HttpResponse metrics_response(const Counters& counters) {
    return HttpResponse::text(200, counters.to_prometheus(),
                              "text/plain; version=0.0.4; charset=utf-8");
}

Result<std::unique_ptr<HttpServer>> serve_metrics(const text::Settings& settings, const Log& log,
                                                  Counters& counters) {
    if (settings.string("metrics.listen").empty()) {
        return std::unique_ptr<HttpServer>();
    }
    HttpServerSettings server;
    server.name = "metrics";
    server.listen = TRY(endpoint_of(settings, "metrics.listen"));
    server.threads = 1;
    server.connections_max = readers_max;
    HttpRoutes routes;
    HttpRoute page;
    page.path = "/metrics";
    page.handle = [&counters](const HttpRequest&) { return metrics_response(counters); };
    routes.add(std::move(page));
    auto started = HttpServer::start(std::move(server), std::move(routes), log, counters);
    if (!started) {
        return settings.refuse("metrics.listen", "a free address and port", started.error().what());
    }
    return started;
}

}  // namespace tapir::net
