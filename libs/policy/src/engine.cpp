#include "tapir/policy/engine.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "explanation.hpp"
#include "state.hpp"
#include "tapir/base/guarded.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/products/observation.hpp"

namespace tapir::policy {
namespace {

constexpr std::string_view part = "policy";

// A message that was verified and is of the kind, the source and the age that count.
struct Accepted {
    products::Observation observation;
    UtcTime stamp;
};

// The latest time that the message itself speaks of.
UtcTime stamp_of(const products::Observation& observation, UtcTime now) {
    if (observation.timestamp) {
        return *observation.timestamp;
    }
    std::optional<UtcTime> latest;
    for (const auto& item : observation.added) {
        latest = std::max(latest.value_or(item.time_added), item.time_added);
    }
    return latest.value_or(now);
}

}  // namespace

std::vector<std::string> store_families() {
    return {std::string(meta_family), std::string(zone_family), std::string(history_family),
            std::string(doubts_family)};
}

struct Engine::Impl {
    Impl(EngineSettings given, store::Store& where, const Log& l, Counters& c)
        : settings(std::move(given)),
          store(where),
          log(l),
          counters(c),
          book(settings.rules, rpz::owner_size_max - settings.apex.zone.size()) {}

    EngineSettings settings;
    store::Store& store;
    const Log& log;
    Counters& counters;
    rpz::Book book;
    std::string feed_id;
    std::uint64_t next_step = 0;
    std::shared_ptr<const rpz::Snapshot> current;
    Guarded<std::shared_ptr<const rpz::Snapshot>> published;

    // What commit() has to do. Kept until it succeeds.
    bool all_touched = false;
    rpz::Book::Touched touched;
    std::set<rpz::DoubtKey> doubts_changed;
    bool feed_id_changed = false;
    bool store_failed = false;
    bool has_unsynced = false;                    // something stored may not be on the disk yet
    std::set<std::string, std::less<>> would_be;  // names that only `enforce` would act on

    Counter& messages(std::string_view result) const {
        return counters.counter("tapir_policy_messages_total",
                                "Messages of the feed by what became of them.",
                                {{"result", std::string(result)}});
    }
    Counter& entries(std::string_view result) const {
        return counters.counter("tapir_policy_entries_total",
                                "Entries of messages by what became of them.",
                                {{"result", std::string(result)}});
    }
    void set_gauges() const;
    std::optional<Accepted> accept(std::string_view jws, UtcTime now) const;
    void take_item(const products::ObservationItem& item, const Accepted& message, bool removed,
                   UtcTime now, std::set<rpz::DoubtKey>* seen);
    void apply(const Accepted& message, UtcTime now, std::set<rpz::DoubtKey>* seen);
    void publish(std::shared_ptr<const rpz::Snapshot> next);
    void note_would_be();
    rpz::Delta evaluate() const;
    bool is_dirty() const;
    Result<bool> commit(UtcTime now, store::Durability at_least);
    Result<void> write(const store::Batch& batch, store::Durability durability);
};

void Engine::Impl::set_gauges() const {
    const auto set = [&](std::string_view name, std::string_view help, std::size_t value) {
        counters.gauge(name, help).set(static_cast<std::int64_t>(value));
    };
    set("tapir_policy_zone_rules", "Rules in the zone.", current->zone.size());
    set("tapir_policy_serial", "Serial of the zone.", current->serial.value());
    set("tapir_policy_history_steps", "Changes that IXFR reaches back.", current->history.size());
    set("tapir_policy_doubts", "Entries of observations, removals included.", book.doubt_count());
    set("tapir_policy_would_be_rules", "Names that 'enforce' would act on and 'shadow' does not.",
        would_be.size());
}

std::optional<Accepted> Engine::Impl::accept(std::string_view jws, UtcTime now) const {
    const auto refuse = [&](std::string_view result, std::string_view kid) {
        messages(result).add();
        log.warn(part, "message of the feed refused", {{"reason", result}, {"kid", kid}});
        return std::nullopt;
    };
    const auto unverified = jose::UnverifiedJws::parse(jws);
    if (!unverified) {
        return refuse(to_string(unverified.error()), "");
    }
    const auto verified = unverified->verify(settings.trusted_keys);
    if (!verified) {
        return refuse(to_string(verified.error()), unverified->claimed_kid());
    }
    auto observation = products::Observation::parse(verified->payload_text());
    if (!observation) {
        return refuse(to_string(observation.error()), verified->kid());
    }
    if (observation->list_type != products::ListType::doubtlist) {
        return refuse("wrong_list", verified->kid());
    }
    if (std::ranges::find(settings.feed.sources, observation->src_name) ==
        settings.feed.sources.end()) {
        return refuse("unknown_source", verified->kid());
    }
    const UtcTime stamp = stamp_of(*observation, now);
    if (stamp < now - settings.feed.age_max) {
        return refuse("too_old", verified->kid());
    }
    if (stamp > now + settings.feed.skew_max) {
        return refuse("from_the_future", verified->kid());
    }
    messages("accepted").add();
    return Accepted{*std::move(observation), stamp};
}

void Engine::Impl::take_item(const products::ObservationItem& item, const Accepted& message,
                             bool removed, UtcTime now, std::set<rpz::DoubtKey>* seen) {
    const auto trigger = rpz::Trigger::parse(item.name);
    if (!trigger) {
        return entries(to_string(trigger.error())).add();
    }
    if (!settings.apex.fits(trigger->key())) {
        return entries("too_long_with_zone").add();
    }
    const rpz::DoubtKey key{trigger->key(), message.observation.src_name};
    rpz::Doubt doubt{.tags = item.tag_mask,
                     .time_added = std::min(item.time_added, now),
                     .expires = {},
                     .stamp = message.stamp,
                     .removed = removed};
    const Duration life =
        std::min<Duration>(std::chrono::seconds(item.ttl_s), settings.feed.ttl_max);
    // A removal is remembered for as long as an older message could still be accepted.
    doubt.expires = removed ? message.stamp + settings.feed.age_max : doubt.time_added + life;
    const auto outcome = book.observe(key, doubt, now);
    entries(to_string(outcome)).add();
    if (seen != nullptr && !removed) {
        seen->insert(key);
    }
    if (outcome == rpz::DoubtOutcome::exhausted) {
        log.error(part, "no room for more observations", {{"entries_max", rpz::doubt_entries_max}});
    }
    if (outcome != rpz::DoubtOutcome::stale && outcome != rpz::DoubtOutcome::exhausted) {
        touched.insert(key.trigger);
        doubts_changed.insert(key);
    }
}

void Engine::Impl::apply(const Accepted& message, UtcTime now, std::set<rpz::DoubtKey>* seen) {
    for (const auto& item : message.observation.added) {
        take_item(item, message, false, now, seen);
    }
    for (const auto& item : message.observation.removed) {
        take_item(item, message, true, now, seen);
    }
}

rpz::Delta Engine::Impl::evaluate() const {
    return all_touched ? rpz::difference(current->zone, book.evaluate())
                       : book.evaluate(touched, current->zone);
}

void Engine::Impl::note_would_be() {
    const auto note = [&](const std::string& key) {
        const rpz::Decision decision = book.decide_for(key);
        if (decision.action == decision.would_be) {
            would_be.erase(key);
        } else if (would_be.insert(key).second) {
            counters
                .counter("tapir_policy_would_be_total",
                         "Actions that only 'enforce' would have taken.",
                         {{"action", std::string(to_string(decision.would_be))}})
                .add();
        }
    };
    if (all_touched) {
        const auto before = std::exchange(would_be, {});
        for (const auto& [key, doubt] : book.doubts()) {
            note(key.trigger);
        }
    }
    for (const std::string& key : touched) {
        note(key);
    }
}

void Engine::Impl::publish(std::shared_ptr<const rpz::Snapshot> next) {
    current = next;
    published.with([&](auto& pointer) { pointer = std::move(next); });
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::open(EngineSettings settings, store::Store& store,
                                             const Log& log, Counters& counters, UtcTime now) {
    auto impl = std::make_unique<Impl>(std::move(settings), store, log, counters);
    StoredState state = TRY(load_state(store, impl->settings.apex.zone));
    TRY(load_doubts(store, impl->book));
    if (state.is_new) {
        const std::int64_t seconds = std::clamp<std::int64_t>(now.seconds(), 1, 0xffff'ffffLL);
        state.snapshot.serial = rpz::Serial(static_cast<std::uint32_t>(seconds));
        store::Batch batch;
        save_meta(batch, state.snapshot.serial, "", impl->settings.apex.zone);
        TRY(store.write(batch, store::Durability::synced));
    }
    impl->feed_id = state.feed_id;
    impl->next_step = state.next_step;
    impl->all_touched = true;  // the rules may be others than before
    impl->publish(std::make_shared<const rpz::Snapshot>(std::move(state.snapshot)));
    impl->set_gauges();
    log.info(part, "state read",
             {{"rules", impl->current->zone.size()},
              {"serial", impl->current->serial.value()},
              {"doubts", impl->book.doubt_count()},
              {"feed_id", impl->feed_id}});
    return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

void Engine::set_lists(rpz::Lists lists) {
    impl_->book.set_lists(std::move(lists));
    impl_->all_touched = true;
}

void Engine::set_trusted_keys(jose::KeySet keys) {
    impl_->settings.trusted_keys = std::move(keys);
}

bool Engine::take(std::string_view jws, std::string_view feed_id, UtcTime now) {
    if (!feed_id.empty() && impl_->feed_id != feed_id) {
        impl_->feed_id.assign(feed_id);
        impl_->feed_id_changed = true;
    }
    const auto accepted = impl_->accept(jws, now);
    if (accepted) {
        impl_->apply(*accepted, now, nullptr);
    }
    return accepted.has_value();
}

void Engine::take_all(const std::vector<std::string>& messages, std::string_view feed_id,
                      UtcTime now, std::span<const std::string> newer) {
    bool complete = true;
    std::set<rpz::DoubtKey> seen;
    for (const std::string& jws : messages) {
        const auto accepted = impl_->accept(jws, now);
        complete = complete && accepted.has_value();
        if (accepted) {
            impl_->apply(*accepted, now, &seen);
        }
    }
    for (const std::string& jws : newer) {
        if (const auto accepted = impl_->accept(jws, now)) {
            impl_->apply(*accepted, now, &seen);
        }
    }
    impl_->feed_id.assign(feed_id);
    impl_->feed_id_changed = true;
    if (!complete) {
        return;
    }
    std::vector<std::pair<rpz::DoubtKey, rpz::Doubt>> gone;
    for (const auto& [key, doubt] : impl_->book.doubts()) {
        if (!doubt.removed && !seen.contains(key)) {
            gone.emplace_back(key, doubt);
        }
    }
    for (auto& [key, doubt] : gone) {
        // When it was withdrawn nobody has told us: just after the last word on it that we have. As
        // with each removal, it is remembered for as long as that word could still be accepted.
        doubt.removed = true;
        doubt.stamp = doubt.stamp + Duration(1);
        doubt.expires = doubt.stamp + impl_->settings.feed.age_max;
        impl_->book.observe(key, doubt, now);
        impl_->entries("withdrawn").add();
        impl_->touched.insert(key.trigger);
        impl_->doubts_changed.insert(key);
    }
}

const std::string& Engine::feed_id() const {
    return impl_->feed_id;
}

void Engine::expire(UtcTime now) {
    for (const rpz::DoubtKey& key : impl_->book.expire(now)) {
        impl_->entries("ended").add();
        impl_->touched.insert(key.trigger);
        impl_->doubts_changed.insert(key);
    }
}

std::optional<UtcTime> Engine::next_expiry() const {
    return impl_->book.next_expiry();
}

bool Engine::Impl::is_dirty() const {
    return all_touched || !touched.empty() || !doubts_changed.empty() || feed_id_changed;
}

Result<void> Engine::Impl::write(const store::Batch& batch, store::Durability durability) {
    auto written = store.write(batch, durability);
    if (!written) {
        counters.counter("tapir_policy_store_errors_total", "Changes that the store refused.")
            .add();
        log.error(part, "the state cannot be stored; the zone stays as it is",
                  {{"error", written.error().what()}, {"code", to_string(written.error().code())}});
        store_failed = true;
        return written;
    }
    if (std::exchange(store_failed, false)) {
        log.info(part, "the state can be stored again");
    }
    // A synced write takes with it what was written before.
    has_unsynced = durability == store::Durability::buffered;
    return {};
}

Result<bool> Engine::Impl::commit(UtcTime now, store::Durability at_least) {
    const bool wants_sync = at_least == store::Durability::synced && has_unsynced;
    if (!is_dirty() && !wants_sync) {
        return false;
    }
    const rpz::Delta delta = evaluate();
    store::Batch batch;
    std::uint64_t step = next_step;
    std::shared_ptr<const rpz::Snapshot> next = current;
    if (!delta.empty()) {
        auto after = std::make_shared<rpz::Snapshot>(rpz::publish(*current, delta));
        save_zone(batch, *current, *after, delta, step);
        next = std::move(after);
    }
    for (const rpz::DoubtKey& key : doubts_changed) {
        save_doubt(batch, key, book.doubt(key));
    }
    save_meta(batch, next->serial, feed_id, settings.apex.zone);
    // What is served is on the disk. A place in the feed may be lost, with what came before it: it
    // is only read again.
    TRY(write(batch, delta.empty() ? at_least : store::Durability::synced));
    next_step = step;
    note_would_be();
    all_touched = false;
    touched.clear();
    doubts_changed.clear();
    feed_id_changed = false;
    const bool changed = !delta.empty();
    if (changed) {
        publish(next);
        log.info(part, "zone changed",
                 {{"serial", next->serial.value()},
                  {"removed", delta.removed.size()},
                  {"added", delta.added.size()},
                  {"rules", next->zone.size()},
                  {"at", now.to_string_ns()}});
    }
    set_gauges();
    return changed;
}

bool Engine::is_dirty() const {
    return impl_->is_dirty();
}

bool Engine::commit(UtcTime now) {
    return impl_->commit(now, store::Durability::buffered).value_or(false);
}

Result<bool> Engine::commit_synced(UtcTime now) {
    return impl_->commit(now, store::Durability::synced);
}

std::shared_ptr<const rpz::Snapshot> Engine::snapshot() const {
    return impl_->published.with([](const auto& pointer) { return pointer; });
}

std::size_t Engine::doubt_count() const {
    return impl_->book.doubt_count();
}

Result<text::Json> Engine::explain(std::string_view name) const {
    return explain_name(impl_->book, impl_->settings.apex, *impl_->current, name);
}

}  // namespace tapir::policy
