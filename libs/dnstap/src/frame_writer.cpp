#include "tapir/dnstap/frame_writer.hpp"

namespace tapir::dnstap {
namespace {

void append_varint(Bytes& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) {
        append_u8(out, static_cast<std::uint8_t>(value | 0x80U));
    }
    append_u8(out, static_cast<std::uint8_t>(value));
}

void append_number(Bytes& out, std::uint32_t field, std::uint64_t value) {
    append_varint(out, field << 3U);
    append_varint(out, value);
}

void append_octets(Bytes& out, std::uint32_t field, ByteView value) {
    append_varint(out, field << 3U | 2U);
    append_varint(out, value.size());
    append(out, value);
}

void append_time(Bytes& out, std::uint32_t seconds_field, const std::optional<UtcTime>& time) {
    if (!time || time->ns() < 0) {
        return;
    }
    const auto seconds = static_cast<std::uint64_t>(time->seconds());
    const auto ns = static_cast<std::uint32_t>(time->ns() - time->seconds() * 1'000'000'000);
    append_number(out, seconds_field, seconds);
    append_varint(out, (seconds_field + 1) << 3U | 5U);
    for (unsigned i = 0; i < 4; ++i) {
        append_u8(out, static_cast<std::uint8_t>(ns >> (8 * i)));
    }
}

void append_message(Bytes& out, const MessageParts& parts) {
    if (parts.type) {
        append_number(out, 1, static_cast<std::uint32_t>(*parts.type));
    }
    if (!parts.query_address.empty()) {
        append_number(out, 2, parts.query_address.size() == 16 ? 2 : 1);
    }
    if (parts.protocol) {
        append_number(out, 3, static_cast<std::uint32_t>(*parts.protocol));
    }
    if (!parts.query_address.empty()) {
        append_octets(out, 4, parts.query_address);
    }
    if (!parts.response_address.empty()) {
        append_octets(out, 5, parts.response_address);
    }
    if (parts.query_port) {
        append_number(out, 6, *parts.query_port);
    }
    if (parts.response_port) {
        append_number(out, 7, *parts.response_port);
    }
    append_time(out, 8, parts.query_time);
    if (parts.query_message) {
        append_octets(out, 10, *parts.query_message);
    }
    append_time(out, 12, parts.response_time);
    if (parts.response_message) {
        append_octets(out, 14, *parts.response_message);
    }
}

std::size_t varint_size(std::size_t value) {
    std::size_t size = 1;
    for (; value >= 0x80; value >>= 7U) {
        ++size;
    }
    return size;
}

}  // namespace

void append_frame(Bytes& out, const MessageParts& parts) {
    if (!parts.identity.empty() && parts.identity.size() <= identity_size_max) {
        append_octets(out, 1, parts.identity);
    }
    append_varint(out, 14U << 3U | 2U);
    // The length stands before the message: first one octet is kept for it, and more if need be.
    const std::size_t at = out.size();
    append_u8(out, 0);
    append_message(out, parts);
    const std::size_t size = out.size() - at - 1;
    out.insert(out.begin() + static_cast<std::ptrdiff_t>(at), varint_size(size) - 1, std::byte{0});
    std::size_t rest = size;
    for (std::size_t i = at; i < at + varint_size(size); ++i, rest >>= 7U) {
        out[i] = static_cast<std::byte>((rest & 0x7FU) | (rest >= 0x80 ? 0x80U : 0U));
    }
    append_number(out, 15, 1);
}

}  // namespace tapir::dnstap
