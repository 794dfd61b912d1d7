// For tests and replays: dnstap messages made from their parts.
//
//     const Bytes frame = testing::encode({.query_address = to_bytes("\x7f\0\0\1"sv), ...});
#pragma once

#include <cstdint>
#include <optional>

#include "tapir/base/bytes.hpp"
#include "tapir/dnstap/message.hpp"

namespace tapir::dnstap::testing {

// What to write; what is absent is left out. Octets as they shall be on the wire.
struct Fields {
    std::optional<std::uint32_t> outer_type = 1;
    std::optional<MessageType> type = MessageType::client_response;
    std::optional<std::uint32_t> family;
    std::optional<std::uint32_t> protocol;
    std::optional<Bytes> query_address;
    std::optional<Bytes> response_address;
    std::optional<std::uint32_t> query_port;
    std::optional<std::uint32_t> response_port;
    std::optional<std::uint64_t> query_time_s;
    std::optional<std::uint32_t> query_time_ns;
    std::optional<Bytes> query_message;
    std::optional<Bytes> query_zone;
    std::optional<std::uint64_t> response_time_s;
    std::optional<std::uint32_t> response_time_ns;
    std::optional<Bytes> response_message;
    std::optional<Bytes> identity;
    std::optional<Bytes> version;
    bool has_message = true;
};

inline void append_varint(Bytes& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) {
        append_u8(out, static_cast<std::uint8_t>(value | 0x80U));
    }
    append_u8(out, static_cast<std::uint8_t>(value));
}
inline void append_number(Bytes& out, std::uint32_t field, std::optional<std::uint64_t> value) {
    if (value) {
        append_varint(out, field << 3U);
        append_varint(out, *value);
    }
}
inline void append_fixed32(Bytes& out, std::uint32_t field, std::optional<std::uint32_t> value) {
    if (value) {
        append_varint(out, field << 3U | 5U);
        for (unsigned i = 0; i < 4; ++i) {
            append_u8(out, static_cast<std::uint8_t>(*value >> (8 * i)));
        }
    }
}
inline void append_octets(Bytes& out, std::uint32_t field, const std::optional<Bytes>& value) {
    if (value) {
        append_varint(out, field << 3U | 2U);
        append_varint(out, value->size());
        append(out, *value);
    }
}

// The frame, fields in ascending order as the resolvers write them.
inline Bytes encode(const Fields& f) {
    Bytes inner;
    if (f.type) {
        append_number(inner, 1, static_cast<std::uint32_t>(*f.type));
    }
    append_number(inner, 2, f.family);
    append_number(inner, 3, f.protocol);
    append_octets(inner, 4, f.query_address);
    append_octets(inner, 5, f.response_address);
    append_number(inner, 6, f.query_port);
    append_number(inner, 7, f.response_port);
    append_number(inner, 8, f.query_time_s);
    append_fixed32(inner, 9, f.query_time_ns);
    append_octets(inner, 10, f.query_message);
    append_octets(inner, 11, f.query_zone);
    append_number(inner, 12, f.response_time_s);
    append_fixed32(inner, 13, f.response_time_ns);
    append_octets(inner, 14, f.response_message);
    Bytes out;
    append_octets(out, 1, f.identity);
    append_octets(out, 2, f.version);
    if (f.has_message) {
        append_octets(out, 14, inner);
    }
    append_number(out, 15, f.outer_type);
    return out;
}

}  // namespace tapir::dnstap::testing
