#include "tapir/policy/service.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "broker_feed.hpp"
#include "feed_reader.hpp"
#include "notifier.hpp"
#include "tapir/net/serving.hpp"
#include "tapir/policy/engine.hpp"
#include "tapir/rpz/answer.hpp"
#include "tapir/world/step_thread.hpp"

namespace tapir::policy {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view part = "policy";
constexpr Duration store_pause = 1s;  // before a change that the store refused is tried again
constexpr Duration wait_max = 60s;

std::string_view transfer_kind(rpz::QueryOutcome outcome) {
    switch (outcome) {
        case rpz::QueryOutcome::axfr:
            return "axfr";
        case rpz::QueryOutcome::ixfr:
            return "ixfr";
        case rpz::QueryOutcome::ixfr_as_axfr:
            return "ixfr_as_axfr";
        case rpz::QueryOutcome::ixfr_current:
            return "ixfr_current";
        default:
            return {};
    }
}

}  // namespace

struct Service::Impl {
    Impl(Config c, ServiceParts p) : config(std::move(c)), parts(std::move(p)) {}

    Config config;
    ServiceParts parts;
    std::mutex engine_mutex;  // around all of `engine` but snapshot()
    std::unique_ptr<Engine> engine;
    std::unique_ptr<FeedReader> feed;              // over HTTPS, or
    std::unique_ptr<BrokerFeed> broker;            // over MQTT
    std::unique_ptr<mqtt::Subscriber> subscriber;  // of the broker
    std::vector<std::unique_ptr<Notifier>> notifiers;
    std::atomic<bool> reload_wanted{false};
    std::map<std::string, std::uint64_t> stamps;  // of the list files; the worker's
    Duration next_check{};                        // monotonic; the worker's
    std::unique_ptr<world::StepThread> worker;
    std::unique_ptr<world::StepThread> reader;  // of the feed

    net::DnsAnswer answer(const net::DnsQuery& query);
    net::HttpResponse explain(const net::HttpRequest& request);
    Result<void> read_lists();
    void reload_now();
    void check_files();
    void take_feed(UtcTime now);
    Duration pause(UtcTime now);
    Result<void> begin();
    void open_feed();
    Result<void> subscribe();
    Duration work();
    Duration follow();
    void wake();
    void notify();
    void start_notifiers();
    std::map<std::string, std::uint64_t> read_stamps() const;
};

net::DnsAnswer Service::Impl::answer(const net::DnsQuery& query) {
    const bool plain = std::ranges::any_of(
        config.allow_plain,
        [&](const net::PeerAddress& allowed) { return allowed.same_ip(query.peer); });
    const auto transport =
        query.transport == net::DnsTransport::tcp ? rpz::Transport::tcp : rpz::Transport::udp;
    auto made = std::make_shared<rpz::Answer>(
        rpz::answer(config.apex, engine->snapshot(), config.tsig_keys, query.message,
                    {.transport = transport, .plain_allowed = plain}, parts.clock.now()));
    const rpz::QueryOutcome outcome = made->outcome();
    parts.counters
        .counter("tapir_policy_queries_total", "DNS requests by what became of them.",
                 {{"outcome", std::string(to_string(outcome))}})
        .add();
    if (const auto kind = transfer_kind(outcome); !kind.empty()) {
        parts.counters
            .counter("tapir_policy_transfers_total", "Zone transfers begun, by kind.",
                     {{"kind", std::string(kind)}})
            .add();
        parts.log.info(part, "transfer", {{"kind", kind}, {"peer", query.peer.to_string()}});
    }
    return net::DnsAnswer::many([made, &clock = parts.clock]() -> std::optional<Bytes> {
        Bytes message;
        return made->next(message, clock.now()) ? std::optional(std::move(message)) : std::nullopt;
    });
}

net::HttpResponse Service::Impl::explain(const net::HttpRequest& request) {
    const auto name = request.parameter("name");
    if (!name) {
        return net::HttpResponse::text(400, "expected /explain?name=NAME\n");
    }
    const std::lock_guard lock(engine_mutex);
    const auto explanation = engine->explain(*name);
    if (!explanation) {
        return net::HttpResponse::text(400, explanation.error().what() + "\n");
    }
    return net::HttpResponse::text(200, explanation->to_string() + "\n", "application/json");
}

std::map<std::string, std::uint64_t> Service::Impl::read_stamps() const {
    std::map<std::string, std::uint64_t> out;
    for (const std::string& path : config.lists.all()) {
        out[path] = parts.file_stamp(path);
    }
    return out;
}

// The stamps are taken before the files are read: what changes meanwhile is read again.
Result<void> Service::Impl::read_lists() {
    stamps = read_stamps();
    LoadedLists loaded = TRY(load_lists(config.lists, parts.files));
    parts.log.info(part, "lists read",
                   {{"entries", loaded.entries},
                    {"duplicates", loaded.duplicates},
                    {"skipped", loaded.skipped}});
    parts.counters.gauge("tapir_policy_list_entries", "Entries of all lists.")
        .set(static_cast<std::int64_t>(loaded.entries));
    const std::lock_guard lock(engine_mutex);
    engine->set_lists(std::move(loaded.lists));
    return {};
}

void Service::Impl::reload_now() {
    const auto count = [&](std::string_view result) {
        parts.counters
            .counter("tapir_policy_reloads_total", "Reloads of lists and keys.",
                     {{"result", std::string(result)}})
            .add();
    };
    Result<void> done = read_lists();
    if (done && !config.trusted_keys_file.empty()) {
        auto keys = read_trusted_keys(parts.files, config.trusted_keys_file);
        if (keys) {
            const std::lock_guard lock(engine_mutex);
            engine->set_trusted_keys(*std::move(keys));
        } else {
            done = fail(std::move(keys).error().at(config.trusted_keys_file));
        }
    }
    if (!done) {
        count("failed");
        parts.log.error(part, "reload failed; what failed stays as it was",
                        {{"error", done.error().what()}});
        return;
    }
    count("done");
}

void Service::Impl::check_files() {
    const Duration now = parts.clock.monotonic();
    const bool due = now >= next_check;
    if (due) {
        next_check = now + config.lists_check;
    }
    if (reload_wanted.exchange(false) || (due && read_stamps() != stamps)) {
        reload_now();
    }
}

void Service::Impl::take_feed(UtcTime now) {
    if (!feed) {
        return;
    }
    for (const FeedInput& input : feed->take()) {
        if (const auto* event = std::get_if<FeedEvent>(&input)) {
            engine->take(event->jws, event->id, now);
        } else {
            const auto& snapshot = std::get<FeedSnapshot>(input);
            engine->take_all(snapshot.messages, snapshot.last_id, now);
        }
    }
}

// How long there is nothing to do unless somebody calls.
Duration Service::Impl::pause(UtcTime now) {
    Duration until = wait_max;
    if (!config.lists.all().empty()) {
        until = std::min(until, next_check - parts.clock.monotonic());
    }
    if (const auto expiry = engine->next_expiry()) {
        until = std::min(until, *expiry - now);
    }
    if (engine->is_dirty()) {
        until = std::min(until, store_pause);
    }
    return std::max(until, Duration::zero());
}

Duration Service::Impl::work() {
    check_files();
    Duration wait{};
    bool changed = false;
    {
        const std::lock_guard lock(engine_mutex);
        const UtcTime now = parts.clock.now();
        take_feed(now);
        engine->expire(now);
        changed = engine->commit(now);
        wait = pause(now);
    }
    if (changed) {
        notify();
    }
    return wait;
}

Duration Service::Impl::follow() {
    if (broker) {
        return broker->follow();
    }
    return feed ? feed->follow() : wait_max;
}

void Service::Impl::notify() {
    for (const auto& notifier : notifiers) {
        notifier->wake();
    }
}

void Service::Impl::wake() {
    if (worker) {
        worker->notify();
    }
}

Result<void> Service::Impl::begin() {
    // Transfers are counted by kind from the first scrape on.
    for (const std::string kind : {"axfr", "ixfr", "ixfr_as_axfr", "ixfr_current"}) {
        parts.counters.counter("tapir_policy_transfers_total", "Zone transfers begun, by kind.",
                               {{"kind", kind}});
    }
    TRY(read_lists());
    next_check = parts.clock.monotonic() + config.lists_check;
    engine->expire(parts.clock.now());
    engine->commit(parts.clock.now());
    open_feed();
    return {};
}

void Service::Impl::open_feed() {
    const bool has_core = parts.http_client != nullptr && !config.core_url.empty();
    if (config.transport == Transport::mqtt) {
        broker = std::make_unique<BrokerFeed>(
            BrokerFeed::Parts{.engine = *engine,
                              .engine_mutex = engine_mutex,
                              .clock = parts.clock,
                              .log = parts.log,
                              .counters = parts.counters,
                              .core = has_core ? parts.http_client : nullptr,
                              .core_url = config.core_url,
                              .on_taken =
                                  [this](bool zone_changed) {
                                      if (zone_changed) {
                                          notify();
                                      }
                                      wake();
                                  },
                              .on_gap =
                                  [this] {
                                      if (reader) {
                                          reader->notify();
                                      }
                                  }});
    } else if (has_core) {
        feed = std::make_unique<FeedReader>(FeedReader::Parts{.client = *parts.http_client,
                                                              .url = config.core_url,
                                                              .clock = parts.clock,
                                                              .log = parts.log,
                                                              .counters = parts.counters,
                                                              .on_input = [this] { wake(); }},
                                            engine->feed_id());
    }
}

// Last of all, for from here on a thread may come in.
Result<void> Service::Impl::subscribe() {
    if (broker) {
        TAPIR_ASSERT(parts.open_subscriber);
        subscriber = TRY(parts.open_subscriber(broker->handlers()));
    }
    return {};
}

void Service::Impl::start_notifiers() {
    for (const net::Endpoint& target : config.notify) {
        NotifierParts notifier{
            .apex = config.apex,
            .key = nullptr,
            .client = parts.dns_client,
            .chance = parts.chance,
            .clock = parts.clock,
            .serial = [this] { return engine->snapshot()->serial; },
            .finished =
                [this, text = target.to_string()](bool acknowledged) {
                    parts.counters
                        .counter("tapir_policy_notifies_total", "NOTIFY by target and result.",
                                 {{"target", text},
                                  {"result", acknowledged ? "acknowledged" : "unanswered"}})
                        .add();
                    if (!acknowledged) {
                        parts.log.warn("notify", "a resolver does not acknowledge",
                                       {{"target", text}});
                    }
                }};
        notifiers.push_back(std::make_unique<Notifier>(target, std::move(notifier)));
    }
}

Service::Service(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Service::~Service() {
    stop();
}

Result<std::unique_ptr<Service>> Service::open(Config config, ServiceParts parts) {
    auto impl = std::make_unique<Impl>(std::move(config), std::move(parts));
    EngineSettings settings{.apex = impl->config.apex,
                            .rules = impl->config.rules,
                            .feed = impl->config.feed,
                            .trusted_keys = impl->config.trusted_keys};
    impl->engine = TRY(Engine::open(std::move(settings), impl->parts.store, impl->parts.log,
                                    impl->parts.counters, impl->parts.clock.now()));
    return std::unique_ptr<Service>(new Service(std::move(impl)));
}

net::DnsServer::Handler Service::dns_handler() {
    return [impl = impl_.get()](const net::DnsQuery& query) { return impl->answer(query); };
}

void Service::add_routes(net::HttpRoutes& routes) {
    Impl* impl = impl_.get();
    routes.add({.method = "GET",
                .path = "/metrics",
                .body_size_max = 0,
                .handle =
                    [impl](const net::HttpRequest&) {
                        return net::metrics_response(impl->parts.counters);
                    },
                .subscribe = {}});
    routes.add(
        {.method = "GET",
         .path = "/explain",
         .body_size_max = 0,
         .handle = [impl](const net::HttpRequest& request) { return impl->explain(request); },
         .subscribe = {}});
}

Result<void> Service::begin() {
    TRY(impl_->begin());
    return impl_->subscribe();
}

Duration Service::work() {
    return impl_->work();
}

Duration Service::follow() {
    return impl_->follow();
}

std::shared_ptr<const rpz::Snapshot> Service::snapshot() const {
    return impl_->engine->snapshot();
}

Result<void> Service::start() {
    Impl& self = *impl_;
    TRY(self.begin());
    self.start_notifiers();
    self.worker =
        std::make_unique<world::StepThread>(self.parts.clock, [&self] { return self.work(); });
    if (self.feed || self.broker) {
        self.reader = std::make_unique<world::StepThread>(self.parts.clock,
                                                          [&self] { return self.follow(); });
    }
    return self.subscribe();
}

void Service::reload() {
    impl_->reload_wanted = true;
    impl_->wake();
}

void Service::stop() {
    Impl& self = *impl_;
    if (self.subscriber) {
        self.subscriber->stop();
    }
    if (self.feed) {
        self.feed->cancel();
    }
    if (self.broker) {
        self.broker->cancel();
    }
    // The reader tells the worker of what it reads: it goes first.
    self.reader.reset();
    self.worker.reset();
    self.notifiers.clear();
}

}  // namespace tapir::policy
