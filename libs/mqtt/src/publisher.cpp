#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "connection.hpp"
#include "tally.hpp"
#include "topic.hpp"

namespace tapir::mqtt {
namespace {

using namespace std::chrono_literals;

constexpr Duration look_every = 1s;

// The broker's answer to one message (MQTT 5 §3.4.2.1).
Published outcome_of(int reason) {
    switch (reason) {
        case 0x00:
            return Published::accepted;
        case 0x10:
            return Published::unheard;  // no matching subscribers
        case 0x87:
            return Published::denied;  // not authorized
        case 0x90:                     // topic name invalid
        case 0x95:                     // packet too large
        case 0x99:
            return Published::refused;  // payload format invalid
        default:
            return Published::busy;
    }
}

class RealPublisher final : public Publisher, Sink {
public:
    RealPublisher(Broker broker, Address address, const PublisherSettings& settings,
                  const Parts& parts)
        : broker_(std::move(broker)),
          address_(std::move(address)),
          settings_(settings),
          clock_(parts.clock),
          tally_(label_of(settings), parts.log, parts.counters) {
        for (std::size_t i = 0; i < published_count; ++i) {
            const auto name = std::string(to_string(static_cast<Published>(i)));
            outcomes_.at(i) = &parts.counters.counter(
                "tapir_mqtt_published_total", "Messages published, by what became of them.",
                {{"client", label_of(settings)}, {"outcome", name}});
        }
    }
    RealPublisher(const RealPublisher&) = delete;
    RealPublisher& operator=(const RealPublisher&) = delete;
    ~RealPublisher() override {
        if (connection_) {
            connection_->close();
            drop();
        }
    }

    std::vector<Published> publish(std::span<const Message> messages) override {
        std::vector<Published> out(messages.size(), Published::unavailable);
        out_ = out;
        if (!messages.empty() && connect(clock_.monotonic() + settings_.time_max)) {
            send(messages);
        }
        for (const Published outcome : out) {
            outcomes_.at(static_cast<std::size_t>(outcome))->add();
        }
        return out;
    }

    void cancel() override {
        is_cancelled_ = true;
        waker_.wake();
    }

private:
    void acknowledged(int message_id, int reason) override {
        if (const auto at = in_flight_.find(message_id); at != in_flight_.end()) {
            out_[at->second] = outcome_of(reason);
            in_flight_.erase(at);
        }
    }

    bool goes_on() const {
        return connection_->is_open() && !is_cancelled_ && clock_.monotonic() < deadline_;
    }

    void step() {
        connection_->wait(waker_, std::min(look_every, deadline_ - clock_.monotonic()));
        connection_->read();
        connection_->write();
        used_ = clock_.monotonic();
    }

    // The one from before, if it still stands, or a new one.
    bool connect(Duration deadline) {
        deadline_ = deadline;
        if (connection_ &&
            clock_.monotonic() - used_ > std::chrono::seconds(settings_.keepalive_s)) {
            // Nobody pinged meanwhile: the broker may have given us up.
            connection_->close();
        }
        if (connection_) {
            connection_->read();
        }
        if (connection_ && !connection_->is_open()) {
            drop();
        }
        if (connection_ || is_cancelled_) {
            return connection_ != nullptr && !is_cancelled_;
        }
        connection_ =
            Connection::start(broker_, address_,
                              {.client_id = settings_.client_id,
                               .keepalive_s = settings_.keepalive_s,
                               .session_expiry_s = 0,
                               .inflight_max = static_cast<std::uint16_t>(settings_.inflight_max)},
                              *this, clock_);
        while (goes_on() && !connection_->is_ready()) {
            step();
        }
        if (goes_on()) {
            tally_.connected();
            return true;
        }
        drop();
        return false;
    }

    void send(std::span<const Message> messages) {
        std::size_t next = 0;
        while (goes_on() && (next < messages.size() || !in_flight_.empty())) {
            for (; next < messages.size() && in_flight_.size() < settings_.inflight_max; ++next) {
                if (!is_topic(messages[next].topic) ||
                    messages[next].payload.size() > payload_size_max) {
                    out_[next] = Published::refused;
                    continue;
                }
                const auto id = connection_->publish(messages[next]);
                if (id) {
                    in_flight_.emplace(*id, next);
                } else {
                    out_[next] = id.error();
                }
            }
            if (!in_flight_.empty()) {
                step();
            }
        }
        if (!in_flight_.empty()) {
            // What was not acknowledged must not turn up in the next call.
            in_flight_.clear();
            if (connection_->is_open()) {
                connection_->cut(is_cancelled_ ? Ended::closed : Ended::timeout);
            }
        }
        if (!connection_->is_open()) {
            drop();
        }
    }

    void drop() {
        if (connection_->is_open()) {
            connection_->cut(is_cancelled_ ? Ended::closed : Ended::timeout);
        }
        tally_.ended(connection_->ended(), connection_->detail());
        connection_ = nullptr;
    }

    const Broker broker_;
    const Address address_;
    const PublisherSettings settings_;
    const world::Clock& clock_;
    Tally tally_;
    std::array<Counter*, published_count> outcomes_{};
    Waker waker_;
    std::atomic<bool> is_cancelled_{false};
    // Of the publish() that runs.
    std::span<Published> out_;
    std::map<int, std::size_t> in_flight_;  // message id to index
    Duration deadline_{};
    Duration used_{};
    std::unique_ptr<Connection> connection_;
};

}  // namespace

Result<std::unique_ptr<Publisher>> open_publisher(const Broker& broker,
                                                  const PublisherSettings& settings,
                                                  const Parts& parts) {
    Address address = TRY(check(broker));
    if (settings.client_id.empty() || settings.keepalive_s < 5 || settings.inflight_max == 0 ||
        settings.inflight_max > 65'535) {
        return fail(Code::invalid,
                    "a publisher needs a client id, keepalive of 5 s at least, and 1 to 65535 in "
                    "flight");
    }
    std::unique_ptr<Publisher> out =
        std::make_unique<RealPublisher>(broker, std::move(address), settings, parts);
    return out;
}

}  // namespace tapir::mqtt
