// What TSIG needs of cryptography.
#pragma once

#include <array>

#include "tapir/base/bytes.hpp"

namespace tapir::rpz {

std::array<std::byte, 32> hmac_sha256(ByteView key, ByteView message);
bool equal_in_constant_time(ByteView a, ByteView b);
void wipe(Bytes& secret);

}  // namespace tapir::rpz
