// DAWG files: sorted word lists as minimal automata, as the existing command line tool writes them.
//
//     const Dawg dawg = TRY(Dawg::open(octets));       // `octets` must outlive it
//     const auto index = dawg.find("www.example.com.");
//
//     DawgReader words(dawg);                          // all words, in code point order
//     while (auto word = TRY(words.next())) { ... }
//
// Words are UTF-8 here and code points in the file. Every read is checked: a damaged file gives an
// error or wrong words, never a read past its end, and never a walk without end. Immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"

namespace tapir::names {

inline constexpr std::size_t dawg_size_max = 1U << 30U;          // octets of a file
inline constexpr std::size_t dawg_word_count_max = 100'000'000;  // words
inline constexpr std::size_t dawg_word_size_max = 2'048;         // code points in a word

class Dawg {
public:
    static Result<Dawg> open(ByteView octets);

    std::size_t size() const { return word_count_; }
    // The place of `word` among the words; nothing if it is not there. Corrupt files: an error.
    Result<std::optional<std::uint32_t>> find(std::string_view word) const;
    // The word at a place; not_found if there are not so many.
    Result<std::string> word(std::uint32_t index) const;

private:
    friend class DawgReader;
    struct Node;
    struct Edge;
    Result<Node> node_at(std::uint64_t bit) const;
    Edge edge_of(const Node& node, std::uint64_t i) const;

    ByteView octets_;
    unsigned character_bits_ = 0;
    unsigned address_bits_ = 0;
    unsigned skip_size_bits_ = 0;
    std::uint64_t word_count_ = 0;
    std::uint64_t root_ = 0;  // bit offset of the first node
};

class DawgReader {
public:
    explicit DawgReader(const Dawg& dawg);
    ~DawgReader();
    DawgReader(DawgReader&&) noexcept;
    DawgReader& operator=(DawgReader&&) = delete;
    DawgReader(const DawgReader&) = delete;
    DawgReader& operator=(const DawgReader&) = delete;

    // The next word, or nothing after the last. The view is valid until the next call.
    Result<std::optional<std::string_view>> next();

private:
    struct Step;
    const Dawg* dawg_;
    std::vector<Step> path_;
    std::string word_;
    std::uint64_t count_ = 0;
    bool started_ = false;
};

}  // namespace tapir::names
