// From a packet to what its transport carries: link, IP, and the head of UDP or TCP.
#pragma once

#include <cstdint>
#include <variant>

#include "tapir/base/bytes.hpp"
#include "tapir/pcap/capture.hpp"
#include "tapir/pcap/dns_reader.hpp"

namespace tapir::pcap {

struct Segment {
    ByteView source;  // 4 or 16 octets, both
    ByteView destination;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    bool is_tcp = false;
    std::uint32_t sequence = 0;  // of TCP: of the first octet of the payload, or of SYN
    bool is_syn = false;
    bool is_fin = false;
    bool is_reset = false;
    bool is_cut = false;  // the capture has less of the payload than was sent
    ByteView payload;
};

// Why a packet is none.
std::variant<Segment, PacketFate> segment_of(const Packet& packet);

}  // namespace tapir::pcap
