#include "verdicts.hpp"

#include <algorithm>
#include <bit>
#include <iterator>

#include "tapir/products/observation.hpp"
#include "tapir/text/json.hpp"

namespace tapir::analysis {

namespace {

constexpr std::string_view names = "analysis_names";
constexpr std::string_view ends = "analysis_ends";
constexpr std::string_view outbox = "analysis_outbox";
constexpr std::string_view meta = "analysis_meta";
constexpr std::string_view next_id_key = "next_id";
constexpr std::string_view last_event_key = "last_event";
constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr std::uint64_t id_max = 1ULL << 62U;  // no outbox comes near

using store::Batch;
using store::Durability;
using store::number;
using store::parse_number;
using store::parse_numbered;

Bytes end_key(UtcTime end, std::string_view name) {
    Bytes key = number(static_cast<std::uint64_t>(std::max<std::int64_t>(end.ns(), 0)));
    append(key, name);
    return key;
}

UtcTime first_end(const Flags& flags) {
    return std::ranges::min_element(flags, {}, [](const auto& flag) { return flag.second; })
        ->second;
}

Bytes encode(const Flags& flags) {
    Bytes out;
    for (const auto& [bit, end] : flags) {
        append_u32(out, bit);
        append_u64(out, static_cast<std::uint64_t>(end.ns()));
    }
    return out;
}

Result<Flags> decode(ByteView bytes) {
    constexpr std::uint64_t end_max = store::number_max - ns_per_s;  // can be rounded up
    ByteReader in(bytes);
    Flags flags;
    bool is_good = true;
    while (in.remaining() > 0 && !in.failed()) {
        const std::uint32_t bit = in.u32();
        const std::uint64_t end = in.u64();
        is_good = is_good && std::has_single_bit(bit) && end <= end_max;
        flags[bit] = UtcTime::from_ns(static_cast<std::int64_t>(end));
    }
    if (in.failed() || !is_good || flags.empty() || flags.size() > flags_of_name_max) {
        return fail(Code::corrupt, "analysis: the flags of a name are damaged");
    }
    return flags;
}

}  // namespace

const std::vector<std::string>& Verdicts::families() {
    static const std::vector<std::string> all = {std::string(names), std::string(ends),
                                                 std::string(outbox), std::string(meta)};
    return all;
}

Result<void> Verdicts::open() {
    if (const auto next = TRY(store_.get(meta, as_bytes(next_id_key)))) {
        next_id_ = TRY(parse_number(*next, id_max));
    }
    if (const auto last = TRY(store_.get(meta, as_bytes(last_event_key)))) {
        last_event_ = TRY(parse_number(*last));
    }
    return {};
}

Result<Flags> Verdicts::flags_of(std::string_view name) const {
    const auto found = TRY(store_.get(names, as_bytes(name)));
    return found ? decode(*found) : Flags{};
}

void Verdicts::put_flags(std::string_view name, const Flags& before, const Flags& after,
                         Batch& batch) const {
    if (!before.empty()) {
        batch.erase(ends, end_key(first_end(before), name));
    }
    if (after.empty()) {
        batch.erase(names, as_bytes(name));
    } else {
        batch.put(names, as_bytes(name), encode(after));
        batch.put(ends, end_key(first_end(after), name), {});
    }
}

// An observation that adds the name with its flags, or removes it if there are none left.
void Verdicts::put_observation(std::string_view name, const Flags& flags,
                               std::string_view removed_why, UtcTime now, Batch& batch) {
    auto observation = products::Observation::of_core(creator_, now);
    products::ObservationItem item;
    item.name = name;
    item.time_added = now;
    if (flags.empty()) {
        observation.msg = removed_why;
        observation.removed.push_back(std::move(item));
    } else {
        for (const auto& [bit, end] : flags) {
            item.tag_mask |= bit;
        }
        // Rounded up: who holds it for ttl seconds holds it until the next message is there.
        const std::int64_t left_ns = (first_end(flags) - now).count();
        item.ttl_s = std::max<std::int64_t>((left_ns + ns_per_s - 1) / ns_per_s, 1);
        observation.added.push_back(std::move(item));
    }
    const std::string message =
        text::Json::object({{"id", next_id_}, {"observation", observation.to_json()}}).to_string();
    batch.put(outbox, number(next_id_), as_bytes(message));
    ++next_id_;
    batch.put(meta, as_bytes(next_id_key), number(next_id_));
}

// Not waited for: sync() comes before anything is published or acknowledged.
Result<void> Verdicts::write(Batch& batch) {
    const auto written = store_.write(batch, Durability::buffered);
    if (!written) {
        TRY(open());  // numbers that were not written are not taken
        return fail(written.error());
    }
    return {};
}

Result<void> Verdicts::take(std::uint64_t sequence, std::string_view name, std::uint32_t mask,
                            UtcTime now, Batch& batch) {
    if (mask != 0) {
        const Flags before = TRY(flags_of(name));
        Flags after;
        std::ranges::copy_if(before, std::inserter(after, after.end()),
                             [&](const auto& flag) { return flag.second > now; });
        for (std::uint32_t bit = 1; bit != 0; bit <<= 1U) {
            if ((mask & bit) != 0) {
                after[bit] = now + ttl_;
            }
        }
        put_flags(name, before, after, batch);
        put_observation(name, after, "", now, batch);
    }
    batch.put(meta, as_bytes(last_event_key), number(sequence));
    TRY(write(batch));
    last_event_ = sequence;
    return {};
}

Result<std::size_t> Verdicts::expire(UtcTime now, std::size_t count_max) {
    std::vector<Bytes> over;  // keys of `ends`
    const auto cursor = TRY(store_.scan(ends));
    for (; cursor->valid() && over.size() < count_max; cursor->next()) {
        const auto entry = TRY(parse_numbered(cursor->key()));
        if (entry.number > static_cast<std::uint64_t>(now.ns())) {
            break;
        }
        over.push_back(to_bytes(cursor->key()));
    }
    TRY(cursor->status());
    for (const Bytes& key : over) {
        const std::string_view name = as_text(ByteView(key).subspan(sizeof(std::uint64_t)));
        const Flags before = TRY(flags_of(name));
        Flags after;
        std::ranges::copy_if(before, std::inserter(after, after.end()),
                             [&](const auto& flag) { return flag.second > now; });
        Batch batch;
        batch.erase(ends, key);  // whatever the flags say: else it would come up for ever
        put_flags(name, before, after, batch);
        if (!after.empty()) {
            put_observation(name, after, "", now, batch);
        }
        TRY(write(batch));
    }
    return over.size();
}

Result<void> Verdicts::withdraw(std::string_view name, std::string_view why, UtcTime now) {
    const Flags before = TRY(flags_of(name));
    if (before.empty()) {
        return fail(Code::not_found, "nothing is said of " + std::string(name));
    }
    Batch batch;
    put_flags(name, before, {}, batch);
    put_observation(name, {}, why, now, batch);
    return write(batch);
}

Result<void> Verdicts::sync() {
    return store_.put(meta, as_bytes(last_event_key), number(last_event_), Durability::synced);
}

Result<std::vector<Outgoing>> Verdicts::outgoing(std::uint64_t after, std::size_t count_max) const {
    std::vector<Outgoing> found;
    const auto cursor = TRY(store_.scan(outbox, {}, number(after + 1)));
    for (; cursor->valid() && found.size() < count_max; cursor->next()) {
        const std::uint64_t id = TRY(parse_number(cursor->key()));
        found.push_back({id, to_bytes(cursor->value())});
    }
    TRY(cursor->status());
    return found;
}

Result<void> Verdicts::acknowledge(std::uint64_t id) {
    Batch batch;
    const auto cursor = TRY(store_.scan(outbox));
    for (; cursor->valid(); cursor->next()) {
        const std::uint64_t at = TRY(parse_number(cursor->key()));
        if (at > id) {
            break;
        }
        batch.erase(outbox, cursor->key());
    }
    TRY(cursor->status());
    return store_.write(batch, Durability::buffered);
}

}  // namespace tapir::analysis
