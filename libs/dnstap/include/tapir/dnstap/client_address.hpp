// The address of a client as a frame gave it, sealed: it can be passed on, not looked into.
//
//     const ClientAddress who = message.query_address;   // a view: the frame must outlive it
//     tagger.tag(fingerprint, who);                      // only libs/client opens it
//
// There is no formatter, no comparison and no public way to the octets. `octets` asks for a
// client::AddressKey, a type that is complete only inside libs/client/src, and its definition is
// in libs/client too: a program that does not link `client` has no code that could read an address.
#pragma once

#include <iosfwd>

#include "tapir/base/bytes.hpp"

namespace tapir::client {
class AddressKey;
}

namespace tapir::dnstap {

class ClientAddress {
public:
    // No address: the frame showed none.
    ClientAddress() = default;
    // Seals `octets`; they must outlive this. Any length: what is wrong with it, `client` says.
    explicit ClientAddress(ByteView octets) : octets_(octets) {}

    bool is_absent() const { return octets_.empty(); }

    // The same address in a copy of the frame.
    ClientAddress in_copy(ByteView frame, ByteView copy) const {
        return ClientAddress(tapir::in_copy(octets_, frame, copy));
    }

    // For libs/client, where it is defined.
    ByteView octets(const client::AddressKey& key) const;

    friend std::ostream& operator<<(std::ostream&, const ClientAddress&) = delete;

private:
    ByteView octets_;
};

}  // namespace tapir::dnstap
