// Streams of octets over unix sockets, TCP and TLS: what dnstap comes in by.
//
//     auto server = TRY(StreamServer::start({.listen = at}, [](ByteStream& s) {
//         while (const auto n = TRY_OR_RETURN(s.read(buffer))) { ... }    // 0: the other side
//         ended
//     }, log, counters));
//
// Each connection has a thread of its own, in which the handler runs; when the handler returns the
// connection is closed. Read into large buffers (stream_read_size is a good size).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "tapir/base/bytes.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/net/address.hpp"
#include "tapir/net/inherited.hpp"
#include "tapir/net/tls.hpp"

namespace tapir::net {

inline constexpr std::size_t stream_read_size = 256U << 10U;  // octets

// How long reads may wait; 0: for ever.
struct ReadLimits {
    std::chrono::milliseconds pause_max{0};  // for one octet
    std::chrono::milliseconds whole_max{0};  // for all that comes from now on
};

// One connection. One thread reads and one writes (over TLS: one does both); any thread may shut it
// down.
class ByteStream {
public:
    virtual ~ByteStream() = default;  // closes

    // At least one octet, waiting for it; 0 when the other side has ended, or after shut_down().
    // `unavailable` if the connection broke, `exhausted` if it took longer than limit_reads() says.
    virtual Result<std::size_t> read(std::span<std::byte> into) = 0;
    // Whether read() need not wait: there are octets (of TLS: at least part of a record), the other
    // side has ended, or the connection is broken.
    virtual bool has_input() const = 0;
    // All of it, or an error: `unavailable` if the other side is gone.
    virtual Result<void> write(ByteView bytes) = 0;
    // We have written all; reading goes on.
    virtual void end_writing() = 0;
    // Ends reading and writing, also those that wait in another thread.
    virtual void shut_down() = 0;
    // In place of the limits before; none at the beginning.
    virtual void limit_reads(const ReadLimits& limits) = 0;
    virtual const PeerAddress& peer() const = 0;
};

struct StreamServerSettings {
    std::string name = "stream";  // in counters and log
    Endpoint listen = Endpoint::ip({});
    // In place of `listen`: a socket that is there already. It is left as it is at the end.
    std::shared_ptr<const InheritedSocket> inherited{};
    std::size_t connections_max = 64;                // more are closed at once and counted
    std::uint32_t socket_mode = 0660;                // of a unix socket
    std::string socket_group{};                      // of a unix socket; empty: as it comes
    PeerNetworks peers = PeerNetworks::everybody();  // who may connect, but to a unix socket
    std::optional<TlsServerSettings> tls{};          // at least TLS 1.3
    std::chrono::milliseconds tls_handshake_max{10'000};
    std::chrono::milliseconds write_pause_max{5'000};  // a peer that does not read is given up
    std::size_t receive_buffer_size = 1U << 20U;       // octets asked of the kernel
};

// Counted, with the label `server` = settings.name: tapir_stream_connections_total,
// tapir_stream_connections (open now), tapir_stream_refused_total by reason (connections: too many;
// peer: not in `peers`; tls: no TLS 1.3, or no certificate that we believe; tls_slow: not in time),
// tapir_stream_tls_reloads_total by outcome.
class StreamServer {
public:
    using Handler = std::function<void(ByteStream&)>;

    // Listens when it returns. A unix socket that nobody listens on any more is removed first; any
    // other kind of file in its place is `conflict`, a socket in use is `unavailable`. `denied`: a
    // key file that others may read. Certificate files that change are read again at the next
    // connection; if they are of no use the old ones stay.
    static Result<std::unique_ptr<StreamServer>> start(const StreamServerSettings& settings,
                                                       Handler handler, const Log& log,
                                                       Counters& counters);
    virtual ~StreamServer() = default;  // stops

    virtual std::uint16_t port() const = 0;  // 0 for a unix socket
    virtual std::size_t connections() const = 0;
    // No new connections; those open are shut down, then their handlers are waited for. What
    // handlers had read by then they may still finish. Removes the unix socket if it is still ours.
    virtual void stop() = 0;

protected:
    StreamServer() = default;
    StreamServer(const StreamServer&) = default;
    StreamServer& operator=(const StreamServer&) = default;
};

Result<std::unique_ptr<ByteStream>> connect_stream(const Endpoint& to,
                                                   std::chrono::milliseconds time_max);

// Two ends of a connection in memory: what one writes the other reads.
std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> memory_streams(
    std::size_t buffer_size_max = 1U << 20U);

}  // namespace tapir::net
