// What a response says of who asked, taken out: before a message is kept for longer than a moment.
//
//     Bytes message = to_bytes(response);
//     if (const auto size = clear_client_options(message)) { message.resize(*size); ... }
//
// EDNS options (RFC 6891) carry the client's subnet, its cookie, and with some home routers its
// hardware address. Those in which a server speaks of itself stay: NSID, EXPIRE, TCP keepalive,
// extended error, report channel, zone version. Every other one becomes padding of zeros of the
// same length (RFC 7830), where it stands: no offset changes, so no compression pointer does. What
// names and records say is left as it is: an answer may name who asked, if the server put it there.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "tapir/base/bytes.hpp"

namespace tapir::dns {

// How many octets of `message` to keep: what follows its last record is none of it. Nothing if its
// records cannot be told apart to the end, if it has two OPTs, or if a name reaches into options
// that are cleared: then nobody can say what is in it, and none of it is to be kept; some of it may
// have been changed. Pure; does not allocate.
std::optional<std::size_t> clear_client_options(std::span<std::byte> message);

}  // namespace tapir::dns
