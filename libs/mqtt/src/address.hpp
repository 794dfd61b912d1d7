// Where a broker is, read once at the start.
#pragma once

#include <string>

#include "tapir/mqtt/mqtt.hpp"

namespace tapir::mqtt {

struct Address {
    std::string host;  // without brackets
    std::uint16_t port = 0;
    bool is_tls = true;
};

// URL and files of a broker. `invalid`: not such a URL, no TLS but not on loopback, TLS without an
// authority, a certificate without its key, a file that cannot be read.
Result<Address> check(const Broker& broker);

}  // namespace tapir::mqtt
