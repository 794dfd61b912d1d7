// Writes DAWG files, octet for octet as the existing compiler does.
//
//     WordList words = TRY(read_words(text, "list.txt", ListFormat::text, report));
//     const Bytes file = TRY(write_dawg(std::move(words)));
//     Dawg::open(file)->find("www.example.com.");    // the word's place in the list
//
// The same words give the same octets, whoever writes them: the automaton is minimal, its nodes
// stand in the order in which a walk from the root meets them, and all widths are the smallest.
#pragma once

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/names/word_list.hpp"

namespace tapir::names {

// `words` are settled. Exhausted: the file would be larger than dawg_size_max.
Result<Bytes> write_dawg(WordList words);

}  // namespace tapir::names
