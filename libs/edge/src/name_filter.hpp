// A set of hashes that says "not there" for certain, and "may be there" else: a blocked Bloom
// filter (Putze, Sanders and Singler 2007), so each question reads one cache line.
//
//     NameFilter filter(1U << 22U);        // octets
//     filter.add(hash);
//     if (!filter.may_have(hash)) { ... }  // it was not added
//
// Hashes must be keyed and even in all bits. With 10 bits for each hash one question in about fifty
// is answered "may be" for nothing; with more hashes more are, never less than the truth. One
// thread at a time.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tapir::edge {

class NameFilter {
public:
    // `size`: octets, rounded up to a power of two, at most 4 MiB.
    explicit NameFilter(std::size_t size)
        : blocks_(std::bit_ceil(
              std::clamp<std::size_t>(size / sizeof(Block), 1, std::size_t{1} << block_bits))) {}

    void add(std::uint64_t hash) {
        Block& block = block_of(hash);
        for_each_bit(hash, [&block](std::size_t bit) {
            block.words[bit / 64] |= std::uint64_t{1} << (bit % 64);
            return true;
        });
    }
    bool may_have(std::uint64_t hash) const {
        const Block& block = block_of(hash);
        return for_each_bit(hash, [&block](std::size_t bit) {
            return (block.words[bit / 64] >> (bit % 64) & 1U) != 0;
        });
    }

private:
    static constexpr unsigned block_bits = 16;
    static constexpr unsigned bit_bits = 9;  // of a place in a block
    static constexpr unsigned probes = 5;
    static_assert(block_bits + probes * bit_bits <= 64);
    struct alignas(64) Block {
        std::array<std::uint64_t, 8> words{};
    };

    // As long as `use` says true; whether it always did.
    template <class Use>
    static bool for_each_bit(std::uint64_t hash, const Use& use) {
        hash >>= block_bits;
        for (unsigned i = 0; i < probes; ++i, hash >>= bit_bits) {
            if (!use(hash & ((1U << bit_bits) - 1))) {
                return false;
            }
        }
        return true;
    }
    Block& block_of(std::uint64_t hash) { return blocks_[hash & (blocks_.size() - 1)]; }
    const Block& block_of(std::uint64_t hash) const { return blocks_[hash & (blocks_.size() - 1)]; }

    std::vector<Block> blocks_;
};

}  // namespace tapir::edge
