#include "tapir/names/dawg_writer.hpp"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "automaton.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/names/dawg.hpp"

namespace tapir::names {
namespace {

constexpr unsigned preamble_bits = 48;  // file size, character bits, address bits
constexpr std::size_t nodes_ahead = 16;

// Octets of a number in base 128. The existing writer begins a new octet at 127 already, and so on.
unsigned seven_code_size(std::uint64_t value) {
    unsigned size = 1;
    for (std::uint64_t end = 127; size < 5 && value >= end; end = end << 7U | 0x7FU) {
        ++size;
    }
    return size;
}

unsigned width_of(std::uint64_t value) {
    return static_cast<unsigned>(std::bit_width(value));
}

// Most significant bit first. The room is given: what would not fit is a bug.
class BitWriter {
public:
    explicit BitWriter(Bytes& out) : out_(out) {}
    void bits(std::uint64_t value, unsigned count) {
        if (count > 32) {
            few_bits(value >> 32U, count - 32);
            few_bits(value & UINT32_MAX, 32);
        } else {
            few_bits(value, count);
        }
    }
    void seven_code(std::uint64_t value) {
        for (unsigned i = seven_code_size(value); i-- > 0;) {
            bits((value >> 7U * i & 0x7FU) | (i > 0 ? 0x80U : 0), 8);
        }
    }
    void finish() {
        if (kept_bits_ > 0) {
            bits(0, 8 - kept_bits_);
        }
        TAPIR_ASSERT(at_ == out_.size());
    }

private:
    void few_bits(std::uint64_t value, unsigned count) {
        kept_ = kept_ << count | value;
        kept_bits_ += count;
        while (kept_bits_ >= 8) {
            kept_bits_ -= 8;
            put(static_cast<std::byte>(kept_ >> kept_bits_));
        }
    }
    void put(std::byte octet) {
        TAPIR_ASSERT(at_ < out_.size());
        out_[at_++] = octet;
    }
    Bytes& out_;
    std::size_t at_ = 0;
    std::uint64_t kept_ = 0;
    unsigned kept_bits_ = 0;
};

// Where each node stands. A node's size depends on the width of addresses, and that on where the
// last node ends: it grows until both agree.
class Layout {
public:
    explicit Layout(const Automaton& automaton)
        : automaton_(automaton),
          word_count_(automaton.word_count(automaton.root())),
          character_bits_(width_of(automaton.character_max())),
          skip_size_bits_(width_of(width_of(word_count_))),
          is_met_(automaton.node_count()) {}

    Result<Bytes> write() {
        walk();
        const std::uint64_t start =
            preamble_bits +
            8 * (std::uint64_t{seven_code_size(word_count_)} + seven_code_size(order_.size()) +
                 seven_code_size(automaton_.trie_edge_count()));
        std::uint64_t end = 0;
        for (unsigned bits = 1; bits != address_bits_;) {
            address_bits_ = bits;
            end = start + fixed_bits_ + address_count_ * address_bits_;
            bits = width_of(end);
        }
        const std::uint64_t size = (end + 7) / 8;
        if (size > dawg_size_max) {
            return fail(Code::exhausted, fmt::format("a DAWG file of at most {} octets cannot hold "
                                                     "this list: it would need {}",
                                                     dawg_size_max, size));
        }
        place(start);
        Bytes out(size);
        BitWriter bits(out);
        bits.bits(size, 32);
        bits.bits(character_bits_, 8);
        bits.bits(address_bits_, 8);
        bits.seven_code(word_count_);
        bits.seven_code(order_.size());
        bits.seven_code(automaton_.trie_edge_count());
        for_each_node([&](NodeId id, bool falls_through) { write_node(bits, id, falls_through); });
        bits.finish();
        return out;
    }

private:
    using NodeId = Automaton::NodeId;
    using Node = Automaton::Node;
    using Edge = Automaton::Edge;

    struct Step {
        Node node;
        std::size_t next_edge = 0;
    };

    // Meets all nodes depth first, each once. One that was met from the only edge of the node
    // before it needs no address there: that one "falls through".
    void walk() {
        std::vector<Step> path;
        meet(automaton_.root());
        for (NodeId id = automaton_.root();;) {
            const Node node = automaton_.node(id);
            if (node.has_one_edge() && !is_met_[node.edge().target]) {
                falls_through_.back() = true;
                id = node.edge().target;
                meet(id);
                continue;
            }
            count(node, id);
            if (node.has_many_edges()) {
                for (const Edge& edge : automaton_.edges(node)) {
                    __builtin_prefetch(automaton_.address_of(edge.target));
                }
                path.push_back({.node = node});
            }
            const auto next = next_of(path);
            if (!next) {
                break;
            }
            id = *next;
            meet(id);
        }
        for (const bool falls : falls_through_) {
            fixed_bits_ += falls ? 2U + character_bits_ : 0U;
        }
    }

    std::optional<NodeId> next_of(std::vector<Step>& path) const {
        for (; !path.empty(); path.pop_back()) {
            Step& step = path.back();
            for (const auto edges = automaton_.edges(step.node); step.next_edge < edges.size();) {
                const Edge& edge = edges[step.next_edge++];
                if (!is_met_[edge.target]) {
                    return edge.target;
                }
            }
        }
        return std::nullopt;
    }

    void meet(NodeId id) {
        is_met_[id] = true;
        order_.push_back(id);
        falls_through_.push_back(false);
    }

    // What a node takes that does not fall through.
    void count(Node node, NodeId id) {
        const std::size_t edges = node.edge_count();
        address_count_ += edges;
        fixed_bits_ += fixed_bits_of(node, id);
    }
    std::uint64_t fixed_bits_of(Node node, NodeId id) const {
        if (node.has_one_edge()) {
            return 3U + character_bits_;
        }
        const std::size_t edges = node.edge_count();
        return 3U + 8U * seven_code_size(edges) + skip_size_bits_ + edges * character_bits_ +
               (edges > 0 ? (edges - 1) * width_of(automaton_.word_count(id)) : 0);
    }

    template <class Visit>
    void for_each_node(const Visit& visit) const {
        for (std::size_t i = 0; i < order_.size(); ++i) {
            if (i + nodes_ahead < order_.size()) {
                __builtin_prefetch(automaton_.address_of(order_[i + nodes_ahead]));
            }
            visit(order_[i], falls_through_[i]);
        }
    }

    void place(std::uint64_t start) {
        offsets_.resize(automaton_.node_count());
        std::uint64_t at = start;
        for_each_node([&](NodeId id, bool falls_through) {
            offsets_[id] = at;
            const Node node = automaton_.node(id);
            at += falls_through ? 2U + character_bits_
                                : fixed_bits_of(node, id) + node.edge_count() * address_bits_;
        });
    }

    void write_node(BitWriter& out, NodeId id, bool falls_through) const {
        const Node node = automaton_.node(id);
        const auto put_edge = [&](const Edge& edge) {
            out.bits(edge.character, character_bits_);
            out.bits(offsets_[edge.target], address_bits_);
        };
        out.bits(node.is_final() ? 1 : 0, 1);
        out.bits(falls_through ? 1 : 0, 1);
        if (falls_through) {
            out.bits(node.edge().character, character_bits_);
            return;
        }
        out.bits(node.has_one_edge() ? 1 : 0, 1);
        if (node.has_one_edge()) {
            put_edge(node.edge());
            return;
        }
        const unsigned skip_bits = width_of(automaton_.word_count(id));
        out.seven_code(node.edge_count());
        out.bits(skip_bits, skip_size_bits_);
        if (!node.has_many_edges()) {
            return;
        }
        std::uint64_t skip = node.is_final() ? 1 : 0;
        bool is_first = true;
        for (const Edge& edge : automaton_.edges(node)) {
            out.bits(edge.character, character_bits_);
            if (!std::exchange(is_first, false)) {
                out.bits(skip, skip_bits);
            }
            out.bits(offsets_[edge.target], address_bits_);
            skip += automaton_.word_count(edge.target);
        }
    }

    const Automaton& automaton_;
    const std::uint64_t word_count_;
    const unsigned character_bits_;
    const unsigned skip_size_bits_;
    std::vector<bool> is_met_;         // by node
    std::vector<NodeId> order_;        // as they stand in the file
    std::vector<bool> falls_through_;  // beside order_
    std::vector<std::uint64_t, HugePages<std::uint64_t>>
        offsets_;                   // by node: its first bit in the file
    std::uint64_t fixed_bits_ = 0;  // of all nodes, without addresses
    std::uint64_t address_count_ = 0;
    unsigned address_bits_ = 0;
};

}  // namespace

Result<Bytes> write_dawg(WordList words) {
    const Automaton automaton = TRY(Automaton::of(std::move(words)));
    return Layout(automaton).write();
}

}  // namespace tapir::names
