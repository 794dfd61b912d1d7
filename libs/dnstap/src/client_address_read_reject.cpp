// Nobody outside libs/client can make the key that opens a client's address.
// expect: (invalid use of incomplete type|incomplete type)
#include "tapir/dnstap/client_address.hpp"

tapir::ByteView open(const tapir::dnstap::ClientAddress& address,
                     const tapir::client::AddressKey& key);
tapir::ByteView open(const tapir::dnstap::ClientAddress& address,
                     const tapir::client::AddressKey& key) {
#ifdef REJECT
    static_cast<void>(key);
    return address.octets(tapir::client::AddressKey());
#else
    return address.octets(key);
#endif
}
