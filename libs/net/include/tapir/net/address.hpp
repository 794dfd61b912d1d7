// Where sockets listen and connect, and who is at the other end.
//
//     const Endpoint at = TRY(Endpoint::parse("127.0.0.1:8443"));
//     log.info("core", "connected", {{"peer", peer.to_string()}});   // a PeerAddress may be logged
//
// A PeerAddress is the other end of one of our own sockets (an edge, a resolver, an operator). It
// is not the address of a resolver's client: those are another type, which has no text.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/result.hpp"

namespace tapir::net {

class PeerAddress {
public:
    // A unix socket's peer, or none.
    PeerAddress() = default;
    // `text` is an IPv4 or IPv6 address without brackets or port. IPv4 mapped into IPv6 is IPv4.
    static Result<PeerAddress> parse(std::string_view text, std::uint16_t port = 0);
    // 4 or 16 octets in network order; anything else is the peer of a unix socket.
    static PeerAddress from_octets(const std::byte* octets, std::size_t count, std::uint16_t port);

    std::string ip() const;         // "192.0.2.1", "2001:db8::1", "unix"
    std::string to_string() const;  // "192.0.2.1:5310", "[2001:db8::1]:5310", "unix"
    std::uint16_t port() const { return port_; }
    // In network order; none for the peer of a unix socket.
    std::span<const std::byte> octets() const& { return std::span(octets_).first(size_); }
    std::span<const std::byte> octets() const&& = delete;
    PeerAddress with_port(std::uint16_t port) const;
    bool is_loopback() const;
    bool is_unix() const { return size_ == 0; }
    bool same_ip(const PeerAddress& other) const {
        return size_ == other.size_ && octets_ == other.octets_;
    }
    friend auto operator<=>(const PeerAddress&, const PeerAddress&) = default;

private:
    std::uint8_t size_ = 0;  // 0, 4 or 16
    std::array<std::byte, 16> octets_{};
    std::uint16_t port_ = 0;
};

// A place to listen or connect: "unix:/run/tapir/edge/dnstap.sock" or "/run/…", "127.0.0.1:5310",
// "[::1]:5310", "tcp:127.0.0.1:5310". Host names are not looked up: an address is an address.
class Endpoint {
public:
    static Result<Endpoint> parse(std::string_view text);
    static Endpoint unix_socket(std::string path);
    static Endpoint ip(PeerAddress address) { return Endpoint(address, {}); }

    bool is_unix() const { return !path_.empty(); }
    const std::string& path() const { return path_; }
    const PeerAddress& address() const { return address_; }
    std::uint16_t port() const { return address_.port(); }
    std::string to_string() const;
    friend bool operator==(const Endpoint&, const Endpoint&) = default;

private:
    Endpoint(PeerAddress address, std::string path) : address_(address), path_(std::move(path)) {}

    PeerAddress address_;
    std::string path_;
};

// Who may connect: networks ("192.0.2.0/24", "2001:db8::/32") and single addresses. Host bits may be
// set. The peer of a unix socket is in none: the file's mode says who may connect there.
class PeerNetworks {
public:
    // Nobody.
    PeerNetworks() = default;
    // The error names the word.
    static Result<PeerNetworks> parse(std::span<const std::string> words);
    static PeerNetworks everybody();

    bool contains(const PeerAddress& peer) const;

private:
    struct Network {
        PeerAddress address;
        unsigned bits = 0;
    };
    std::vector<Network> networks_;
};

inline constexpr std::size_t unix_path_size_max = 107;  // octets, sockaddr_un less its final NUL

}  // namespace tapir::net
