#include "tapir/client/address.hpp"

#include <algorithm>
#include <array>

#include "address_key.hpp"
#include "tapir/sketch/murmur.hpp"

namespace tapir::dnstap {

// Declared in dnstap, but here: what does not link `client` has no code to open an address with.
ByteView ClientAddress::octets(const client::AddressKey& /*key*/) const {
    return octets_;
}

}  // namespace tapir::dnstap

namespace tapir::client {

namespace {

constexpr std::size_t v4_size = 4;
constexpr std::size_t v6_size = 16;
constexpr std::array<std::byte, 12> mapped_prefix = {
    std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},    std::byte{0},
    std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0xFF}, std::byte{0xFF}};

AddressForm form_of_octets(ByteView octets) {
    if (octets.empty()) {
        return AddressForm::absent;
    }
    if (octets.size() == v4_size) {
        return AddressForm::ipv4;
    }
    if (octets.size() != v6_size) {
        return AddressForm::malformed;
    }
    return std::equal(mapped_prefix.begin(), mapped_prefix.end(), octets.begin())
               ? AddressForm::ipv4_mapped
               : AddressForm::ipv6;
}

}  // namespace

OpenAddress open_unmapped(dnstap::ClientAddress address) {
    const ByteView octets = address.octets(AddressKey());
    if (octets.size() == v4_size) {
        return {octets, true, false};
    }
    switch (form_of_octets(octets)) {
        case AddressForm::ipv4:
        case AddressForm::ipv6:
            return {octets, true, false};
        case AddressForm::ipv4_mapped:
            return {octets.subspan(mapped_prefix.size()), true, true};
        case AddressForm::absent:
        case AddressForm::malformed:
            break;
    }
    return {};
}

AddressForm form_of(dnstap::ClientAddress address) {
    return form_of_octets(address.octets(AddressKey()));
}

std::optional<Family> family_of(dnstap::ClientAddress address) {
    switch (form_of(address)) {
        case AddressForm::ipv4:
        case AddressForm::ipv4_mapped:
            return Family::ipv4;
        case AddressForm::ipv6:
            return Family::ipv6;
        case AddressForm::absent:
        case AddressForm::malformed:
            break;
    }
    return std::nullopt;
}

std::optional<std::uint64_t> murmur_of(dnstap::ClientAddress address) {
    const ByteView octets = address.octets(AddressKey());
    if (octets.size() != v4_size && octets.size() != v6_size) {
        return std::nullopt;
    }
    return sketch::murmur3_x64_128(octets).h1;
}

}  // namespace tapir::client
