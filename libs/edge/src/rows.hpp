// What was counted of one minute: a row for each entry of the well-known list that was asked for.
//
//     Row& row = table.row(index);
//     row.count(rcode, qclass, qtype);
//     table.merge(std::move(other));       // another worker's: sums and sets
//
// Merging commutes and associates, so however frames are spread over workers, the table is the
// same. One thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

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

// At most three networks, by their tags: enough to say "from at least three".
class NetworkSample {
public:
    void add(std::uint64_t tag);
    void merge(const NetworkSample& other);
    unsigned count() const;

private:
    // The smallest three, ascending, 0 for none: so that the order of adding does not matter.
    std::array<std::uint64_t, 3> tags_{};
};

struct FamilyCount {
    explicit FamilyCount(const sketch::HllSettings& settings) : clients(settings) {}
    sketch::HyperLogLog clients;
    NetworkSample networks;
};

struct Row {
    Row(std::uint32_t entry, const sketch::HllSettings& settings)
        : index(entry), v4(settings), v6(settings) {}

    void count(unsigned rcode, unsigned qclass, unsigned qtype);
    void merge(const Row& other);

    std::uint32_t index;
    std::array<std::uint64_t, row_counter_count> counters{};
    FamilyCount v4;
    FamilyCount v6;
};

class RowTable {
public:
    explicit RowTable(const sketch::HllSettings& settings) : settings_(settings) {}

    // The row of a list entry; made if it is not there. Valid until the next call.
    Row& row(std::uint32_t index);
    // The row if it is there.
    const Row* find(std::uint32_t index) const;
    void merge(RowTable&& other);

    const std::vector<Row>& rows() const { return rows_; }
    bool is_empty() const { return rows_.empty(); }

private:
    std::size_t slot_of(std::uint32_t index) const;
    void grow();

    sketch::HllSettings settings_;
    std::vector<Row> rows_;
    // Open addressing: position in rows_ + 1, or 0. A power of two, at most half full.
    std::vector<std::uint32_t> slots_;
};

}  // namespace tapir::edge
