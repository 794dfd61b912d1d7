// dnstap frames for the tests of this library.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/dns/message_writer.hpp"
#include "tapir/dnstap/frame_stream.hpp"
#include "tapir/dnstap/message.hpp"

namespace tapir::edge::testing {

inline constexpr std::int64_t t0 = 1'790'000'040;  // 2026-09-21T14:14:00Z

struct FrameSpec {
    std::string name = "www.one.se.";
    Bytes client;
    std::optional<std::int64_t> time = t0;
    dns::RrType qtype = dns::RrType::a;
    dns::RrClass qclass = dns::RrClass::in;
    std::uint16_t flags = 0x8580;  // QR AA RD RA
    dnstap::MessageType type = dnstap::MessageType::client_response;
};

inline Bytes v4(unsigned a, unsigned b, unsigned c, unsigned d) {
    return {static_cast<std::byte>(a), static_cast<std::byte>(b), static_cast<std::byte>(c),
            static_cast<std::byte>(d)};
}
// Client `i` of `networks` networks: 10.0.N.C.
inline Bytes client_of(unsigned i, unsigned networks = 3) {
    return v4(10, 0, i % networks, 1 + i / networks);
}

inline void varint(Bytes& out, std::uint64_t value) {
    for (; value > 127; value >>= 7U) {
        append_u8(out, static_cast<std::uint8_t>((value & 127U) | 128U));
    }
    append_u8(out, static_cast<std::uint8_t>(value));
}
inline void number_field(Bytes& out, unsigned field, std::uint64_t value) {
    varint(out, field << 3U);
    varint(out, value);
}
inline void bytes_field(Bytes& out, unsigned field, ByteView value) {
    varint(out, field << 3U | 2U);
    varint(out, value.size());
    append(out, value);
}

inline Bytes dns_of(const FrameSpec& spec) {
    dns::MessageWriter writer({.id = 7, .flags = spec.flags});
    const auto name = dns::Name::from_text(spec.name);
    EXPECT_TRUE(name.has_value()) << spec.name;
    EXPECT_TRUE(writer.add_question(*name, spec.qtype, spec.qclass));
    return to_bytes(writer.view());
}

// A frame around any DNS message.
inline Bytes frame_around(const FrameSpec& spec, ByteView message) {
    Bytes inner;
    number_field(inner, 1, static_cast<std::uint64_t>(spec.type));
    number_field(inner, 2, spec.client.size() == 16 ? 2 : 1);
    number_field(inner, 3, 1);
    if (!spec.client.empty()) {
        bytes_field(inner, 4, spec.client);
    }
    if (spec.time) {
        number_field(inner, 12, static_cast<std::uint64_t>(*spec.time));
    }
    bytes_field(inner, 14, message);
    Bytes outer;
    bytes_field(outer, 14, inner);
    number_field(outer, 15, 1);
    return outer;
}
inline Bytes frame_of(const FrameSpec& spec) {
    return frame_around(spec, dns_of(spec));
}

inline std::string fstrm_of(const std::vector<Bytes>& frames) {
    dnstap::FrameStreamWriter writer(dnstap::FrameStreamWriter::Form::file);
    for (const Bytes& frame : frames) {
        writer.write(frame);
    }
    writer.stop();
    return std::string(as_text(writer.take_output()));
}

}  // namespace tapir::edge::testing
