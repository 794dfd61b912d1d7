// DNS messages over UDP and TCP (RFC 1035 §4.2, RFC 7766). Messages are octets: nothing here looks
// into them, except the client, which matches an answer to its question by ID.
//
//     auto server = TRY(DnsServer::start({.listen = at}, [&](const DnsQuery& q) {
//         return DnsAnswer::one(answer(q));
//     }, log, counters));
//
// The handler runs on one thread for UDP and on one for each TCP connection, at the same time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tapir/base/bytes.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/net/address.hpp"

namespace tapir::net {

inline constexpr std::size_t dns_message_size_max = 65'535;  // octets, RFC 1035 §4.2.2
inline constexpr std::size_t dns_header_size = 12;           // octets; less is no message

enum class DnsTransport : std::uint8_t { udp, tcp };

struct DnsQuery {
    ByteView message;  // at least a header; valid during the call only
    PeerAddress peer;
    DnsTransport transport = DnsTransport::udp;
};

// No message, one, or many made one at a time, so that a zone of any size needs little memory.
class DnsAnswer {
public:
    // The next message; nothing at the end. Called in the thread of the connection, after the
    // handler has returned; a connection that breaks ends the calls and destroys the function.
    using Next = std::function<std::optional<Bytes>()>;

    static DnsAnswer none() { return {}; }
    static DnsAnswer one(Bytes message);
    // Over UDP only the first is sent.
    static DnsAnswer many(Next next);

    std::optional<Bytes> next() { return next_ ? next_() : std::nullopt; }

private:
    Next next_;
};

struct DnsServerSettings {
    std::string name = "dns";                          // in counters and log
    Endpoint listen = Endpoint::ip({});                // UDP and TCP on the same port
    std::size_t connections_max = 64;                  // TCP; more are closed at once and counted
    std::chrono::milliseconds idle_time_max{10'000};   // TCP, between queries and within one
    std::chrono::milliseconds write_time_max{30'000};  // TCP, without progress
};

// Counted, with the label `server`: tapir_dns_queries_total by transport, tapir_dns_refused_total
// by reason: short (no header), connections, idle, write, oversized (an answer too large to send).
class DnsServer {
public:
    using Handler = std::function<DnsAnswer(const DnsQuery&)>;

    static Result<std::unique_ptr<DnsServer>> start(const DnsServerSettings& settings,
                                                    Handler handler, const Log& log,
                                                    Counters& counters);
    virtual ~DnsServer() = default;  // stops

    virtual std::uint16_t port() const = 0;
    // Answers being written are cut off.
    virtual void stop() = 0;

protected:
    DnsServer() = default;
    DnsServer(const DnsServer&) = default;
    DnsServer& operator=(const DnsServer&) = default;
};

struct UdpTry {
    std::chrono::milliseconds time_max{1'000};  // for the first answer; doubled each time
    unsigned tries_max = 3;
};

// One TCP connection to a DNS server, for several messages.
class DnsConnection {
public:
    virtual ~DnsConnection() = default;
    virtual Result<void> send(ByteView message) = 0;
    // `unavailable` at the end of the stream or when the time has passed.
    virtual Result<Bytes> receive(std::chrono::milliseconds time_max) = 0;
};

class DnsClient {
public:
    virtual ~DnsClient() = default;
    // Sends until an answer comes: a message from `to` with the ID of `message` and QR set.
    // `unavailable` if none does.
    virtual Result<Bytes> query_udp(const Endpoint& to, ByteView message, const UdpTry& how) = 0;
    virtual Result<std::unique_ptr<DnsConnection>> connect_tcp(
        const Endpoint& to, std::chrono::milliseconds time_max) = 0;

    // One message there and one back.
    Result<Bytes> query_tcp(const Endpoint& to, ByteView message,
                            std::chrono::milliseconds time_max);
};

class SystemDnsClient final : public DnsClient {
public:
    Result<Bytes> query_udp(const Endpoint& to, ByteView message, const UdpTry& how = {}) override;
    Result<std::unique_ptr<DnsConnection>> connect_tcp(const Endpoint& to,
                                                       std::chrono::milliseconds time_max) override;
};

// Asks a handler in the same process, as a peer of address 127.0.0.1.
class MemoryDnsClient final : public DnsClient {
public:
    explicit MemoryDnsClient(DnsServer::Handler handler) : handler_(std::move(handler)) {}
    Result<Bytes> query_udp(const Endpoint& to, ByteView message, const UdpTry& how = {}) override;
    Result<std::unique_ptr<DnsConnection>> connect_tcp(const Endpoint& to,
                                                       std::chrono::milliseconds time_max) override;

private:
    DnsServer::Handler handler_;
};

}  // namespace tapir::net
