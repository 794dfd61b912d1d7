#include "machine.hpp"

namespace tapir::sim {

std::uint64_t count_of(const store::Reader& store, std::string_view family) {
    std::uint64_t count = 0;
    if (const auto cursor = store.scan(family)) {
        for (; (*cursor)->valid(); (*cursor)->next()) {
            ++count;
        }
    }
    return count;
}

void Machine::bury(bool is_power_cut, Tally& tally) {
    ports_.reset();
    if (is_power_cut) {
        tally.add(Fault::power_cut);
        tally.add(Fault::write_undone, store_disk.cut_power(dice_.chance()));
    } else {
        tally.add(Fault::kill);
    }
}

void Machine::fill_disk() {
    is_disk_full_ = true;
    had_full_disk_ = true;
    // Some octets are left: what is small may fit where what is large does not.
    disk.set_capacity(disk.used() + dice_.between(0, 3000));
    store_disk.fail_writes(Error(Code::exhausted, "no space left on device"));
}

void Machine::empty_disk() {
    is_disk_full_ = false;
    disk.set_capacity(1ULL << 40U);
    store_disk.fail_writes(std::nullopt);
}

}  // namespace tapir::sim
