#include "tapir/sketch/murmur.hpp"

#include <algorithm>
#include <bit>

namespace tapir::sketch {

namespace {

constexpr std::size_t block_size = 16;
constexpr std::uint64_t c1 = 0x87c37b91114253d5U;
constexpr std::uint64_t c2 = 0x4cf5ad432745937fU;

// Up to eight octets, little-endian.
std::uint64_t little_endian(ByteView octets) {
    std::uint64_t value = 0;
    const std::size_t count = std::min<std::size_t>(octets.size(), 8);
    for (std::size_t i = 0; i < count; ++i) {
        value |= std::to_integer<std::uint64_t>(octets[i]) << (8 * i);
    }
    return value;
}

std::uint64_t mix_first(std::uint64_t k) {
    return std::rotl(k * c1, 31) * c2;
}

std::uint64_t mix_second(std::uint64_t k) {
    return std::rotl(k * c2, 33) * c1;
}

std::uint64_t finish(std::uint64_t k) {
    k ^= k >> 33U;
    k *= 0xff51afd7ed558ccdU;
    k ^= k >> 33U;
    k *= 0xc4ceb9fe1a85ec53U;
    k ^= k >> 33U;
    return k;
}

}  // namespace

Hash128 murmur3_x64_128(ByteView octets, std::uint64_t seed) {
    std::uint64_t h1 = seed;
    std::uint64_t h2 = seed;
    ByteView rest = octets;
    for (; rest.size() >= block_size; rest = rest.subspan(block_size)) {
        h1 ^= mix_first(little_endian(rest));
        h1 = (std::rotl(h1, 27) + h2) * 5 + 0x52dce729U;
        h2 ^= mix_second(little_endian(rest.subspan(8)));
        h2 = (std::rotl(h2, 31) + h1) * 5 + 0x38495ab5U;
    }
    if (rest.size() > 8) {
        h2 ^= mix_second(little_endian(rest.subspan(8)));
    }
    if (!rest.empty()) {
        h1 ^= mix_first(little_endian(rest));
    }
    h1 ^= octets.size();
    h2 ^= octets.size();
    h1 += h2;
    h2 += h1;
    h1 = finish(h1);
    h2 = finish(h2);
    h1 += h2;
    h2 += h1;
    return {h1, h2};
}

}  // namespace tapir::sketch
