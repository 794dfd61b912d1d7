#include "tapir/world/chance.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/random.h>

#include "tapir/base/assert.hpp"

namespace tapir::world {

std::uint64_t Chance::u64() {
    std::uint64_t value = 0;
    fill(std::as_writable_bytes(std::span(&value, 1)));
    return value;
}

std::uint64_t Chance::below(std::uint64_t limit) {
    TAPIR_ASSERT(limit >= 1);
    // Numbers from the incomplete last run of `limit` numbers are thrown again.
    const std::uint64_t excess = (~std::uint64_t{0} % limit + 1) % limit;
    std::uint64_t value = u64();
    while (value > ~std::uint64_t{0} - excess) {
        value = u64();
    }
    return value % limit;
}

void SystemChance::fill(std::span<std::byte> out) {
    while (!out.empty()) {
        const ssize_t got = ::getrandom(out.data(), out.size(), 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        TAPIR_ASSERT(got > 0);
        out = out.subspan(static_cast<std::size_t>(got));
    }
}

void SeededChance::fill(std::span<std::byte> out) {
    const std::lock_guard lock(mutex_);
    while (!out.empty()) {
        // SplitMix64.
        state_ += 0x9E3779B97F4A7C15ULL;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
        z ^= z >> 31U;
        const std::size_t count = std::min(out.size(), sizeof z);
        std::memcpy(out.data(), &z, count);
        out = out.subspan(count);
    }
}

}  // namespace tapir::world
