// The key to sealed addresses. This header is for libs/client/src alone: elsewhere the type is
// incomplete, and nobody can make one.
#pragma once

#include "tapir/dnstap/client_address.hpp"

namespace tapir::client {

class AddressKey {};

// An address in the form that lists and tags work on.
struct OpenAddress {
    ByteView octets;  // 4 or 16; for an IPv4-mapped address its last 4
    bool is_valid = false;
    bool is_mapped = false;
};

// Opens `address`; IPv4-mapped is unmapped.
OpenAddress open_unmapped(dnstap::ClientAddress address);

}  // namespace tapir::client
