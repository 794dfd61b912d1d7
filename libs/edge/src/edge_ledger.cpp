#include "edge_ledger.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include <fmt/format.h>

namespace tapir::edge {

Result<std::unique_ptr<EdgeLedger>> EdgeLedger::open(world::Files& files, std::string directory,
                                                     const jose::PrivateJwk& key) {
    TRY(files.make_directories(directory));
    auto ledger = std::make_unique<EdgeLedger>(Private{}, files, std::move(directory), key);
    ledger->keep(TRY(ledger->read_log()));
    TRY(ledger->write_verifier());
    return ledger;
}

void EdgeLedger::keep(ledger::Log log) {
    size_ = log.head().size;
    log_ = std::make_unique<ledger::Log>(std::move(log));
}

// What `tapir ledger verify` checks with, unless it is told.
Result<void> EdgeLedger::write_verifier() {
    const ledger::NoteVerifier verifier{.origin = key_.kid() + "/ledger",
                                        .key = key_.key().public_key()};
    const std::string path = directory_ + "/verifier";
    if (files_.exists(path)) {
        return {};
    }
    return files_.write_atomically(path, as_bytes(verifier.to_string() + "\n"));
}

ledger::ReadFile EdgeLedger::reader() const {
    return [this](std::string_view path) {
        return files_.read(fmt::format("{}/{}", directory_, path), ledger::bundle_size_max);
    };
}

Result<ledger::Log> EdgeLedger::read_log() const {
    const std::string origin = key_.kid() + "/ledger";
    const ledger::NoteVerifier verifier{.origin = origin, .key = key_.key().public_key()};
    auto log = ledger::Log::open(reader(), verifier);
    if (log || log.error().code() != Code::not_found) {
        return log ? std::move(log) : fail(std::move(log).error().at(directory_));
    }
    TRY(expect_new());
    return ledger::Log(origin);
}

// A log without checkpoint is a new one, or one whose first checkpoint a crash prevented. If more
// than its first leaf is there the checkpoint was lost, and to begin anew would show two histories.
Result<void> EdgeLedger::expect_new() const {
    const std::string tiles = directory_ + "/" + std::string(ledger::entries_path(0, 1));
    const std::string partial = tiles.substr(0, tiles.rfind('/'));  // …/tile/entries/000.p
    const auto found = files_.list(partial);
    const bool is_more =
        files_.exists(partial.substr(0, partial.rfind('.'))) ||
        (found && std::ranges::any_of(*found, [](const world::DirectoryEntry& e) {
             return e.name != "1" && e.name.find_first_not_of("0123456789") == std::string::npos;
         }));
    if (is_more) {
        return fail(Code::corrupt, fmt::format("{}: expected a checkpoint beside the tiles; "
                                               "restore it, or move the folder away to begin a "
                                               "new log",
                                               directory_));
    }
    return {};
}

Result<void> EdgeLedger::write(const ledger::LogStep& step) {
    for (const ledger::LogFile& file : step.files) {
        const std::string path = fmt::format("{}/{}", directory_, file.path);
        if (const auto slash = path.rfind('/'); slash != std::string::npos) {
            TRY(files_.make_directories(path.substr(0, slash)));
        }
        TRY(files_.write_atomically(path, file.octets));
    }
    return {};
}

Result<void> EdgeLedger::append(std::uint64_t index, const Bytes& leaf, std::string_view openings) {
    const std::lock_guard lock(mutex_);
    if (!log_) {
        keep(TRY(read_log()));
        if (size_ == index + 1 && TRY(leaf_octets_locked(index)) == leaf) {
            return {};  // all but the last fsync had been done
        }
    }
    TAPIR_ASSERT(index == size_);
    TRY(files_.append(directory_ + "/openings.jsonl", as_bytes(openings)));
    const ledger::LogStep step = TRY(log_->append(std::span(&leaf, 1), key_.key()));
    if (auto written = write(step); !written) {
        log_.reset();
        return written;
    }
    size_ = step.head.size;
    for (const std::string& path : step.superseded) {
        // What stays costs space only.
        static_cast<void>(files_.remove(fmt::format("{}/{}", directory_, path)));
    }
    return {};
}

Result<Bytes> EdgeLedger::leaf_octets(std::uint64_t index) const {
    const std::lock_guard lock(mutex_);
    return leaf_octets_locked(index);
}

Result<Bytes> EdgeLedger::leaf_octets_locked(std::uint64_t index) const {
    const std::uint64_t size = size_;
    if (index >= size) {
        return fail(Code::not_found, fmt::format("{}: no leaf {}", directory_, index));
    }
    const std::uint64_t bundle = index / ledger::tile_width;
    const bool is_full = (bundle + 1) * ledger::tile_width <= size;
    const std::size_t width =
        is_full ? ledger::tile_width : static_cast<std::size_t>(size % ledger::tile_width);
    const Bytes octets = TRY(reader()(ledger::entries_path(bundle, width)));
    const auto leaves = TRY(ledger::split_bundle(octets));
    const std::size_t place = index % ledger::tile_width;
    if (place >= leaves.size()) {
        return fail(Code::corrupt,
                    fmt::format("{}: leaf {} is not in its bundle", directory_, index));
    }
    return to_bytes(leaves[place]);
}

Result<ledger::Leaf> EdgeLedger::leaf(std::uint64_t index) const {
    return ledger::Leaf::parse(TRY(leaf_octets(index)));
}

std::uint64_t EdgeLedger::size() const {
    const std::lock_guard lock(mutex_);
    return size_;
}

}  // namespace tapir::edge
