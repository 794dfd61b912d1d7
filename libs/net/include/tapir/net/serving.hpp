// What each daemon serves in the same way, by its settings.
//
//     server.listen = TRY(endpoint_of(settings, "listen"));
//     const auto metrics = TRY(serve_metrics(settings, log, counters));   // while it lives
#pragma once

#include <memory>
#include <string_view>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/net/address.hpp"
#include "tapir/net/http_server.hpp"
#include "tapir/text/settings.hpp"

namespace tapir::net {

// ADDRESS:PORT of an IP address; what else it says is refused with its place.
Result<Endpoint> endpoint_of(const text::Settings& settings, std::string_view key);

// All counters in the text format of Prometheus, version 0.0.4.
HttpResponse metrics_response(const Counters& counters);

// /metrics on `metrics.listen`; null where that is empty.
Result<std::unique_ptr<HttpServer>> serve_metrics(const text::Settings& settings, const Log& log,
                                                  Counters& counters);

}  // namespace tapir::net
