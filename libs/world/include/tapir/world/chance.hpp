// Chance as a port: the kernel's for keys, salts and times; a seeded one for tests.
//
//     SystemChance chance;
//     const auto salt = chance.bytes<16>();
//
// Threads may share a Chance.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

namespace tapir::world {

class Chance {
public:
    virtual ~Chance() = default;

    virtual void fill(std::span<std::byte> out) = 0;

    template <std::size_t N>
    std::array<std::byte, N> bytes() {
        std::array<std::byte, N> out{};
        fill(out);
        return out;
    }
    std::uint64_t u64();
    // Uniform in 0 … limit-1. `limit` >= 1.
    std::uint64_t below(std::uint64_t limit);
};

// getrandom(2): fit for keys. Ends the process if the kernel refuses, rather than give bad keys.
class SystemChance final : public Chance {
public:
    void fill(std::span<std::byte> out) override;
};

// The same bytes for the same seed. Never for keys that protect anything.
class SeededChance final : public Chance {
public:
    explicit SeededChance(std::uint64_t seed) : state_(seed) {}
    void fill(std::span<std::byte> out) override;

private:
    std::mutex mutex_;
    std::uint64_t state_;
};

}  // namespace tapir::world
