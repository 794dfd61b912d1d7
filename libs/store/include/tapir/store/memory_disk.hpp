// What of a store outlives its process: for the simulator and tests of restarts.
//
//     MemoryDisk disk(families);
//     auto store = disk.open(fuse);            // the store of one process
//     store.reset();
//     disk.cut_power(chance);                  // what was not synced may go
//     auto again = disk.open(other_fuse);      // what is left
//
// After a kill all that was written is there, synced or not; in the last operation of a dying
// process the batch may have been written or not. After a power cut the newest writes since the
// last synced one are gone: some, none or all, as chance has it. One thread at a time; the disk
// must outlive its stores.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/store/store.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/fuse.hpp"

namespace tapir::store {

// Buffered writes that a power cut may undo; older ones have reached the disk by themselves.
inline constexpr std::size_t unsynced_max = 10'000;

class MemoryDisk {
public:
    explicit MemoryDisk(const std::vector<std::string>& families);
    ~MemoryDisk();
    MemoryDisk(const MemoryDisk&) = delete;
    MemoryDisk& operator=(const MemoryDisk&) = delete;

    // `fuse` must outlive the store.
    std::unique_ptr<Store> open(world::Fuse& fuse);
    // What is on it now, for who looks from outside.
    const Reader& contents() const;
    // Octets of memory that it takes, what could be undone included; about.
    std::uint64_t memory_size() const;
    // How many writes were undone.
    std::size_t cut_power(world::Chance& chance);

    // What every write answers from now on, instead of being done; nothing ends it.
    void fail_writes(std::optional<Error> error);
    // Only for tests of those who test: from now on synced writes are not, though they say so.
    void lie_about_sync(bool lies);
    void erase_all(std::string_view family);

private:
    friend class MortalStore;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::store
