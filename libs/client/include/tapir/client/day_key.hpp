// The secret of one UTC day, and the ratchet that leads to the next (DESIGN.md R1).
//
//     DayKey key = DayKey::from(random_octets);   // K(0), once per operator; wipe the octets
//     key = key.next();                           // at 00:00 UTC; the old key is wiped
//
// K(d+1) = HKDF-SHA256(K(d)): forward only, no past day can be computed. Move-only, locked in
// memory as far as the system lets us, kept out of core dumps, wiped when it goes, no formatter.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "tapir/base/bytes.hpp"

namespace tapir::client {

inline constexpr std::size_t day_key_size = 32;          // octets
inline constexpr std::size_t derived_key_size_max = 64;  // octets

class DayKey {
public:
    // Copies the octets; wiping the original is the caller's part.
    static DayKey from(std::span<const std::byte, day_key_size> octets);

    DayKey(DayKey&&) noexcept = default;
    DayKey& operator=(DayKey&&) noexcept = default;
    DayKey(const DayKey&) = delete;
    DayKey& operator=(const DayKey&) = delete;
    ~DayKey() = default;

    // The key of the following day.
    DayKey next() const;

    // Fills `out` (1 to derived_key_size_max octets) with a key for one purpose: HKDF-SHA256 with
    // `purpose` as its info. Different purposes, unrelated keys. For what `privacy` and others need
    // from the day's key without seeing it.
    void derive(std::string_view purpose, std::span<std::byte> out) const;

    // For storing it (mode 0600, or sealed). Valid while this DayKey lives.
    std::span<const std::byte, day_key_size> reveal() const&;
    std::span<const std::byte, day_key_size> reveal() const&& = delete;

private:
    struct Memory;
    struct Wipe {
        void operator()(Memory* memory) const;
    };
    explicit DayKey(std::unique_ptr<Memory, Wipe> memory) : memory_(std::move(memory)) {}

    std::unique_ptr<Memory, Wipe> memory_;
};

}  // namespace tapir::client
