#include "daemon.hpp"

#include <filesystem>
#include <memory>
#include <utility>

#include "tapir/base/counters.hpp"
#include "tapir/mqtt/broker_settings.hpp"
#include "tapir/net/dns_transport.hpp"
#include "tapir/net/http_client.hpp"
#include "tapir/net/http_server.hpp"
#include "tapir/policy/config.hpp"
#include "tapir/policy/engine.hpp"
#include "tapir/policy/service.hpp"
#include "tapir/store/store.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"
#include "tapir/world/process.hpp"

namespace tapir::policy {
namespace {

// The file's time of modification, in the file system's own units; 0 if there is no such file.
std::uint64_t stamp_of(const std::string& path) {
    std::error_code error;
    const auto time = std::filesystem::last_write_time(path, error);
    return error ? 0 : static_cast<std::uint64_t>(time.time_since_epoch().count());
}

Result<std::unique_ptr<store::Store>> open_store(const text::Settings& settings,
                                                 const Config& config, world::Files& files) {
    if (const auto made = files.make_directories(config.state_dir); !made) {
        return settings.refuse("state.dir", "a folder that this user can write",
                               made.error().what());
    }
    auto store = store::open_rocksdb(config.state_dir + "/store", store_families());
    if (!store) {
        return settings.refuse("state.dir", "a folder of this daemon alone", store.error().what());
    }
    return store;
}

Result<std::unique_ptr<net::HttpClient>> open_client(const text::Settings& settings,
                                                     const Config& config) {
    if (config.core_url.empty()) {
        return std::unique_ptr<net::HttpClient>();
    }
    auto client = net::open_http_client(config.core_tls);
    if (!client) {
        return settings.refuse("core.url", "readable files in core.ca, core.cert and core.key",
                               client.error().what());
    }
    return client;
}

// Nothing if observations do not come by MQTT. `parts` must outlive what it opens.
Result<OpenSubscriber> subscriber_opener(const text::Settings& settings, const Config& config,
                                         world::Files& files, const mqtt::Parts& parts) {
    if (config.transport != Transport::mqtt) {
        return OpenSubscriber();
    }
    const mqtt::ClientName name = TRY(
        mqtt::read_client_name(settings, files, parts.chance, config.state_dir, "tapir-policy"));
    mqtt::SubscriberSettings follow = config.follow;
    follow.client_id = name.id;
    follow.label = name.label;
    return OpenSubscriber(
        [&settings, broker = config.broker, follow,
         parts](mqtt::Handlers handlers) -> Result<std::unique_ptr<mqtt::Subscriber>> {
            auto opened = mqtt::open_subscriber(broker, follow, parts, std::move(handlers));
            if (!opened) {
                return mqtt::refuse_broker(settings, opened.error());
            }
            return opened;
        });
}

Result<std::unique_ptr<net::HttpServer>> serve_metrics(const text::Settings& settings,
                                                       const net::Endpoint& at, Service& service,
                                                       const Log& log, Counters& counters) {
    net::HttpRoutes routes;
    service.add_routes(routes);
    net::HttpServerSettings server;
    server.name = "metrics";
    server.listen = at;
    server.connections_max = 32;
    auto started = net::HttpServer::start(std::move(server), std::move(routes), log, counters);
    if (!started) {
        return settings.refuse("metrics.listen", "a free address", started.error().what());
    }
    return started;
}

}  // namespace

Result<void> run(const text::Settings& settings, const Log& log) {
    world::restrict_umask();
    TRY(world::forbid_core_dumps());
    const auto stop = TRY(world::Stop::on_signals());
    const world::SystemClock clock;
    world::SystemFiles files;
    world::SystemChance chance;
    net::SystemDnsClient dns_client;
    Counters counters;
    Config config = TRY(read_config(settings, files));
    const auto store = TRY(open_store(settings, config, files));
    const auto http_client = TRY(open_client(settings, config));
    const net::Endpoint listen = config.listen;
    const auto metrics_at = config.metrics;
    const auto opener =
        TRY(subscriber_opener(settings, config, files, {clock, chance, log, counters}));

    const auto service = TRY(Service::open(std::move(config), {.store = *store,
                                                               .files = files,
                                                               .clock = clock,
                                                               .chance = chance,
                                                               .dns_client = dns_client,
                                                               .http_client = http_client.get(),
                                                               .open_subscriber = opener,
                                                               .file_stamp = stamp_of,
                                                               .log = log,
                                                               .counters = counters}));
    // The last state is served from here on; lists and feed follow.
    auto dns = net::DnsServer::start({.name = "rpz", .listen = listen}, service->dns_handler(), log,
                                     counters);
    if (!dns) {
        return settings.refuse("rpz.listen", "a free address", dns.error().what());
    }
    TRY(service->start());
    std::unique_ptr<net::HttpServer> metrics;
    if (metrics_at) {
        metrics = TRY(serve_metrics(settings, *metrics_at, *service, log, counters));
    }
    log.info("policy", "started",
             {{"listen", settings.string("rpz.listen")},
              {"zone", settings.string("rpz.zone")},
              {"mode", settings.string("policy.mode")}});
    for (auto event = stop->wait(); event != world::Stop::Event::stop; event = stop->wait()) {
        if (event == world::Stop::Event::reload) {
            log.info("policy", "reload");
            service->reload();
        }
    }
    log.info("policy", "stopping");
    if (metrics) {
        metrics->stop();
    }
    (*dns)->stop();
    service->stop();
    return {};
}

}  // namespace tapir::policy
