#include "tapir/net/address.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace tapir::net {

namespace {

constexpr std::array<std::byte, 12> mapped_prefix{
    std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},   std::byte{0},
    std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{255}, std::byte{255}};

}  // namespace

PeerAddress PeerAddress::from_octets(const std::byte* octets, std::size_t count,
                                     std::uint16_t port) {
    PeerAddress out;
    if (count != 4 && count != 16) {
        return out;
    }
    if (count == 16 && std::equal(mapped_prefix.begin(), mapped_prefix.end(), octets)) {
        octets += mapped_prefix.size();
        count = 4;
    }
    out.size_ = static_cast<std::uint8_t>(count);
    std::copy_n(octets, count, out.octets_.begin());
    out.port_ = port;
    return out;
}

Result<PeerAddress> PeerAddress::parse(std::string_view text, std::uint16_t port) {
    const std::string terminated(text);
    // inet_pton would not see what follows a NUL.
    const bool is_whole = text.find('\0') == std::string_view::npos;
    std::array<std::byte, 16> octets{};
    if (is_whole && ::inet_pton(AF_INET, terminated.c_str(), octets.data()) == 1) {
        return from_octets(octets.data(), 4, port);
    }
    if (is_whole && ::inet_pton(AF_INET6, terminated.c_str(), octets.data()) == 1) {
        return from_octets(octets.data(), 16, port);
    }
    return fail(Code::invalid, fmt::format("'{}': expected an IPv4 or IPv6 address", text));
}

std::string PeerAddress::ip() const {
    if (is_unix()) {
        return "unix";
    }
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(size_ == 4 ? AF_INET : AF_INET6, octets_.data(), text.data(), text.size());
    return text.data();
}

std::string PeerAddress::to_string() const {
    switch (size_) {
        case 4:
            return fmt::format("{}:{}", ip(), port_);
        case 16:
            return fmt::format("[{}]:{}", ip(), port_);
        default:
            return "unix";
    }
}

PeerAddress PeerAddress::with_port(std::uint16_t port) const {
    PeerAddress out = *this;
    out.port_ = port;
    return out;
}

bool PeerAddress::is_loopback() const {
    if (size_ == 4) {
        return octets_[0] == std::byte{127};
    }
    return size_ == 16 && octets_[15] == std::byte{1} &&
           std::all_of(octets_.begin(), octets_.end() - 1,
                       [](std::byte b) { return b == std::byte{0}; });
}

Endpoint Endpoint::unix_socket(std::string path) {
    return {PeerAddress(), std::move(path)};
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
    const auto wrong = [whole = text] {
        return fail(Code::invalid,
                    fmt::format("'{}': expected ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH", whole));
    };
    const bool is_unix = text.starts_with("unix:");
    if (is_unix || text.starts_with("/")) {
        text.remove_prefix(is_unix ? 5 : 0);
        if (text.empty() || text.size() > unix_path_size_max ||
            text.find('\0') != std::string_view::npos) {
            return fail(Code::invalid, fmt::format("'{}': expected a path of 1 to {} octets", text,
                                                   unix_path_size_max));
        }
        return unix_socket(std::string(text));
    }
    if (text.starts_with("tcp:")) {
        text.remove_prefix(4);
    }
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return wrong();
    }
    auto host = text.substr(0, colon);
    const auto digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || digits.empty()) {
        return wrong();
    }
    const bool has_brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
    if (has_brackets) {
        host = host.substr(1, host.size() - 2);
    }
    // "::1:53" would be read in two ways.
    if (has_brackets != (host.find(':') != std::string_view::npos)) {
        return wrong();
    }
    const auto address = PeerAddress::parse(host, port);
    return address ? Result<Endpoint>(ip(*address)) : Result<Endpoint>(wrong());
}

std::string Endpoint::to_string() const {
    return is_unix() ? "unix:" + path_ : address_.to_string();
}

Result<PeerNetworks> PeerNetworks::parse(std::span<const std::string> words) {
    PeerNetworks out;
    for (const std::string& word : words) {
        const std::size_t slash = word.find('/');
        const auto address = PeerAddress::parse(std::string_view(word).substr(0, slash));
        unsigned bits = address ? static_cast<unsigned>(8 * address->octets().size()) : 0;
        bool is_good = address.has_value();
        if (is_good && slash != std::string::npos) {
            const unsigned bits_max = bits;
            const char* end = word.data() + word.size();
            const auto read = std::from_chars(word.data() + slash + 1, end, bits);
            is_good = read.ec == std::errc() && read.ptr == end && bits <= bits_max;
        }
        if (!is_good) {
            return fail(Code::invalid,
                        fmt::format("'{}': expected an address or a network (192.0.2.0/24)", word));
        }
        out.networks_.push_back({*address, bits});
    }
    return out;
}

PeerNetworks PeerNetworks::everybody() {
    PeerNetworks out;
    for (const char* any : {"0.0.0.0", "::"}) {
        out.networks_.push_back({*PeerAddress::parse(any), 0});
    }
    return out;
}

bool PeerNetworks::contains(const PeerAddress& peer) const {
    const auto octets = peer.octets();
    return std::ranges::any_of(networks_, [octets](const Network& network) {
        const auto own = network.address.octets();
        if (octets.empty() || own.size() != octets.size()) {
            return false;
        }
        const std::size_t whole = network.bits / 8;
        if (!std::equal(own.begin(), own.begin() + static_cast<std::ptrdiff_t>(whole),
                        octets.begin())) {
            return false;
        }
        const unsigned rest = network.bits % 8;
        return rest == 0 ||
               std::to_integer<unsigned>(own[whole] ^ octets[whole]) >> (8 - rest) == 0;
    });
}

}  // namespace tapir::net
