// One simulated computer: clock, disk and store, which outlive its processes, and the ports of the
// process that runs on it.
//
//     Machine machine("core", families, start, seed);
//     Ports& ports = machine.boot();            // a new process may open its ports
//     ports.fuse.light(17);                     // its 17th operation is its last
//     machine.bury(power_cut);                  // after the process was destroyed
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "faults.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/store/memory_disk.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"
#include "tapir/world/fuse.hpp"
#include "tapir/world/mortal_files.hpp"

namespace tapir::sim {

// How many keys a family has.
std::uint64_t count_of(const store::Reader& store, std::string_view family);

// Of one process; all of it dies with it.
struct Ports {
    Ports(world::MemoryFiles& disk, store::MemoryDisk& store_disk, std::uint64_t seed)
        : fuse(seed), files(disk, fuse), store(store_disk.open(fuse)), chance(seed + 1) {}

    world::Fuse fuse;
    world::MortalFiles files;
    std::unique_ptr<store::Store> store;
    world::SeededChance chance;
    Counters counters;
};

class Machine {
public:
    // What is logged is kept if it is asked for.
    Machine(std::string name, const std::vector<std::string>& families, UtcTime start,
            std::uint64_t seed, bool logs)
        : store_disk(families),
          clock(start),
          log(logs ? Log::to_string(logged) : Log::to_nowhere()),
          name_(std::move(name)),
          dice_(seed) {}

    Ports& boot() {
        had_full_disk_ = is_disk_full_;
        ports_ = std::make_unique<Ports>(disk, store_disk, dice_.seed());
        return *ports_;
    }
    // Between boot() and bury().
    Ports& ports() { return *ports_; }
    void bury(bool is_power_cut, Tally& tally);
    // After a process that ended by itself.
    void shut_down() { ports_.reset(); }

    // Nothing can be written any more, or it can again.
    void fill_disk();
    void empty_disk();
    // Whether its disk has been full since boot(). A lie may know more.
    bool had_full_disk() const { return had_full_disk_; }

    const std::string& name() const { return name_; }

    world::MemoryFiles disk;
    store::MemoryDisk store_disk;
    world::ManualClock clock;
    std::string logged;
    const Log log;

private:
    std::string name_;
    Dice dice_;
    bool is_disk_full_ = false;
    bool had_full_disk_ = false;
    std::unique_ptr<Ports> ports_;
};

}  // namespace tapir::sim
