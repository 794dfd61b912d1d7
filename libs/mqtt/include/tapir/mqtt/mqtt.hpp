// MQTT 5 as a port: octets by topic, at QoS 1, and nothing acknowledged that was not kept.
//
//     const Broker broker{.url = "mqtts://mqtt.example:8883", .ca_file = ca, ...};
//     auto publisher = TRY(open_publisher(broker, {.client_id = "edge-1.example-tapir"}, parts));
//     for (const Published outcome : publisher->publish(messages)) { ... }
//
//     auto subscriber = TRY(open_subscriber(
//         broker, {.client_id = "core.example-tapir", .topics = {"events/up/+/new_qname"}}, parts,
//         {.keep = [&](std::span<const Message> batch) { return journal.add(batch); },
//          .session_lost = [&] { ... }}));
//     ...
//     subscriber->stop();
//
// A subscriber connects by itself, and again after a failure: at once, then after a second, twice
// that, … up to a minute, each with chance in it. A publisher connects when there is something to
// publish. TLS 1.3 at least, the broker's name verified, the files read anew for each connection.
// Of a host name with several addresses the first that does not refuse is taken. What a service
// needs is these interfaces; memory_broker.hpp has them without a socket.
//
// Counted, with the label `client`: tapir_mqtt_connections_total, tapir_mqtt_connected,
// tapir_mqtt_disconnects_total by reason, tapir_mqtt_published_total by outcome,
// tapir_mqtt_received_total by outcome, tapir_mqtt_sessions_lost_total.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"

namespace tapir::mqtt {

inline constexpr std::size_t topic_size_max = 1024;           // octets
inline constexpr std::size_t payload_size_max = 256U << 10U;  // octets; a JWS is at most 64 KiB
inline constexpr std::size_t topics_max = 16;                 // of one subscriber
inline constexpr std::size_t batch_size_max = 256;            // messages handed over together

// Whether text can be one level of a topic: not empty, no / + # or NUL, no $ in front.
bool is_topic_level(std::string_view text);

// Retained messages are neither sent nor taken.
struct Message {
    std::string topic;
    Bytes payload;
    friend bool operator==(const Message&, const Message&) = default;
};

// What became of one message. Each value names a counter.
enum class Published : std::uint8_t {
    accepted,     // the broker has it, and somebody is subscribed (reason 0x00)
    unheard,      // the broker took it and gave it to nobody (0x10): it is gone
    unavailable,  // no connection, or no acknowledgement in time: again later
    busy,         // quota exceeded, or an error without a reason (0x80, 0x83, 0x97): again later
    denied,       // the broker does not let us (0x87): again later
    refused,      // this message will never be taken (0x90, 0x95, 0x99)
};
inline constexpr std::size_t published_count = 6;
std::string_view to_string(Published outcome);

class Publisher {
public:
    virtual ~Publisher() = default;
    // Sends in order, and waits until each is acknowledged, or the connection or the time is over;
    // the outcomes, in the order of the messages. What is `unavailable` may have arrived all the
    // same: who sends again must be understood by who receives. Tries to connect once at most: who
    // is told `unavailable` waits a little before the next call. One thread at a time.
    virtual std::vector<Published> publish(std::span<const Message> messages) = 0;
    // Ends a publish() that waits, and all later ones, as `unavailable`. Any thread.
    virtual void cancel() = 0;
};

struct Handlers {
    // Takes messages in the order in which the broker sent them. Success: they are kept, and are
    // acknowledged. An error: nothing is acknowledged, the connection is dropped, and they come
    // again. A message that will never be good is to be counted and called kept.
    std::function<Result<void>(std::span<const Message>)> keep;
    // The broker did not remember us though we were there before: what came meanwhile is lost. Also
    // called on the first connection of a new client. Called once the subscription stands again, so
    // that nothing is missed after it. May be empty: then it is logged here.
    std::function<void()> session_lost;
};

class Subscriber {
public:
    virtual ~Subscriber() = default;  // stops
    // After it no handler runs. What was not acknowledged stays with the broker.
    virtual void stop() = 0;
    virtual bool is_connected() const = 0;
};

struct Broker {
    std::string url;                 // mqtts://HOST:PORT; mqtt://HOST:PORT on loopback only
    std::string ca_file{};           // whom to believe
    std::string certificate_file{};  // ours
    std::string key_file{};
};

// A broker lets one connection at a time use a client id: who publishes and subscribes needs two.
struct PublisherSettings {
    std::string client_id;
    std::uint16_t keepalive_s = 150;               // unused for so long, it connects anew
    std::size_t inflight_max = 256;                // messages sent and not yet acknowledged
    Duration time_max = std::chrono::seconds(60);  // of one publish()
    std::string label{};                           // in counters and log; empty: the client id
};

struct SubscriberSettings {
    std::string client_id;            // fixed: the broker's session is found again by it
    std::vector<std::string> topics;  // filters; + and # as in MQTT
    std::uint16_t keepalive_s = 30;
    Duration session_expiry = std::chrono::hours(24);  // how long the broker keeps what we miss
    std::size_t inflight_max = 256;  // messages the broker may send before we acknowledge
    std::string label{};             // in counters and log; empty: the client id
};

// What both work with; all must outlive them.
struct Parts {
    const world::Clock& clock;
    world::Chance& chance;
    const Log& log;
    Counters& counters;
};

// Errors: `invalid` (URL, settings, files that cannot be read). The broker need not be there yet.
Result<std::unique_ptr<Publisher>> open_publisher(const Broker& broker,
                                                  const PublisherSettings& settings,
                                                  const Parts& parts);
Result<std::unique_ptr<Subscriber>> open_subscriber(const Broker& broker,
                                                    const SubscriberSettings& settings,
                                                    const Parts& parts, Handlers handlers);

}  // namespace tapir::mqtt
