// base64 and base64url (RFC 4648), read strictly: each value has one text.
//
//     const std::string text = base64url(digest);             // never padded
//     const Bytes octets = TRY(parse_base64url(text));
//
// Refused: white space, characters of the other alphabet, padding too many or too few, bits set
// behind the last octet.
#pragma once

#include <string>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"

namespace tapir::crypto {

std::string base64(ByteView octets);     // padded with '='
std::string base64url(ByteView octets);  // without padding, as in JOSE

// Code::invalid says what was found where.
Result<Bytes> parse_base64(std::string_view text);
Result<Bytes> parse_base64url(std::string_view text);

// Two digits an octet, either case.
Result<Bytes> parse_hex(std::string_view text);

}  // namespace tapir::crypto
