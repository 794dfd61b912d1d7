#include "state.hpp"

#include <algorithm>
#include <utility>

#include "tapir/base/bytes.hpp"
#include "tapir/rpz/trigger.hpp"

namespace tapir::policy {
namespace {

constexpr std::uint8_t format = 1;

Failure<Error> corrupt(std::string_view what) {
    return fail(Code::corrupt,
                std::string("the stored ") + std::string(what) + " is not what was written");
}

Bytes sequence_key(std::uint64_t sequence) {
    Bytes key;
    append_u64(key, sequence);
    return key;
}

// Under a zone of a longer name than before, a rule may have no room.
bool fits(std::string_view key, ByteView zone_name) {
    return key.size() + zone_name.size() <= rpz::owner_size_max;
}

bool fits(const rpz::Delta& delta, ByteView zone_name) {
    const auto does = [zone_name](const rpz::Delta::Change& change) {
        return fits(change.key, zone_name);
    };
    return std::ranges::all_of(delta.removed, does) && std::ranges::all_of(delta.added, does);
}

Result<void> load_zone(const store::Store& store, ByteView zone_name, rpz::Snapshot& snapshot) {
    rpz::Zone::Builder builder;
    std::string last;
    const auto cursor = TRY(store.scan(zone_family));
    for (; cursor->valid(); cursor->next()) {
        const std::string_view key = as_text(cursor->key());
        const ByteView value = cursor->value();
        if (!rpz::is_key(key) || key <= last || value.size() != 1 || value[0] == std::byte{0} ||
            value[0] > static_cast<std::byte>(rpz::Action::drop)) {
            return corrupt("zone");
        }
        if (fits(key, zone_name)) {
            builder.add(key, static_cast<rpz::Action>(value[0]));
        }
        last.assign(key);
    }
    TRY(cursor->status());
    snapshot.zone = std::move(builder).finish();
    return {};
}

// False: not all of it fits under the zone, so it leads nowhere.
Result<bool> load_history(const store::Store& store, ByteView zone_name, StoredState& state) {
    bool all_fit = true;
    const auto cursor = TRY(store.scan(history_family));
    for (; cursor->valid(); cursor->next()) {
        ByteReader key(cursor->key());
        ByteReader value(cursor->value());
        state.next_step = key.u64() + 1;
        const rpz::Serial from(value.u32());
        const rpz::Serial to(value.u32());
        auto delta = rpz::Delta::decode(value.rest());
        if (key.failed() || value.failed() || !delta) {
            return corrupt("history");
        }
        auto& history = state.snapshot.history;
        if (!history.empty() && history.back().to != from) {
            return corrupt("history");
        }
        all_fit = all_fit && fits(*delta, zone_name);
        rpz::append_history(state.snapshot,
                            {from, to, std::make_shared<const rpz::Delta>(*std::move(delta))});
    }
    TRY(cursor->status());
    return all_fit;
}

}  // namespace

Result<StoredState> load_state(const store::Store& store, ByteView zone_name) {
    StoredState state;
    const auto version = TRY(store.get(meta_family, as_bytes("format")));
    if (!version) {
        return state;
    }
    state.is_new = false;
    if (version->size() != 1 || (*version)[0] != std::byte{format}) {
        return fail(Code::invalid, "the state was written by another version");
    }
    const auto serial = TRY(store.get(meta_family, as_bytes("serial")));
    const auto name = TRY(store.get(meta_family, as_bytes("zone")));
    if (!serial || serial->size() != 4 || !name) {
        return corrupt("serial");
    }
    state.snapshot.serial = rpz::Serial(ByteReader(*serial).u32());
    if (const auto id = TRY(store.get(meta_family, as_bytes("feed_id")))) {
        state.feed_id = as_text(*id);
    }
    TRY(load_zone(store, zone_name, state.snapshot));
    const bool history_fits = TRY(load_history(store, zone_name, state));
    auto& history = state.snapshot.history;
    const bool leads_here = history.empty() || history.back().to == state.snapshot.serial;
    if (!leads_here || !history_fits || as_text(*name) != as_text(zone_name)) {
        history.clear();
        state.snapshot.history_records = 0;
    }
    return state;
}

Result<void> load_doubts(const store::Store& store, rpz::Book& book) {
    const auto cursor = TRY(store.scan(doubts_family));
    for (; cursor->valid(); cursor->next()) {
        ByteReader key(cursor->key());
        ByteReader value(cursor->value());
        const std::string trigger(as_text(key.bytes(key.u8())));
        const std::string source(as_text(key.rest()));
        const auto time = [&] { return UtcTime::from_ns(static_cast<std::int64_t>(value.u64())); };
        rpz::Doubt doubt;
        doubt.tags = value.u32();
        doubt.time_added = time();
        doubt.expires = time();
        doubt.stamp = time();
        doubt.removed = value.u8() != 0;
        if (key.failed() || value.failed() || value.remaining() != 0 || !rpz::is_key(trigger)) {
            return corrupt("observation");
        }
        book.restore({trigger, source}, doubt);
    }
    return cursor->status();
}

void save_zone(store::Batch& batch, const rpz::Snapshot& before, const rpz::Snapshot& after,
               const rpz::Delta& delta, std::uint64_t& next_step) {
    for (const auto& change : delta.removed) {
        batch.erase(zone_family, as_bytes(change.key));
    }
    for (const auto& change : delta.added) {
        const std::byte action{static_cast<std::uint8_t>(change.action)};
        batch.put(zone_family, as_bytes(change.key), {&action, 1});
    }
    // The history in the store is that of the snapshot: one step more, and fewer at its beginning.
    const std::uint64_t first = next_step - before.history.size();
    const std::uint64_t dropped = before.history.size() + 1 - after.history.size();
    for (std::uint64_t i = 0; i < dropped && first + i < next_step; ++i) {
        batch.erase(history_family, sequence_key(first + i));
    }
    if (!after.history.empty()) {
        Bytes value;
        append_u32(value, before.serial.value());
        append_u32(value, after.serial.value());
        append(value, delta.encode());
        batch.put(history_family, sequence_key(next_step), value);
    }
    ++next_step;
}

void save_doubt(store::Batch& batch, const rpz::DoubtKey& key, const rpz::Doubt* doubt) {
    Bytes stored_key;
    append_u8(stored_key, static_cast<std::uint8_t>(key.trigger.size()));
    append(stored_key, key.trigger);
    append(stored_key, key.source);
    if (doubt == nullptr) {
        batch.erase(doubts_family, stored_key);
        return;
    }
    Bytes value;
    append_u32(value, doubt->tags);
    for (const UtcTime time : {doubt->time_added, doubt->expires, doubt->stamp}) {
        append_u64(value, static_cast<std::uint64_t>(time.ns()));
    }
    append_u8(value, doubt->removed ? 1 : 0);
    batch.put(doubts_family, stored_key, value);
}

void save_meta(store::Batch& batch, rpz::Serial serial, std::string_view feed_id,
               ByteView zone_name) {
    const std::byte version{format};
    Bytes number;
    append_u32(number, serial.value());
    batch.put(meta_family, as_bytes("format"), {&version, 1});
    batch.put(meta_family, as_bytes("serial"), number);
    batch.put(meta_family, as_bytes("zone"), zone_name);
    batch.put(meta_family, as_bytes("feed_id"), as_bytes(feed_id));
}

}  // namespace tapir::policy
