// The server's side of TLS on a connected socket, and the certificate files behind it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "sockets.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/net/stream.hpp"
#include "tapir/net/tls.hpp"

using SSL_CTX = struct ssl_ctx_st;

namespace tapir::net {

// Certificate, key and client CA as they lie in their files. current() looks at the files and reads
// them again if one has changed; if they cannot be used the old ones stay, and that is counted and
// logged. Threads may share it.
class TlsFiles {
public:
    // When each file was written, its number and its size.
    using Stamp = std::string;
    static Result<std::unique_ptr<TlsFiles>> open(const TlsServerSettings& settings,
                                                  const std::string& server, const Log& log,
                                                  Counters& counters);
    // For open().
    TlsFiles(TlsServerSettings settings, std::shared_ptr<SSL_CTX> context, Stamp stamp,
             std::string server, const Log& log, Counters& counters);
    std::shared_ptr<SSL_CTX> current();

private:
    static Stamp stamp_of(const TlsServerSettings& settings);

    const TlsServerSettings settings_;
    const std::string server_;
    const Log& log_;
    Counter& reloaded_;
    Counter& refused_;
    std::mutex mutex_;
    std::shared_ptr<SSL_CTX> context_;
    Stamp stamp_;  // of the last attempt
};

// The handshake is over when it returns. One thread reads and writes such a stream. `exhausted`: it
// took longer than time_max; `denied`: no TLS 1.3, or a certificate that we do not believe.
Result<std::unique_ptr<ByteStream>> accept_tls(int fd, const PeerAddress& peer,
                                               const std::shared_ptr<SSL_CTX>& context,
                                               std::chrono::milliseconds time_max);

}  // namespace tapir::net
