#include "rows.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <new>
#include <utility>

namespace tapir::edge {
namespace {

constexpr std::size_t first_slots = 64;

void add_up(std::uint32_t& counter, std::uint32_t by) {
    const std::uint32_t room = std::numeric_limits<std::uint32_t>::max() - counter;
    counter += std::min(by, room);
}

// A block holds the networks of its clients, and then their tags.
constexpr std::size_t head_words = 2;
constexpr std::size_t table_start = 8;  // of a hash table: the next cache line
constexpr std::size_t list_classes = 3;
static_assert(sizeof(NetworkSample) <= head_words * sizeof(std::uint64_t));
static_assert(FamilyCount::list_max == TagPool::words[list_classes - 1] - head_words);

// The size of block in which so many tags lie: lists are full, hash tables at most half.
std::size_t class_for(std::uint32_t count) {
    std::size_t size_class = 0;
    while (size_class < list_classes && count > TagPool::words[size_class] - head_words) {
        ++size_class;
    }
    if (size_class < list_classes) {
        return size_class;
    }
    while (std::size_t{2} * count > TagPool::words.at(size_class) - table_start) {
        ++size_class;
    }
    return size_class;
}

struct Tags {
    std::uint64_t* first = nullptr;
    std::size_t places = 0;  // of a list: that are taken
};
Tags tags_of(std::uint64_t* block, std::uint32_t count, std::size_t size_class) {
    return size_class < list_classes
               ? Tags{block + head_words, count}
               : Tags{block + table_start, TagPool::words[size_class] - table_start};
}

// The place of a tag in a block, or the free one where it belongs.
std::uint64_t* place_of(std::uint64_t* block, std::uint32_t count, std::size_t size_class,
                        std::uint64_t tag) {
    const Tags tags = tags_of(block, count, size_class);
    if (size_class < list_classes) {
        return std::find(tags.first, tags.first + count, tag);
    }
    const std::size_t mask = tags.places - 1;
    std::size_t at = tag & mask;
    while (tags.first[at] != 0 && tags.first[at] != tag) {
        at = (at + 1) & mask;
    }
    return tags.first + at;
}

// What lies in a row is a tag or where tags lie.
std::uint64_t* block_at(std::uint64_t word) {
    return std::bit_cast<std::uint64_t*>(word);
}

NetworkSample& networks_in(std::uint64_t* block) {
    return *std::launder(reinterpret_cast<NetworkSample*>(block));
}

// Whether a tag is among those that a block holds.
bool is_tag_in(std::uint64_t* block, std::uint32_t count, std::uint64_t tag) {
    const std::size_t size_class = class_for(count);
    std::uint64_t* place = place_of(block, count, size_class, tag);
    return size_class < list_classes ? place != block + head_words + count : *place == tag;
}

// Calls `use` with each tag in a block.
template <class Use>
void for_each_tag(std::uint64_t* block, std::uint32_t count, const Use& use) {
    const Tags tags = tags_of(block, count, class_for(count));
    for (std::size_t i = 0; i < tags.places; ++i) {
        if (tags.first[i] != 0) {
            use(tags.first[i]);
        }
    }
}

}  // namespace

void NetworkSample::add(std::uint64_t tag) {
    add_part(part_of(tag));
}

void NetworkSample::add_part(std::uint32_t part) {
    if (parts_[2] != 0 || part == 0) {
        return;
    }
    for (std::uint32_t& known : parts_) {
        if (known == part) {
            return;
        }
        if (known == 0) {
            known = part;
            return;
        }
    }
}

void NetworkSample::merge(const NetworkSample& other) {
    for (const std::uint32_t part : other.parts_) {
        add_part(part);
    }
}

unsigned NetworkSample::count() const {
    return static_cast<unsigned>(
        std::ranges::count_if(parts_, [](std::uint32_t part) { return part != 0; }));
}

std::uint32_t Row::counter(RowCounter which) const {
    if (which != RowCounter::ok) {
        return counters_[RowPlaces::of(which)];
    }
    std::uint64_t types = 0;
    std::uint64_t rcodes = 0;
    for (std::size_t i = 0; i < counters_.size(); ++i) {
        (i < RowPlaces::types ? types : rcodes) += counters_[i];
    }
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(
        types > rcodes ? types - rcodes : 0, std::numeric_limits<std::uint32_t>::max()));
}

void Row::merge_counters(const Row& other) {
    for (std::size_t i = 0; i < counters_.size(); ++i) {
        add_up(counters_[i], other.counters_[i]);
    }
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

RowPool::Taken RowPool::take() {
    const std::lock_guard lock(mutex_);
    const bool is_one_too_many = ++tables_ > tables_at_once;
    Taken taken{.store = nullptr, .memory_max = std::numeric_limits<std::size_t>::max()};
    if (table_memory_max_) {
        taken.memory_max = is_one_too_many ? 0 : *table_memory_max_;
    }
    if (stores_.empty()) {
        taken.store = std::make_unique<RowTable::Store>();
    } else {
        taken.store = std::move(stores_.back());
        stores_.pop_back();
    }
    return taken;
}

void RowPool::give_back(std::unique_ptr<RowTable::Store> store) {
    // Slots are at most half full, so at most an eighth of the memory was needed.
    const bool is_sparse = store->slots.size() > 16 * std::max<std::size_t>(store->row_count, 256);
    store->sparse_uses = is_sparse ? store->sparse_uses + 1 : 0;
    const bool is_kept = store->sparse_uses <= sparse_uses_max;
    if (is_kept) {
        store->clear();
    }
    const std::lock_guard lock(mutex_);
    --tables_;
    if (is_kept && stores_.size() < stores_max) {
        stores_.push_back(std::move(store));
    }
}

RowTable::RowTable(const sketch::HllSettings& settings, std::shared_ptr<RowPool> pool)
    : tags_max_(static_cast<std::uint32_t>(std::clamp(
          settings.explicit_threshold, 0, static_cast<std::int32_t>(FamilyCount::tags_max)))),
      sketch_size_((std::size_t{1} << settings.log2m) * settings.register_width / 8),
      memory_max_(std::numeric_limits<std::size_t>::max()),
      settings_(settings),
      pool_(std::move(pool)) {
    if (pool_) {
        RowPool::Taken taken = pool_->take();
        store_ = std::move(taken.store);
        memory_max_ = taken.memory_max;
    } else {
        store_ = std::make_unique<Store>();
    }
}

RowTable& RowTable::operator=(RowTable&& other) noexcept {
    if (this != &other) {
        release();
        tags_max_ = other.tags_max_;
        sketch_size_ = other.sketch_size_;
        memory_max_ = other.memory_max_;
        clients_left_out_ = other.clients_left_out_;
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
    const auto& slots = store_->slots;
    const std::size_t mask = slots.size() - 1;
    std::size_t at = mix(index) & mask;
    while (slots[at].number != 0 && slots[at].index != index) {
        at = (at + 1) & mask;
    }
    return at;
}

Row& RowTable::row(std::uint32_t index) {
    Row* found = find(index);
    return found != nullptr ? *found : new_row(index);
}

Row* RowTable::row_within_limit(std::uint32_t index) {
    if (Row* found = find(index); found != nullptr) [[likely]] {
        return found;
    }
    const std::size_t more =
        sizeof(Row) + (is_full() ? std::max(store_->slots.size(), first_slots) * sizeof(Slot) : 0);
    return has_memory_for(more) ? &new_row(index) : nullptr;
}

// Asks for the row's memory too.
Row* RowTable::find(std::uint32_t index) const {
    if (store_->slots.empty()) {
        return nullptr;
    }
    const std::uint32_t number = store_->slots[slot_of(index)].number;
    if (number == 0) {
        return nullptr;
    }
    Row& row = store_->at(number - 1);
    __builtin_prefetch(&row, 1);
    return &row;
}

Row& RowTable::new_row(std::uint32_t index) {
    if (is_full()) {
        grow();
    }
    const std::size_t number = store_->row_count++;
    store_->slots[slot_of(index)] = {index, static_cast<std::uint32_t>(number + 1)};
    if (number / chunk_rows == store_->chunks.size()) {
        store_->chunks.push_back(LargePage::make());
    }
    Row* row = new (&store_->at(number)) Row{};
    row->index = index;
    return *row;
}

std::size_t RowTable::memory_of(const FamilyCount& family) const {
    const std::uint32_t count = family.count();
    if (count == FamilyCount::sketched) {
        return sizeof(Sketched) + sketch_size_;
    }
    return count < 2 ? 0 : TagPool::words.at(class_for(count)) * sizeof(std::uint64_t);
}

std::size_t RowTable::memory_of(const Row& row) const {
    // Slots are a quarter to half full.
    return sizeof(Row) + 4 * sizeof(Slot) + memory_of(row.v4) + memory_of(row.v6);
}

// The places that there were are gone through in their order, so those that they go to are too, in
// two streams: neither the rows are looked at nor is memory waited for.
void RowTable::grow() {
    const auto before = std::move(store_->slots);
    store_->slots.assign(std::max(before.size() * 2, first_slots), {});
    for (const Slot& slot : before) {
        if (slot.number != 0) {
            store_->slots[slot_of(slot.index)] = slot;
        }
    }
}

void RowTable::prefetch_clients(const FamilyCount& family, std::uint64_t client) const {
    const std::uint32_t count = family.count();
    if (count < 2) {
        return;
    }
    if (count == FamilyCount::sketched) {
        __builtin_prefetch(&store_->sketches[family.word()], 1);
        return;
    }
    const std::uint64_t* block = block_at(family.word());
    __builtin_prefetch(block, 1);
    const std::size_t size_class = class_for(count);
    if (size_class >= list_classes) {
        const std::size_t mask = TagPool::words[size_class] - table_start - 1;
        __builtin_prefetch(block + table_start + (client & mask), 1);
        return;
    }
    for (std::size_t word = 8; word < TagPool::words[size_class]; word += 8) {
        __builtin_prefetch(block + word, 1);
    }
}

// What add() does not do itself.
void RowTable::add_part(FamilyCount& family, std::uint64_t client, std::uint32_t network) {
    const std::uint32_t count = family.count();
    if (count == FamilyCount::sketched || count >= tags_max_) {
        if (count > 1 && count != FamilyCount::sketched &&
            is_tag_in(block_at(family.word()), count, client)) {
            return;
        }
        if (count != FamilyCount::sketched && !has_memory_for(sizeof(Sketched) + sketch_size_))
            [[unlikely]] {
            ++clients_left_out_;
            return;
        }
        Sketched& sketched =
            count == FamilyCount::sketched ? store_->sketches[family.word()] : to_sketch(family);
        sketched.networks.add_part(network);
        sketched.clients.add(client);
        return;
    }
    add_tag(family, client, network);
}

// To a set that has room for one tag more, and has one or more.
void RowTable::add_tag(FamilyCount& family, std::uint64_t client, std::uint32_t network) {
    const std::uint32_t count = family.count();
    const std::size_t next_class = class_for(count + 1);
    std::uint64_t* block = nullptr;
    if (count == 1) {
        if (!has_memory_for(store_->tags.memory_for(next_class))) [[unlikely]] {
            ++clients_left_out_;
            return;
        }
        block = store_->tags.take(next_class);
        new (block) NetworkSample();
        networks_in(block).add_part(family.network());
        *place_of(block, 0, next_class, family.word()) = family.word();
    } else {
        block = block_at(family.word());
        const std::size_t size_class = class_for(count);
        std::uint64_t* place = place_of(block, count, size_class, client);
        const bool is_list_end = size_class < list_classes && place == block + head_words + count;
        if (!is_list_end && *place == client) {
            return;
        }
        if (next_class != size_class) {
            if (!has_memory_for(store_->tags.memory_for(next_class))) [[unlikely]] {
                ++clients_left_out_;
                return;
            }
            std::uint64_t* larger = store_->tags.take(next_class);
            new (larger) NetworkSample(networks_in(block));
            std::uint32_t moved = 0;
            for_each_tag(block, count, [&](std::uint64_t tag) {
                *place_of(larger, moved++, next_class, tag) = tag;
            });
            store_->tags.give_back(block, size_class);
            block = larger;
        }
    }
    networks_in(block).add_part(network);
    *place_of(block, count, next_class, client) = client;
    family.set(reinterpret_cast<std::uint64_t>(block), count + 1);
}

RowTable::Sketched& RowTable::to_sketch(FamilyCount& family) {
    const std::uint32_t count = family.count();
    Sketched sketched{.clients = sketch::HyperLogLog(settings_), .networks = networks(family)};
    if (count == 1) {
        sketched.clients.add(family.word());
    } else if (count > 1) {
        std::uint64_t* block = block_at(family.word());
        for_each_tag(block, count, [&](std::uint64_t tag) { sketched.clients.add(tag); });
        store_->tags.give_back(block, class_for(count));
    }
    family.set(store_->sketches.size(), FamilyCount::sketched);
    return store_->sketches.emplace_back(std::move(sketched));
}

NetworkSample RowTable::networks(const FamilyCount& family) const {
    const std::uint32_t count = family.count();
    if (count == FamilyCount::sketched) {
        return store_->sketches[family.word()].networks;
    }
    if (count > 1) {
        return networks_in(block_at(family.word()));
    }
    NetworkSample one;
    one.add_part(count == 1 ? family.network() : 0);
    return one;
}

std::uint64_t RowTable::estimate(const FamilyCount& family) const {
    const std::uint32_t count = family.count();
    return count == FamilyCount::sketched ? store_->sketches[family.word()].clients.estimate()
                                          : count;
}

std::optional<Bytes> RowTable::sketch(const FamilyCount& family) const {
    // Tags that are kept one by one are a sketch in its exact form, which is written as nothing.
    return family.count() == FamilyCount::sketched
               ? store_->sketches[family.word()].clients.serialise_or_null()
               : std::nullopt;
}

void RowTable::merge(FamilyCount& into, const FamilyCount& from, const RowTable& theirs) {
    const std::uint32_t count = from.count();
    if (count == FamilyCount::sketched) {
        Sketched& ours =
            into.count() == FamilyCount::sketched ? store_->sketches[into.word()] : to_sketch(into);
        const Sketched& other = theirs.store_->sketches[from.word()];
        ours.clients.merge(other.clients);
        ours.networks.merge(other.networks);
        return;
    }
    const auto add_client = [&](std::uint64_t tag, std::uint32_t part) {
        if (into.is_empty() && tags_max_ > 0) {
            into.set(tag, 1, part);
        } else if (into.count() != 1 || into.word() != tag) {
            add_part(into, tag, part);
        }
    };
    if (count == 1) {
        add_client(from.word(), from.network());
    } else if (count > 1) {
        // Which network is whose does not matter any more: every client brings all of them.
        const NetworkSample all = networks_in(block_at(from.word()));
        for_each_tag(block_at(from.word()), count, [&](std::uint64_t tag) { add_client(tag, 0); });
        merge_networks(into, all);
    }
}

// Into a family that has two clients or more.
void RowTable::merge_networks(FamilyCount& into, const NetworkSample& networks) {
    if (into.count() == FamilyCount::sketched) {
        store_->sketches[into.word()].networks.merge(networks);
    } else {
        networks_in(block_at(into.word())).merge(networks);
    }
}

void RowTable::merge(RowTable&& other) {
    if (is_empty()) {
        *this = std::move(other);
        return;
    }
    add_rows(other, other.size(), [](std::size_t i) { return i; });
    clients_left_out_ += other.clients_left_out_;
    other = RowTable(settings_);
}

void RowTable::add_all(const RowTable& from, std::span<const std::uint32_t> numbers) {
    add_rows(from, numbers.size(), [numbers](std::size_t i) { return numbers[i]; });
}

// Memory is asked for some rows ahead of its use, step by step: the place, the row, its clients.
template <class NumberAt>
void RowTable::add_rows(const RowTable& from, std::size_t count, const NumberAt& number_at) {
    memory_max_ = std::numeric_limits<std::size_t>::max();
    constexpr std::size_t abreast = 32;
    std::array<Row*, abreast> ours{};
    for (std::size_t first = 0; first < count; first += abreast) {
        const std::size_t some = std::min(abreast, count - first);
        for (std::size_t i = 0; i < some; ++i) {
            const Row& theirs = from[number_at(first + i)];
            prefetch(theirs.index);
            from.prefetch_clients(theirs.v4, 0);
            from.prefetch_clients(theirs.v6, 0);
        }
        for (std::size_t i = 0; i < some; ++i) {
            ours.at(i) = &row(from[number_at(first + i)].index);
        }
        for (std::size_t i = 0; i < some; ++i) {
            prefetch_clients(ours.at(i)->v4, 0);
            prefetch_clients(ours.at(i)->v6, 0);
        }
        for (std::size_t i = 0; i < some; ++i) {
            const Row& theirs = from[number_at(first + i)];
            ours.at(i)->merge_counters(theirs);
            merge(ours.at(i)->v4, theirs.v4, from);
            merge(ours.at(i)->v6, theirs.v6, from);
        }
    }
}

}  // namespace tapir::edge
