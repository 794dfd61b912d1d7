// What was counted of one minute: a row for each entry of the well-known list that was asked for.
//
//     for (entry : batch) { table.prefetch(entry); }
//     for (entry : batch) { rows[i] = &table.row(entry); }  // asks for the row's memory too
//     for (row : rows) { table.prefetch_clients(row->v4, client); }
//     row->count(rcode, qclass, qtype);
//     table.add(row->v4, client, network);
//     table.merge(std::move(other));       // another worker's: sums and sets
//
// Merging commutes and associates, so however frames are spread over workers, the table is the
// same. A table's memory comes from a RowPool and goes back there: a new minute then does not begin
// with page faults. While a table counts, its memory has a limit, which is the pool's: beyond it
// there are no new rows, and no more clients of those that are there than fit where they lie. One
// thread at a time; a RowPool may be shared.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "large_page.hpp"
#include "tag_pool.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/base/huge_pages.hpp"
#include "tapir/sketch/hyperloglog.hpp"

namespace tapir::edge {

// The ten counters of reference schema, in its order.
enum class RowCounter : std::uint8_t {
    a,
    aaaa,
    mx,
    ns,
    other_type,
    non_in,
    ok,
    nx,
    fail,
    other_rcode,
};
inline constexpr std::size_t row_counter_count = 10;

// At most three networks, by 24 bits of their tags, 0 for none: enough to say "from at least
// three". Two networks may look like one, never one like two.
class NetworkSample {
public:
    void add(std::uint64_t tag);
    void merge(const NetworkSample& other);
    unsigned count() const;

    // What is kept of a tag.
    static std::uint32_t part_of(std::uint64_t tag) {
        constexpr std::uint32_t mask = 0xFF'FFFF;
        const std::uint32_t part = static_cast<std::uint32_t>(tag) & mask;
        return tag != 0 && part == 0 ? 1 : part;
    }

private:
    friend class RowTable;
    void add_part(std::uint32_t part);

    std::array<std::uint32_t, 3> parts_{};
};

// The distinct clients of one family and their networks: clients by their tags, one by one while
// they are few, then in a sketch. What is counted is what a HyperLogLog with the table's settings
// counts; this is only the faster and smaller way to it. Its table knows what the word means.
class FamilyCount {
public:
    static constexpr std::uint32_t tags_max = 128;  // kept one by one
    static constexpr std::uint32_t list_max = 22;   // as they came; more are hashed by their bits

    bool is_empty() const { return count() == 0; }

private:
    friend class RowTable;
    static constexpr std::uint32_t sketched = 0xFF;

    // 0; 1: the word is its tag; to tags_max: the word is where they lie; or `sketched`: the word
    // is which of the table's sketches.
    std::uint32_t count() const { return state_ & 0xFFU; }
    std::uint32_t network() const { return state_ >> 8U; }  // of the only client
    std::uint64_t word() const { return std::uint64_t{high_} << 32U | low_; }
    void set(std::uint64_t word, std::uint32_t count, std::uint32_t network = 0) {
        low_ = static_cast<std::uint32_t>(word);
        high_ = static_cast<std::uint32_t>(word >> 32U);
        state_ = network << 8U | count;
    }

    std::uint32_t low_ = 0;
    std::uint32_t high_ = 0;
    std::uint32_t state_ = 0;
};

// Where a row keeps its counters: first those of types, then those of rcodes, but for `ok`. Each
// frame raises one of types and one of rcodes, so `ok` is what the other rcodes leave of the types.
struct RowPlaces {
    static constexpr std::size_t count = row_counter_count - 1;
    static constexpr std::size_t types = 6;
    static constexpr std::uint8_t of(RowCounter which) {
        const auto number = static_cast<std::uint8_t>(which);
        return static_cast<std::uint8_t>(
            number < static_cast<std::uint8_t>(RowCounter::ok) ? number : number - 1);
    }
    // By number, for what is common; all else is other. No jump depends on what was asked.
    static std::uint8_t of_type(unsigned qtype) {
        constexpr std::uint8_t other = 4;
        constexpr std::array<std::uint8_t, 32> places = {
            other, 0,     3,     other, other, other, other, other, other, other, other,
            other, other, other, other, 2,     other, other, other, other, other, other,
            other, other, other, other, other, other, 1,     other, other, other};
        return qtype < places.size() ? places[qtype] : other;
    }
};

// One cache line: memory that is waited for is what counting costs.
struct alignas(64) Row {
    // Counters stop at their highest value.
    void count(unsigned rcode, unsigned qclass, unsigned qtype) {
        raise(qclass == 1 ? RowPlaces::of_type(qtype) : RowPlaces::of(RowCounter::non_in));
        if (rcode != 0) {
            raise(RowPlaces::of(rcode == 3   ? RowCounter::nx
                                : rcode == 2 ? RowCounter::fail
                                             : RowCounter::other_rcode));
        }
    }
    std::uint32_t counter(RowCounter which) const;
    void merge_counters(const Row& other);

    std::uint32_t index = 0;
    FamilyCount v4;
    FamilyCount v6;

private:
    void raise(std::size_t place) {
        counters_[place] += counters_[place] != std::numeric_limits<std::uint32_t>::max() ? 1 : 0;
    }

    std::array<std::uint32_t, RowPlaces::count> counters_{};
};
static_assert(sizeof(Row) == 64);

class RowPool;

class RowTable {
public:
    // With a pool the memory comes from there and goes back; tables keep their pool.
    explicit RowTable(const sketch::HllSettings& settings, std::shared_ptr<RowPool> pool = nullptr);
    RowTable(RowTable&& other) noexcept = default;
    RowTable& operator=(RowTable&& other) noexcept;
    RowTable(const RowTable&) = delete;
    RowTable& operator=(const RowTable&) = delete;
    ~RowTable();

    // Asks for the memory that row() will read. Purely for speed.
    void prefetch(std::uint32_t index) const {
        if (!store_->slots.empty()) {
            __builtin_prefetch(&store_->slots[mix(index) & (store_->slots.size() - 1)]);
        }
    }
    // The row of a list entry; made if it is not there, whatever the limit. It stays where it is.
    Row& row(std::uint32_t index);
    // The same within the limit: nothing if it is not there and there is no room for it.
    Row* row_within_limit(std::uint32_t index);
    // Asks for the memory that add() will read.
    void prefetch_clients(const FamilyCount& family, std::uint64_t client) const;
    // A client, 0 for none, and its network, which is always the same; 0: not known.
    void add(FamilyCount& family, std::uint64_t client, std::uint64_t network) {
        const std::uint32_t count = family.count();
        if (client == 0 || (count == 1 && family.word() == client)) {
            return;
        }
        if (count == 0 && tags_max_ > 0) {
            family.set(client, 1, NetworkSample::part_of(network));
        } else {
            add_part(family, client, NetworkSample::part_of(network));
        }
    }

    // How many clients.
    std::uint64_t estimate(const FamilyCount& family) const;
    // As HyperLogLog::serialise_or_null.
    std::optional<Bytes> sketch(const FamilyCount& family) const;
    // How many networks they are from; 3: or more.
    unsigned network_count(const FamilyCount& family) const { return networks(family).count(); }

    // What is merged into has no limit any more: the other's memory is soon free.
    void merge(RowTable&& other);
    // The same for the rows with these numbers of another table, which keeps them.
    void add_all(const RowTable& from, std::span<const std::uint32_t> numbers);

    std::size_t size() const { return store_->row_count; }
    bool is_empty() const { return size() == 0; }
    // Octets that its rows take, and what belongs to them.
    std::size_t memory() const { return store_->memory(sketch_size_); }
    // Octets of one row, its place and its clients: by how many these are and by nothing else.
    std::size_t memory_of(const Row& row) const;
    // How often a client was not counted for want of memory.
    std::uint64_t clients_left_out() const { return clients_left_out_; }
    // Rows by number, in the order in which they were made: 0 to size() - 1.
    const Row& operator[](std::size_t number) const { return store_->at(number); }

private:
    friend class RowPool;
    static constexpr std::size_t chunk_rows = LargePage::size / sizeof(Row);
    struct Slot {
        std::uint32_t index = 0;
        std::uint32_t number = 0;  // of the row + 1; 0: free
    };
    struct Sketched {
        sketch::HyperLogLog clients;
        NetworkSample networks;
    };
    struct Store {
        // Open addressing. A power of two, at most half full.
        std::vector<Slot, HugePages<Slot>> slots;
        std::vector<LargePage> chunks;  // chunk_rows rows each
        std::size_t row_count = 0;
        TagPool tags;
        std::deque<Sketched> sketches;
        unsigned sparse_uses = 0;  // one after the other, in which most of it lay idle

        void clear();
        std::size_t memory(std::size_t sketch_size) const {
            return slots.size() * sizeof(Slot) + row_count * sizeof(Row) + tags.memory() +
                   sketches.size() * (sizeof(Sketched) + sketch_size);
        }
        Row& at(std::size_t number) const {
            return reinterpret_cast<Row*>(chunks[number / chunk_rows].data())[number % chunk_rows];
        }
    };

    static std::size_t mix(std::uint32_t index) {
        return static_cast<std::size_t>((index * 0x9E3779B97F4A7C15ULL) >> 32U);
    }
    std::size_t slot_of(std::uint32_t index) const;
    Row* find(std::uint32_t index) const;
    // So that one row more needs more slots.
    bool is_full() const { return 2 * (store_->row_count + 1) > store_->slots.size(); }
    bool has_memory_for(std::size_t more) const { return memory() + more <= memory_max_; }
    Row& new_row(std::uint32_t index);
    void grow();
    void add_part(FamilyCount& family, std::uint64_t client, std::uint32_t network);
    void add_tag(FamilyCount& family, std::uint64_t client, std::uint32_t network);
    Sketched& to_sketch(FamilyCount& family);
    NetworkSample networks(const FamilyCount& family) const;
    std::size_t memory_of(const FamilyCount& family) const;
    void merge(FamilyCount& into, const FamilyCount& from, const RowTable& theirs);
    template <class NumberAt>
    void add_rows(const RowTable& from, std::size_t count, const NumberAt& number_at);
    void merge_networks(FamilyCount& into, const NetworkSample& networks);
    void release();

    std::uint32_t tags_max_ = 0;   // kept one by one, by the settings
    std::size_t sketch_size_ = 0;  // octets of its registers
    std::size_t memory_max_ = 0;   // octets
    std::uint64_t clients_left_out_ = 0;
    sketch::HllSettings settings_;
    std::shared_ptr<RowPool> pool_;
    std::unique_ptr<Store> store_;
};

// Memory of tables that are gone, for those to come. What has been far too large for a while is
// given back to the system: one heavy minute is not kept for ever.
class RowPool {
public:
    static constexpr std::size_t stores_max = 4;
    static constexpr unsigned sparse_uses_max = 10;
    // At one time: the minute's, that of the minute before, and one at the gate.
    static constexpr std::size_t tables_at_once = 3;

    RowPool() = default;
    // `memory_max`: octets for all tables. One more than there should be counts nothing. Without
    // it there may be any number of tables: the twin reads ahead of the gate, and drops nothing.
    explicit RowPool(std::optional<std::size_t> memory_max)
        : table_memory_max_(memory_max ? std::optional(*memory_max / tables_at_once)
                                       : std::nullopt) {}

    std::size_t store_count();

private:
    friend class RowTable;
    struct Taken {
        std::unique_ptr<RowTable::Store> store;
        std::size_t memory_max;
    };
    Taken take();
    void give_back(std::unique_ptr<RowTable::Store> store);

    const std::optional<std::size_t> table_memory_max_;
    std::mutex mutex_;
    std::size_t tables_ = 0;  // that have not given back
    std::vector<std::unique_ptr<RowTable::Store>> stores_;
};

}  // namespace tapir::edge
