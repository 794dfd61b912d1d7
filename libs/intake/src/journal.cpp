#include "journal.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "tapir/crypto/digest.hpp"

namespace tapir::intake {

namespace {

constexpr std::string_view aggregates = "intake_aggregates";
constexpr std::string_view digests = "intake_digests";
constexpr std::string_view unsealed_ids = "intake_unsealed";
constexpr std::string_view events_seen = "intake_events";
constexpr std::string_view event_times = "intake_event_times";
constexpr std::string_view outbox = "intake_outbox";
constexpr std::string_view meta = "intake_meta";
constexpr std::string_view next_sequence_key = "next_sequence";

constexpr std::size_t id_size = 24;
constexpr std::uint64_t sequence_max = 1ULL << 62U;  // no journal comes near
constexpr std::size_t payload_size_max = 64U << 20U;

using store::Batch;
using store::Durability;
using store::number;
using store::parse_number;
using store::parse_numbered;
using text::Json;

std::string interval_key(const std::optional<products::Interval>& interval) {
    return interval ? fmt::format("{}/{}", interval->start.ns(), interval->stop.ns()) : "";
}

// No part can hold the separator: key ids, types, digests and intervals are printable text.
std::string digest_prefix(const Aggregate& aggregate) {
    return aggregate.edge + '\n' + aggregate.type + '\n' + aggregate.digest + '\n';
}

std::string digest_key(const Aggregate& aggregate) {
    return digest_prefix(aggregate) + interval_key(aggregate.interval);
}

Bytes time_key(UtcTime time, std::string_view identity) {
    Bytes key = number(static_cast<std::uint64_t>(std::max<std::int64_t>(time.seconds(), 0)));
    append(key, identity);
    return key;
}

// An id as it stands in the store. It becomes the name of a file, and must be no more than that.
Result<std::string> parse_id(ByteView octets) {
    const std::string_view text = as_text(octets);
    if (text.size() != id_size ||
        text.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
        return fail(Code::corrupt, "the journal: the id of an aggregate is damaged");
    }
    return std::string(text);
}

Result<std::optional<std::string>> known_id(ByteView octets) {
    std::string id = TRY(parse_id(octets));
    return std::optional(std::move(id));
}

Json to_json(const Aggregate& aggregate, const std::string& id, std::size_t size) {
    Json json = Json::object({{"aggregate_id", id},
                              {"aggregate_type", aggregate.type},
                              {"created", aggregate.received.second().to_string()},
                              {"creator", aggregate.edge},
                              {"content_type", aggregate.content_type},
                              {"content_length", size},
                              {"content_sha256", aggregate.digest}});
    if (!aggregate.content_encoding.empty()) {
        json.set("content_encoding", aggregate.content_encoding);
    }
    if (!aggregate.user_agent.empty()) {
        json.set("user_agent", aggregate.user_agent);
    }
    const auto& interval = aggregate.interval;
    json.set("aggregate_interval_start", interval ? Json(interval->start.to_string()) : Json());
    json.set("aggregate_interval_duration",
             interval ? Json((interval->stop - interval->start).count() / 1'000'000'000) : Json());
    json.set("state", to_string(AggregateState::stored));
    return json;
}

}  // namespace

std::string_view to_string(AggregateState state) {
    switch (state) {
        case AggregateState::stored:
            return "stored";
        case AggregateState::sealed:
            return "sealed";
        case AggregateState::quarantined:
            return "quarantined";
    }
    return "unknown";
}

const std::vector<std::string>& Journal::families() {
    static const std::vector<std::string> names = {
        std::string(aggregates),  std::string(digests),     std::string(unsealed_ids),
        std::string(events_seen), std::string(event_times), std::string(outbox),
        std::string(meta)};
    return names;
}

Result<void> Journal::open() {
    const std::lock_guard lock(mutex_);
    for (const char* folder : {"/aggregates", "/quarantine"}) {
        TRY(files_.make_directories(directory_ + folder));
    }
    if (const auto next = TRY(store_.get(meta, as_bytes(next_sequence_key)))) {
        next_sequence_ = TRY(parse_number(*next, sequence_max));
    }
    return {};
}

std::string Journal::payload_path(std::string_view id) const {
    return fmt::format("{}/aggregates/{}.payload", directory_, id);
}

Result<std::optional<std::string>> Journal::find(const Aggregate& aggregate,
                                                 bool any_interval) const {
    const std::string key = any_interval ? digest_prefix(aggregate) : digest_key(aggregate);
    if (!any_interval) {
        const auto found = TRY(store_.get(digests, as_bytes(key)));
        return found ? known_id(*found) : Result<std::optional<std::string>>(std::nullopt);
    }
    const auto cursor = TRY(store_.scan(digests, as_bytes(key)));
    TRY(cursor->status());
    return cursor->valid() ? known_id(cursor->value())
                           : Result<std::optional<std::string>>(std::nullopt);
}

Result<Journal::Added> Journal::add(const Aggregate& aggregate, ByteView payload) {
    const std::lock_guard lock(mutex_);
    const auto known = TRY(find(aggregate, false));
    if (known) {
        return Added{*known, true};
    }
    // From the identity alone: an upload that is repeated after a crash lands on the same id.
    const std::string key = digest_key(aggregate);
    const std::string id = to_hex(crypto::sha256(as_bytes(key))).substr(0, id_size);
    TRY(files_.write_atomically(payload_path(id), payload, world::mode_private));
    Batch batch;
    const std::string json = to_json(aggregate, id, payload.size()).to_string();
    batch.put(aggregates, as_bytes(id), as_bytes(json));
    batch.put(digests, as_bytes(key), as_bytes(id));
    batch.put(unsealed_ids, as_bytes(id), {});
    TRY(store_.write(batch, Durability::synced));
    return Added{id, false};
}

Result<std::optional<Json>> Journal::metadata(std::string_view id) const {
    const auto found = TRY(store_.get(aggregates, as_bytes(id)));
    if (!found) {
        return std::optional<Json>();
    }
    auto json = Json::parse(as_text(*found));
    if (!json || json->if_object() == nullptr) {
        return fail(Code::corrupt, fmt::format("the journal: aggregate {} is damaged", id));
    }
    return std::optional(*std::move(json));
}

Result<std::vector<std::string>> Journal::unsealed(std::size_t count_max) const {
    std::vector<std::string> ids;
    const auto cursor = TRY(store_.scan(unsealed_ids));
    for (; cursor->valid() && ids.size() < count_max; cursor->next()) {
        std::string id = TRY(parse_id(cursor->key()));
        ids.push_back(std::move(id));
    }
    TRY(cursor->status());
    return ids;
}

Result<Bytes> Journal::payload(std::string_view id) const {
    return files_.read(payload_path(id), payload_size_max);
}

Result<void> Journal::settle(std::string_view id, AggregateState state, std::string_view detail) {
    const std::lock_guard lock(mutex_);
    auto json = TRY(metadata(id));
    if (!json) {
        return fail(Code::not_found, fmt::format("no aggregate {}", id));
    }
    json->set("state", to_string(state));
    json->set(state == AggregateState::sealed ? "lake_path" : "reason", detail);
    // The payload first: a crash in between does it again, and then there may be no file any more.
    if (state == AggregateState::quarantined) {
        TRY(quarantine(id));
    } else if (files_.exists(payload_path(id))) {
        TRY(files_.remove(payload_path(id)));
    }
    Batch batch;
    const std::string text = json->to_string();
    batch.put(aggregates, as_bytes(id), as_bytes(text));
    batch.erase(unsealed_ids, as_bytes(id));
    return store_.write(batch, Durability::synced);
}

Result<void> Journal::quarantine(std::string_view id) {
    const std::string folder = directory_ + "/quarantine";
    if (files_.exists(payload_path(id))) {
        // In front of the name, so that the oldest are the first in the list.
        const auto json = TRY(metadata(id));
        const std::string received = json ? TRY(json->string("created")) : std::string();
        if (json && !UtcTime::parse(received)) {
            return fail(Code::corrupt, fmt::format("the journal: aggregate {} is damaged", id));
        }
        TRY(files_.rename(payload_path(id), fmt::format("{}/{}-{}", folder, received, id)));
    }
    const auto kept = TRY(files_.list(folder));
    for (std::size_t i = 0; i + quarantine_files_max < kept.size(); ++i) {
        TRY(files_.remove(folder + "/" + kept[i].name));
    }
    return {};
}

Result<std::vector<bool>> Journal::add_events(std::span<const Event> events, UtcTime now) {
    const std::lock_guard lock(mutex_);
    std::vector<bool> is_new;
    std::set<std::string_view> in_batch;
    Batch batch;
    std::uint64_t next = next_sequence_;
    for (const Event& event : events) {
        const ByteView identity = as_bytes(event.identity);
        const bool fresh = in_batch.insert(event.identity).second &&
                           !TRY(store_.get(events_seen, identity)).has_value();
        is_new.push_back(fresh);
        if (fresh) {
            const Json message =
                Json::object({{"sequence", next}, {"edge", event.edge}, {"event", event.payload}});
            const std::string text = message.to_string();
            batch.put(outbox, number(next), as_bytes(text));
            batch.put(events_seen, identity, number(static_cast<std::uint64_t>(now.seconds())));
            batch.put(event_times, time_key(now, event.identity), {});
            ++next;
        }
    }
    if (!batch.empty()) {
        batch.put(meta, as_bytes(next_sequence_key), number(next));
        TRY(store_.write(batch, Durability::synced));
        next_sequence_ = next;
    }
    return is_new;
}

Result<std::vector<Outgoing>> Journal::outgoing(std::uint64_t after, std::size_t count_max) const {
    std::vector<Outgoing> found;
    const auto cursor = TRY(store_.scan(outbox, {}, number(after + 1)));
    for (; cursor->valid() && found.size() < count_max; cursor->next()) {
        const std::uint64_t sequence = TRY(parse_number(cursor->key()));
        found.push_back({sequence, to_bytes(cursor->value())});
    }
    TRY(cursor->status());
    return found;
}

Result<void> Journal::acknowledge(std::uint64_t sequence) {
    const std::lock_guard lock(mutex_);
    Batch batch;
    const auto cursor = TRY(store_.scan(outbox));
    for (; cursor->valid(); cursor->next()) {
        const std::uint64_t at = TRY(parse_number(cursor->key()));
        if (at > sequence) {
            break;
        }
        batch.erase(outbox, cursor->key());
    }
    TRY(cursor->status());
    // Lost in a crash, this is done again: no need to wait for the disk.
    return store_.write(batch, Durability::buffered);
}

Result<std::size_t> Journal::forget(UtcTime now, std::size_t count_max) {
    const std::lock_guard lock(mutex_);
    const std::int64_t horizon = now.seconds() - event_memory_s;
    Batch batch;
    std::size_t count = 0;
    const auto cursor = TRY(store_.scan(event_times));
    for (; cursor->valid() && count < count_max; cursor->next()) {
        const auto seen = TRY(parse_numbered(cursor->key()));
        if (static_cast<std::int64_t>(seen.number) >= horizon) {
            break;
        }
        batch.erase(event_times, cursor->key());
        batch.erase(events_seen, seen.rest);
        ++count;
    }
    TRY(cursor->status());
    TRY(store_.write(batch, Durability::buffered));
    return count;
}

}  // namespace tapir::intake
