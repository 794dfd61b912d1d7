#include "tapir/rpz/zone.hpp"

#include <algorithm>
#include <ranges>
#include <span>

#include "tapir/base/assert.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/rpz/trigger.hpp"

namespace tapir::rpz {

namespace {
// Small enough that one change copies little, large enough that ten million rules need few blocks.
constexpr std::size_t block_records_max = 512;
constexpr std::size_t block_records_filled = 384;  // when built in order: room for what comes
}  // namespace

// Invariants: 1. at least one record; 2. keys ascend strictly; 3. ends_[i] is where key i ends.
struct Zone::Block {
    std::string text;
    std::vector<std::uint32_t> ends;
    std::vector<Action> actions;

    std::size_t size() const { return ends.size(); }
    std::string_view key(std::size_t i) const {
        const std::size_t start = i == 0 ? 0 : ends[i - 1];
        return std::string_view(text).substr(start, ends[i] - start);
    }
    Record record(std::size_t i) const { return {key(i), actions[i]}; }
    void add(std::string_view key, Action action) {
        text.append(key);
        ends.push_back(static_cast<std::uint32_t>(text.size()));
        actions.push_back(action);
    }
    // The first record that is not before `wanted`.
    std::size_t lower_bound(std::string_view wanted) const {
        const auto numbers = std::views::iota(std::size_t{0}, size());
        return static_cast<std::size_t>(
            std::ranges::lower_bound(numbers, wanted, {},
                                     [this](std::size_t i) { return key(i); }) -
            numbers.begin());
    }
    void shrink() {
        text.shrink_to_fit();
        ends.shrink_to_fit();
        actions.shrink_to_fit();
    }
};

Zone::Zone() : blocks_(std::make_shared<const Blocks>()) {}

Zone::Zone(Blocks blocks) : size_(0) {
    for (const auto& block : blocks) {
        size_ += block->size();
    }
    blocks_ = std::make_shared<const Blocks>(std::move(blocks));
}

// The last block whose first key is not after `key`; 0 if there is none such.
std::size_t Zone::block_for(std::string_view key) const {
    const auto after =
        std::ranges::upper_bound(*blocks_, key, {}, [](const auto& b) { return b->key(0); });
    return after == blocks_->begin() ? 0 : static_cast<std::size_t>(after - blocks_->begin()) - 1;
}

Action Zone::find(std::string_view key) const {
    if (blocks_->empty()) {
        return Action::none;
    }
    const Block& block = *(*blocks_)[block_for(key)];
    const std::size_t at = block.lower_bound(key);
    return at < block.size() && block.key(at) == key ? block.actions[at] : Action::none;
}

bool Zone::has_below(std::string_view key) const {
    for (std::size_t b = blocks_->empty() ? 0 : block_for(key); b < blocks_->size(); ++b) {
        const Block& block = *(*blocks_)[b];
        std::size_t at = block.lower_bound(key);
        if (at < block.size() && block.key(at) == key) {
            ++at;
        }
        if (at < block.size()) {
            return block.key(at).starts_with(key);
        }
    }
    return false;
}

Zone::Cursor Zone::begin() const {
    return Cursor(blocks_);
}

std::optional<Record> Zone::Cursor::next() {
    while (block_ < blocks_->size()) {
        const Block& block = *(*blocks_)[block_];
        if (index_ < block.size()) {
            return block.record(index_++);
        }
        ++block_;
        index_ = 0;
    }
    return std::nullopt;
}

bool operator==(const Zone& a, const Zone& b) {
    if (a.size() != b.size()) {
        return false;
    }
    auto left = a.begin();
    auto right = b.begin();
    while (const auto record = left.next()) {
        if (record != right.next()) {
            return false;
        }
    }
    return true;
}

struct Zone::Builder::Impl {
    Blocks blocks;
    std::shared_ptr<Block> open;
    std::string last;

    void add(std::string_view key, Action action) {
        TAPIR_ASSERT(action != Action::none && !key.empty());
        TAPIR_ASSERT(last < key);
        if (open && open->size() >= block_records_filled) {
            close();
        }
        if (!open) {
            open = std::make_shared<Block>();
        }
        open->add(key, action);
        last.assign(key);
    }
    void close() {
        if (open) {
            open->shrink();
            blocks.push_back(std::move(open));
            open.reset();
        }
    }
};

Zone::Builder::Builder() : impl_(std::make_unique<Impl>()) {}
Zone::Builder::~Builder() = default;

void Zone::Builder::add(std::string_view key, Action action) {
    impl_->add(key, action);
}

Zone Zone::Builder::finish() && {
    impl_->close();
    return Zone(std::move(impl_->blocks));
}

namespace {

// Walks over the old records and the delta together, in order, and hands on what is in the new
// zone.
class Merge {
public:
    explicit Merge(const Delta& delta) : removed_(delta.removed), added_(delta.added) {}

    std::string_view next_key() const {
        const bool r = !removed_.empty();
        const bool a = !added_.empty();
        if (r && a) {
            return std::min<std::string_view>(removed_.front().key, added_.front().key);
        }
        return r ? std::string_view(removed_.front().key) : std::string_view(added_.front().key);
    }
    bool done() const { return removed_.empty() && added_.empty(); }
    // Whether this old record stays.
    bool keeps(const Record& old) {
        if (removed_.empty() || removed_.front().key != old.key) {
            return true;
        }
        TAPIR_ASSERT(removed_.front().action == old.action);
        removed_ = removed_.subspan(1);
        return false;
    }
    // Hands on the added records before `limit` (all, if it is empty).
    template <class F>
    void add_before(std::string_view limit, F&& add) {
        while (!added_.empty() && (limit.empty() || added_.front().key < limit)) {
            add(added_.front().key, added_.front().action);
            added_ = added_.subspan(1);
        }
    }
    bool nothing_removed_is_left_before(std::string_view limit) const {
        return removed_.empty() || (!limit.empty() && removed_.front().key >= limit);
    }

private:
    std::span<const Delta::Change> removed_;
    std::span<const Delta::Change> added_;
};

}  // namespace

// Appends the records as blocks of even size; what is small joins the block before it, so that
// many small changes do not leave many small blocks.
void Zone::append_blocks(Blocks& out, std::vector<Record> records) {
    if (records.empty()) {
        return;
    }
    std::shared_ptr<const Block> before;  // keeps the keys alive that are copied out of it
    if (!out.empty() && records.size() + out.back()->size() <= block_records_filled / 2) {
        before = std::move(out.back());
        out.pop_back();
        std::vector<Record> joined;
        joined.reserve(before->size() + records.size());
        for (std::size_t i = 0; i < before->size(); ++i) {
            joined.push_back(before->record(i));
        }
        joined.insert(joined.end(), records.begin(), records.end());
        records = std::move(joined);
    }
    const std::size_t parts = (records.size() + block_records_max - 1) / block_records_max;
    for (std::size_t part = 0; part < parts; ++part) {
        auto block = std::make_shared<Block>();
        const std::size_t end = records.size() * (part + 1) / parts;
        for (std::size_t i = records.size() * part / parts; i < end; ++i) {
            block->add(records[i].key, records[i].action);
        }
        block->shrink();
        out.push_back(std::move(block));
    }
}

Zone Zone::apply(const Delta& delta) const {
    const Blocks& old = *blocks_;
    Blocks out;
    out.reserve(old.size() + 1);
    Merge merge(delta);
    std::size_t b = 0;
    while (!merge.done()) {
        // Blocks before the next change are shared as they are.
        const std::size_t hit = old.empty() ? 0 : block_for(merge.next_key());
        for (; b < hit; ++b) {
            out.push_back(old[b]);
        }
        const std::string_view limit = b + 1 < old.size() ? old[b + 1]->key(0) : std::string_view();
        std::vector<Record> records;
        const auto add = [&](std::string_view key, Action action) {
            TAPIR_ASSERT(records.empty() || records.back().key < key);
            records.push_back({key, action});
        };
        for (std::size_t i = 0; b < old.size() && i < old[b]->size(); ++i) {
            const Record record = old[b]->record(i);
            if (merge.keeps(record)) {
                merge.add_before(record.key, add);
                add(record.key, record.action);
            }
        }
        merge.add_before(limit, add);
        TAPIR_ASSERT(merge.nothing_removed_is_left_before(limit));
        append_blocks(out, std::move(records));
        ++b;
    }
    out.insert(out.end(), old.begin() + static_cast<std::ptrdiff_t>(std::min(b, old.size())),
               old.end());
    return Zone(std::move(out));
}

Delta difference(const Zone& from, const Zone& to) {
    Delta delta;
    auto old_cursor = from.begin();
    auto new_cursor = to.begin();
    auto a = old_cursor.next();
    auto b = new_cursor.next();
    while (a || b) {
        if (a && b && *a == *b) {
            a = old_cursor.next();
            b = new_cursor.next();
            continue;
        }
        const bool from_first = a && (!b || a->key <= b->key);
        const bool to_first = b && (!a || b->key <= a->key);
        if (from_first) {
            delta.removed.push_back({std::string(a->key), a->action});
            a = old_cursor.next();
        }
        if (to_first) {
            delta.added.push_back({std::string(b->key), b->action});
            b = new_cursor.next();
        }
    }
    return delta;
}

Bytes Delta::encode() const {
    Bytes out;
    for (const auto* list : {&removed, &added}) {
        append_u32(out, static_cast<std::uint32_t>(list->size()));
        for (const Change& change : *list) {
            append_u8(out, static_cast<std::uint8_t>(change.action));
            append_u8(out, static_cast<std::uint8_t>(change.key.size()));
            append(out, change.key);
        }
    }
    return out;
}

Result<Delta> Delta::decode(ByteView bytes) {
    ByteReader in(bytes);
    Delta delta;
    for (auto* list : {&delta.removed, &delta.added}) {
        const std::uint32_t count = in.u32();
        for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
            const std::uint8_t action = in.u8();
            const ByteView key = in.bytes(in.u8());
            const bool in_order = list->empty() || list->back().key < as_text(key);
            if (in.failed() || action == 0 || action > static_cast<std::uint8_t>(Action::drop) ||
                !is_key(as_text(key)) || !in_order) {
                return fail(Code::corrupt, "a stored delta is not what was written");
            }
            list->push_back({std::string(as_text(key)), static_cast<Action>(action)});
        }
    }
    if (in.failed() || in.remaining() != 0) {
        return fail(Code::corrupt, "a stored delta is not what was written");
    }
    return delta;
}

std::optional<std::vector<Snapshot::Step>> Snapshot::steps_from(Serial from) const {
    const auto first = std::ranges::find(history, from, &Step::from);
    if (first == history.end()) {
        return std::nullopt;
    }
    return std::vector<Step>(first, history.end());
}

void append_history(Snapshot& snapshot, Snapshot::Step step) {
    snapshot.history_records += step.delta->size();
    snapshot.history.push_back(std::move(step));
    std::size_t drop = 0;
    while (drop < snapshot.history.size() && (snapshot.history.size() - drop > history_deltas_max ||
                                              snapshot.history_records > history_records_max)) {
        snapshot.history_records -= snapshot.history[drop].delta->size();
        ++drop;
    }
    snapshot.history.erase(snapshot.history.begin(),
                           snapshot.history.begin() + static_cast<std::ptrdiff_t>(drop));
}

Snapshot publish(const Snapshot& before, Delta delta) {
    TAPIR_ASSERT(!delta.empty());
    Snapshot after{before.zone.apply(delta), before.serial.next(), before.history,
                   before.history_records};
    append_history(after,
                   {before.serial, after.serial, std::make_shared<const Delta>(std::move(delta))});
    return after;
}

}  // namespace tapir::rpz
