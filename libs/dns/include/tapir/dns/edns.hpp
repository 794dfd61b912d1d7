// What EDNS (RFC 6891) says in a message: its OPT record, and the options in it, without a copy.
//
//     if (const auto edns = edns_of(message)) {
//         OptionReader options(edns->options);
//         while (const auto option = options.next()) { use(option->code, option->data); }
//     }
//
// Views point into the message's octets.
#pragma once

#include <cstdint>
#include <optional>

#include "tapir/base/bytes.hpp"
#include "tapir/dns/message.hpp"

namespace tapir::dns {

// IANA, DNS EDNS0 Option Codes. Other numbers are kept as they came.
enum class EdnsOption : std::uint16_t {
    nsid = 3,
    client_subnet = 8,
    expire = 9,
    cookie = 10,
    tcp_keepalive = 11,
    padding = 12,
    chain = 13,
    extended_error = 15,
};

struct Edns {
    std::uint16_t udp_size = 0;
    std::uint8_t version = 0;
    bool dnssec_ok = false;
    ByteView options;
};
// The last OPT of the additional section, as Message::rcode takes it; nothing if there is none
// before the first record that is broken.
std::optional<Edns> edns_of(const Message& message);

class OptionReader {
public:
    explicit OptionReader(ByteView options) : rest_(options) {}

    struct Option {
        EdnsOption code{};
        ByteView data;
    };
    // The next option, or nothing at the end and where one is cut off.
    std::optional<Option> next();
    // Whether octets are left that are no whole option: after next() gave nothing.
    bool is_cut() const { return !rest_.empty(); }

private:
    ByteView rest_;
};

}  // namespace tapir::dns
