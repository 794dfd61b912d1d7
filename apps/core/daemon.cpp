#include "daemon.hpp"

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "broker_link.hpp"
#include "tapir/analysis/analysis.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/bus/bus.hpp"
#include "tapir/feeds/feeds.hpp"
#include "tapir/intake/intake.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/lake/lake.hpp"
#include "tapir/net/http_server.hpp"
#include "tapir/net/serving.hpp"
#include "tapir/store/store.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"
#include "tapir/world/process.hpp"

namespace tapir::core {

namespace {

constexpr Duration idle = std::chrono::seconds(1);  // how long a thread waits for work at most

using text::Settings;

// The ports, opened; services and threads work on them.
struct Ports {
    world::SystemClock clock;
    world::SystemChance chance;
    world::SystemFiles files;
    world::SystemChildren children;
    Counters counters;
    std::unique_ptr<store::Store> store;
    std::unique_ptr<lake::DirectoryLake> lake;
    std::unique_ptr<intake::KeyDirectory> keys;
    std::unique_ptr<bus::MemoryBus> bus;
};

Result<jose::PrivateJwk> read_signing_key(const Settings& settings, world::Files& files) {
    const auto& path = settings.string("keys.signing");
    constexpr std::string_view expected = "a JWK file with an Ed25519 key and its kid";
    auto text = world::read_secret(files, path, jose::jwk_size_max);
    if (!text) {
        return settings.refuse("keys.signing", expected, text.error().what());
    }
    const auto secret = crypto::Secret::taken_from(*std::move(text));
    auto key = jose::PrivateJwk::parse(as_text(secret.bytes()));
    if (!key) {
        return settings.refuse("keys.signing", expected, path + ": " + key.error().what());
    }
    return key;
}

Result<void> open_ports(const Settings& settings, const Log& log, Ports& ports) {
    const auto& state = settings.string("state.dir");
    if (const auto made = ports.files.make_directories(state); !made) {
        return settings.refuse("state.dir", "a folder that this user can write",
                               made.error().what());
    }
    std::vector<std::string> families = intake::store_families();
    for (const auto& more : {analysis::store_families(), feeds::store_families()}) {
        families.insert(families.end(), more.begin(), more.end());
    }
    auto store = store::open_rocksdb(state + "/store", families);
    if (!store) {
        return settings.refuse("state.dir", "a folder of this core alone", store.error().what());
    }
    ports.store = *std::move(store);
    const auto& lake = settings.string("lake.dir");
    if (const auto made = ports.files.make_directories(lake); !made) {
        return settings.refuse("lake.dir", "a folder that this user can write",
                               made.error().what());
    }
    const std::string program = TRY(world::own_program());
    ports.lake = std::make_unique<lake::DirectoryLake>(
        ports.files, ports.children,
        lake::DirectoryLakeOptions{.directory = lake, .program = program});
    ports.keys = std::make_unique<intake::KeyDirectory>(ports.files, settings.string("keys.edges"),
                                                        log, ports.counters);
    if (const auto read = ports.keys->refresh(); !read) {
        return settings.refuse("keys.edges", "a readable folder", read.error().what());
    }
    ports.bus = std::make_unique<bus::MemoryBus>(ports.counters);
    return {};
}

Result<std::vector<std::unique_ptr<analysis::Analyser>>> make_analysers(const Settings& settings) {
    std::vector<std::unique_ptr<analysis::Analyser>> analysers;
    auto fresh = analysis::globally_new(settings.strings("analysis.ignore_suffixes"));
    if (!fresh) {
        return settings.refuse("analysis.ignore_suffixes", "domain names", fresh.error().what());
    }
    auto loop = analysis::looptest(settings.string("analysis.looptest_suffix"));
    if (!loop) {
        return settings.refuse("analysis.looptest_suffix", "a domain name", loop.error().what());
    }
    analysers.push_back(*std::move(fresh));
    analysers.push_back(*std::move(loop));
    return analysers;
}

Result<std::unique_ptr<net::HttpServer>> serve(const Settings& settings, net::HttpRoutes routes,
                                               const Log& log, Counters& counters) {
    net::HttpServerSettings server;
    server.name = "core";
    server.listen = TRY(net::endpoint_of(settings, "listen"));
    server.threads = static_cast<std::size_t>(settings.integer("limits.threads"));
    server.connections_max = static_cast<std::size_t>(settings.integer("limits.connections"));
    if (settings.string("tls.cert").empty()) {
        if (!server.listen.address().is_loopback()) {
            return settings.refuse("listen", "a loopback address as long as tls.cert is empty",
                                   settings.string("listen"));
        }
        log.warn("core",
                 "no TLS: whoever reaches the port may read, and only signatures say "
                 "who sends");
    } else {
        if (settings.string("tls.client_ca").empty()) {
            return settings.refuse("tls.client_ca", "a PEM file", "nothing");
        }
        server.tls = net::TlsServerSettings{.certificate_file = settings.string("tls.cert"),
                                            .key_file = settings.string("tls.key"),
                                            .client_ca_file = settings.string("tls.client_ca")};
    }
    auto started = net::HttpServer::start(std::move(server), std::move(routes), log, counters);
    if (!started) {
        return settings.refuse("listen", "an address to listen on, and the files of tls",
                               started.error().what());
    }
    return started;
}

// A thread that does one thing again and again until it is told to end.
class Worker {
public:
    explicit Worker(std::function<void()> once)
        : thread_([this, once = std::move(once)] {
              while (!ending_.load()) {
                  once();
              }
          }) {}
    void end() { ending_.store(true); }
    ~Worker() {
        end();
        thread_.join();
    }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

private:
    std::atomic<bool> ending_{false};
    std::thread thread_;  // last: it uses the flag
};

void serve_until_stopped(world::Stop& stop, const Settings& settings, Ports& ports,
                         net::HttpServer& server, const Log& log) {
    for (;;) {
        const auto event = stop.wait_for(settings.duration("keys.refresh"));
        if (event == world::Stop::Event::stop) {
            return;
        }
        if (const auto read = ports.keys->refresh(); !read) {
            log.error("keys", "the folder of keys cannot be read; the old ones stay",
                      {{"reason", read.error().what()}});
        }
        if (event == world::Stop::Event::reload) {
            if (const auto reloaded = server.reload_certificates(); !reloaded) {
                log.error("core", "the certificates cannot be read; the old ones stay",
                          {{"reason", reloaded.error().what()}});
            }
            log.info("core", "reloaded");
        }
    }
}

}  // namespace

Result<void> run(const Settings& settings, const Log& log) {
    world::restrict_umask();
    TRY(world::forbid_core_dumps());
    const auto stop = TRY(world::Stop::on_signals());
    Ports ports;
    auto key = TRY(read_signing_key(settings, ports.files));
    auto analysers = TRY(make_analysers(settings));
    TRY(open_ports(settings, log, ports));

    // Who listens on the bus is there before who speaks on it.
    feeds::Feeds feeds({.keep = settings.duration("feed.keep")}, std::move(key),
                       {*ports.store, ports.clock, *ports.bus, log, ports.counters});
    TRY(feeds.open());
    analysis::Analysis analysis(
        {.ttl = std::chrono::seconds(settings.integer("observation.ttl_s"))}, std::move(analysers),
        {*ports.store, ports.clock, *ports.bus, log, ports.counters});
    TRY(analysis.open());
    intake::Intake intake({.directory = settings.string("state.dir"),
                           .certificates = !settings.string("tls.cert").empty(),
                           .accept_compatible = settings.boolean("intake.accept_compatible")},
                          {*ports.store, ports.files, ports.clock, *ports.keys, *ports.bus,
                           *ports.lake, log, ports.counters});
    TRY(intake.open());

    net::HttpRoutes routes;
    intake.add_routes(routes);
    feeds.add_routes(routes);
    const auto metrics = TRY(net::serve_metrics(settings, log, ports.counters));
    const auto server = TRY(serve(settings, std::move(routes), log, ports.counters));
    const auto link = TRY(BrokerLink::open(
        settings, {ports.files, ports.clock, ports.chance, log, ports.counters, intake, feeds}));
    {
        Worker feeder([&] { feeds.work(idle); });
        Worker analyst([&] { analysis.work(idle); });
        Worker publisher([&] {
            if (!intake.publish()) {
                intake.wait_to_publish(idle);
            }
        });
        Worker sealer([&] {
            if (!intake.seal()) {
                intake.wait_to_seal(idle);
            }
        });
        log.info("core", "started",
                 {{"listen", settings.string("listen")}, {"edges", ports.keys->current()->size()}});
        serve_until_stopped(*stop, settings, ports, *server, log);
        log.info("core", "stopping");
        server->stop();
        if (link) {
            link->stop_taking();
        }
        for (Worker* worker : {&sealer, &publisher, &analyst, &feeder}) {
            worker->end();
        }
        intake.wake();
        analysis.close();
        feeds.close();
    }
    if (link) {
        link->stop_giving();
    }
    log.info("core", "stopped");
    return {};
}

}  // namespace tapir::core
