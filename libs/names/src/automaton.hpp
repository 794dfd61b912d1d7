// The minimal automaton of sorted words: what a DAWG file is a picture of.
//
//     const Automaton automaton = TRY(Automaton::of(std::move(words)));
//     const auto node = automaton.node(automaton.root());
//
// Nodes with the same words behind them are one node, so there are as few as can be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "tapir/base/assert.hpp"
#include "tapir/base/huge_pages.hpp"
#include "tapir/base/result.hpp"
#include "tapir/names/word_list.hpp"

namespace tapir::names {

// Values in pieces of fixed size: it grows without copying, and what is added together lies
// together.
template <class T>
class Pool {
public:
    // The place of the first of `count` new elements, which are not set. At most piece_size.
    std::uint32_t add(std::size_t count) {
        TAPIR_DEBUG_ASSERT(count <= piece_size);
        if (used_ + count > pieces_.size() * piece_size) {
            used_ = pieces_.size() * piece_size;
            pieces_.emplace_back(HugePages<T>().allocate(piece_size));
        }
        const std::size_t at = used_;
        used_ += count;
        return static_cast<std::uint32_t>(at);
    }
    // How many places there are, unused ones at the ends of pieces included.
    std::size_t used() const { return used_; }
    T& operator[](std::uint32_t i) { return pieces_[i / piece_size][i % piece_size]; }
    const T& operator[](std::uint32_t i) const { return pieces_[i / piece_size][i % piece_size]; }

    static constexpr std::size_t piece_size = 1U << 18U;

private:
    static_assert(std::is_trivially_copyable_v<T>);
    struct GiveBack {
        void operator()(T* piece) const { HugePages<T>().deallocate(piece, piece_size); }
    };
    std::vector<std::unique_ptr<T[], GiveBack>> pieces_;
    std::size_t used_ = 0;
};

inline constexpr std::size_t edge_count_max = Pool<std::uint64_t>::piece_size;  // of a node

class Automaton {
public:
    using NodeId = std::uint32_t;

    struct Edge {
        std::uint32_t character = 0;
        NodeId target = 0;
    };

    // Eight octets. A node with one edge holds it; others say where theirs are.
    class Node {
    public:
        Node() = default;
        static Node leaf(bool is_final) { return Node(is_final ? final_bit : 0); }
        static Node with_edge(bool is_final, Edge edge) {
            return Node((is_final ? final_bit : 0) | one_bit |
                        std::uint64_t{edge.character} << low_shift |
                        std::uint64_t{edge.target} << high_shift);
        }
        static Node with_edges(bool is_final, std::size_t count, std::uint32_t first) {
            return Node((is_final ? final_bit : 0) | many_bit | std::uint64_t{count} << low_shift |
                        std::uint64_t{first} << high_shift);
        }
        bool is_final() const { return (bits_ & final_bit) != 0; }
        bool has_one_edge() const { return (bits_ & one_bit) != 0; }
        bool has_many_edges() const { return (bits_ & many_bit) != 0; }
        Edge edge() const { return {.character = low(), .target = high()}; }
        std::size_t edge_count() const { return has_many_edges() ? low() : has_one_edge() ? 1 : 0; }
        std::uint32_t first_edge() const { return high(); }
        friend bool operator==(Node, Node) = default;

    private:
        static constexpr std::uint64_t final_bit = 1;
        static constexpr std::uint64_t one_bit = 2;
        static constexpr std::uint64_t many_bit = 4;
        static constexpr unsigned low_shift = 8;  // 24 bits: a code point, or how many edges
        static constexpr unsigned high_shift = 32;
        explicit Node(std::uint64_t bits) : bits_(bits) {}
        std::uint32_t low() const { return static_cast<std::uint32_t>(bits_) >> low_shift; }
        std::uint32_t high() const { return static_cast<std::uint32_t>(bits_ >> high_shift); }
        std::uint64_t bits_ = 0;
    };

    // `words` are settled; they are gone when it returns. Exhausted: too many nodes.
    static Result<Automaton> of(WordList words);

    NodeId root() const { return root_; }
    // Ids are below it.
    std::size_t node_count() const { return nodes_.used(); }
    Node node(NodeId id) const { return nodes_[id]; }
    const Node* address_of(NodeId id) const { return &nodes_[id]; }
    // By ascending character. Of a node with many.
    std::span<const Edge> edges(Node node) const {
        return {&edges_[node.first_edge()], node.edge_count()};
    }
    // Words from this node on, the empty one (if it is final) included.
    std::uint32_t word_count(NodeId id) const { return counts_[id]; }
    // Of the trie of the words, before nodes became one.
    std::uint64_t trie_edge_count() const { return trie_edge_count_; }
    std::uint32_t character_max() const { return character_max_; }

private:
    friend class Minimiser;
    Automaton() = default;

    Pool<Node> nodes_;
    Pool<std::uint32_t> counts_;  // beside nodes_
    Pool<Edge> edges_;
    NodeId root_ = 0;
    std::uint64_t trie_edge_count_ = 0;
    std::uint32_t character_max_ = 0;
};

}  // namespace tapir::names
