// MurmurHash3, the 128-bit variant for 64-bit machines (Austin Appleby, public domain), both
// halves seeded alike. Not a secret-keyed hash: never for what must not be guessed.
#pragma once

#include <cstdint>

#include "tapir/base/bytes.hpp"

namespace tapir::sketch {

struct Hash128 {
    std::uint64_t h1 = 0;
    std::uint64_t h2 = 0;
    friend bool operator==(const Hash128&, const Hash128&) = default;
};

Hash128 murmur3_x64_128(ByteView octets, std::uint64_t seed = 0);

}  // namespace tapir::sketch
