#include "post.hpp"

#include <algorithm>
#include <utility>

namespace tapir::sim {

class SimPublisher final : public mqtt::Publisher {
public:
    SimPublisher(Post& post, std::unique_ptr<mqtt::Publisher> behind, world::Fuse& fuse,
                 std::function<void(mqtt::Message&)> leaves)
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
    mqtt::Published publish_one(mqtt::Message message) {
        const world::Fuse::Moment moment = fuse_.step();
        if (moment == world::Fuse::Moment::dead ||
            (moment == world::Fuse::Moment::dying && fuse_.chance().below(2) == 0)) {
            return mqtt::Published::unavailable;
        }
        if (leaves_) {
            leaves_(message);
        }
        if (!post_.is_open()) {
            return mqtt::Published::unavailable;
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
            post_.tally_.add(Fault::answer_lost, outcome == mqtt::Published::accepted ? 1 : 0);
            return mqtt::Published::unavailable;
        }
        return outcome;
    }

    Post& post_;
    std::unique_ptr<mqtt::Publisher> behind_;
    world::Fuse& fuse_;
    const std::function<void(mqtt::Message&)> leaves_;
};

std::unique_ptr<mqtt::Publisher> Post::publisher(std::string_view client_id, world::Fuse& fuse,
                                                 std::function<void(mqtt::Message&)> leaves) {
    return std::make_unique<SimPublisher>(*this, broker_.publisher(client_id), fuse,
                                          std::move(leaves));
}

std::unique_ptr<mqtt::Subscriber> Post::subscriber(const mqtt::SubscriberSettings& settings,
                                                   world::Fuse& fuse, mqtt::Handlers handlers) {
    mqtt::Handlers outer;
    outer.session_lost = handlers.session_lost;
    outer.keep = [this, client_id = settings.client_id, &fuse,
                  inner = std::move(handlers)](std::span<const mqtt::Message> messages) {
        return hand_over(messages, client_id, fuse, inner);
    };
    return broker_.subscriber(settings, std::move(outer));
}

bool Post::is_open() {
    if (outages_.is_away() && outages_.feel()) {
        tally_.add(Fault::broker_away);
    }
    return !outages_.is_away();
}

Result<void> Post::hand_over(std::span<const mqtt::Message> messages, const std::string& client_id,
                             world::Fuse& fuse, const mqtt::Handlers& handlers) {
    if (lies_ && dice_.one_in(3)) {
        return {};
    }
    if (fuse.is_burnt()) {
        return fail(world::Fuse::error());
    }
    TRY(handlers.keep(messages));
    const std::size_t again = std::exchange(kept_[client_id], 0);
    tally_.add(Fault::redelivered, std::min(again, messages.size()));
    if (dice_.percent(faults_.killed)) {
        fuse.burn();
    }
    if (fuse.step() != world::Fuse::Moment::alive) {
        tally_.add(Fault::unacknowledged);
        kept_[client_id] = messages.size();
        return fail(world::Fuse::error());
    }
    if (dice_.percent(faults_.redelivered)) {
        kept_[client_id] = messages.size();
        return fail(Code::unavailable, "the acknowledgement is lost");
    }
    return {};
}

void Post::begin_outage() {
    outages_.begin();
    broker_.set_away(true);
}

void Post::end_outage() {
    outages_.end();
    broker_.set_away(outages_.is_away());
}

void Post::mend() {
    faults_ = {};
    outages_.end_all();
    broker_.set_away(false);
}

void Post::forget_sessions() {
    tally_.add(Fault::sessions_forgotten);
    kept_.clear();
    broker_.forget_sessions();
}

void Post::deliver() {
    if (broker_.waiting() > 0) {
        static_cast<void>(is_open());  // who waits for it notices that it is away
    }
    broker_.deliver();
}

}  // namespace tapir::sim
