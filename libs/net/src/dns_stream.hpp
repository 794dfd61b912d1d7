// DNS messages on a TCP stream: two octets of length before each (RFC 1035 §4.2.2).
#pragma once

#include <cstdint>

#include "sockets.hpp"
#include "tapir/base/bytes.hpp"

namespace tapir::net {

enum class DnsReceived : std::uint8_t { message, end, too_late };

// The next whole message, or why there is none. The deadline is for all of it, so that a peer that
// sends an octet at a time gains nothing. `message` grows with what comes, not with what is
// claimed.
DnsReceived receive_dns_message(int fd, SteadyTime until, Bytes& message);
Result<void> send_dns_message(int fd, ByteView message);

}  // namespace tapir::net
