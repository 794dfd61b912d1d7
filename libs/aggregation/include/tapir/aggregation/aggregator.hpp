// The aggregator as routes on ports that are passed in: a server, a test or a simulator asks them.
//
//     Aggregator aggregator(settings, {clock, chance, log, counters});
//     net::HttpRoutes routes;
//     aggregator.add_routes(routes);             // POST /api/v1/sightings
//     aggregator.tick();                         // each second: the day turns, gauges are shown
//
// A request has one outcome, in tapir_aggregator_posts_total, and each of its records one, in
// tapir_aggregator_records_total. Threads may share it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "tapir/base/counters.hpp"
#include "tapir/base/guarded.hpp"
#include "tapir/base/log.hpp"
#include "tapir/net/http.hpp"
#include "tapir/privacy/group.hpp"
#include "tapir/privacy/table.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"

namespace tapir::aggregation {

inline constexpr std::string_view sightings_path = "/api/v1/sightings";
inline constexpr std::string_view sightings_type = "application/vnd.tapir.sightings";
inline constexpr std::size_t sites_max = 1024;  // that may speak in one minute

struct AggregatorSettings {
    privacy::Profile profile = privacy::Profile::standard;  // not compatible (asserted)
    bool single_site = false;  // waives that clients must come from several networks
    privacy::GroupLimits limits{};
    std::uint32_t records_a_minute_max = 100'000;  // of one site
};

// All must outlive the Aggregator.
struct AggregatorPorts {
    const world::Clock& clock;
    world::Chance& chance;
    const Log& log;
    Counters& counters;
};

// What became of a request. Each value names a counter.
enum class PostOutcome : std::uint8_t {
    counted,
    no_name,     // the certificate has none: 403
    wrong_type,  // 415
    malformed,   // 400; why, is in tapir_aggregator_malformed_total
    threshold,   // one that the profile cannot draw: 400
    profile,     // of another one: 409
    day,         // of another one: 409
    too_many,    // more records than a site may send in a minute: 429
    sites,       // more sites than there may be: 503
};
inline constexpr std::size_t post_outcome_count = 9;
std::string_view to_string(PostOutcome outcome);

class Aggregator {
public:
    Aggregator(const AggregatorSettings& settings, const AggregatorPorts& ports);
    Aggregator(const Aggregator&) = delete;
    Aggregator& operator=(const Aggregator&) = delete;

    // The routes refer to this object.
    void add_routes(net::HttpRoutes& routes);
    void tick();

private:
    struct State {
        State(const privacy::GroupLimits& limits, unsigned networks_min, std::uint64_t seed)
            : table(limits, networks_min, seed) {}

        privacy::GroupTable table;
        std::uint64_t epoch = 0;
        std::int64_t day = 0;
        std::int64_t minute = 0;
        std::map<std::string, std::uint64_t> told;  // records by site, in this minute
        std::uint64_t evicted = 0;                  // of the table, as far as counted
    };

    net::HttpResponse answer(const net::HttpRequest& request);
    // The answer, if the post is one for this day and site.
    net::HttpResponse count(const std::string& site, const products::Sightings& post);
    void turn(State& state);
    PostOutcome admit(State& state, const std::string& site, std::size_t records) const;
    net::HttpResponse refuse(PostOutcome outcome, int status);

    const AggregatorSettings settings_;
    const AggregatorPorts ports_;
    Guarded<State> state_;
    std::array<Counter*, post_outcome_count> posts_{};
    std::array<Counter*, products::sightings_error_count> malformed_{};
    std::array<Counter*, privacy::group_outcome_count> records_{};
    Counter& evicted_;
    Gauge& pending_;
    Gauge& released_;
};

}  // namespace tapir::aggregation
