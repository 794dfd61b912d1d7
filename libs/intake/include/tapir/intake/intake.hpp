// Intake: what edges send is verified, then read, then on the disk, then answered.
//
//     Intake intake({.directory = state}, {store, files, clock, keys, bus, lake, log, counters});
//     TRY(intake.open());
//     intake.add_routes(routes);
//     auto subscriber = TRY(mqtt::open_subscriber(broker, {.topics = {std::string(events_topics)},
//         …}, parts, {.keep = [&](auto messages) { return intake.take(messages); }, …}));
//     ...
//     while (running) { intake.seal(); intake.wait_to_seal(1s); }          // a thread
//     while (running) { intake.publish(); intake.wait_to_publish(1s); }    // another
//
//     POST /api/v1/aggregate/{histogram|vector|test}   201 with Location
//     GET  /api/v1/aggregates/ID                       what is known of it, for who sent it
//     POST /api/v1/event/new_qname                     202 {"accepted","duplicate","rejected"}
//     MQTT: events/up/KID/new_qname                    one JWS, acknowledged
//
// What was answered 201 or 202, or acknowledged to the broker, survives a crash at any instant and
// counts once, however often and by whichever way it is sent. Aggregates are one and the same if
// edge, type, interval and digest are; events if the edge and message_id are, or without one the
// edge and the payload.
//
// After the answer: a histogram is brought into the lake, its payload removed; what the lake
// refuses lies in quarantine/ for a person to look at, the last hundred of them. Events go to the
// bus as "events.new_qname", {"sequence":1,"edge":KID,"event":TEXT}, in order of sequence; they are
// sent again after a restart until a message on "events.done" acknowledges them ({"sequence":1}).
//
// Handlers and take() may run on several threads; seal() and publish() on one each.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/bus/bus.hpp"
#include "tapir/intake/key_directory.hpp"
#include "tapir/lake/lake.hpp"
#include "tapir/mqtt/mqtt.hpp"
#include "tapir/net/http.hpp"
#include "tapir/store/store.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"

namespace tapir::intake {

inline constexpr std::string_view events_subject = "events.new_qname";
inline constexpr std::string_view events_done_subject = "events.done";
inline constexpr std::string_view events_topics = "events/up/+/new_qname";  // MQTT
inline constexpr std::size_t body_size_max = 64U << 20U;                    // octets of a request
inline constexpr std::int64_t event_age_s_max = 7L * 86'400;  // an edge's outbox keeps so long
inline constexpr std::int64_t event_ahead_s_max = 3600;       // how far an event may lie ahead
inline constexpr std::size_t rejected_listed_max = 1000;      // in one answer

struct IntakeSettings {
    std::string directory;           // for payloads
    bool certificates = false;       // the name in the client's certificate must be the key id
    bool accept_compatible = false;  // release rule R9: we do not want EDM's exact behaviour
};

// What an Intake works with; all must outlive it.
struct IntakeParts {
    store::Store& store;
    world::Files& files;
    const world::Clock& clock;
    KeyDirectory& keys;
    bus::Bus& bus;
    lake::Lake& lake;
    const Log& log;
    Counters& counters;
};

// The store's families that this service owns.
std::vector<std::string> store_families();

class Intake {
public:
    Intake(IntakeSettings settings, IntakeParts parts);
    ~Intake();
    Intake(const Intake&) = delete;
    Intake& operator=(const Intake&) = delete;

    // Reads its state and subscribes to acknowledgements. Once, before anything else.
    Result<void> open();
    void add_routes(net::HttpRoutes& routes);

    net::HttpResponse aggregate(const net::HttpRequest& request);
    net::HttpResponse metadata(const net::HttpRequest& request);
    net::HttpResponse events(const net::HttpRequest& request);

    // Events from a broker: verified by the same checks, with the topic's key id as their sender,
    // and kept in one write. A message that will never be good is counted and logged, and counts as
    // kept. If its key is not known the folder of keys is read once more, at most once a second. An
    // error: the store refuses, none is kept, all must come again.
    Result<void> take(std::span<const mqtt::Message> messages);

    // What follows the answers, each by a thread of its own: bringing uploads into the lake, and
    // events onto the bus. They do what is there to do, then return; true if there is more at once.
    // Errors are counted and logged, and tried again at the next call.
    bool seal();
    bool publish();
    // Wait until there is something for the one or the other, or the time is over.
    void wait_to_seal(Duration at_most);
    void wait_to_publish(Duration at_most);
    // Ends both waits, now or when they next begin.
    void wake();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::intake
