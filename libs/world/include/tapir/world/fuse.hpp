// The life of a simulated process: it ends in the middle of a chosen operation on any of its ports.
//
//     Fuse fuse(seed);
//     MortalFiles files(disk, fuse);           // and other ports of the same process
//     fuse.light(17);                          // its 17th operation from now is its last
//     ...                                      // steps of the process
//     if (fuse.is_burnt()) { process.reset(); }
//
// A port asks before each operation that changes something outside the process. When the fuse burns
// down, that operation happens wholly, in part or not at all, as chance() has it, and the process
// does not learn which; all later ones do nothing and fail. So whatever the code does after its
// death, destructors included, the world does not see it. One thread at a time.
#pragma once

#include <cstdint>
#include <limits>

#include "tapir/base/result.hpp"
#include "tapir/world/chance.hpp"

namespace tapir::world {

class Fuse {
public:
    explicit Fuse(std::uint64_t seed) : chance_(seed) {}

    // `operations` >= 1. Has no effect on a burnt fuse.
    void light(std::uint64_t operations) { left_ = is_burnt() ? 0 : operations; }
    void burn() { left_ = 0; }
    bool is_burnt() const { return left_ == 0; }

    enum class Moment : std::uint8_t { alive, dying, dead };
    // The moment of the operation that begins now.
    Moment step();
    // What of the dying operation happens.
    SeededChance& chance() { return chance_; }
    // Operations so far.
    std::uint64_t operations() const { return operations_; }
    // What a port of a dead process answers.
    static Error error() { return {Code::unavailable, "the process is dead"}; }

private:
    SeededChance chance_;
    std::uint64_t left_ = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t operations_ = 0;
};

}  // namespace tapir::world
