// Blocks of 64-bit words in a few sizes, for sets that grow. All of them are forgotten at once, and
// the memory is used again.
//
//     std::uint64_t* block = pool.take(2);      // TagPool::words[2] words, all 0
//     pool.give_back(block, 2);
//     pool.clear();                             // every block is gone
//
// One thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "large_page.hpp"

namespace tapir::edge {

class TagPool {
public:
    // Whole cache lines.
    static constexpr std::array<std::uint32_t, 6> words = {8, 16, 24, 72, 136, 264};

    std::uint64_t* take(std::size_t size_class);
    void give_back(std::uint64_t* block, std::size_t size_class);
    void clear();
    // Octets in use, blocks that were given back included.
    std::size_t memory() const {
        return (chunks_used_ * chunk_words - (chunk_words - words_used_)) * sizeof(std::uint64_t);
    }
    // How many more it would be with one more block.
    std::size_t memory_for(std::size_t size_class) const {
        return free_.at(size_class) != nullptr ? 0 : words.at(size_class) * sizeof(std::uint64_t);
    }

private:
    static constexpr std::size_t chunk_words = LargePage::size / sizeof(std::uint64_t);
    struct Free {
        Free* next;
    };

    std::vector<LargePage> chunks_;
    std::size_t chunks_used_ = 0;
    std::size_t words_used_ = chunk_words;  // of the last of them
    std::array<Free*, words.size()> free_{};
};

}  // namespace tapir::edge
