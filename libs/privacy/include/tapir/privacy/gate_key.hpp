// The gate's share of the day's secret: fingerprints of names and the draw of thresholds (R1, R3).
//
//     std::array<std::byte, gate_key_size> octets;
//     day_key.derive("gate", octets);                      // in the edge; wipe `octets` after
//     const GateKey key(octets);
//     key.fingerprint("example.com.");                      // what pending tables hold
//     key.draw(Product::histogram, "example.com.");         // uniform bits for draw_threshold()
//
// A keyed hash (SipHash-2-4, Aumasson and Bernstein 2012: a pseudorandom function for short
// inputs) with a key of its own for each purpose; HMAC-SHA256 for identifiers, which are seen
// outside. Move-only, wiped when it goes, no formatter.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/crypto/secret.hpp"
#include "tapir/privacy/pending.hpp"
#include "tapir/privacy/table.hpp"

namespace tapir::privacy {

inline constexpr std::size_t gate_key_size = 64;  // octets: two keys of 128 bits, one of 256

class GateKey {
public:
    explicit GateKey(std::span<const std::byte, gate_key_size> octets);
    GateKey(GateKey&& other) noexcept;
    GateKey& operator=(GateKey&& other) noexcept;
    GateKey(const GateKey&) = delete;
    GateKey& operator=(const GateKey&) = delete;
    ~GateKey();

    // Of the name's text in lower case. Never 0.
    Fingerprint fingerprint(std::string_view name) const;
    // 64 uniform bits that belong to this name, product and day.
    std::uint64_t draw(Product product, std::string_view name) const;
    // A tag bound to one form of a name: tags of two forms have nothing in common, also where the
    // gate made both from the tag of their domain.
    std::uint64_t bound(Fingerprint form, std::uint64_t tag) const;
    // The UUID of an event with this content, today.
    std::string message_id(std::string_view content) const;
    // The second of the minute, 0 to 59, at which this edge sends its batches today.
    unsigned batch_second() const;
    // ... and at which the site of this name speaks with its aggregator.
    unsigned group_second(std::string_view site) const;

private:
    using Half = std::array<std::uint64_t, 2>;
    void wipe();

    std::array<Half, 2> keys_{};
    crypto::Secret identity_;
};

// SipHash-2-4 with a 64-bit result. For tests; use GateKey.
std::uint64_t siphash_2_4(std::uint64_t k0, std::uint64_t k1, ByteView message);

}  // namespace tapir::privacy
