// What was counted of one minute: a row for each entry of the well-known list that was asked for.
//
//     for (entry : batch) { table.prefetch(entry); }
//     for (entry : batch) { rows[i] = &table.row(entry); }  // asks for the row's memory too
//     for (row : rows) { table.prefetch_clients(row->v4); }
//     row->count(rcode, qclass, qtype);
//     table.add(row->v4, client, network);
//     table.merge(std::move(other));       // another worker's: sums and sets
//
// Merging commutes and associates, so however frames are spread over workers, the table is the
// same. A table's memory comes from a RowPool and goes back there: a new minute then does not begin
// with page faults. One thread at a time; a RowPool may be shared.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "tag_pool.hpp"
#include "tapir/base/bytes.hpp"
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

// Distinct clients by their tags: one by one while they are few, then in a sketch. What is counted
// is what a HyperLogLog with the table's settings counts; this is only the faster way to it.
struct ClientSet {
    static constexpr std::uint32_t tags_max = 128;  // kept one by one
    static constexpr std::uint32_t list_max = 8;    // as they came; more are hashed by their bits
    static constexpr std::uint32_t sketched = ~std::uint32_t{0};

    std::uint32_t count = 0;  // 0, 1, to tags_max: in `tags`; or `sketched`
    union {
        std::uint64_t one = 0;
        std::uint64_t* tags;
        std::size_t sketch;  // which of the table's
    };
};

// At most three networks, by 32 bits of their tags, 0 for none: enough to say "from at least
// three". Two networks may look like one, never one like two.
class NetworkSample {
public:
    void add(std::uint64_t tag);
    void merge(const NetworkSample& other);
    unsigned count() const;

private:
    std::array<std::uint32_t, 3> tags_{};
};

struct FamilyCount {
    ClientSet clients;
    NetworkSample networks;
};

// Two cache lines.
struct alignas(64) Row {
    // Counters stop at their highest value.
    void count(unsigned rcode, unsigned qclass, unsigned qtype);
    std::uint32_t counter(RowCounter which) const {
        return counters[static_cast<std::size_t>(which)];
    }

    std::uint32_t index = 0;
    std::array<std::uint32_t, row_counter_count> counters{};
    FamilyCount v4;
    FamilyCount v6;
};
static_assert(sizeof(Row) == 128);

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
    void prefetch(std::uint32_t index) const;
    // The row of a list entry; made if it is not there. It stays where it is.
    Row& row(std::uint32_t index);
    // Asks for the memory that add() will read.
    static void prefetch_clients(const FamilyCount& family);
    // A client and its network. 0 counts for nothing.
    void add(FamilyCount& family, std::uint64_t client, std::uint64_t network);

    std::uint64_t estimate(const ClientSet& clients) const;
    // As HyperLogLog::serialise_or_null.
    std::optional<Bytes> sketch(const ClientSet& clients) const;

    void merge(RowTable&& other);
    // The same for one row of another table, which keeps it.
    void add(const RowTable& from, const Row& row);

    std::size_t size() const { return store_->row_count; }
    bool is_empty() const { return size() == 0; }
    // Rows by number, in the order in which they were made: 0 to size() - 1.
    const Row& operator[](std::size_t number) const {
        return store_->chunks[number / chunk_rows][number % chunk_rows];
    }

private:
    friend class RowPool;
    static constexpr std::size_t chunk_rows = 1024;
    struct Slot {
        std::uint32_t index = 0;
        std::uint32_t number = 0;  // of the row + 1; 0: free
    };
    struct Store {
        // Open addressing. A power of two, at most half full.
        std::vector<Slot> slots;
        std::vector<std::unique_ptr<Row[]>> chunks;
        std::size_t row_count = 0;
        TagPool tags;
        std::deque<sketch::HyperLogLog> sketches;
        unsigned sparse_uses = 0;  // one after the other, in which most of it lay idle

        void clear();
    };

    std::size_t slot_of(std::uint32_t index) const;
    Row& new_row(std::uint32_t index);
    void grow();
    void add_client(ClientSet& set, std::uint64_t tag);
    void add_tag(ClientSet& set, std::uint64_t tag);
    void to_sketch(ClientSet& set);
    void merge(ClientSet& into, const ClientSet& from, const Store& theirs);
    void release();

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

    std::size_t store_count();

private:
    friend class RowTable;
    std::unique_ptr<RowTable::Store> take();
    void give_back(std::unique_ptr<RowTable::Store> store);

    std::mutex mutex_;
    std::vector<std::unique_ptr<RowTable::Store>> stores_;
};

}  // namespace tapir::edge
