#include "shelf.hpp"

#include <algorithm>
#include <set>

namespace tapir::feeds {

namespace {

constexpr std::string_view log = "feeds_log";
constexpr std::string_view live_names = "feeds_live";
constexpr std::string_view ends = "feeds_ends";
constexpr std::string_view meta = "feeds_meta";
constexpr std::string_view last_id_key = "last_id";
constexpr std::string_view broadcast_id_key = "broadcast_id";

using store::Batch;
using store::Durability;
using store::number;
using store::parse_number;
using store::parse_numbered;

std::uint64_t stamp(UtcTime time) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(time.ns(), 0));
}

Bytes stamped(UtcTime time, std::string_view text) {
    Bytes out = number(stamp(time));
    append(out, text);
    return out;
}

// One name, whoever wrote it: lower case, without the final dot.
std::string key_of(std::string_view name) {
    std::string key(name);
    if (key.ends_with('.')) {
        key.pop_back();
    }
    std::ranges::transform(key, key.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return key;
}

}  // namespace

const std::vector<std::string>& Shelf::families() {
    static const std::vector<std::string> all = {std::string(log), std::string(live_names),
                                                 std::string(ends), std::string(meta)};
    return all;
}

Result<void> Shelf::open() {
    if (const auto last = TRY(store_.get(meta, as_bytes(last_id_key)))) {
        last_id_ = TRY(parse_number(*last));
        synced_id_ = last_id_;
    }
    if (const auto taken = TRY(store_.get(meta, as_bytes(broadcast_id_key)))) {
        broadcast_id_ = TRY(parse_number(*taken));
    }
    return {};
}

Result<void> Shelf::unshelve(std::string_view name, Batch& batch) const {
    if (const auto old = TRY(store_.get(live_names, as_bytes(name)))) {
        const auto entry = TRY(parse_numbered(*old));
        Bytes end_key = number(entry.number);
        append(end_key, name);
        batch.erase(ends, end_key);
        batch.erase(live_names, as_bytes(name));
    }
    return {};
}

Result<void> Shelf::add(std::uint64_t id, const products::Observation& observation,
                        std::string_view message, UtcTime now) {
    Batch batch;
    batch.put(log, number(id), stamped(now, message));
    for (const auto& item : observation.removed) {
        TRY(unshelve(key_of(item.name), batch));
    }
    std::set<std::string> added;
    for (const auto& item : observation.added) {
        const std::string name = key_of(item.name);
        if (!added.insert(name).second) {
            continue;
        }
        const UtcTime end = item.time_added + std::chrono::seconds(item.ttl_s);
        TRY(unshelve(name, batch));
        batch.put(live_names, as_bytes(name), stamped(end, message));
        batch.put(ends, stamped(end, name), {});
    }
    batch.put(meta, as_bytes(last_id_key), number(id));
    TRY(store_.write(batch, Durability::buffered));
    last_id_ = id;
    return {};
}

Result<void> Shelf::sync() {
    TRY(store_.put(meta, as_bytes(last_id_key), number(last_id_), Durability::synced));
    synced_id_ = last_id_;
    return {};
}

Result<Shelf::Owed> Shelf::owed(std::size_t count_max, std::size_t size_max) {
    Owed owed;
    const auto cursor = TRY(store_.scan(log, {}, number(broadcast_id_.value_or(0) + 1)));
    std::size_t size = 0;
    for (; cursor->valid(); cursor->next()) {
        const std::uint64_t id = TRY(parse_number(cursor->key()));
        if (id > synced_id_) {
            break;
        }
        const auto entry = TRY(parse_numbered(cursor->value()));
        const std::string_view text = as_text(entry.rest);
        size += text.size();
        if (owed.messages.size() == count_max || (size > size_max && !owed.messages.empty())) {
            break;
        }
        owed.messages.push_back({id, std::string(text)});
    }
    TRY(cursor->status());
    // The place is written down before anything goes out: else nobody would know later on that what
    // was forgotten meanwhile had been owed.
    owed.first = owed.messages.empty() ? synced_id_ + 1 : owed.messages.front().id;
    if (!broadcast_id_) {
        TRY(taken_up_to(owed.first - 1));
    }
    const std::uint64_t reached = broadcast_id_.value_or(owed.first - 1);
    owed.forgotten = owed.first - 1 - std::min(reached, owed.first - 1);
    owed.waiting = synced_id_ - std::min(reached, synced_id_);
    return owed;
}

Result<void> Shelf::taken_up_to(std::uint64_t id) {
    TRY(store_.put(meta, as_bytes(broadcast_id_key), number(id), Durability::buffered));
    broadcast_id_ = id;
    return {};
}

Result<std::optional<std::vector<Shelved>>> Shelf::after(std::uint64_t id,
                                                         std::size_t size_max) const {
    std::vector<Shelved> found;
    if (id == last_id_) {
        return std::optional(std::move(found));
    }
    if (id > last_id_) {
        return std::optional<std::vector<Shelved>>();
    }
    const auto cursor = TRY(store_.scan(log, {}, number(id + 1)));
    std::size_t size = 0;
    for (; cursor->valid(); cursor->next()) {
        const std::uint64_t at = TRY(parse_number(cursor->key()));
        const auto entry = TRY(parse_numbered(cursor->value()));
        const std::string_view text = as_text(entry.rest);
        size += text.size();
        // The next one must be there; `id` itself need not be. It may be older than what is kept,
        // and yet who has it may have been away for a moment only.
        const bool has_gap = found.empty() && at != id + 1;
        if (has_gap || size > size_max) {
            return std::optional<std::vector<Shelved>>();
        }
        found.push_back({at, std::string(text)});
    }
    TRY(cursor->status());
    return found.empty() ? std::nullopt : std::optional(std::move(found));
}

Result<Shelf::Live> Shelf::live(UtcTime now, std::size_t size_max) const {
    const auto at_once = store_.snapshot();
    Live live;
    if (const auto last = TRY(at_once->get(meta, as_bytes(last_id_key)))) {
        live.last_id = TRY(parse_number(*last));
    }
    const auto cursor = TRY(at_once->scan(live_names));
    for (; cursor->valid(); cursor->next()) {
        const auto entry = TRY(parse_numbered(cursor->value()));
        if (entry.number <= stamp(now)) {
            continue;
        }
        if (!live.messages.empty()) {
            live.messages += ',';
        }
        live.messages += as_text(entry.rest);
        if (live.messages.size() > size_max) {
            return fail(Code::exhausted, "the snapshot is too large");
        }
    }
    TRY(cursor->status());
    return live;
}

Result<std::size_t> Shelf::forget(UtcTime oldest, UtcTime now, std::size_t count_max) {
    Batch batch;
    std::size_t count = 0;
    const auto old = TRY(store_.scan(log));
    for (; old->valid() && count < count_max; old->next(), ++count) {
        const std::uint64_t id = TRY(parse_number(old->key()));
        const auto entry = TRY(parse_numbered(old->value()));
        // The newest stays: so a reader who has it is known, however long nothing comes.
        if (entry.number >= stamp(oldest) || id == last_id_) {
            break;
        }
        batch.erase(log, old->key());
    }
    TRY(old->status());
    std::size_t ended = 0;
    const auto over = TRY(store_.scan(ends));
    for (; over->valid() && ended < count_max; over->next(), ++ended) {
        const auto end = TRY(parse_numbered(over->key()));
        if (end.number > stamp(now)) {
            break;
        }
        batch.erase(live_names, end.rest);
        batch.erase(ends, over->key());
    }
    TRY(over->status());
    if (!batch.empty()) {
        TRY(store_.write(batch, Durability::buffered));
    }
    return count + ended;
}

}  // namespace tapir::feeds
