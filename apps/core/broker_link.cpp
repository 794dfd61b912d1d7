#include "broker_link.hpp"

#include <algorithm>
#include <utility>

#include "tapir/mqtt/broker_settings.hpp"

namespace tapir::core {

namespace {

using namespace std::chrono_literals;

constexpr Duration idle = 1s;
constexpr Duration pause_min = 1s;  // after the broker did not take something
constexpr Duration pause_max = 60s;
constexpr Duration drain_max = 5s;

}  // namespace

Result<std::unique_ptr<BrokerLink>> BrokerLink::open(const text::Settings& settings,
                                                     const Parts& parts) {
    const mqtt::Broker broker = TRY(mqtt::read_broker(settings, parts.files));
    if (broker.url.empty()) {
        return std::unique_ptr<BrokerLink>();
    }
    const mqtt::ClientName name = TRY(mqtt::read_client_name(
        settings, parts.files, parts.chance, settings.string("state.dir"), "tapir-core"));
    const mqtt::Parts ports{parts.clock, parts.chance, parts.log, parts.counters};
    auto publisher = mqtt::open_publisher(
        broker, {.client_id = name.id + "-down", .label = name.label + "-down"}, ports);
    if (!publisher) {
        return mqtt::refuse_broker(settings, publisher.error());
    }
    std::unique_ptr<BrokerLink> link(new BrokerLink(parts, *std::move(publisher)));
    auto subscriber = mqtt::open_subscriber(
        broker,
        {.client_id = name.id,
         .topics = {std::string(intake::events_topics)},
         .session_expiry = settings.duration("mqtt.session_expiry"),
         .label = name.label},
        ports,
        {.keep = [&intake = parts.intake](auto messages) { return intake.take(messages); },
         .session_lost =
             [&log = parts.log] {
                 log.warn(
                     "intake",
                     "the broker does not remember us: events that it held for us are lost, if "
                     "there were any");
             }});
    if (!subscriber) {
        return mqtt::refuse_broker(settings, subscriber.error());
    }
    link->subscriber_ = *std::move(subscriber);
    link->thread_ = std::thread([giver = link.get()] { giver->give(); });
    return link;
}

BrokerLink::BrokerLink(const Parts& parts, std::unique_ptr<mqtt::Publisher> publisher)
    : feeds_(parts.feeds),
      publisher_(std::move(publisher)),
      pause_(parts.clock),
      finished_(parts.clock) {}

BrokerLink::~BrokerLink() {
    stop_taking();
    stop_giving();
}

void BrokerLink::give() {
    using enum feeds::Broadcast;
    Duration pause = pause_min;
    while (!ending_) {
        const auto outcome = feeds_.broadcast(*publisher_);
        if (outcome == again) {
            pause_.wait_for(pause);
            pause = std::min(pause * 2, pause_max);
            continue;
        }
        pause = pause_min;
        if (outcome == done) {
            feeds_.wait_to_broadcast(idle);
        }
    }
    while (feeds_.broadcast(*publisher_) == more) {
    }
    finished_.notify();
}

void BrokerLink::stop_taking() {
    if (subscriber_) {
        subscriber_->stop();
    }
}

void BrokerLink::stop_giving() {
    if (!thread_.joinable()) {
        return;
    }
    ending_ = true;
    pause_.notify();
    if (!finished_.wait_for(drain_max)) {
        publisher_->cancel();
    }
    thread_.join();
}

}  // namespace tapir::core
