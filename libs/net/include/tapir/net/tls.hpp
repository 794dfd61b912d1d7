// What a server shows of itself over TLS, and of whom it believes that it is a client.
#pragma once

#include <string>

namespace tapir::net {

// Paths of PEM files.
struct TlsServerSettings {
    std::string certificate_file{};  // with its chain
    std::string key_file{};
    std::string client_ca_file{};  // empty: clients show no certificate; else every client must
};

}  // namespace tapir::net
