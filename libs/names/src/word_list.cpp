#include "tapir/names/word_list.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "utf8.hpp"

namespace tapir::names {
namespace {

constexpr std::size_t head_size = 2;  // octets in front of a word: its size
constexpr std::size_t key_size = 8;   // octets compared at once
constexpr std::size_t octets_max = UINT32_MAX;
constexpr std::ptrdiff_t keys_ahead = 16;
constexpr std::ptrdiff_t in_halves_min = 100'000;  // words

// Calls work(from, to), for many in two halves at once.
template <class Work>
void in_halves(std::size_t count, const Work& work) {
    if (std::cmp_less(count, in_halves_min)) {
        work(std::size_t{0}, count);
        return;
    }
    const std::jthread upper([&] { work(count / 2, count); });
    work(std::size_t{0}, count / 2);
}

bool is_ascii(std::string_view word) {
    return std::ranges::none_of(word, [](char c) { return (c & 0x80) != 0; });
}

}  // namespace

// Some octets of a word as a number that sorts as they do, and where the word starts.
struct WordList::Key {
    std::uint64_t octets = 0;
    std::uint32_t start = 0;
};

void WordList::reserve(std::size_t words, std::size_t octets) {
    starts_.reserve(words);
    octets_.reserve(octets + words * head_size);
}

Result<void> WordList::add(std::string_view word) {
    std::string sound;
    if (!is_ascii(word)) {
        std::size_t points = 0;
        for (std::size_t at = 0; at < word.size() && points <= dawg_word_size_max; ++points) {
            append_utf8(sound, next_code_point(word, at));
        }
        if (points > dawg_word_size_max) {
            return fail(Code::exhausted,
                        fmt::format("expected a word of at most {} characters, got a longer one",
                                    dawg_word_size_max));
        }
        word = sound;
    } else if (word.size() > dawg_word_size_max) {
        return fail(Code::exhausted, fmt::format("expected a word of at most {} characters, got {}",
                                                 dawg_word_size_max, word.size()));
    }
    if (starts_.size() == dawg_word_count_max ||
        octets_.size() + head_size + word.size() > octets_max) {
        return fail(Code::exhausted, fmt::format("expected at most {} words, and {} octets of them",
                                                 dawg_word_count_max, octets_max));
    }
    starts_.push_back(static_cast<std::uint32_t>(octets_.size()));
    const auto size = static_cast<std::uint16_t>(word.size());
    std::array<char, head_size> head{};
    std::memcpy(head.data(), &size, sizeof size);
    octets_.insert(octets_.end(), head.begin(), head.end());
    octets_.insert(octets_.end(), word.begin(), word.end());
    return {};
}

std::string_view WordList::at(std::uint32_t start) const {
    std::uint16_t size = 0;
    std::memcpy(&size, octets_.data() + start, sizeof size);
    return {octets_.data() + start + head_size, size};
}

// Eight octets from `depth` on, zeros behind the end.
std::uint64_t WordList::key_of(std::uint32_t start, std::size_t depth) const {
    const std::string_view word = at(start);
    std::uint64_t key = 0;
    if (depth + key_size <= word.size()) {
        std::memcpy(&key, word.data() + depth, key_size);
    } else if (depth < word.size()) {
        std::memcpy(&key, word.data() + depth, word.size() - depth);
    }
    static_assert(std::endian::native == std::endian::little);
    return __builtin_bswap64(key);
}

// Eight octets at a time: the words themselves are looked at once for each eight that they share.
// Words that differ in nothing but where they end (a NUL is an octet too) are told apart by size.
void WordList::sort_from(Key* first, Key* last, std::size_t depth) const {
    const auto by_octets = [](const Key& a, const Key& b) { return a.octets < b.octets; };
    const auto size_of = [this](const Key& key) { return at(key.start).size(); };
    struct Run {
        Key* from;
        Key* last;
        std::size_t depth;
    };
    std::sort(first, last, by_octets);
    // One for each eight octets of the word that is looked at: so few, however many words.
    std::vector<Run> runs{{first, last, depth}};
    while (!runs.empty()) {
        const Run run = runs.back();
        if (run.from == run.last) {
            runs.pop_back();
            continue;
        }
        Key* const from = run.from;
        Key* const to = std::find_if(from, run.last,
                                     [from](const Key& key) { return key.octets != from->octets; });
        runs.back().from = to;
        if (to - from == 1) {
            continue;
        }
        const std::size_t deeper = run.depth + key_size;
        for (Key* key = from; key != to; ++key) {
            prefetch(key, run.last);
            key->octets = key_of(key->start, deeper);
        }
        Key* const longer = std::partition(
            from, to, [&](const Key& key) { return key.octets == 0 && size_of(key) <= deeper; });
        std::sort(from, longer,
                  [&](const Key& a, const Key& b) { return size_of(a) < size_of(b); });
        std::sort(longer, to, by_octets);
        runs.push_back({longer, to, deeper});
    }
}

// Large lists in two halves at once, split at about the middle one. What comes out is the same.
void WordList::sort(Key* first, Key* last) const {
    const std::ptrdiff_t count = last - first;
    if (count < in_halves_min) {
        sort_from(first, last, 0);
        return;
    }
    std::array<std::uint64_t, 255> sample{};
    for (std::size_t i = 0; i < sample.size(); ++i) {
        sample.at(i) = first[count / std::ssize(sample) * static_cast<std::ptrdiff_t>(i)].octets;
    }
    std::ranges::nth_element(sample, sample.begin() + sample.size() / 2);
    const std::uint64_t middle = sample.at(sample.size() / 2);
    Key* const half =
        std::partition(first, last, [middle](const Key& key) { return key.octets < middle; });
    const std::jthread upper([&] { sort_from(half, last, 0); });
    sort_from(first, half, 0);
}

// Words lie about in the order in which they came: each is asked for before it is needed.
void WordList::prefetch(const Key* key, const Key* last) const {
    if (last - key > keys_ahead) {
        __builtin_prefetch(octets_.data() + key[keys_ahead].start);
    }
}

std::size_t WordList::settle() {
    const auto comes_before = [this](std::uint32_t a, std::uint32_t b) { return at(a) < at(b); };
    if (!std::ranges::is_sorted(starts_, comes_before)) {
        // Not a vector, which would fill all of it before the halves do.
        const auto give_back = [this](Key* keys) {
            HugePages<Key>().deallocate(keys, starts_.size());
        };
        const std::unique_ptr<Key[], decltype(give_back)> keys(
            HugePages<Key>().allocate(starts_.size()), give_back);
        in_halves(starts_.size(), [&](std::size_t from, std::size_t to) {
            for (std::size_t i = from; i < to; ++i) {
                new (&keys[i]) Key{.octets = key_of(starts_[i], 0), .start = starts_[i]};
            }
        });
        sort(keys.get(), keys.get() + starts_.size());
        in_halves(starts_.size(), [&](std::size_t from, std::size_t to) {
            for (std::size_t i = from; i < to; ++i) {
                starts_[i] = keys[i].start;
            }
        });
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < starts_.size(); ++i) {
        prefetch(i + keys_ahead);
        if (i == 0 || at(starts_[i]) != at(starts_[kept - 1])) {
            starts_[kept++] = starts_[i];
        }
    }
    const std::size_t repeated = starts_.size() - kept;
    starts_.resize(kept);
    return repeated;
}

}  // namespace tapir::names
