// The service: follows the feed, watches the lists, expires, serves and notifies.
//
//     auto service = TRY(Service::open(config, parts));   // serves the last state from here on
//     auto dns = TRY(net::DnsServer::start({.listen = …}, service->dns_handler(), log, counters));
//     TRY(service->start());                              // lists, feed, notifier
//     ...
//     service->stop();
//
// Over MQTT the broker's subscriber brings observations in its own thread, and follow() closes gaps
// by snapshots of the core, if there is one to ask.
//
// Threads: one works on the engine, one reads the feed, one for each resolver that is notified.
// Without threads, for tests and the simulator, begin() stands for start(), and the steps are
// called one by one:
//
//     TRY(service->begin());
//     const Duration again = service->follow();   // the feed, until the stream ends
//     const Duration pause = service->work();     // what was read, lists, expiry; commits
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/mqtt/mqtt.hpp"
#include "tapir/net/dns_transport.hpp"
#include "tapir/net/http.hpp"
#include "tapir/net/http_client.hpp"
#include "tapir/policy/config.hpp"
#include "tapir/rpz/zone.hpp"
#include "tapir/store/store.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"

namespace tapir::policy {

inline constexpr std::size_t feed_queue_max = 10'000;  // events read and not yet worked on
inline constexpr std::size_t feed_snapshot_size_max = 256U << 20U;  // octets

// Opens what brings observations by MQTT to these handlers.
using OpenSubscriber =
    std::function<Result<std::unique_ptr<mqtt::Subscriber>>(mqtt::Handlers handlers)>;

// What a Service works with; all must outlive it.
struct ServiceParts {
    store::Store& store;
    world::Files& files;
    const world::Clock& clock;
    world::Chance& chance;
    net::DnsClient& dns_client;
    net::HttpClient* http_client = nullptr;  // for the feed; null if there is none
    OpenSubscriber open_subscriber{};        // called once, if feed.transport is mqtt
    // Changes whenever the file's content may have changed (its time of modification).
    std::function<std::uint64_t(const std::string& path)> file_stamp;
    const Log& log;
    Counters& counters;
};

class Service {
public:
    static Result<std::unique_ptr<Service>> open(Config config, ServiceParts parts);
    ~Service();  // stops
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;

    net::DnsServer::Handler dns_handler();
    // /metrics and /explain?name=.
    void add_routes(net::HttpRoutes& routes);

    // Reads the lists (an error there ends the start), then starts the threads.
    Result<void> start();
    // As start(), without threads of ours; nobody is notified.
    Result<void> begin();
    // The steps, after begin(). What is there to do is done; how long there is nothing more, unless
    // something comes. The stream of the feed has to end by itself, having sent at most
    // feed_queue_max events.
    Duration work();
    Duration follow();
    // What resolvers are served now. Never null.
    std::shared_ptr<const rpz::Snapshot> snapshot() const;
    // Reads lists and trusted keys again, soon. On an error the old ones stay, and the log says so.
    void reload();
    void stop();

private:
    struct Impl;
    explicit Service(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::policy
