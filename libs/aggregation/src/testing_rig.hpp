// An aggregator with small tables, reached as sites reach it: for tests and the fuzzer.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "tapir/aggregation/aggregator.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/net/http_client.hpp"

namespace tapir::aggregation::testing {

struct AggregatorRig {
    AggregatorRig(const AggregatorSettings& settings, std::int64_t now_s)
        : clock(UtcTime::from_seconds(now_s)),
          aggregator(settings, {clock, chance, log, counters}) {
        aggregator.add_routes(routes);
    }

    net::HttpResponse send(const std::string& site, Bytes body,
                           std::string_view type = sightings_type) {
        const auto client = net::open_memory_http_client(routes, site);
        net::HttpCall call;
        call.method = "POST";
        call.url = "http://aggregator.invalid" + std::string(sightings_path);
        call.fields.add("Content-Type", type);
        call.body = std::move(body);
        auto answer = client->send(call, nullptr);
        TAPIR_ASSERT(answer.has_value());  // in memory there is always one
        return *std::move(answer);
    }

    world::ManualClock clock;
    world::SeededChance chance{3};
    Log log = Log::to_nowhere();
    Counters counters;
    net::HttpRoutes routes;
    Aggregator aggregator;
};

}  // namespace tapir::aggregation::testing
