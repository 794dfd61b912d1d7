// Feeds: observations, signed, to whoever follows.
//
//     Feeds feeds({}, std::move(key), {store, clock, bus, log, counters});
//     TRY(feeds.open());                           // before anything publishes observations
//     feeds.add_routes(routes);
//     while (running) { feeds.work(1s); }          // one thread
//     while (running) { feeds.broadcast(*publisher); … }   // another, if there is a broker
//
//     GET /api/v1/observations          {"last_id":"17","observations":[JWS, …]}
//     GET /api/v1/observations/stream   server-sent events
//     MQTT: observations/down/tapir-pop, the same octets, not retained
//
// The snapshot holds the newest message for each name that is observed now, as flattened JWS; with
// them one stands where the stream stood after `last_id`. In the stream an event's id is decimal
// and its data is one flattened JWS. Who comes with Last-Event-ID (or ?last_id=) goes on after that
// id, if no more than a day is between; who cannot (the id is too old, unknown, or too much has
// come since) gets `event: reset` with the newest id as data: take a snapshot, then go on with what
// follows. Who comes without an id gets what comes from now on.
//
// The broker is one more reader of the log: how far it has taken it is on the disk, and it goes on
// there after a restart. A message may go out to it twice, never be passed over; what the log
// forgets (after `keep`) before the broker took it is counted as lost.
//
// Ids are those of the analysis: they only grow. A message is on the disk before anybody sees it,
// under its id for good. Handlers may run on several threads; work() on one, broadcast() on one.
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
#include "tapir/mqtt/mqtt.hpp"
#include "tapir/net/http.hpp"
#include "tapir/store/store.hpp"
#include "tapir/world/clock.hpp"

namespace tapir::feeds {

inline constexpr std::string_view observations_subject = "observations";
inline constexpr std::string_view observations_done_subject = "observations.done";
inline constexpr std::string_view broadcast_topic = "observations/down/tapir-pop";  // MQTT
inline constexpr std::size_t broadcast_count_max = 256;  // messages sent to a broker together
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

// How a step of broadcast() ended.
enum class Broadcast : std::uint8_t {
    more,   // some were taken, and others wait: go on at once
    done,   // the broker has all
    again,  // the broker or the store did not take one: later
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

    // Publishes what the broker has not taken yet, at most broadcast_count_max messages, and moves
    // its place over those that were taken: by somebody, by nobody (no subscriber: counted), or
    // never to be (refused for good: counted as lost). It stops at the first that was not. Waits
    // for the broker and holds nothing else up; publisher.cancel() ends the wait.
    Broadcast broadcast(mqtt::Publisher& publisher);
    // Waits until there is something new to broadcast, close() is called or the time is over.
    void wait_to_broadcast(Duration at_most);

    // Ends the waits (in work() for good) and the streams.
    void close();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::feeds
