// Packets made from their parts, for the tests of this library.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"

namespace tapir::pcap::testing {

inline Bytes v4(unsigned last) {
    return {std::byte{10}, std::byte{0}, std::byte{0}, static_cast<std::byte>(last)};
}
inline Bytes v6(unsigned last) {
    Bytes out(16);
    out.front() = std::byte{0xFD};
    out.back() = static_cast<std::byte>(last);
    return out;
}

// A DNS header and a little more. `tag` tells messages apart.
inline Bytes dns(bool is_response, std::string_view tag = "") {
    Bytes out(12);
    out[2] = is_response ? std::byte{0x80} : std::byte{0};
    append(out, tag);
    return out;
}

struct Flow {
    Bytes source = v4(53);
    Bytes destination = v4(1);
    std::uint16_t source_port = 53;
    std::uint16_t destination_port = 4000;
};

inline Bytes udp(const Flow& flow, ByteView payload) {
    Bytes out;
    append_u16(out, flow.source_port);
    append_u16(out, flow.destination_port);
    append_u16(out, static_cast<std::uint16_t>(8 + payload.size()));
    append_u16(out, 0);
    append(out, payload);
    return out;
}

inline constexpr std::uint8_t tcp_fin = 1;
inline constexpr std::uint8_t tcp_syn = 2;
inline constexpr std::uint8_t tcp_reset = 4;
inline Bytes tcp(const Flow& flow, std::uint32_t sequence, std::uint8_t flags, ByteView payload) {
    Bytes out;
    append_u16(out, flow.source_port);
    append_u16(out, flow.destination_port);
    append_u32(out, sequence);
    append_u32(out, 0);
    append_u8(out, 5U << 4U);
    append_u8(out, flags);
    append_u16(out, 1000);
    append_u32(out, 0);
    append(out, payload);
    return out;
}

struct IpOptions {
    std::uint16_t fragment = 0;  // flags and offset of IPv4
    std::uint8_t protocol = 17;
};
inline Bytes ip(const Flow& flow, ByteView transport, const IpOptions& options = {}) {
    Bytes out;
    if (flow.source.size() == 4) {
        append_u16(out, 0x4500);
        append_u16(out, static_cast<std::uint16_t>(20 + transport.size()));
        append_u16(out, 7);
        append_u16(out, options.fragment);
        append_u8(out, 64);
        append_u8(out, options.protocol);
        append_u16(out, 0);
    } else {
        append_u32(out, 0x60000000);
        append_u16(out, static_cast<std::uint16_t>(transport.size()));
        append_u8(out, options.protocol);
        append_u8(out, 64);
    }
    append(out, flow.source);
    append(out, flow.destination);
    append(out, transport);
    return out;
}
inline Bytes udp_packet(const Flow& flow, ByteView payload) {
    return ip(flow, udp(flow, payload));
}
inline Bytes tcp_packet(const Flow& flow, std::uint32_t sequence, std::uint8_t flags,
                        ByteView payload) {
    return ip(flow, tcp(flow, sequence, flags, payload), {.protocol = 6});
}

inline Bytes ethernet(ByteView packet, std::vector<std::uint16_t> types = {0x0800}) {
    Bytes out(12);
    for (std::size_t i = 0; i < types.size(); ++i) {
        append_u16(out, types[i]);
        if (i + 1 < types.size()) {
            append_u16(out, 11);  // the tag
        }
    }
    append(out, packet);
    return out;
}

// A big-endian capture with one packet a second from 1790000040 on.
inline Bytes capture(std::uint32_t link, const std::vector<Bytes>& packets,
                     std::size_t captured_max = SIZE_MAX) {
    Bytes out;
    append_u32(out, 0xA1B2C3D4);
    append_u32(out, 0x00020004);
    append_u32(out, 0);
    append_u32(out, 0);
    append_u32(out, 65'535);
    append_u32(out, link);
    std::uint32_t time = 1'790'000'040;
    for (const Bytes& packet : packets) {
        append_u32(out, time++);
        append_u32(out, 250'000);
        const std::size_t captured = std::min(captured_max, packet.size());
        append_u32(out, static_cast<std::uint32_t>(captured));
        append_u32(out, static_cast<std::uint32_t>(packet.size()));
        append(out, ByteView(packet).first(captured));
    }
    return out;
}

inline constexpr std::uint32_t link_ethernet = 1;
inline constexpr std::uint32_t link_raw = 101;

}  // namespace tapir::pcap::testing
