#include "address.hpp"

#include <charconv>
#include <fstream>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

namespace tapir::mqtt {
namespace {

constexpr std::uint16_t port_tls = 8883;
constexpr std::uint16_t port_plain = 1883;

// An address, as a name may lead anywhere: 127.broker.example is a name.
bool is_loopback(const std::string& host) {
    in_addr v4{};
    if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) {
        return ntohl(v4.s_addr) >> 24U == 127;
    }
    in6_addr v6{};
    if (::inet_pton(AF_INET6, host.c_str(), &v6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&v6);
    }
    return host == "localhost";
}

Result<void> check_readable(const std::string& path, std::string_view what) {
    if (!path.empty() && !std::ifstream(path).good()) {
        return fail(Code::invalid, fmt::format("{}: {} cannot be read", path, what));
    }
    return {};
}

Result<Address> parse(const std::string& url) {
    const Failure<Error> refusal =
        fail(Code::invalid, fmt::format("expected mqtts://HOST:PORT, got '{}'", url));
    Address out;
    std::string_view rest = url;
    if (rest.starts_with("mqtts://")) {
        rest.remove_prefix(8);
        out.port = port_tls;
    } else if (rest.starts_with("mqtt://")) {
        rest.remove_prefix(7);
        out.port = port_plain;
        out.is_tls = false;
    } else {
        return refusal;
    }
    if (rest.ends_with('/')) {
        rest.remove_suffix(1);
    }
    std::string_view port;
    if (rest.starts_with('[')) {
        const std::size_t end = rest.find(']');
        if (end == std::string_view::npos) {
            return refusal;
        }
        out.host = rest.substr(1, end - 1);
        port = rest.substr(end + 1);
    } else {
        const std::size_t colon = std::min(rest.find(':'), rest.size());
        out.host = rest.substr(0, colon);
        port = rest.substr(colon);
    }
    if (!port.empty()) {
        const char* end = port.data() + port.size();
        const auto [at, error] = std::from_chars(port.data() + 1, end, out.port);
        if (port.front() != ':' || error != std::errc{} || at != end) {
            return refusal;
        }
    }
    if (out.host.empty() || out.host.find_first_of("/@?# ") != std::string::npos || out.port == 0) {
        return refusal;
    }
    return out;
}

}  // namespace

Result<Address> check(const Broker& broker) {
    Address out = TRY(parse(broker.url));
    if (!out.is_tls) {
        if (!is_loopback(out.host)) {
            return fail(Code::invalid, broker.url + ": without TLS on loopback only; use mqtts://");
        }
        return out;
    }
    if (broker.ca_file.empty()) {
        return fail(Code::invalid, broker.url + ": a certificate authority is needed");
    }
    if (broker.certificate_file.empty() != broker.key_file.empty()) {
        return fail(Code::invalid, "a certificate and its key are needed, or neither");
    }
    TRY(check_readable(broker.ca_file, "the certificate authority"));
    TRY(check_readable(broker.certificate_file, "the certificate"));
    TRY(check_readable(broker.key_file, "the key"));
    return out;
}

}  // namespace tapir::mqtt
