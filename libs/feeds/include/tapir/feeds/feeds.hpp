// Feeds: observations, signed, to whoever follows.
//
//     Feeds feeds({}, std::move(key), {store, clock, bus, log, counters});
//     TRY(feeds.open());                           // before anything publishes observations
//     feeds.add_routes(routes);
//     while (running) { feeds.work(1s); }          // one thread
//
//     GET /api/v1/observations          {"last_id":"17","observations":[JWS, …]}
//     GET /api/v1/observations/stream   server-sent events
//
// The snapshot holds the newest message for each name that is observed now, as flattened JWS; with
// them one stands where the stream stood after `last_id`. In the stream an event's id is decimal
// and its data is one flattened JWS. Who comes with Last-Event-ID (or ?last_id=) goes on after that
// id, if no more than a day is between; who cannot (the id is too old, unknown, or too much has
// come since) gets `event: reset` with the newest id as data: take a snapshot, then go on with what
// follows. Who comes without an id gets what comes from now on.
//
// Ids are those of the analysis: they only grow. A message is on the disk before anybody sees it,
// under its id for good. Handlers may run on several threads; work() on one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/bus/bus.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/net/http.hpp"
#include "tapir/store/store.hpp"
#include "tapir/world/clock.hpp"

namespace tapir::feeds {

inline constexpr std::string_view observations_subject = "observations";
inline constexpr std::string_view observations_done_subject = "observations.done";
inline constexpr std::size_t subscribers_max = 1000;
inline constexpr std::size_t catch_up_size_max = 1U << 20U;    // octets; more: reset
inline constexpr std::size_t snapshot_size_max = 256U << 20U;  // octets

struct FeedSettings {
    Duration keep = std::chrono::hours(24);  // how long a subscriber may be away
};

// What a Feeds works with; all must outlive it.
struct FeedParts {
    store::Store& store;
    const world::Clock& clock;
    bus::Bus& bus;
    const Log& log;
    Counters& counters;
};

// The store's families that this service owns.
std::vector<std::string> store_families();

class Feeds {
public:
    Feeds(FeedSettings settings, jose::PrivateJwk key, FeedParts parts);
    ~Feeds();
    Feeds(const Feeds&) = delete;
    Feeds& operator=(const Feeds&) = delete;

    // Reads its state and subscribes. Once, before anything else.
    Result<void> open();
    void add_routes(net::HttpRoutes& routes);

    net::HttpResponse snapshot(const net::HttpRequest& request);
    std::optional<net::HttpResponse> subscribe(const net::HttpRequest& request,
                                               const std::shared_ptr<net::SseStream>& stream);

    // Waits for observations, at most so long; signs, keeps and sends those that are there; forgets
    // what is too old. Trouble is counted and logged, and tried again at the next call.
    void work(Duration wait_at_most);

    // Ends a wait in work(), for good, and the streams.
    void close();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::feeds
