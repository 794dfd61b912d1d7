// The core at a broker: events come in, observations go out. Both connections come and go by
// themselves; nothing else waits for them.
//
//     auto link = TRY(BrokerLink::open(settings, parts));   // null: no broker is set
//     ...
//     link->stop_taking();       // before intake ends
//     link->stop_giving();       // after the feeds have all there is
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "tapir/feeds/feeds.hpp"
#include "tapir/intake/intake.hpp"
#include "tapir/mqtt/mqtt.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"

namespace tapir::core {

class BrokerLink {
public:
    // All must outlive it.
    struct Parts {
        world::Files& files;
        const world::Clock& clock;
        world::Chance& chance;
        const Log& log;
        Counters& counters;
        intake::Intake& intake;
        feeds::Feeds& feeds;
    };
    static Result<std::unique_ptr<BrokerLink>> open(const text::Settings& settings,
                                                    const Parts& parts);
    ~BrokerLink();
    BrokerLink(const BrokerLink&) = delete;
    BrokerLink& operator=(const BrokerLink&) = delete;

    // No event is taken any more. What was not acknowledged stays with the broker.
    void stop_taking();
    // What is there goes out as long as the broker takes it, for five seconds at most.
    void stop_giving();

private:
    BrokerLink(const Parts& parts, std::unique_ptr<mqtt::Publisher> publisher);
    void give();

    feeds::Feeds& feeds_;
    std::unique_ptr<mqtt::Publisher> publisher_;
    std::unique_ptr<mqtt::Subscriber> subscriber_;
    std::atomic<bool> ending_{false};
    world::Waiter pause_;     // of the thread
    world::Waiter finished_;  // the thread has
    std::thread thread_;
};

}  // namespace tapir::core
