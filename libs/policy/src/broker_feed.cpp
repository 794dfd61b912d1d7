#include "broker_feed.hpp"

#include <algorithm>
#include <utility>

#include "tapir/base/bytes.hpp"

namespace tapir::policy {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view part = "feed";
constexpr Duration pause_min = 500ms;
constexpr Duration pause_max = 30s;
constexpr Duration nothing_to_do = 60s;

}  // namespace

BrokerFeed::BrokerFeed(Parts parts)
    : parts_(std::move(parts)),
      gap_(parts_.counters.gauge("tapir_policy_feed_gap",
                                 "Whether observations may be missing until a snapshot is read.")),
      pause_(pause_min),
      is_open_(parts_.core != nullptr) {
    gap_.set(is_open_ ? 1 : 0);
}

mqtt::Handlers BrokerFeed::handlers() {
    return {.keep = [this](std::span<const mqtt::Message> messages) { return keep(messages); },
            .session_lost = [this] { lose_session(); }};
}

Result<void> BrokerFeed::keep(std::span<const mqtt::Message> messages) {
    Result<bool> changed = false;
    {
        const std::lock_guard lock(parts_.engine_mutex);
        const UtcTime now = parts_.clock.now();
        for (const mqtt::Message& message : messages) {
            // What is refused will never be good: counted and logged there, and done with.
            const std::string_view jws = as_text(message.payload);
            if (parts_.engine.take(jws, "", now) && is_fetching_) {
                set_aside(jws);
            }
        }
        parts_.engine.expire(now);
        changed = parts_.engine.commit_synced(now);
    }
    const bool zone_changed = TRY(std::move(changed));
    if (parts_.on_taken) {
        parts_.on_taken(zone_changed);
    }
    return {};
}

void BrokerFeed::set_aside(std::string_view jws) {
    newer_size_ += jws.size();
    is_too_much_ =
        is_too_much_ || newer_.size() == newer_messages_max || newer_size_ > newer_size_max;
    if (is_too_much_) {
        newer_ = {};
    } else {
        newer_.emplace_back(jws);
    }
}

void BrokerFeed::lose_session() {
    if (parts_.core == nullptr) {
        parts_.log.warn(part,
                        "the broker does not remember us: what was observed meanwhile is missing "
                        "until it is observed again, as core.url is not set");
        return;
    }
    parts_.log.warn(part, "the broker does not remember us; a snapshot of the core is taken");
    {
        const std::lock_guard lock(parts_.engine_mutex);
        is_open_ = true;
        gap_.set(1);
    }
    if (parts_.on_gap) {
        parts_.on_gap();
    }
}

Result<void> BrokerFeed::close_gap() {
    {
        const std::lock_guard lock(parts_.engine_mutex);
        // A session that is lost from here on is another gap.
        is_open_ = false;
        is_fetching_ = true;
        newer_size_ = 0;
        is_too_much_ = false;
    }
    auto snapshot = fetch_snapshot(*parts_.core, parts_.core_url, cancel_);
    Result<bool> changed = false;
    {
        const std::lock_guard lock(parts_.engine_mutex);
        is_fetching_ = false;
        const auto newer = std::exchange(newer_, {});
        if (snapshot && is_too_much_) {
            snapshot = fail(Code::exhausted, "too much was observed while it was read");
        }
        if (!snapshot) {
            is_open_ = true;
            return fail(std::move(snapshot).error());
        }
        const UtcTime now = parts_.clock.now();
        parts_.engine.take_all(snapshot->messages, snapshot->last_id, now, newer);
        parts_.engine.expire(now);
        // If the store refuses, the engine has it all the same, and stores it when it can.
        changed = parts_.engine.commit_synced(now);
        gap_.set(is_open_ ? 1 : 0);
    }
    parts_.log.info(part, "snapshot read",
                    {{"observations", snapshot->messages.size()}, {"last_id", snapshot->last_id}});
    if (parts_.on_taken) {
        parts_.on_taken(std::move(changed).value_or(false));
    }
    return {};
}

Duration BrokerFeed::follow() {
    if (cancel_.requested()) {
        return nothing_to_do;
    }
    {
        const std::lock_guard lock(parts_.engine_mutex);
        if (!is_open_) {
            return nothing_to_do;
        }
    }
    if (const auto closed = close_gap(); !closed) {
        if (!cancel_.requested()) {
            parts_.log.warn(part, "no snapshot can be had; what is known stays in force",
                            {{"error", closed.error().what()}});
        }
        return std::exchange(pause_, std::min(pause_ * 2, pause_max));
    }
    pause_ = pause_min;
    return Duration::zero();
}

void BrokerFeed::cancel() {
    cancel_.request();
}

}  // namespace tapir::policy
