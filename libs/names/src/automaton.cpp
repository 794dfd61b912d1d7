#include "automaton.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

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

constexpr std::size_t words_ahead = 16;  // a power of two
constexpr std::size_t node_count_max = UINT32_MAX - Pool<std::uint64_t>::piece_size;
constexpr std::uint64_t tail_seed = 0x7461706972303032;
constexpr std::uint64_t node_seed = 0x7461706972303033;

std::uint64_t hashed(std::uint64_t hash, std::uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15U;
    return hash ^ hash >> 32U;
}

}  // namespace

class Minimiser {
public:
    explicit Minimiser(WordList words) : words_(std::move(words)) {
        slots_.resize(std::bit_ceil(words_.size() + words_.size() / 2 + 16));
        end_ = new_node(Automaton::Node::leaf(true), 1);
        open_.resize(1);
    }

    Result<Automaton> run() {
        for (std::size_t i = 0; i < std::min(words_ahead - 1, words_.size()); ++i) {
            prepare(i);
        }
        for (std::size_t i = 0; i < words_.size(); ++i) {
            if (i + words_ahead - 1 < words_.size()) {
                prepare(i + words_ahead - 1);
            }
            add(ahead_[i % words_ahead]);
            TRY(check());
        }
        out_.root_ = close(open_.front());
        TRY(check());
        return std::move(out_);
    }

private:
    using Node = Automaton::Node;
    using NodeId = Automaton::NodeId;
    using Edge = Automaton::Edge;

    using Slots = std::vector<std::uint64_t, HugePages<std::uint64_t>>;

    struct Word {
        std::vector<std::uint32_t> points;
        std::size_t shared_before = 0;  // characters shared with the word before
        std::size_t shared_after = 0;
        std::vector<std::uint64_t> hashes;  // [k]: of points from k on, where they are a tail
        std::size_t shared() const { return std::max(shared_before, shared_after); }
    };
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

    // Decodes word `i`. Of the one before all is known then: what its tail is, and its hashes.
    void prepare(std::size_t i) {
        Word& word = ahead_[i % words_ahead];
        word.points.clear();
        words_.prefetch(i + words_ahead);
        const std::string_view text = words_[i];
        for (std::size_t at = 0; at < text.size();) {
            word.points.push_back(next_code_point(text, at));
            out_.character_max_ = std::max(out_.character_max_, word.points.back());
        }
        word.shared_before = 0;
        word.shared_after = 0;
        if (i > 0) {
            Word& before = ahead_[(i - 1) % words_ahead];
            const auto [a, b] = std::ranges::mismatch(before.points, word.points);
            word.shared_before = static_cast<std::size_t>(b - word.points.begin());
            before.shared_after = word.shared_before;
            TAPIR_DEBUG_ASSERT(b != word.points.end());
            announce(before);
        }
        out_.trie_edge_count_ += word.points.size() - word.shared_before;
        if (i + 1 == words_.size()) {
            announce(word);
        }
        if (i >= words_ahead / 2) {
            look_up_early(ahead_[(i - words_ahead / 2) % words_ahead]);
        }
    }

    void announce(Word& word) {
        const std::size_t tail = word.shared() + 1;
        word.hashes.resize(word.points.size() + 1);
        std::uint64_t hash = tail_seed;
        word.hashes[word.points.size()] = hash;
        for (std::size_t k = word.points.size(); k-- > tail;) {
            hash = hashed(hash, word.points[k]);
            word.hashes[k] = hash;
        }
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
    std::array<Word, words_ahead> ahead_;
    std::vector<Open> open_;
    Slots slots_;
    std::size_t kept_ = 0;
    bool is_too_wide_ = false;
};

Result<Automaton> Automaton::of(WordList words) {
    return Minimiser(std::move(words)).run();
}

}  // namespace tapir::names
