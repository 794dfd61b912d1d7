#include "tapir/aggregation/aggregator.hpp"

#include <algorithm>
#include <utility>

#include "tapir/base/assert.hpp"
#include "tapir/privacy/gate.hpp"

namespace tapir::aggregation {
namespace {

constexpr std::int64_t day_s = 86'400;
constexpr std::int64_t minute_s = 60;

unsigned networks_min(const AggregatorSettings& settings) {
    return settings.single_site ? 0
                                : privacy::rule_for(privacy::Product::new_qname, settings.profile)
                                      .threshold.networks_min;
}

// The only way in which anything counted leaves: what the gate has made.
net::HttpResponse told(const privacy::Released<privacy::Payload>& answer) {
    net::HttpResponse response;
    response.fields.add("Content-Type", sightings_type);
    response.body = answer.value().octets;
    return response;
}

}  // namespace

std::string_view to_string(PostOutcome outcome) {
    static constexpr std::array<std::string_view, post_outcome_count> names{
        "counted", "no_name", "wrong_type", "malformed", "threshold",
        "profile", "day",     "too_many",   "sites"};
    return names.at(static_cast<std::size_t>(outcome));
}

Aggregator::Aggregator(const AggregatorSettings& settings, const AggregatorPorts& ports)
    : settings_(settings),
      ports_(ports),
      state_(State(settings.limits, networks_min(settings), ports.chance.u64())),
      evicted_(ports.counters.counter("tapir_aggregator_evicted_total",
                                      "Names that fell out of the table before they were "
                                      "decided.")),
      pending_(ports.counters.gauge("tapir_aggregator_pending_names",
                                    "Names that are counted towards their threshold.")),
      released_(ports.counters.gauge("tapir_aggregator_released_names",
                                     "Names that reached it today, or that a site released.")) {
    TAPIR_ASSERT(settings.profile != privacy::Profile::compatible);
    for (std::size_t i = 0; i < post_outcome_count; ++i) {
        posts_.at(i) = &ports.counters.counter(
            "tapir_aggregator_posts_total", "Requests of sites, by what became of them.",
            {{"outcome", std::string(to_string(static_cast<PostOutcome>(i)))}});
    }
    for (std::size_t i = 0; i < products::sightings_error_count; ++i) {
        malformed_.at(i) = &ports.counters.counter(
            "tapir_aggregator_malformed_total", "Requests that are not in our form, by reason.",
            {{"reason", std::string(to_string(static_cast<products::SightingsError>(i)))}});
    }
    for (std::size_t i = 0; i < privacy::group_outcome_count; ++i) {
        records_.at(i) = &ports.counters.counter(
            "tapir_aggregator_records_total", "What sites told, by what became of it.",
            {{"outcome", std::string(to_string(static_cast<privacy::GroupOutcome>(i)))}});
    }
    state_.with([this](State& state) { turn(state); });
}

void Aggregator::add_routes(net::HttpRoutes& routes) {
    net::HttpRoute route;
    route.method = "POST";
    route.path = std::string(sightings_path);
    route.body_size_max = products::sightings_size_max;
    route.handle = [this](const net::HttpRequest& request) { return answer(request); };
    routes.add(std::move(route));
}

// Days go forward only: a clock that is set back must not bring a day again.
void Aggregator::turn(State& state) {
    const std::int64_t now = ports_.clock.now().seconds();
    if (now / minute_s != state.minute) {
        state.minute = now / minute_s;
        state.told.clear();
    }
    if (now / day_s <= state.day) {
        return;
    }
    state.day = now / day_s;
    state.table.start_day();
    // Another list than the one that sites have cursors of.
    state.epoch = std::max<std::uint64_t>(ports_.chance.u64(), 1);
}

void Aggregator::tick() {
    state_.with([this](State& state) {
        turn(state);
        evicted_.add(state.table.evicted() - state.evicted);
        state.evicted = state.table.evicted();
        pending_.set(static_cast<std::int64_t>(state.table.pending_names()));
        released_.set(static_cast<std::int64_t>(state.table.released_names()));
    });
}

net::HttpResponse Aggregator::refuse(PostOutcome outcome, int status) {
    posts_.at(static_cast<std::size_t>(outcome))->add();
    auto response = net::HttpResponse::error(status);
    if (status == 429 || status == 503) {
        response.fields.add("Retry-After", "60");
    }
    return response;
}

net::HttpResponse Aggregator::answer(const net::HttpRequest& request) {
    if (request.client_name.empty()) {
        return refuse(PostOutcome::no_name, 403);
    }
    if (request.fields.find("Content-Type") != sightings_type) {
        return refuse(PostOutcome::wrong_type, 415);
    }
    const auto post = products::Sightings::parse(request.body);
    if (!post) {
        malformed_.at(static_cast<std::size_t>(post.error()))->add();
        return refuse(PostOutcome::malformed, 400);
    }
    if (post->profile != static_cast<std::uint8_t>(settings_.profile)) {
        return refuse(PostOutcome::profile, 409);
    }
    if (!privacy::is_of_profile(settings_.profile, *post)) {
        return refuse(PostOutcome::threshold, 400);
    }
    return count(request.client_name, *post);
}

PostOutcome Aggregator::admit(State& state, const std::string& site, std::size_t records) const {
    auto known = state.told.find(site);
    if (known == state.told.end()) {
        if (state.told.size() >= sites_max) {
            return PostOutcome::sites;
        }
        known = state.told.emplace(site, 0).first;
    }
    if (known->second + records > settings_.records_a_minute_max) {
        return PostOutcome::too_many;
    }
    known->second += records;
    return PostOutcome::counted;
}

net::HttpResponse Aggregator::count(const std::string& site, const products::Sightings& post) {
    products::Releases releases;
    std::array<std::uint64_t, privacy::group_outcome_count> outcomes{};
    const PostOutcome admitted = state_.with([&](State& state) {
        turn(state);
        if (static_cast<std::int64_t>(post.day) != state.day) {
            return PostOutcome::day;
        }
        if (const PostOutcome refused = admit(state, site, post.records.size());
            refused != PostOutcome::counted) {
            return refused;
        }
        for (const products::SightingRecord& record : post.records) {
            ++outcomes.at(static_cast<std::size_t>(state.table.add(record)));
        }
        auto slice =
            state.table.since(post.epoch == state.epoch ? post.cursor : 0, products::releases_max);
        releases = {.day = post.day,
                    .epoch = state.epoch,
                    .cursor = slice.cursor,
                    .records = std::move(slice.records)};
        return PostOutcome::counted;
    });
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        records_.at(i)->add(outcomes.at(i));
    }
    switch (admitted) {
        case PostOutcome::counted:
            break;
        case PostOutcome::too_many:
            return refuse(admitted, 429);
        case PostOutcome::sites:
            return refuse(admitted, 503);
        default:
            return refuse(admitted, 409);
    }
    const auto released = privacy::release_releases(settings_.profile, releases);
    TAPIR_ASSERT(released.has_value());  // it fails for compatible alone
    posts_.at(static_cast<std::size_t>(PostOutcome::counted))->add();
    return told(*released);
}

}  // namespace tapir::aggregation
