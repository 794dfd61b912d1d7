#include "tapir/names/dawg.hpp"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "utf8.hpp"

namespace tapir::names {

namespace {

constexpr std::size_t preamble_bits = 48;  // file size, character bits, address bits
constexpr unsigned character_bits_max = 21;
constexpr unsigned address_bits_max = 40;

// Most significant bit first. Past the end it reads zeros and says so once asked.
class BitReader {
public:
    BitReader(ByteView octets, std::uint64_t at) : octets_(octets), at_(at) {}

    std::uint64_t bits(unsigned count) {
        std::uint64_t value = 0;
        for (unsigned i = 0; i < count;) {
            if (at_ / 8 >= octets_.size()) {
                failed_ = true;
                return 0;
            }
            const auto in_octet = static_cast<unsigned>(at_ % 8);
            const unsigned take = std::min(8 - in_octet, count - i);
            const unsigned octet = std::to_integer<unsigned>(octets_[at_ / 8]);
            value = value << take | ((octet >> (8 - in_octet - take)) & ((1U << take) - 1));
            at_ += take;
            i += take;
        }
        return value;
    }
    // Big-endian base 128, the upper bit says that more follows. At most five octets: 35 bits.
    std::uint64_t seven_code() {
        std::uint64_t value = 0;
        for (int i = 0; i < 5; ++i) {
            const std::uint64_t octet = bits(8);
            value = value << 7U | (octet & 0x7FU);
            if ((octet & 0x80U) == 0) {
                return value;
            }
        }
        failed_ = true;
        return 0;
    }
    std::uint64_t at() const { return at_; }
    bool failed() const { return failed_; }

private:
    ByteView octets_;
    std::uint64_t at_;
    bool failed_ = false;
};

Error damaged(std::string_view how) {
    return {Code::corrupt, fmt::format("DAWG file: damaged: {}", how)};
}

}  // namespace

// A node as it stands in the file. Its edges are all within the octets: checked once here.
struct Dawg::Node {
    bool is_final = false;
    bool is_fallthrough = false;
    std::uint64_t edge_count = 0;
    std::uint64_t edges = 0;  // bit offset of the first edge
    unsigned skip_bits = 0;
};

struct Dawg::Edge {
    std::uint32_t character = 0;
    std::uint64_t skip = 0;  // words that sort before those behind this edge, in this node
    std::uint64_t target = 0;
};

struct DawgReader::Step {
    Dawg::Node node;
    std::uint64_t next_edge = 0;
    std::size_t word_size = 0;  // octets of the word up to this node
};

Result<Dawg> Dawg::open(ByteView octets) {
    if (octets.size() > dawg_size_max) {
        return fail(Code::exhausted, fmt::format("DAWG file: expected at most {} octets, got {}",
                                                 dawg_size_max, octets.size()));
    }
    BitReader in(octets, 0);
    const std::uint64_t size = in.bits(32);
    Dawg dawg;
    dawg.octets_ = octets;
    dawg.character_bits_ = static_cast<unsigned>(in.bits(8));
    dawg.address_bits_ = static_cast<unsigned>(in.bits(8));
    dawg.word_count_ = in.seven_code();
    const std::uint64_t nodes = in.seven_code();
    in.seven_code();  // edges of the trie before merging: of no use to a reader
    if (in.failed() || octets.size() * 8 < preamble_bits) {
        return fail(damaged("it ends before its first node"));
    }
    if (size != octets.size()) {
        return fail(damaged(fmt::format("expected {} octets, got {}", size, octets.size())));
    }
    if (dawg.character_bits_ > character_bits_max || dawg.address_bits_ > address_bits_max) {
        return fail(damaged("field widths that cannot be"));
    }
    if (dawg.word_count_ > dawg_word_count_max) {
        return fail(Code::exhausted, fmt::format("DAWG file: expected at most {} words, got {}",
                                                 dawg_word_count_max, dawg.word_count_));
    }
    if (nodes == 0 && dawg.word_count_ > 0) {
        return fail(damaged("words without a node"));
    }
    dawg.skip_size_bits_ = static_cast<unsigned>(
        std::bit_width(static_cast<unsigned>(std::bit_width(dawg.word_count_))));
    dawg.root_ = in.at();
    return dawg;
}

Result<Dawg::Node> Dawg::node_at(std::uint64_t bit) const {
    BitReader in(octets_, bit);
    Node node;
    node.is_final = in.bits(1) != 0;
    node.is_fallthrough = in.bits(1) != 0;
    if (node.is_fallthrough || in.bits(1) != 0) {
        node.edge_count = 1;
    } else {
        node.edge_count = in.seven_code();
        node.skip_bits = static_cast<unsigned>(in.bits(skip_size_bits_));
    }
    node.edges = in.at();
    if (in.failed() || node.skip_bits > 40) {
        return fail(damaged("a node past the end"));
    }
    const std::uint64_t edge_bits = character_bits_ + (node.is_fallthrough ? 0 : address_bits_);
    const std::uint64_t left = octets_.size() * 8 - std::min(node.edges, octets_.size() * 8);
    if (node.edge_count > 0) {
        // The first edge has no skip. An edge of no bits would stand anywhere, any number of times.
        const std::uint64_t each = std::max<std::uint64_t>(edge_bits + node.skip_bits, 1);
        if (edge_bits > left || (node.edge_count - 1) > (left - edge_bits) / each) {
            return fail(damaged("edges past the end"));
        }
    }
    return node;
}

Dawg::Edge Dawg::edge_of(const Node& node, std::uint64_t i) const {
    Edge edge;
    std::uint64_t at = node.edges + i * (character_bits_ + node.skip_bits + address_bits_);
    if (i > 0) {
        at -= node.skip_bits;
    }
    BitReader in(octets_, at);
    edge.character = static_cast<std::uint32_t>(in.bits(character_bits_));
    edge.skip = i > 0 ? in.bits(node.skip_bits) : (node.is_final ? 1 : 0);
    edge.target = node.is_fallthrough ? in.at() : in.bits(address_bits_);
    return edge;
}

Result<std::optional<std::uint32_t>> Dawg::find(std::string_view word) const {
    using Found = std::optional<std::uint32_t>;
    if (word_count_ == 0) {
        return Found();
    }
    Node node = TRY(node_at(root_));
    std::uint64_t index = 0;
    for (std::size_t at = 0; at < word.size();) {
        const std::uint32_t wanted = next_code_point(word, at);
        std::uint64_t low = 0;
        std::uint64_t high = node.edge_count;
        while (low < high) {
            const std::uint64_t middle = low + (high - low) / 2;
            if (edge_of(node, middle).character < wanted) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if (low == node.edge_count) {
            return Found();
        }
        const Edge edge = edge_of(node, low);
        if (edge.character != wanted) {
            return Found();
        }
        index += edge.skip;
        node = TRY(node_at(edge.target));
    }
    if (!node.is_final) {
        return Found();
    }
    if (index >= word_count_) {
        return fail(damaged("a word past the last"));
    }
    return Found(static_cast<std::uint32_t>(index));
}

Result<std::string> Dawg::word(std::uint32_t index) const {
    if (index >= word_count_) {
        return fail(Code::not_found,
                    fmt::format("expected an index below {}, got {}", word_count_, index));
    }
    std::string word;
    std::uint64_t left = index;
    Node node = TRY(node_at(root_));
    for (std::size_t size = 0; size <= dawg_word_size_max; ++size) {
        if (node.is_final && left == 0) {
            return word;
        }
        std::uint64_t low = 0;  // the last edge whose skip is not above what is left
        std::uint64_t high = node.edge_count;
        while (low < high) {
            const std::uint64_t middle = low + (high - low) / 2;
            if (edge_of(node, middle).skip <= left) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if (low == 0) {
            return fail(damaged("no edge to a word"));
        }
        const Edge edge = edge_of(node, low - 1);
        append_utf8(word, edge.character);
        left -= edge.skip;
        node = TRY(node_at(edge.target));
    }
    return fail(damaged("a word without an end"));
}

DawgReader::DawgReader(const Dawg& dawg) : dawg_(&dawg) {}
DawgReader::~DawgReader() = default;
DawgReader::DawgReader(DawgReader&&) noexcept = default;

// Depth first. In a sound file every way down ends at a word, so between two words there are at
// most dawg_word_size_max steps down; and there are as many words as the file says.
Result<std::optional<std::string_view>> DawgReader::next() {
    using Found = std::optional<std::string_view>;
    if (!started_) {
        started_ = true;
        if (dawg_->size() == 0) {
            return Found();
        }
        const Dawg::Node root = TRY(dawg_->node_at(dawg_->root_));
        path_.push_back({.node = root});
        if (path_.back().node.is_final) {
            ++count_;
            return Found(word_);
        }
    }
    while (!path_.empty()) {
        Step& step = path_.back();
        if (step.next_edge == step.node.edge_count) {
            if (step.node.edge_count == 0 && !step.node.is_final) {
                return fail(damaged("a way that ends without a word"));
            }
            path_.pop_back();
            continue;
        }
        if (path_.size() > dawg_word_size_max) {
            return fail(damaged("a word without an end"));
        }
        const Dawg::Edge edge = dawg_->edge_of(step.node, step.next_edge++);
        word_.resize(step.word_size);
        append_utf8(word_, edge.character);
        const Dawg::Node node = TRY(dawg_->node_at(edge.target));
        path_.push_back({.node = node, .word_size = word_.size()});
        if (path_.back().node.is_final) {
            if (++count_ > dawg_->size()) {
                return fail(damaged("more words than it says"));
            }
            return Found(word_);
        }
    }
    if (count_ != dawg_->size()) {
        return fail(damaged(fmt::format("expected {} words, got {}", dawg_->size(), count_)));
    }
    return Found();
}

}  // namespace tapir::names
