// The broker between the machines, and what goes wrong with it.
//
//     Post post(dice, tally);
//     auto publisher = post.publisher("edge-1.example-tapir", fuse, [&](ByteView octets) { ... });
//     auto subscriber = post.subscriber({.client_id = "core", .topics = {...}}, fuse, handlers);
//     post.deliver();
//
// Messages that were kept come again when the acknowledgement is lost, or when the subscriber dies
// before it. Sessions, and what waits in them, stay with the broker whatever happens to clients,
// unless it is made to forget them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "faults.hpp"
#include "tapir/mqtt/memory_broker.hpp"
#include "tapir/world/fuse.hpp"

namespace tapir::sim {

// In percent.
struct PostFaults {
    unsigned lost = 0;         // a publication, before the broker had it
    unsigned answer_lost = 0;  // ... after
    unsigned redelivered = 0;  // a batch that was kept
    unsigned killed = 0;       // the subscriber, between keeping and acknowledging
};

class Post {
public:
    Post(Dice& dice, Tally& tally) : dice_(dice), tally_(tally) {}

    void set_faults(const PostFaults& faults) { faults_ = faults; }
    // From one to the other nobody reaches the broker; such times may overlap.
    void begin_outage();
    void end_outage();
    // No faults and no outage from now on.
    void mend();
    // As a broker that lost its disk. Whoever is connected comes again at once.
    void forget_sessions();
    // Subscribers acknowledge first, and sometimes keep nothing: a lie.
    void acknowledge_first(bool lies) { lies_ = lies; }

    // `leaves` sees what is sent, and may change it: for ports that lie; may be empty. The fuse and
    // this must outlive both.
    std::unique_ptr<mqtt::Publisher> publisher(std::string_view client_id, world::Fuse& fuse,
                                               std::function<void(mqtt::Message&)> leaves);
    std::unique_ptr<mqtt::Subscriber> subscriber(const mqtt::SubscriberSettings& settings,
                                                 world::Fuse& fuse, mqtt::Handlers handlers);
    // Hands what waits to who is connected.
    void deliver();
    std::size_t waiting() const { return broker_.waiting(); }

private:
    friend class SimPublisher;
    // Whether the broker can be reached now.
    bool is_open();
    Result<void> hand_over(std::span<const mqtt::Message> messages, const std::string& client_id,
                           world::Fuse& fuse, const mqtt::Handlers& handlers);

    Dice& dice_;
    Tally& tally_;
    PostFaults faults_;
    bool lies_ = false;
    Outages outages_;
    // By client id: how many at the front of its queue it has kept, and the broker does not know.
    std::map<std::string, std::size_t> kept_;
    mqtt::MemoryBroker broker_;
};

}  // namespace tapir::sim
