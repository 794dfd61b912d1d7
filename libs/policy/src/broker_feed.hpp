// Observations by MQTT: what a broker hands over is in the engine, and on the disk, before it is
// acknowledged.
//
//     BrokerFeed feed({engine, engine_mutex, clock, log, counters, core, core_url, …});
//     auto subscriber = TRY(open_subscriber(feed.handlers()));
//     const Duration pause = feed.follow();  // again after the pause, or when on_gap() is called
//     ...
//     subscriber->stop();
//     feed.cancel();
//
// What came while the broker had no session for us is lost to it. Where there is a core to ask, a
// snapshot closes that gap: at the start and after each lost session, tried again until it works.
// What the broker hands over while the snapshot is on its way is taken again after it, so that the
// snapshot, made earlier, takes away nothing that is newer.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "feed_reader.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/mqtt/mqtt.hpp"
#include "tapir/net/http_client.hpp"
#include "tapir/policy/engine.hpp"
#include "tapir/world/clock.hpp"

namespace tapir::policy {

// Taken while a snapshot is on its way; if it is more, the snapshot is asked for again.
inline constexpr std::size_t newer_messages_max = 10'000;
inline constexpr std::size_t newer_size_max = 8U << 20U;  // octets of them together

class BrokerFeed {
public:
    // All must outlive it.
    struct Parts {
        Engine& engine;
        std::mutex& engine_mutex;  // around all of the engine
        const world::Clock& clock;
        const Log& log;
        Counters& counters;
        net::HttpClient* core = nullptr;  // to ask for snapshots; null: there is none
        std::string core_url{};
        // Something was taken: the zone is another one, or there is another time to wake up at.
        std::function<void(bool zone_changed)> on_taken{};
        // There is something to do for follow().
        std::function<void()> on_gap{};
    };
    explicit BrokerFeed(Parts parts);
    BrokerFeed(const BrokerFeed&) = delete;
    BrokerFeed& operator=(const BrokerFeed&) = delete;

    // For the subscriber; they run in its thread.
    mqtt::Handlers handlers();

    // Closes the gap, if there is one: one attempt. How long there is nothing to do unless on_gap()
    // is called. One thread.
    Duration follow();
    // Ends a follow() that waits, and all later ones.
    void cancel();

private:
    Result<void> keep(std::span<const mqtt::Message> messages);
    void set_aside(std::string_view jws);
    void lose_session();
    Result<void> close_gap();

    const Parts parts_;
    Gauge& gap_;
    net::Cancel cancel_;
    Duration pause_;  // of follow() alone
    // Guarded by parts_.engine_mutex.
    bool is_open_;                    // the gap
    bool is_fetching_ = false;        // a snapshot is on its way
    std::vector<std::string> newer_;  // taken, and accepted, since it was asked for
    std::size_t newer_size_ = 0;      // octets of these
    bool is_too_much_ = false;        // they were more than that; none is left
};

}  // namespace tapir::policy
