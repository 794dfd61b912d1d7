#include "post.hpp"

#include <utility>

namespace tapir::sim {

class SimPublisher final : public mqtt::Publisher {
public:
    SimPublisher(Post& post, std::unique_ptr<mqtt::Publisher> behind, world::Fuse& fuse,
                 std::function<void(ByteView)> leaves)
        : post_(post), behind_(std::move(behind)), fuse_(fuse), leaves_(std::move(leaves)) {}

    std::vector<mqtt::Published> publish(std::span<const mqtt::Message> messages) override {
        std::vector<mqtt::Published> out;
        for (const mqtt::Message& message : messages) {
            out.push_back(publish_one(message));
        }
        return out;
    }
    void cancel() override { behind_->cancel(); }

private:
    mqtt::Published publish_one(const mqtt::Message& message) {
        const world::Fuse::Moment moment = fuse_.step();
        if (moment == world::Fuse::Moment::dead ||
            (moment == world::Fuse::Moment::dying && fuse_.chance().below(2) == 0)) {
            return mqtt::Published::unavailable;
        }
        if (leaves_) {
            leaves_(message.payload);
        }
        if (post_.dice_.percent(post_.faults_.lost)) {
            post_.tally_.add(Fault::request_lost);
            return mqtt::Published::unavailable;
        }
        const mqtt::Published outcome = behind_->publish(std::span(&message, 1)).front();
        if (moment == world::Fuse::Moment::dying) {
            return mqtt::Published::unavailable;
        }
        if (post_.dice_.percent(post_.faults_.answer_lost)) {
            post_.tally_.add(Fault::answer_lost);
            return mqtt::Published::unavailable;
        }
        return outcome;
    }

    Post& post_;
    std::unique_ptr<mqtt::Publisher> behind_;
    world::Fuse& fuse_;
    const std::function<void(ByteView)> leaves_;
};

std::unique_ptr<mqtt::Publisher> Post::publisher(std::string_view client_id, world::Fuse& fuse,
                                                 std::function<void(ByteView)> leaves) {
    return std::make_unique<SimPublisher>(*this, broker_.publisher(client_id), fuse,
                                          std::move(leaves));
}

std::unique_ptr<mqtt::Subscriber> Post::subscriber(const mqtt::SubscriberSettings& settings,
                                                   world::Fuse& fuse, mqtt::Handlers handlers) {
    mqtt::Handlers outer;
    outer.session_lost = handlers.session_lost;
    outer.keep = [this, &fuse,
                  inner = std::move(handlers)](std::span<const mqtt::Message> messages) {
        return hand_over(messages, fuse, inner);
    };
    return broker_.subscriber(settings, std::move(outer));
}

Result<void> Post::hand_over(std::span<const mqtt::Message> messages, world::Fuse& fuse,
                             const mqtt::Handlers& handlers) {
    if (lies_ && dice_.one_in(3)) {
        return {};
    }
    if (fuse.is_burnt()) {
        return fail(world::Fuse::error());
    }
    TRY(handlers.keep(messages));
    if (dice_.percent(faults_.killed)) {
        fuse.burn();
    }
    if (fuse.step() != world::Fuse::Moment::alive) {
        tally_.add(Fault::unacknowledged);
        return fail(world::Fuse::error());
    }
    if (dice_.percent(faults_.redelivered)) {
        tally_.add(Fault::redelivered, messages.size());
        return fail(Code::unavailable, "the acknowledgement is lost");
    }
    return {};
}

void Post::deliver() {
    broker_.deliver();
}

}  // namespace tapir::sim
