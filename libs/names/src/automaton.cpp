#include "automaton.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <condition_variable>
#include <mutex>
#include <span>
#include <stop_token>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tapir/base/assert.hpp"
#include "utf8.hpp"

// Words come in order, so all that lies left of the path of the word at hand is finished: each of
// its nodes is looked up in a register of those that are there, and is a new one only if no other
// has the same words behind it.
//
// Most of what is looked up are tails: what is left of a word behind the last node that it shares
// with a neighbour. One word alone lies behind each node of a tail, so its hash follows from the
// word, and the whole tail is found with one look-up where it has been before. That look-up is
// known some words ahead: the register's place is asked for before it is needed.
//
// Invariants:
// 1. node 0 is the end of a word with nothing behind it; it is not in the register.
// 2. a slot of the register is 0 or has a node's id below and 32 bits of its hash above; the place
//    follows from these bits alone.
// 3. open_[d] is the node behind the first d characters of the word at hand, for those that it
//    shares with a neighbour. A node is closed when no later word passes it.
namespace tapir::names {
namespace {

constexpr std::size_t words_ahead = 16;
constexpr std::size_t block_size = 1024;  // words
constexpr std::size_t blocks_ahead = 4;
constexpr std::size_t in_thread_min = 100'000;  // words
constexpr std::size_t node_count_max = UINT32_MAX - Pool<std::uint64_t>::piece_size;
constexpr std::uint64_t tail_seed = 0x7461706972303032;
constexpr std::uint64_t node_seed = 0x7461706972303033;

std::uint64_t hashed(std::uint64_t hash, std::uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15U;
    return hash ^ hash >> 32U;
}

struct Word {
    std::vector<std::uint32_t> points;
    std::size_t shared_before = 0;  // characters shared with the word before
    std::size_t shared_after = 0;
    std::vector<std::uint64_t> hashes;  // [k]: of points from k on, where they are a tail
    std::size_t shared() const { return std::max(shared_before, shared_after); }
};

// Decodes words, and finds what is known of each from its neighbours alone.
class Preparer {
public:
    explicit Preparer(const WordList& words) : words_(words) {
        if (words.size() > 0) {
            decode(0);
        }
    }

    // As many of the next words as there are and fit; how many.
    std::size_t fill(std::span<Word> block) {
        std::size_t filled = 0;
        for (; filled < block.size() && at_ < words_.size(); ++filled) {
            prepare(block[filled]);
        }
        return filled;
    }
    // Of all words so far.
    std::uint32_t character_max() const { return character_max_; }
    std::uint64_t trie_edge_count() const { return trie_edge_count_; }

private:
    void decode(std::size_t i) {
        next_.clear();
        words_.prefetch(i + words_ahead);
        const std::string_view text = words_[i];
        for (std::size_t at = 0; at < text.size();) {
            next_.push_back(next_code_point(text, at));
            character_max_ = std::max(character_max_, next_.back());
        }
    }
    void prepare(Word& word) {
        word.points.swap(next_);
        word.shared_before = std::exchange(shared_, 0);
        if (++at_ < words_.size()) {
            decode(at_);
            const auto shared = std::ranges::mismatch(word.points, next_);
            TAPIR_DEBUG_ASSERT(shared.in2 != next_.end());
            shared_ = static_cast<std::size_t>(shared.in2 - next_.begin());
        }
        word.shared_after = shared_;
        trie_edge_count_ += word.points.size() - word.shared_before;
        word.hashes.resize(word.points.size() + 1);
        std::uint64_t hash = tail_seed;
        word.hashes[word.points.size()] = hash;
        for (std::size_t k = word.points.size(); k-- > word.shared() + 1;) {
            hash = hashed(hash, word.points[k]);
            word.hashes[k] = hash;
        }
    }

    const WordList& words_;
    std::size_t at_ = 0;               // the next word
    std::vector<std::uint32_t> next_;  // its points
    std::size_t shared_ = 0;           // with the word before it
    std::uint32_t character_max_ = 0;
    std::uint64_t trie_edge_count_ = 0;
};

// The words of a Preparer, block by block; of a large list prepared in a thread of its own.
class PreparedWords {
public:
    explicit PreparedWords(const WordList& words) : preparer_(words) {
        for (Block& block : blocks_) {
            block.words.resize(std::min(block_size, words.size()));
        }
        if (words.size() >= in_thread_min) {
            thread_ = std::jthread([this](const std::stop_token& stop) { fill_all(stop); });
        }
    }

    // Those of the call before are gone. Empty: that was all.
    std::span<const Word> next() {
        Block& block = blocks_.at(taken_ % blocks_ahead);
        if (!thread_.joinable()) {
            fill(block);
        } else {
            std::unique_lock lock(mutex_);
            given_back_ = taken_;
            changed_.notify_all();
            changed_.wait(lock, [this] { return filled_ > taken_; });
        }
        ++taken_;
        return std::span(block.words).first(block.size);
    }
    // When all have come.
    const Preparer& preparer() const { return preparer_; }

private:
    struct Block {
        std::vector<Word> words;
        std::size_t size = 0;
    };
    void fill(Block& block) { block.size = preparer_.fill(block.words); }
    void fill_all(const std::stop_token& stop) {
        for (std::size_t number = 0;; ++number) {
            std::unique_lock lock(mutex_);
            if (!changed_.wait(lock, stop, [&] { return number < given_back_ + blocks_ahead; })) {
                return;
            }
            lock.unlock();
            Block& block = blocks_.at(number % blocks_ahead);
            fill(block);
            lock.lock();
            filled_ = number + 1;
            changed_.notify_all();
            if (block.size == 0) {
                return;
            }
        }
    }

    Preparer preparer_;
    std::array<Block, blocks_ahead> blocks_;
    std::size_t taken_ = 0;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::size_t filled_ = 0;      // blocks, under mutex_
    std::size_t given_back_ = 0;  // the same
    std::jthread thread_;         // stops and ends before the rest goes
};

}  // namespace

class Minimiser {
public:
    explicit Minimiser(WordList words) : words_(std::move(words)) {
        slots_.resize(std::bit_ceil(words_.size() + words_.size() / 2 + 16));
        end_ = new_node(Automaton::Node::leaf(true), 1);
        open_.resize(1);
    }

    Result<Automaton> run() {
        PreparedWords prepared(words_);
        for (auto block = prepared.next(); !block.empty(); block = prepared.next()) {
            TRY(add_all(block));
        }
        out_.character_max_ = prepared.preparer().character_max();
        out_.trie_edge_count_ = prepared.preparer().trie_edge_count();
        out_.root_ = close(open_.front());
        TRY(check());
        return std::move(out_);
    }

private:
    using Node = Automaton::Node;
    using NodeId = Automaton::NodeId;
    using Edge = Automaton::Edge;

    using Slots = std::vector<std::uint64_t, HugePages<std::uint64_t>>;

    struct Open {
        bool is_final = false;
        std::uint32_t count = 0;  // words behind it
        std::vector<Edge> edges;
    };

    Result<void> check() const {
        if (out_.nodes_.used() > node_count_max || is_too_wide_) {
            return fail(Code::exhausted,
                        fmt::format("a list that needs more than {} nodes, or {} edges of one",
                                    node_count_max, edge_count_max));
        }
        return {};
    }

    Result<void> add_all(std::span<const Word> words) {
        for (const Word& word : words.first(std::min(words_ahead, words.size()))) {
            announce(word);
        }
        for (std::size_t i = 0; i < words.size(); ++i) {
            if (i + words_ahead < words.size()) {
                announce(words[i + words_ahead]);
            }
            if (i + words_ahead / 2 < words.size()) {
                look_up_early(words[i + words_ahead / 2]);
            }
            add(words[i]);
            TRY(check());
        }
        return {};
    }

    // Asks for the place of its tail in the register.
    void announce(const Word& word) const {
        const std::size_t tail = word.shared() + 1;
        if (tail < word.points.size()) {
            __builtin_prefetch(&slots_[place_of(tag_of(word.hashes[tail]))]);
        }
    }

    // The slot is there by now: the node that it tells of, perhaps the right one, is asked for.
    void look_up_early(const Word& word) const {
        const std::size_t tail = word.shared() + 1;
        if (tail < word.points.size()) {
            const std::uint64_t slot = slots_[place_of(tag_of(word.hashes[tail]))];
            if (slot != 0) {
                __builtin_prefetch(&out_.nodes_[static_cast<NodeId>(slot)]);
            }
        }
    }

    void add(const Word& word) {
        const std::size_t shared = word.shared();
        if (open_.size() <= shared) {
            open_.resize(shared + 1);
        }
        for (std::size_t depth = word.shared_before + 1; depth <= shared; ++depth) {
            open_[depth].is_final = false;
            open_[depth].count = 0;
            open_[depth].edges.clear();
        }
        Open& last = open_[shared];
        ++last.count;
        if (word.points.size() == shared) {
            last.is_final = true;
        } else {
            last.edges.push_back(
                {.character = word.points[shared], .target = tail(word, shared + 1)});
        }
        for (std::size_t depth = shared; depth > word.shared_after; --depth) {
            const NodeId id = close(open_[depth]);
            open_[depth - 1].count += open_[depth].count;
            open_[depth - 1].edges.push_back({.character = word.points[depth - 1], .target = id});
        }
    }

    // The node behind which there is nothing but the word's points from `from` on.
    NodeId tail(const Word& word, std::size_t from) {
        std::size_t known = from;  // from here on it has been before
        NodeId id = end_;
        for (; known < word.points.size(); ++known) {
            if (const NodeId found = find_tail(word, known); found != 0) {
                id = found;
                break;
            }
        }
        while (known > from) {
            --known;
            id = new_node(Node::with_edge(false, {.character = word.points[known], .target = id}),
                          1);
            keep(tag_of(word.hashes[known]), id);
        }
        return id;
    }

    NodeId find_tail(const Word& word, std::size_t from) const {
        return find(tag_of(word.hashes[from]), [&](NodeId id) {
            for (std::size_t k = from; k < word.points.size(); ++k) {
                const Node node = out_.nodes_[id];
                if (!node.has_one_edge() || node.is_final() ||
                    node.edge().character != word.points[k]) {
                    return false;
                }
                id = node.edge().target;
            }
            return id == end_;
        });
    }

    NodeId close(const Open& open) {
        if (open.edges.size() > edge_count_max) {
            is_too_wide_ = true;
            return end_;
        }
        std::uint64_t hash = hashed(node_seed, open.is_final ? 1 : 0);
        for (const Edge& edge : open.edges) {
            hash = hashed(hash, std::uint64_t{edge.target} << 32U | edge.character);
        }
        const std::uint32_t tag = tag_of(hash);
        if (open.edges.empty()) {
            return open.is_final ? end_ : new_node(Node::leaf(false), 0);  // a list of nothing
        }
        if (open.edges.size() == 1) {
            const Node node = Node::with_edge(open.is_final, open.edges.front());
            NodeId id = find(tag, [&](NodeId other) { return out_.nodes_[other] == node; });
            if (id == 0) {
                id = new_node(node, open.count);
                keep(tag, id);
            }
            return id;
        }
        NodeId id = find(tag, [&](NodeId other) { return is_same(out_.nodes_[other], open); });
        if (id == 0) {
            const std::uint32_t first = out_.edges_.add(open.edges.size());
            std::ranges::copy(open.edges, &out_.edges_[first]);
            id = new_node(Node::with_edges(open.is_final, open.edges.size(), first), open.count);
            keep(tag, id);
        }
        return id;
    }

    bool is_same(Node node, const Open& open) const {
        return node.has_many_edges() && node.is_final() == open.is_final &&
               node.edge_count() == open.edges.size() &&
               std::ranges::equal(out_.edges(node), open.edges, [](const Edge& a, const Edge& b) {
                   return a.character == b.character && a.target == b.target;
               });
    }

    NodeId new_node(Node node, std::uint32_t count) {
        const NodeId id = out_.nodes_.add(1);
        out_.nodes_[id] = node;
        out_.counts_[out_.counts_.add(1)] = count;
        return id;
    }

    static std::uint32_t tag_of(std::uint64_t hash) {
        return static_cast<std::uint32_t>(hash * 0xD6E8FEB86659FD93U >> 32U);
    }
    std::size_t place_of(std::uint32_t tag) const {
        return std::uint64_t{tag} * slots_.size() >> 32U;
    }

    template <class Same>
    NodeId find(std::uint32_t tag, const Same& same) const {
        for (std::size_t at = place_of(tag); slots_[at] != 0;) {
            const auto id = static_cast<NodeId>(slots_[at]);
            if (slots_[at] >> 32U == tag && same(id)) {
                return id;
            }
            at = at + 1 == slots_.size() ? 0 : at + 1;
        }
        return 0;
    }
    void keep(std::uint32_t tag, NodeId id) {
        if (4 * ++kept_ > 3 * slots_.size()) {
            Slots before(2 * slots_.size());
            before.swap(slots_);
            for (const std::uint64_t slot : before) {
                if (slot != 0) {
                    put(slot);
                }
            }
        }
        put(std::uint64_t{tag} << 32U | id);
    }
    void put(std::uint64_t slot) {
        std::size_t at = place_of(static_cast<std::uint32_t>(slot >> 32U));
        while (slots_[at] != 0) {
            at = at + 1 == slots_.size() ? 0 : at + 1;
        }
        slots_[at] = slot;
    }

    WordList words_;
    Automaton out_;
    NodeId end_ = 0;
    std::vector<Open> open_;
    Slots slots_;
    std::size_t kept_ = 0;
    bool is_too_wide_ = false;
};

Result<Automaton> Automaton::of(WordList words) {
    return Minimiser(std::move(words)).run();
}

}  // namespace tapir::names
