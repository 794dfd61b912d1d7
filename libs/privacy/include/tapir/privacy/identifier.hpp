// Labels that look like they name a device, a person or a session (R4). What is found is replaced
// by a token that says its class and nothing else.
//
//     if (const auto found = identifier_in(label)) { text += token_of(*found); }
//
// It errs towards finding: a label taken for an identifier costs a name its detail, one that is
// missed is still behind the threshold. Missed are given names that are not among the 19 000 of
// data/given-names.txt, and all of three letters: too many services are called so. A token has
// hyphens in its third and fourth place, which no label that anybody may register has (RFC 5890
// §2.3.1, reserved LDH labels). Pure; no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tapir::privacy {

enum class Identifier : std::uint8_t {
    uuid,     // RFC 9562, with its hyphens
    mac,      // six pairs of hexadecimal digits
    address,  // IPv4 or IPv6 with hyphens for dots and colons
    number,   // seven digits and more: telephone, customer, meter
    hex,      // eight hexadecimal digits and more, figures and letters among them
    opaque,   // base32 and other strings that no person chose
    device,   // somebody's: johns-iphone, desktop-4fj3k2l
    person,   // a given name
};
inline constexpr std::size_t identifier_count = 8;
std::string_view to_string(Identifier identifier);
// "id--uuid"
std::string_view token_of(Identifier identifier);

// `label`: the octets of one label, in lower case.
std::optional<Identifier> identifier_in(std::string_view label);

}  // namespace tapir::privacy
