// Words in the order of a DAWG file: by code point, each once.
//
//     WordList words;
//     TRY(words.add("b.example."));
//     TRY(words.add("a.example."));
//     const std::size_t repeated = words.settle();
//     words[0];                                     // "a.example."
//
// A word takes its octets and six more; settle() needs sixteen more for each while it sorts.
// Octets that are no UTF-8 become U+FFFD, as in the existing tools. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tapir/base/huge_pages.hpp"
#include "tapir/base/result.hpp"
#include "tapir/names/dawg.hpp"

namespace tapir::names {

class WordList {
public:
    // Room for so many words of so many octets in all: only saves time.
    void reserve(std::size_t words, std::size_t octets);
    // Copies the word. Refuses (exhausted) more of them than a DAWG file may have, longer ones, and
    // more than 4 GiB of them.
    Result<void> add(std::string_view word);
    // Sorts, and leaves out repetitions: how many there were. To be called once, after all add().
    std::size_t settle();

    std::size_t size() const { return starts_.size(); }
    // Valid until add() or settle().
    std::string_view operator[](std::size_t i) const { return at(starts_[i]); }
    // Asks for a word's memory before it is needed; `i` may be past the end.
    void prefetch(std::size_t i) const {
        if (i < starts_.size()) {
            __builtin_prefetch(octets_.data() + starts_[i]);
        }
    }

private:
    struct Key;
    std::string_view at(std::uint32_t start) const;
    std::uint64_t key_of(std::uint32_t start, std::size_t depth) const;
    void prefetch(const Key* key, const Key* last) const;
    void sort(Key* first, Key* last) const;
    void sort_from(Key* first, Key* last, std::size_t depth) const;

    std::vector<char, HugePages<char>> octets_;  // of each word two of size, and the word
    std::vector<std::uint32_t, HugePages<std::uint32_t>> starts_;  // in octets_
};

}  // namespace tapir::names
