#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "tapir/base/assert.hpp"
#include "tapir/ledger/log.hpp"
#include "tree.hpp"

namespace tapir::ledger {
namespace {

Failure<Error> corrupt(const std::string& path, std::string_view what) {
    return fail(Code::corrupt, fmt::format("{}: {}", path, what));
}

// Walks all leaves, and compares each tile with what the leaves make of it.
class Walk {
public:
    Walk(const ReadFile& read, const VisitLeaf& visit, TreeHead head)
        : read_(read), visit_(visit), report_{.head = head, .tiles = 0, .bundles = 0} {}

    Result<LogReport> run() {
        const std::uint64_t size = report_.head.size;
        for (std::uint64_t first = 0; first < size; first += tile_width) {
            TRY(bundle(first / tile_width, std::min<std::uint64_t>(tile_width, size - first)));
        }
        for (unsigned level = 0; level < tiles_.size(); ++level) {
            if (!tiles_[level].empty()) {
                TRY(compare(level, tiles_[level]));
            }
        }
        if (root_of_tiles(tiles_) != report_.head.root) {
            return corrupt(std::string(checkpoint_path), "its root is not that of the leaves");
        }
        return report_;
    }

private:
    Result<void> bundle(std::uint64_t index, std::size_t width) {
        Bytes octets;
        const std::vector<Hash> hashes = TRY(read_bundle(read_, index, width, octets));
        ++report_.bundles;
        const std::vector<Hash> tile = TRY(read_tile(read_, 0, index, width));
        for (std::size_t i = 0; i < width; ++i) {
            if (hashes[i] != tile[i]) {
                return corrupt(entries_path(index, width),
                               fmt::format("leaf {}: not that of {}", index * tile_width + i,
                                           tile_path(0, index, width)));
            }
        }
        if (visit_) {
            const auto leaves = TRY(split_bundle(octets));
            for (std::size_t i = 0; i < width; ++i) {
                TRY(visit_(index * tile_width + i, leaves[i]));
            }
        }
        for (const Hash& hash : hashes) {
            TRY(add_hash(tiles_, hash, [this](unsigned level, const std::vector<Hash>& full) {
                return compare(level, full);
            }));
        }
        return {};
    }

    // Each tile is compared once, when all of it is known.
    Result<void> compare(unsigned level, const std::vector<Hash>& expected) {
        compared_.resize(std::max<std::size_t>(compared_.size(), level + 1));
        const std::uint64_t index = compared_[level]++;
        const std::vector<Hash> tile = TRY(read_tile(read_, level, index, expected.size()));
        ++report_.tiles;
        if (tile != expected) {
            return corrupt(tile_path(level, index, expected.size()),
                           "its hashes are not those of the leaves");
        }
        return {};
    }

    const ReadFile& read_;
    const VisitLeaf& visit_;
    LogReport report_;
    Tiles tiles_;
    std::vector<std::uint64_t> compared_;
};

// Roots of ranges of leaves, from the tiles.
class Ranges {
public:
    Ranges(const ReadFile& read, std::uint64_t log_size) : read_(read), log_size_(log_size) {}

    // `start` is a multiple of the largest power of two that is not above `count`.
    Result<Hash> root(std::uint64_t start, std::uint64_t count) {
        std::vector<Hash> parts;
        while (count > 0) {
            const std::uint64_t part = std::bit_floor(count);
            const Hash hash = TRY(subtree(start, part));
            parts.push_back(hash);
            start += part;
            count -= part;
        }
        Hash hash = parts.back();
        for (std::size_t i = parts.size() - 1; i > 0; --i) {
            hash = hash_node(parts[i - 1], hash);
        }
        return hash;
    }

private:
    // The whole subtree of `count` leaves, a power of two.
    Result<Hash> subtree(std::uint64_t start, std::uint64_t count) {
        unsigned level = 0;
        for (; count >= tile_width; ++level) {
            start /= tile_width;
            count /= tile_width;
        }
        const std::uint64_t index = start / tile_width;
        auto cached = tiles_.find({level, index});
        if (cached == tiles_.end()) {
            const std::uint64_t width = std::min<std::uint64_t>(
                tile_width, (log_size_ >> (8 * level)) - index * tile_width);
            std::vector<Hash> tile = TRY(read_tile(read_, level, index, width));
            cached = tiles_.emplace(std::pair(level, index), std::move(tile)).first;
        }
        return root_of(std::span(cached->second).subspan(start % tile_width, count));
    }

    const ReadFile& read_;
    std::uint64_t log_size_;
    std::map<std::pair<unsigned, std::uint64_t>, std::vector<Hash>> tiles_;
};

}  // namespace

Result<LogReport> verify_log(const ReadFile& read, const NoteVerifier& verifier,
                             const VisitLeaf& visit) {
    const Bytes text = TRY(read(checkpoint_path));
    const TreeHead head = TRY(parse_checkpoint(as_text(text), verifier));
    return Walk(read, visit, head).run();
}

Result<std::vector<Hash>> prove_inclusion(const ReadFile& read, std::uint64_t log_size,
                                          std::uint64_t index, std::uint64_t size) {
    if (index >= size || size > log_size) {
        return fail(Code::invalid, "proof: expected index < size <= size of the log");
    }
    Ranges ranges(read, log_size);
    std::vector<Hash> proof;
    std::uint64_t start = 0;
    while (size > 1) {  // RFC 9162 §2.1.3.1, from the root down
        const std::uint64_t left = std::bit_floor(size - 1);
        const bool goes_left = index < left;
        const Hash sibling =
            TRY(goes_left ? ranges.root(start + left, size - left) : ranges.root(start, left));
        proof.push_back(sibling);
        if (!goes_left) {
            start += left;
            index -= left;
        }
        size = goes_left ? left : size - left;
    }
    std::ranges::reverse(proof);
    return proof;
}

Result<std::vector<Hash>> prove_consistency(const ReadFile& read, std::uint64_t log_size,
                                            std::uint64_t older, std::uint64_t newer) {
    if (older > newer || newer > log_size) {
        return fail(Code::invalid, "proof: expected older <= newer <= size of the log");
    }
    std::vector<Hash> proof;
    if (older == 0 || older == newer) {
        return proof;
    }
    Ranges ranges(read, log_size);
    std::uint64_t start = 0;
    bool is_old_root = true;  // what is left of the old tree is all of it
    while (older != newer) {  // RFC 9162 §2.1.4.1, from the root down
        const std::uint64_t left = std::bit_floor(newer - 1);
        const bool goes_left = older <= left;
        const Hash sibling =
            TRY(goes_left ? ranges.root(start + left, newer - left) : ranges.root(start, left));
        proof.push_back(sibling);
        if (!goes_left) {
            start += left;
            older -= left;
            is_old_root = false;
        }
        newer = goes_left ? left : newer - left;
    }
    if (!is_old_root) {
        const Hash hash = TRY(ranges.root(start, newer));
        proof.push_back(hash);
    }
    std::ranges::reverse(proof);
    return proof;
}

}  // namespace tapir::ledger
