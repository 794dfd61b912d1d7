// What may be said of a sealed address without giving it away.
//
// EDM's rules ask for two readings of an IPv4-mapped IPv6 address (::ffff:a.b.c.d): `compatible`
// leaves it IPv6 in ignore lists and hashes its 16 octets, but counts it as IPv4. `standard` always
// takes it for the IPv4 address that it is.
#pragma once

#include <cstdint>
#include <optional>

#include "tapir/dnstap/client_address.hpp"

namespace tapir::client {

enum class Family : std::uint8_t { ipv4, ipv6 };

// How to read an IPv4-mapped IPv6 address in a list of networks.
enum class Mapped : std::uint8_t {
    as_ipv6,  // `compatible`
    as_ipv4,  // `standard`
};

enum class AddressForm : std::uint8_t {
    absent,       // the frame shows no address
    malformed,    // neither 4 nor 16 octets
    ipv4,         // 4 octets
    ipv6,         // 16 octets
    ipv4_mapped,  // 16 octets, ::ffff:0:0/96
};

AddressForm form_of(dnstap::ClientAddress address);

// The family it counts for (IPv4-mapped: IPv4); nothing if absent or malformed.
std::optional<Family> family_of(dnstap::ClientAddress address);

// First half of MurmurHash3_x64_128 with seed 0 over the octets as they came, for the sketches of
// `compatible`; nothing if absent or malformed. Not keyed: an IPv4 address can be found by trying
// all. It must stay inside a sketch, and sketches leave an edge under `compatible` only.
std::optional<std::uint64_t> murmur_of(dnstap::ClientAddress address);

}  // namespace tapir::client
