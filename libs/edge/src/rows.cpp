#include "rows.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

namespace tapir::edge {
namespace {

constexpr std::size_t first_slots = 64;

std::size_t mix(std::uint32_t index) {
    return static_cast<std::size_t>((index * 0x9E3779B97F4A7C15ULL) >> 32U);
}

void raise(std::uint32_t& counter, std::uint32_t by = 1) {
    const std::uint32_t room = std::numeric_limits<std::uint32_t>::max() - counter;
    counter += std::min(by, room);
}

// The size of block in which so many tags lie: lists are full, hash tables at most half.
std::size_t class_for(std::uint32_t count) {
    if (count <= ClientSet::list_max) {
        return count <= TagPool::words[0] ? 0 : 1;
    }
    return static_cast<std::size_t>(std::bit_width((count - 1) / ClientSet::list_max)) + 1;
}

// The place of a tag in a block, or the free one where it belongs.
std::uint64_t* place_of(std::uint64_t* tags, std::uint32_t count, std::size_t size_class,
                        std::uint64_t tag) {
    if (size_class < 2) {
        return std::find(tags, tags + count, tag);
    }
    const std::size_t mask = TagPool::words[size_class] - 1;
    std::size_t at = tag & mask;
    while (tags[at] != 0 && tags[at] != tag) {
        at = (at + 1) & mask;
    }
    return tags + at;
}

// Calls `use` with each tag of a set that is no sketch.
template <class Use>
void for_each_tag(const ClientSet& set, const Use& use) {
    if (set.count == 1) {
        use(set.one);
        return;
    }
    if (set.count == 0) {
        return;
    }
    const std::uint32_t words = TagPool::words[class_for(set.count)];
    for (std::uint32_t i = 0; i < words; ++i) {
        if (set.tags[i] != 0) {
            use(set.tags[i]);
        }
    }
}

}  // namespace

void NetworkSample::add(std::uint64_t tag) {
    if (tags_[2] != 0 || tag == 0) {
        return;
    }
    const std::uint32_t low = std::max(static_cast<std::uint32_t>(tag), std::uint32_t{1});
    for (std::uint32_t& known : tags_) {
        if (known == low) {
            return;
        }
        if (known == 0) {
            known = low;
            return;
        }
    }
}

void NetworkSample::merge(const NetworkSample& other) {
    for (const std::uint32_t tag : other.tags_) {
        add(tag);
    }
}

unsigned NetworkSample::count() const {
    return static_cast<unsigned>(
        std::ranges::count_if(tags_, [](std::uint32_t tag) { return tag != 0; }));
}

void Row::count(unsigned rcode, unsigned qclass, unsigned qtype) {
    // By number, for what is common; all else is other.
    constexpr std::array<RowCounter, 4> by_rcode = {RowCounter::ok, RowCounter::other_rcode,
                                                    RowCounter::fail, RowCounter::nx};
    const RowCounter rcode_counter =
        rcode < by_rcode.size() ? by_rcode[rcode] : RowCounter::other_rcode;
    raise(counters[static_cast<std::size_t>(rcode_counter)]);
    const auto type_counter = [qclass, qtype] {
        if (qclass != 1) {
            return RowCounter::non_in;
        }
        switch (qtype) {
            case 1:
                return RowCounter::a;
            case 2:
                return RowCounter::ns;
            case 15:
                return RowCounter::mx;
            case 28:
                return RowCounter::aaaa;
            default:
                return RowCounter::other_type;
        }
    };
    raise(counters[static_cast<std::size_t>(type_counter())]);
}

void RowTable::Store::clear() {
    std::ranges::fill(slots, Slot{});
    row_count = 0;
    tags.clear();
    sketches.clear();
}

std::size_t RowPool::store_count() {
    const std::lock_guard lock(mutex_);
    return stores_.size();
}

std::unique_ptr<RowTable::Store> RowPool::take() {
    const std::lock_guard lock(mutex_);
    if (stores_.empty()) {
        return std::make_unique<RowTable::Store>();
    }
    auto store = std::move(stores_.back());
    stores_.pop_back();
    return store;
}

void RowPool::give_back(std::unique_ptr<RowTable::Store> store) {
    // Slots are at most half full, so at most an eighth of the memory was needed.
    const bool is_sparse = store->slots.size() > 16 * std::max<std::size_t>(store->row_count, 256);
    store->sparse_uses = is_sparse ? store->sparse_uses + 1 : 0;
    if (store->sparse_uses > sparse_uses_max) {
        return;
    }
    store->clear();
    const std::lock_guard lock(mutex_);
    if (stores_.size() < stores_max) {
        stores_.push_back(std::move(store));
    }
}

RowTable::RowTable(const sketch::HllSettings& settings, std::shared_ptr<RowPool> pool)
    : settings_(settings),
      pool_(std::move(pool)),
      store_(pool_ ? pool_->take() : std::make_unique<Store>()) {}

RowTable& RowTable::operator=(RowTable&& other) noexcept {
    if (this != &other) {
        release();
        settings_ = other.settings_;
        pool_ = std::move(other.pool_);
        store_ = std::move(other.store_);
    }
    return *this;
}

RowTable::~RowTable() {
    release();
}

void RowTable::release() {
    if (pool_ && store_) {
        pool_->give_back(std::move(store_));
    }
}

std::size_t RowTable::slot_of(std::uint32_t index) const {
    const std::vector<Slot>& slots = store_->slots;
    const std::size_t mask = slots.size() - 1;
    std::size_t at = mix(index) & mask;
    while (slots[at].number != 0 && slots[at].index != index) {
        at = (at + 1) & mask;
    }
    return at;
}

void RowTable::prefetch(std::uint32_t index) const {
    if (!store_->slots.empty()) {
        __builtin_prefetch(&store_->slots[mix(index) & (store_->slots.size() - 1)]);
    }
}

Row& RowTable::row(std::uint32_t index) {
    if (2 * (store_->row_count + 1) > store_->slots.size()) {
        grow();
    }
    const std::size_t at = slot_of(index);
    const std::uint32_t number = store_->slots[at].number;
    if (number == 0) {
        store_->slots[at] = {index, static_cast<std::uint32_t>(store_->row_count + 1)};
        return new_row(index);
    }
    Row& row = store_->chunks[(number - 1) / chunk_rows][(number - 1) % chunk_rows];
    __builtin_prefetch(&row, 1);
    __builtin_prefetch(&row.v6, 1);
    return row;
}

Row& RowTable::new_row(std::uint32_t index) {
    const std::size_t number = store_->row_count++;
    if (number / chunk_rows == store_->chunks.size()) {
        store_->chunks.push_back(std::make_unique<Row[]>(chunk_rows));
    }
    Row& row = store_->chunks[number / chunk_rows][number % chunk_rows];
    row = Row{};
    row.index = index;
    return row;
}

void RowTable::grow() {
    std::vector<Slot>& slots = store_->slots;
    slots.assign(std::max(slots.size() * 2, first_slots), {});
    for (std::size_t i = 0; i < store_->row_count; ++i) {
        const std::uint32_t index = (*this)[i].index;
        slots[slot_of(index)] = {index, static_cast<std::uint32_t>(i + 1)};
    }
}

void RowTable::prefetch_clients(const FamilyCount& family) {
    if (family.clients.count > 1 && family.clients.count != ClientSet::sketched) {
        __builtin_prefetch(family.clients.tags, 1);
    }
}

void RowTable::add(FamilyCount& family, std::uint64_t client, std::uint64_t network) {
    family.networks.add(network);
    if (client != 0) {
        add_client(family.clients, client);
    }
}

void RowTable::add_client(ClientSet& set, std::uint64_t tag) {
    if (set.count == ClientSet::sketched) {
        store_->sketches[set.sketch].add(tag);
    } else if (set.count == 0 && settings_.explicit_threshold > 0) {
        set.one = tag;
        set.count = 1;
    } else {
        add_tag(set, tag);
    }
}

// To a set that has one tag or more, or may have none.
void RowTable::add_tag(ClientSet& set, std::uint64_t tag) {
    const bool is_one = set.count == 1;
    const std::size_t size_class = class_for(set.count);
    if (is_one && set.one == tag) {
        return;
    }
    if (set.count > 1) {
        std::uint64_t* place = place_of(set.tags, set.count, size_class, tag);
        const bool is_list_end = size_class < 2 && place == set.tags + set.count;
        if (!is_list_end && *place == tag) {
            return;
        }
    }
    const auto limit =
        std::clamp(settings_.explicit_threshold, 0, static_cast<std::int32_t>(ClientSet::tags_max));
    if (set.count >= static_cast<std::uint32_t>(limit)) {
        to_sketch(set);
        store_->sketches[set.sketch].add(tag);
        return;
    }
    const std::size_t next_class = class_for(set.count + 1);
    if (is_one || next_class != size_class) {
        std::uint64_t* larger = store_->tags.take(next_class);
        std::uint32_t moved = 0;
        for_each_tag(set,
                     [&](std::uint64_t old) { *place_of(larger, moved++, next_class, old) = old; });
        if (!is_one) {
            store_->tags.give_back(set.tags, size_class);
        }
        set.tags = larger;
    }
    *place_of(set.tags, set.count, next_class, tag) = tag;
    ++set.count;
}

void RowTable::to_sketch(ClientSet& set) {
    sketch::HyperLogLog sketch(settings_);
    for_each_tag(set, [&sketch](std::uint64_t tag) { sketch.add(tag); });
    if (set.count > 1) {
        store_->tags.give_back(set.tags, class_for(set.count));
    }
    set.sketch = store_->sketches.size();
    set.count = ClientSet::sketched;
    store_->sketches.push_back(std::move(sketch));
}

std::uint64_t RowTable::estimate(const ClientSet& clients) const {
    return clients.count == ClientSet::sketched ? store_->sketches[clients.sketch].estimate()
                                                : clients.count;
}

std::optional<Bytes> RowTable::sketch(const ClientSet& clients) const {
    // Tags that are kept one by one are a sketch in its exact form, which is written as nothing.
    return clients.count == ClientSet::sketched
               ? store_->sketches[clients.sketch].serialise_or_null()
               : std::nullopt;
}

void RowTable::merge(ClientSet& into, const ClientSet& from, const Store& theirs) {
    if (from.count != ClientSet::sketched) {
        for_each_tag(from, [&](std::uint64_t tag) { add_client(into, tag); });
        return;
    }
    if (into.count != ClientSet::sketched) {
        to_sketch(into);
    }
    store_->sketches[into.sketch].merge(theirs.sketches[from.sketch]);
}

void RowTable::merge(RowTable&& other) {
    if (is_empty()) {
        *this = std::move(other);
        return;
    }
    for (std::size_t i = 0; i < other.size(); ++i) {
        add(other, other[i]);
    }
    other = RowTable(settings_);
}

void RowTable::add(const RowTable& from, const Row& theirs) {
    Row& ours = row(theirs.index);
    for (std::size_t counter = 0; counter < row_counter_count; ++counter) {
        raise(ours.counters[counter], theirs.counters[counter]);
    }
    for (const auto family : {&Row::v4, &Row::v6}) {
        (ours.*family).networks.merge((theirs.*family).networks);
        merge((ours.*family).clients, (theirs.*family).clients, *from.store_);
    }
}

}  // namespace tapir::edge
