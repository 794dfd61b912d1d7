#include "tapir/feeds/feeds.hpp"

#include <algorithm>
#include <charconv>
#include <mutex>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "shelf.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/text/json.hpp"

namespace tapir::feeds {

namespace {

constexpr std::size_t at_once_max = 1024;
constexpr std::size_t queue_max = 4096;
constexpr std::size_t forget_at_once_max = 10'000;

std::optional<std::uint64_t> parse_id(std::string_view text) {
    std::uint64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    const bool is_whole = error == std::errc() && end == text.data() + text.size();
    return is_whole ? std::optional(id) : std::nullopt;
}

// What the subscriber last had: a text that may be no id, or nothing if it is new here.
std::optional<std::string> last_had(const net::HttpRequest& request) {
    if (const auto field = request.fields.find("Last-Event-ID")) {
        return std::string(*field);
    }
    return request.parameter("last_id");
}

}  // namespace

struct Feeds::Impl {
    Impl(FeedSettings s, jose::PrivateJwk k, FeedParts p)
        : settings(s),
          key(std::move(k)),
          parts(p),
          pause(p.clock),
          news(p.clock),
          shelf(p.store),
          sent(p.counters.counter("tapir_core_feed_sent_total",
                                  "Observations sent to subscribers of the live feed.")),
          resets(p.counters.counter("tapir_core_feed_resets_total",
                                    "Subscribers told to take a snapshot.")),
          subscribers(
              p.counters.gauge("tapir_core_feed_subscribers", "Subscribers of the live feed.")) {}

    Result<std::optional<Shelved>> take(const bus::Message& message);
    void send(const std::vector<Shelved>& messages);
    Result<void> acknowledge();
    bool catch_up(std::string_view had, net::SseStream& stream);
    Result<std::vector<Shelved>> owed();
    Result<bool> settle(const std::vector<Shelved>& messages,
                        std::span<const mqtt::Published> outcomes);
    Counter& lost(std::string_view reason) const;
    void trouble(const Error& error);

    const FeedSettings settings;
    const jose::PrivateJwk key;
    const FeedParts parts;
    world::Waiter pause;
    world::Waiter news;
    std::mutex mutex;  // of all below
    Shelf shelf;
    std::vector<std::shared_ptr<net::SseStream>> streams;
    bool closed = false;
    std::unique_ptr<bus::Subscription> observations;
    std::vector<Shelved> unsent;        // taken, but not yet for sure on the disk
    std::vector<bus::Message> untaken;  // of work() alone: by trouble, before anything newer
    Counter& sent;
    Counter& resets;
    Gauge& subscribers;
};

std::vector<std::string> store_families() {
    return Shelf::families();
}

Feeds::Feeds(FeedSettings settings, jose::PrivateJwk key, FeedParts parts)
    : impl_(std::make_unique<Impl>(settings, std::move(key), parts)) {}

Feeds::~Feeds() = default;

Result<void> Feeds::open() {
    TRY(impl_->shelf.open());
    impl_->observations = TRY(impl_->parts.bus.subscribe(
        observations_subject, {.queue_max = queue_max, .when_full = bus::WhenFull::refuse}));
    return {};
}

void Feeds::add_routes(net::HttpRoutes& routes) {
    routes.add({.method = "GET",
                .path = "/api/v1/observations",
                .handle = [this](const net::HttpRequest& request) { return snapshot(request); },
                .subscribe = {}});
    routes.add({.method = "GET",
                .path = "/api/v1/observations/stream",
                .handle = {},
                .subscribe = [this](const net::HttpRequest& request,
                                    const std::shared_ptr<net::SseStream>& stream) {
                    return subscribe(request, stream);
                }});
}

void Feeds::Impl::trouble(const Error& error) {
    parts.counters
        .counter("tapir_core_trouble_total", "Work that failed and is tried again.",
                 {{"part", "feeds"}, {"code", std::string(to_string(error.code()))}})
        .add();
    parts.log.error("feeds", "work failed, and is tried again", {{"reason", error.what()}});
}

net::HttpResponse Feeds::snapshot(const net::HttpRequest& /*request*/) {
    const auto live = impl_->shelf.live(impl_->parts.clock.now(), snapshot_size_max);
    if (!live) {
        impl_->trouble(live.error());
        return net::HttpResponse::error(503);
    }
    return net::HttpResponse::text(
        200,
        fmt::format(R"({{"last_id":"{}","observations":[{}]}})", live->last_id, live->messages),
        "application/json");
}

// False if the subscriber has to take a snapshot.
bool Feeds::Impl::catch_up(std::string_view had, net::SseStream& stream) {
    const auto id = parse_id(had);
    if (!id) {
        return false;
    }
    const auto found = shelf.after(*id, catch_up_size_max);
    if (!found) {
        trouble(found.error());
        return false;
    }
    const auto& missed = *found;
    if (!missed) {
        return false;
    }
    for (const auto& message : *missed) {
        stream.send(std::to_string(message.id), "", message.message);
        sent.add();
    }
    return true;
}

std::optional<net::HttpResponse> Feeds::subscribe(const net::HttpRequest& request,
                                                  const std::shared_ptr<net::SseStream>& stream) {
    const auto had = last_had(request);
    // Under the lock nothing is sent to others: between what was missed and what comes is no gap.
    const std::lock_guard lock(impl_->mutex);
    std::erase_if(impl_->streams, [](const auto& other) { return !other->is_open(); });
    if (impl_->closed || impl_->streams.size() >= subscribers_max) {
        return net::HttpResponse::error(503);
    }
    if (had && !impl_->catch_up(*had, *stream)) {
        const std::string last = std::to_string(impl_->shelf.last_id());
        stream->send(last, "reset", last);
        impl_->resets.add();
    }
    impl_->streams.push_back(stream);
    impl_->subscribers.set(static_cast<std::int64_t>(impl_->streams.size()));
    return std::nullopt;
}

// Nothing if it was taken before.
Result<std::optional<Shelved>> Feeds::Impl::take(const bus::Message& message) {
    const auto json = text::Json::parse(as_text(*message.body));
    const auto id = json ? json->integer("id") : Result<std::int64_t>(fail(json.error()));
    const auto text = json ? json->string("observation") : Result<std::string>(fail(json.error()));
    const auto observation =
        text ? products::Observation::parse(*text) : fail(products::ObservationError::not_json);
    if (!id || *id <= 0 || !observation) {
        parts.counters
            .counter("tapir_core_bus_messages_bad_total",
                     "Messages on the bus that could not be read.")
            .add();
        parts.log.error("feeds", "a message on the bus could not be read");
        return std::optional<Shelved>();
    }
    const auto number = static_cast<std::uint64_t>(*id);
    if (number <= shelf.last_id()) {
        return std::optional<Shelved>();
    }
    std::string jws = TRY(jose::sign_jws(key, as_bytes(*text)));
    TRY(shelf.add(number, *observation, jws, parts.clock.now()));
    return std::optional(Shelved{number, std::move(jws)});
}

void Feeds::Impl::send(const std::vector<Shelved>& messages) {
    for (const auto& message : messages) {
        for (const auto& stream : streams) {
            if (stream->send(std::to_string(message.id), "", message.message)) {
                sent.add();
            }
        }
    }
    std::erase_if(streams, [](const auto& stream) { return !stream->is_open(); });
    subscribers.set(static_cast<std::int64_t>(streams.size()));
}

Result<void> Feeds::Impl::acknowledge() {
    const std::string text = text::Json::object({{"id", shelf.last_id()}}).to_string();
    return parts.bus.publish(observations_done_subject, to_bytes(text));
}

void Feeds::work(Duration wait_at_most) {
    Impl& impl = *impl_;
    std::vector<bus::Message> messages = std::exchange(impl.untaken, {});
    if (!messages.empty()) {
        impl.pause.wait_for(wait_at_most);  // it failed just now
    } else if (auto first = impl.observations->next(wait_at_most)) {
        messages.push_back(*std::move(first));
    }
    while (!messages.empty() && messages.size() < at_once_max) {
        auto next = impl.observations->next(Duration(0));
        if (!next) {
            break;
        }
        messages.push_back(*std::move(next));
    }
    const std::lock_guard lock(impl.mutex);
    for (std::size_t i = 0; i < messages.size(); ++i) {
        auto taken = impl.take(messages[i]);
        if (!taken) {
            impl.trouble(taken.error());
            impl.untaken.assign(messages.begin() + static_cast<std::ptrdiff_t>(i), messages.end());
            break;
        }
        if (auto& shelved = *taken) {
            impl.unsent.push_back(*std::move(shelved));
        }
    }
    if (!messages.empty() || !impl.unsent.empty()) {
        auto done = impl.shelf.sync();
        if (done) {
            impl.send(std::exchange(impl.unsent, {}));
            impl.news.notify();
            done = impl.acknowledge();
        }
        if (!done) {
            impl.trouble(done.error());
        }
    }
    const UtcTime now = impl.parts.clock.now();
    const auto forgotten = impl.shelf.forget(now - impl.settings.keep, now, forget_at_once_max);
    if (!forgotten) {
        impl.trouble(forgotten.error());
    }
}

Counter& Feeds::Impl::lost(std::string_view reason) const {
    return parts.counters.counter("tapir_core_mqtt_observations_lost_total",
                                  "Observations that no broker will get from us.",
                                  {{"reason", std::string(reason)}});
}

Result<std::vector<Shelved>> Feeds::Impl::owed() {
    const std::lock_guard lock(mutex);
    Shelf::Owed owed = TRY(shelf.owed(broadcast_count_max, catch_up_size_max));
    parts.counters
        .gauge("tapir_core_mqtt_observations_waiting", "Observations that wait for the broker.")
        .set(static_cast<std::int64_t>(owed.waiting));
    if (owed.forgotten > 0) {
        TRY(shelf.taken_up_to(owed.first - 1));
        lost("forgotten").add(owed.forgotten);
        parts.log.error("feeds", "observations were forgotten before the broker took them",
                        {{"count", owed.forgotten}, {"goes_on_with", owed.first}});
    }
    return std::move(owed.messages);
}

// Moves the broker's place over the messages at the front that are done with; whether all are.
Result<bool> Feeds::Impl::settle(const std::vector<Shelved>& messages,
                                 std::span<const mqtt::Published> outcomes) {
    std::size_t done = 0;
    for (; done < messages.size() && done < outcomes.size(); ++done) {
        using enum mqtt::Published;
        const mqtt::Published outcome = outcomes[done];
        parts.counters
            .counter("tapir_core_mqtt_observations_total",
                     "Observations given to the broker, by what it said.",
                     {{"outcome", std::string(mqtt::to_string(outcome))}})
            .add();
        if (outcome == refused) {
            lost("refused").add();
            parts.log.error("feeds", "the broker will never take an observation; it is passed over",
                            {{"id", messages[done].id}});
        } else if (outcome != accepted && outcome != unheard) {
            parts.log.warn("feeds", "the broker does not take an observation; it is tried again",
                           {{"id", messages[done].id}, {"outcome", mqtt::to_string(outcome)}});
            break;
        }
    }
    if (done > 0) {
        const std::lock_guard lock(mutex);
        TRY(shelf.taken_up_to(messages[done - 1].id));
    }
    return done == messages.size();
}

Broadcast Feeds::broadcast(mqtt::Publisher& publisher) {
    Impl& impl = *impl_;
    const auto owed = impl.owed();
    if (!owed) {
        impl.trouble(owed.error());
        return Broadcast::again;
    }
    if (owed->empty()) {
        return Broadcast::done;
    }
    std::vector<mqtt::Message> messages;
    for (const auto& shelved : *owed) {
        messages.push_back(
            {.topic = std::string(broadcast_topic), .payload = to_bytes(shelved.message)});
    }
    // Not under the lock: a broker that is away must not hold up those who follow by HTTPS.
    const auto outcomes = publisher.publish(messages);
    const auto settled = impl.settle(*owed, outcomes);
    if (!settled) {
        impl.trouble(settled.error());
        return Broadcast::again;
    }
    return *settled ? Broadcast::more : Broadcast::again;
}

void Feeds::wait_to_broadcast(Duration at_most) {
    impl_->news.wait_for(at_most);
}

void Feeds::close() {
    impl_->observations->close();
    impl_->pause.notify();
    impl_->news.notify();
    const std::lock_guard lock(impl_->mutex);
    impl_->closed = true;
    for (const auto& stream : impl_->streams) {
        stream->close();
    }
    impl_->streams.clear();
}

}  // namespace tapir::feeds
