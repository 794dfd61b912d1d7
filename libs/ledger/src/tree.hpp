// What writer and verifier of a log share. Private to this library.
#pragma once

#include <optional>
#include <vector>

#include "tapir/ledger/log.hpp"

namespace tapir::ledger {

// The unfinished tile of each level, lowest first.
using Tiles = std::vector<std::vector<Hash>>;

// Root of the tree whose unfinished tiles these are.
Hash root_of_tiles(const Tiles& tiles);

Bytes octets_of(const std::vector<Hash>& hashes);

// The hashes of a tile file of that width.
Result<std::vector<Hash>> read_tile(const ReadFile& read, unsigned level, std::uint64_t index,
                                    std::size_t width);

// The leaves' hashes of a bundle file of that width; `octets` receives the file.
Result<std::vector<Hash>> read_bundle(const ReadFile& read, std::uint64_t index, std::size_t width,
                                      Bytes& octets);

// Adds a hash at a level; `finish(level, hashes)` is called for each tile that it completes, and
// those are emptied, their roots a level higher.
template <class Finish>
Result<void> add_hash(Tiles& tiles, const Hash& hash, Finish&& finish) {
    Hash next = hash;
    for (unsigned level = 0;; ++level) {
        if (level == tiles.size()) {
            tiles.emplace_back();
        }
        tiles[level].push_back(next);
        if (tiles[level].size() < tile_width) {
            return {};
        }
        const std::vector<Hash> full = std::exchange(tiles[level], {});
        TRY(finish(level, full));
        next = root_of(full);
    }
}

}  // namespace tapir::ledger
