// The broker between the machines, and what goes wrong with it.
//
//     Post post(dice, tally);
//     auto publisher = post.publisher("edge-1.example-tapir", fuse, [&](ByteView octets) { ... });
//     auto subscriber = post.subscriber({.client_id = "core", .topics = {...}}, fuse, handlers);
//     post.deliver();
//
// Messages that were kept come again when the acknowledgement is lost, or when the subscriber dies
// before it. Sessions, and what waits in them, stay with the broker whatever happens to clients.
#pragma once

#include <functional>
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
    void set_away(bool is_away) { broker_.set_away(is_away); }
    // Subscribers acknowledge first, and sometimes keep nothing: a lie.
    void acknowledge_first(bool lies) { lies_ = lies; }

    // `leaves` sees what is sent; may be empty. The fuse and this must outlive both.
    std::unique_ptr<mqtt::Publisher> publisher(std::string_view client_id, world::Fuse& fuse,
                                               std::function<void(ByteView)> leaves);
    std::unique_ptr<mqtt::Subscriber> subscriber(const mqtt::SubscriberSettings& settings,
                                                 world::Fuse& fuse, mqtt::Handlers handlers);
    // Hands what waits to who is connected.
    void deliver();
    std::size_t waiting() const { return broker_.waiting(); }

private:
    friend class SimPublisher;
    Result<void> hand_over(std::span<const mqtt::Message> messages, world::Fuse& fuse,
                           const mqtt::Handlers& handlers);

    Dice& dice_;
    Tally& tally_;
    PostFaults faults_;
    bool lies_ = false;
    mqtt::MemoryBroker broker_;
};

}  // namespace tapir::sim
