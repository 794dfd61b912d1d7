#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "connection.hpp"
#include "tally.hpp"
#include "tapir/base/assert.hpp"
#include "topic.hpp"

namespace tapir::mqtt {
namespace {

using namespace std::chrono_literals;

constexpr Duration look_every = 1s;
constexpr std::int64_t back_off_s_max = 60;
// A connection that held so long was a good one: the next is tried at once.
constexpr Duration good_time = 60s;

class RealSubscriber final : public Subscriber, Sink {
public:
    RealSubscriber(Broker broker, Address address, const SubscriberSettings& settings,
                   const Parts& parts, Handlers handlers)
        : broker_(std::move(broker)),
          address_(std::move(address)),
          settings_(settings),
          handlers_(std::move(handlers)),
          clock_(parts.clock),
          chance_(parts.chance),
          log_(parts.log),
          tally_(label_of(settings), parts.log, parts.counters),
          waiter_(parts.clock) {
        const auto received = [&](const char* outcome) -> Counter& {
            return parts.counters.counter("tapir_mqtt_received_total",
                                          "Messages received, by what became of them.",
                                          {{"client", label_of(settings)}, {"outcome", outcome}});
        };
        kept_ = &received("kept");
        not_kept_ = &received("not_kept");
        retained_ = &received("retained");
        oversized_ = &received("oversized");
        sessions_lost_ = &parts.counters.counter(
            "tapir_mqtt_sessions_lost_total",
            "Times the broker had no session for us: what came before is lost.",
            {{"client", label_of(settings)}});
        thread_ = std::thread([this] { run(); });
    }
    RealSubscriber(const RealSubscriber&) = delete;
    RealSubscriber& operator=(const RealSubscriber&) = delete;
    ~RealSubscriber() override { RealSubscriber::stop(); }

    void stop() override {
        if (!is_stopping_.exchange(true)) {
            waker_.wake();
            waiter_.notify();
            thread_.join();
        }
    }
    bool is_connected() const override { return is_connected_; }

private:
    void connected(bool has_session) override {
        // From now on the broker has one, whether or not we get as far as subscribing: it will not
        // say again that there was none.
        is_lost_ = is_lost_ || !has_session;
    }
    void subscribed() override {
        if (std::exchange(is_lost_, false)) {
            lose_session();
        }
        tally_.connected();
        is_connected_ = true;
    }
    void lose_session() {
        sessions_lost_->add();
        if (handlers_.session_lost) {
            handlers_.session_lost();  // who knows what it means says so
        } else {
            log_.warn("mqtt", "the broker has no session of ours: what came meanwhile is lost",
                      {{"client", label_of(settings_)}});
        }
    }
    void came(std::string_view topic, ByteView payload, bool is_retained) override {
        if (is_retained) {
            retained_->add();
        } else if (payload.size() > payload_size_max) {
            oversized_->add();
        } else {
            batch_.push_back({std::string(topic), to_bytes(payload)});
        }
    }

    void run() {
        while (!is_stopping_) {
            const Duration began = clock_.monotonic();
            is_good_ = false;
            serve();
            if (is_good_ || clock_.monotonic() - began > good_time) {
                failures_ = 0;
            }
            const Duration again = clock_.monotonic() + back_off();
            while (!is_stopping_ && clock_.monotonic() < again) {
                waiter_.wait_until(again);
            }
        }
    }

    // None, then a second, twice that, …, half of it left to chance.
    Duration back_off() {
        const std::int64_t failures = failures_++;
        if (failures == 0) {
            return {};
        }
        const std::int64_t whole_s = std::min<std::int64_t>(
            std::int64_t{1} << std::min<std::int64_t>(failures - 1, 10), back_off_s_max);
        const auto ms = static_cast<std::uint64_t>(whole_s) * 1000;
        return std::chrono::milliseconds(ms / 2 + chance_.below(ms / 2 + 1));
    }

    // One connection, from its beginning to its end.
    void serve() {
        batch_.clear();
        const auto expiry = std::chrono::ceil<std::chrono::seconds>(settings_.session_expiry);
        const auto connection =
            Connection::start(broker_, address_,
                              {.client_id = settings_.client_id,
                               .keepalive_s = settings_.keepalive_s,
                               .session_expiry_s = static_cast<std::uint32_t>(expiry.count()),
                               .inflight_max = static_cast<std::uint16_t>(settings_.inflight_max),
                               .topics = settings_.topics},
                              *this, clock_);
        while (connection->is_open() && !is_stopping_) {
            connection->wait(waker_, look_every);
            connection->read();
            // What came over a connection that has ended meanwhile comes again over the next.
            if (connection->is_open() && !keep_batch()) {
                connection->cut(Ended::not_kept);
            }
            connection->write();
        }
        connection->close();
        is_connected_ = false;
        tally_.ended(connection->ended(), connection->detail());
    }

    bool keep_batch() {
        for (std::span<const Message> rest = batch_; !rest.empty();) {
            const auto part = rest.first(std::min(rest.size(), batch_size_max));
            if (const auto done = handlers_.keep(part); !done) {
                not_kept_->add(rest.size());
                log_.error("mqtt", "messages cannot be kept; the broker will send them again",
                           {{"client", label_of(settings_)},
                            {"messages", rest.size()},
                            {"reason", done.error().what()}});
                return false;
            }
            kept_->add(part.size());
            is_good_ = true;
            rest = rest.subspan(part.size());
        }
        batch_.clear();
        return true;
    }

    const Broker broker_;
    const Address address_;
    const SubscriberSettings settings_;
    const Handlers handlers_;
    const world::Clock& clock_;
    world::Chance& chance_;
    const Log& log_;
    Tally tally_;
    Counter* kept_ = nullptr;
    Counter* not_kept_ = nullptr;
    Counter* retained_ = nullptr;
    Counter* oversized_ = nullptr;
    Counter* sessions_lost_ = nullptr;
    Waker waker_;
    world::Waiter waiter_;
    std::atomic<bool> is_stopping_{false};
    std::atomic<bool> is_connected_{false};
    // The thread's own.
    std::vector<Message> batch_;
    std::int64_t failures_ = 0;
    bool is_lost_ = false;  // the session, and nobody was told yet
    bool is_good_ = false;  // this connection brought something that was kept
    std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Subscriber>> open_subscriber(const Broker& broker,
                                                    const SubscriberSettings& settings,
                                                    const Parts& parts, Handlers handlers) {
    Address address = TRY(check(broker));
    if (settings.client_id.empty() || settings.keepalive_s < 5 || settings.inflight_max == 0 ||
        settings.inflight_max > batch_size_max) {
        return fail(Code::invalid,
                    "a subscriber needs a client id, keepalive of 5 s at least, and 1 to 256 in "
                    "flight");
    }
    if (settings.session_expiry < 1s || settings.session_expiry > 0xFFFF'FFFFLL * Duration(1s)) {
        return fail(Code::invalid, "session expiry: expected 1 s to 136 years");
    }
    if (settings.topics.empty() || settings.topics.size() > topics_max) {
        return fail(Code::invalid, "a subscriber needs 1 to 16 topics");
    }
    for (const std::string& filter : settings.topics) {
        if (!is_filter(filter)) {
            return fail(Code::invalid, filter + ": not a topic filter");
        }
    }
    TAPIR_ASSERT(handlers.keep);
    std::unique_ptr<Subscriber> out = std::make_unique<RealSubscriber>(
        broker, std::move(address), settings, parts, std::move(handlers));
    return out;
}

}  // namespace tapir::mqtt
