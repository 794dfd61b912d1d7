#include "tapir/aggregation/daemon.hpp"

#include <chrono>
#include <memory>
#include <utility>

#include "tapir/aggregation/aggregator.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/net/http_server.hpp"
#include "tapir/net/serving.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"
#include "tapir/world/host.hpp"

namespace tapir::aggregation {
namespace {

using namespace std::chrono_literals;
using text::Settings;

constexpr std::size_t key_file_size_max = 65'536;  // octets

AggregatorSettings aggregator_settings(const Settings& settings) {
    AggregatorSettings out;
    const auto profile = privacy::profile_named(settings.string("release.profile"));
    TAPIR_ASSERT(profile.has_value());
    out.profile = *profile;
    out.single_site = settings.boolean("single_site");
    out.limits.name_count = static_cast<std::size_t>(settings.integer("limits.pending_names"));
    out.limits.released_count_max =
        static_cast<std::size_t>(settings.integer("limits.released_names"));
    out.records_a_minute_max =
        static_cast<std::uint32_t>(settings.integer("limits.sightings_a_minute"));
    return out;
}

// Without a certificate of each site nobody could say who sends: there is no way without TLS.
Result<std::unique_ptr<net::HttpServer>> serve(const Settings& settings, net::HttpRoutes routes,
                                               const Log& log, Counters& counters) {
    for (const std::string_view key : {"tls.cert", "tls.key", "tls.client_ca"}) {
        if (settings.string(key).empty()) {
            return settings.refuse(key, "a PEM file", "nothing");
        }
    }
    world::SystemFiles files;
    if (auto guarded = world::read_secret(files, settings.string("tls.key"), key_file_size_max);
        !guarded) {
        return settings.refuse("tls.key", "a key file that others cannot read",
                               guarded.error().what());
    }
    net::HttpServerSettings server;
    server.name = "aggregator";
    server.listen = TRY(net::endpoint_of(settings, "listen"));
    server.connections_max = static_cast<std::size_t>(settings.integer("limits.connections"));
    server.tls = net::TlsServerSettings{.certificate_file = settings.string("tls.cert"),
                                        .key_file = settings.string("tls.key"),
                                        .client_ca_file = settings.string("tls.client_ca")};
    auto started = net::HttpServer::start(std::move(server), std::move(routes), log, counters);
    if (!started) {
        return settings.refuse("listen", "an address to listen on, and the files of tls",
                               started.error().what());
    }
    return started;
}

void tell_manager(const std::string& state, const Log& log) {
    if (const auto told = world::notify_service_manager(state); !told) {
        log.warn("aggregator", "the service manager cannot be told",
                 {{"reason", told.error().what()}});
    }
}

void guard_memory(const Log& log) {
    if (const auto forbidden = world::forbid_core_dumps(); !forbidden) {
        log.warn("aggregator", "core dumps cannot be forbidden",
                 {{"reason", forbidden.error().what()}});
    }
    if (const auto locked = world::lock_memory(); !locked) {
        log.warn("aggregator", "the tables are not locked in memory: they may be swapped out",
                 {{"reason", locked.error().what()}});
    }
}

}  // namespace

text::SettingTable settings_table() {
    using text::Setting;
    return {
        Setting::string("listen", "127.0.0.1:8444", "Address and port where the sites connect."),
        Setting::path("tls.cert", "", "Certificate of this aggregator, with its chain (PEM).")
            .require(),
        Setting::path("tls.key", "", "Key of that certificate (PEM).").require(),
        Setting::path("tls.client_ca", "",
                      "The operator's own CA (PEM): every site shows a certificate of it, whose "
                      "common name is the site's name.")
            .require(),
        Setting::choice("release.profile", "standard", {"standard", "strict"},
                        "The profile of all sites: thresholds of two do not mix."),
        Setting::boolean("single_site", false,
                         "Waive that clients must come from at least three networks."),
        Setting::integer("limits.pending_names", 1 << 20, 8, 1 << 24, "names",
                         "Names that are counted at once; 96 octets each, rounded up to 2^n."),
        Setting::integer("limits.released_names", 1 << 18, 1, 1 << 22, "names",
                         "Names that may be released in a day; about 80 octets each."),
        Setting::integer("limits.sightings_a_minute", 100'000, 1, 1 << 30, "records",
                         "What one site may tell in a minute; then it is told to wait."),
        Setting::integer("limits.connections", 256, 1, 65'536, "connections",
                         "More are closed at once."),
        Setting::string("metrics.listen", "127.0.0.1:2115",
                        "Address and port of /metrics; empty: none."),
    };
}

Result<void> run(const Settings& settings, const std::string& version, world::Stop& stop,
                 const Log& log) {
    const world::SystemClock clock;
    world::SystemChance chance;
    Counters counters;
    guard_memory(log);
    Aggregator aggregator(aggregator_settings(settings), {clock, chance, log, counters});
    net::HttpRoutes routes;
    aggregator.add_routes(routes);
    const auto metrics = TRY(net::serve_metrics(settings, log, counters));
    const auto server = TRY(serve(settings, std::move(routes), log, counters));
    log.info("aggregator", "ready: what was pending before is forgotten",
             {{"listen", settings.string("listen")},
              {"profile", settings.string("release.profile")},
              {"version", version}});
    tell_manager("READY=1", log);
    for (;;) {
        const auto event = stop.wait_for(1s);
        if (event == world::Stop::Event::stop) {
            break;
        }
        if (event == world::Stop::Event::reload) {
            if (const auto reloaded = server->reload_certificates(); !reloaded) {
                log.error("aggregator", "the certificates cannot be read; the old ones stay",
                          {{"reason", reloaded.error().what()}});
            }
        }
        aggregator.tick();
        if (world::watchdog_interval()) {
            tell_manager("WATCHDOG=1", log);
        }
    }
    tell_manager("STOPPING=1", log);
    server->stop();
    log.info("aggregator", "stopped");
    return {};
}

}  // namespace tapir::aggregation
