#include "tapir/ledger/log.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "tapir/base/assert.hpp"
#include "tree.hpp"

namespace tapir::ledger {
namespace {

// Groups of three digits, all but the last marked with x: 1234067 is x001/x234/067.
std::string number_path(std::uint64_t index, std::size_t width) {
    std::string path = fmt::format("{:03}", index % 1000);
    for (std::uint64_t rest = index / 1000; rest > 0; rest /= 1000) {
        path.insert(0, fmt::format("x{:03}/", rest % 1000));
    }
    if (width < tile_width) {
        path += fmt::format(".p/{}", width);
    }
    return path;
}

Failure<Error> corrupt(std::string_view path, std::string_view what) {
    return fail(Code::corrupt, fmt::format("{}: {}", path, what));
}

Result<Bytes> read_or_corrupt(const ReadFile& read, const std::string& path) {
    auto octets = read(path);
    if (!octets && octets.error().code() == Code::not_found) {
        return corrupt(path, "missing");
    }
    return octets;
}

}  // namespace

std::string tile_path(unsigned level, std::uint64_t index, std::size_t width) {
    TAPIR_ASSERT(width > 0 && width <= tile_width);
    return fmt::format("tile/{}/{}", level, number_path(index, width));
}

std::string entries_path(std::uint64_t index, std::size_t width) {
    TAPIR_ASSERT(width > 0 && width <= tile_width);
    return fmt::format("tile/entries/{}", number_path(index, width));
}

Result<std::vector<ByteView>> split_bundle(ByteView bundle) {
    std::vector<ByteView> leaves;
    ByteReader reader(bundle);
    while (reader.remaining() > 0) {
        const std::uint16_t size = reader.u16();
        const ByteView leaf = reader.bytes(size);
        if (reader.failed()) {
            return fail(Code::corrupt, "entry bundle: cut short");
        }
        if (leaves.size() == tile_width) {
            return fail(Code::corrupt, "entry bundle: more than 256 leaves");
        }
        leaves.push_back(leaf);
    }
    return leaves;
}

Hash root_of_tiles(const Tiles& tiles) {
    // What is incomplete on a level is the last node of the next.
    std::vector<Hash> carried;
    for (const std::vector<Hash>& tile : tiles) {
        std::vector<Hash> nodes = tile;
        nodes.insert(nodes.end(), carried.begin(), carried.end());
        if (!nodes.empty()) {
            carried.assign(1, root_of(nodes));
        }
    }
    return carried.empty() ? empty_root() : carried.front();
}

Bytes octets_of(const std::vector<Hash>& hashes) {
    Bytes octets;
    octets.reserve(hashes.size() * crypto::sha256_size);
    for (const Hash& hash : hashes) {
        append(octets, hash);
    }
    return octets;
}

Result<std::vector<Hash>> read_tile(const ReadFile& read, unsigned level, std::uint64_t index,
                                    std::size_t width) {
    const std::string path = tile_path(level, index, width);
    const Bytes octets = TRY(read_or_corrupt(read, path));
    if (octets.size() != width * crypto::sha256_size) {
        return corrupt(path,
                       fmt::format("expected {} hashes, got {} octets", width, octets.size()));
    }
    std::vector<Hash> hashes(width);
    for (std::size_t i = 0; i < width; ++i) {
        std::copy_n(octets.begin() + static_cast<std::ptrdiff_t>(i * crypto::sha256_size),
                    crypto::sha256_size, hashes[i].begin());
    }
    return hashes;
}

Result<std::vector<Hash>> read_bundle(const ReadFile& read, std::uint64_t index, std::size_t width,
                                      Bytes& octets) {
    const std::string path = entries_path(index, width);
    octets = TRY(read_or_corrupt(read, path));
    const auto leaves = split_bundle(octets);
    if (!leaves) {
        return corrupt(path, leaves.error().what());
    }
    if (leaves->size() != width) {
        return corrupt(path, fmt::format("expected {} leaves, got {}", width, leaves->size()));
    }
    std::vector<Hash> hashes;
    std::ranges::transform(*leaves, std::back_inserter(hashes), hash_leaf);
    return hashes;
}

Log::Log(std::string origin) : origin_(std::move(origin)), head_{.size = 0, .root = empty_root()} {
    TAPIR_ASSERT(is_origin(origin_));
}

Result<Log> Log::open(const ReadFile& read, const NoteVerifier& verifier) {
    const Bytes text = TRY(read(checkpoint_path));
    Log log(verifier.origin);
    log.head_ = TRY(parse_checkpoint(as_text(text), verifier));
    std::uint64_t count = log.head_.size;
    for (unsigned level = 0; count > 0; ++level, count /= tile_width) {
        log.tiles_.emplace_back();
        if (count % tile_width != 0) {
            log.tiles_.back() = TRY(read_tile(read, level, count / tile_width, count % tile_width));
        }
    }
    if (log.head_.size % tile_width != 0) {
        const std::vector<Hash> hashes = TRY(read_bundle(read, log.head_.size / tile_width,
                                                         log.head_.size % tile_width, log.bundle_));
        if (hashes != log.tiles_.front()) {
            return fail(Code::corrupt, "ledger: the last leaves are not those of the last tile");
        }
    }
    if (root_of_tiles(log.tiles_) != log.head_.root) {
        return fail(Code::corrupt, "ledger: the last tiles are not those of the checkpoint");
    }
    return log;
}

// Collects the files of one append.
struct LogWriter {
    Log& log;
    std::vector<LogFile> entries;
    std::vector<LogFile> tiles;
    std::vector<std::uint64_t> finished;  // tiles of each level, before and now

    explicit LogWriter(Log& l) : log(l) {
        for (std::uint64_t count = log.head_.size; count > 0; count /= tile_width) {
            finished.push_back(count / tile_width);
        }
    }

    std::uint64_t index_at(unsigned level) const {
        return level < finished.size() ? finished[level] : 0;
    }

    void add(const Bytes& leaf) {
        append_u16(log.bundle_, static_cast<std::uint16_t>(leaf.size()));
        append(log.bundle_, leaf);
        const auto finish = [this](unsigned level, const std::vector<Hash>& full) -> Result<void> {
            finished.resize(std::max<std::size_t>(finished.size(), level + 1));
            const std::uint64_t index = finished[level]++;
            if (level == 0) {
                entries.push_back(
                    {entries_path(index, tile_width), std::exchange(log.bundle_, {})});
            }
            tiles.push_back({tile_path(level, index, tile_width), octets_of(full)});
            return {};
        };
        TAPIR_ASSERT(add_hash(log.tiles_, hash_leaf(leaf), finish));
        ++log.head_.size;
    }

    void add_unfinished(const Tiles& before) {
        if (!log.bundle_.empty()) {
            entries.push_back({entries_path(index_at(0), log.tiles_.front().size()), log.bundle_});
        }
        for (unsigned level = 0; level < log.tiles_.size(); ++level) {
            const std::vector<Hash>& tile = log.tiles_[level];
            if (!tile.empty() && (level >= before.size() || tile != before[level])) {
                tiles.push_back({tile_path(level, index_at(level), tile.size()), octets_of(tile)});
            }
        }
    }
};

Result<LogStep> Log::append(std::span<const Bytes> leaves, const crypto::SigningKey& key) {
    if (leaves.size() > log_size_max - head_.size) {
        return fail(Code::exhausted, "ledger: full");
    }
    for (const Bytes& leaf : leaves) {
        if (leaf.size() > leaf_size_max) {
            return fail(Code::exhausted, "ledger: a leaf is too large");
        }
    }
    LogStep step;
    const Tiles before = tiles_;
    LogWriter writer(*this);
    const std::vector<std::uint64_t> finished_before = writer.finished;
    for (const Bytes& leaf : leaves) {
        writer.add(leaf);
    }
    if (!leaves.empty()) {
        writer.add_unfinished(before);
    }
    head_.root = root_of_tiles(tiles_);
    for (unsigned level = 0; level < before.size(); ++level) {
        if (before[level].empty() || before[level] == tiles_[level]) {
            continue;
        }
        const std::uint64_t index = finished_before[level];
        step.superseded.push_back(tile_path(level, index, before[level].size()));
        if (level == 0) {
            step.superseded.push_back(entries_path(index, before[level].size()));
        }
    }
    step.files = std::move(writer.entries);
    std::ranges::move(writer.tiles, std::back_inserter(step.files));
    step.files.push_back(
        {std::string(checkpoint_path), to_bytes(print_checkpoint(head_, origin_, key))});
    step.head = head_;
    return step;
}

}  // namespace tapir::ledger
