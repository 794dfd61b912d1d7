// A broker in memory, for tests and the simulator: no socket, no thread, no time of its own.
//
//     MemoryBroker broker;
//     auto publisher = broker.publisher("edge-1.example-tapir");
//     auto subscriber = broker.subscriber({.client_id = "core", .topics = {"events/up/#"}}, handlers);
//     publisher->publish(messages);   // into the queues of the sessions that match
//     broker.deliver();               // out of them, through the handlers
//
// A session lives on when its Subscriber ends, and is found again by the client id, with what waits
// in it: as a broker does for a client that was killed. A second subscriber with the same id takes
// the session over. Handlers run inside deliver(), session_lost before the first batch; they may
// publish, open and stop. Threads may share it; it is locked while a handler runs.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "tapir/mqtt/mqtt.hpp"

namespace tapir::mqtt {

class MemoryBroker {
public:
    MemoryBroker();
    ~MemoryBroker();
    MemoryBroker(const MemoryBroker&) = delete;
    MemoryBroker& operator=(const MemoryBroker&) = delete;

    // Neither may outlive the broker.
    std::unique_ptr<Publisher> publisher(std::string_view client_id);
    std::unique_ptr<Subscriber> subscriber(const SubscriberSettings& settings, Handlers handlers);

    // Hands what waits to the handlers of sessions that are connected, a batch for each session;
    // what is not kept waits on. How many messages were kept.
    std::size_t deliver();
    std::size_t waiting() const;

    // While it is away, publishing is `unavailable` and nothing is delivered.
    void set_away(bool is_away);
    // As a broker that lost its disk: sessions and what waits in them are gone.
    void forget_sessions();

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

// Whether a topic filter (MQTT 5 §4.7) matches a topic.
bool matches(std::string_view filter, std::string_view topic);

}  // namespace tapir::mqtt
