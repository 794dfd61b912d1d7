#include "layers.hpp"

#include <algorithm>
#include <optional>

namespace tapir::pcap {
namespace {

namespace link {
enum Type : std::uint32_t {
    null = 0,
    ethernet = 1,
    raw_bsd = 12,
    raw_openbsd = 14,
    raw = 101,
    loop = 108,
    linux_sll = 113,
    ipv4 = 228,
    ipv6 = 229,
    linux_sll2 = 276,
};
}
namespace ether {
enum Type : std::uint16_t {
    ipv4 = 0x0800,
    ipv6 = 0x86DD,
    vlan = 0x8100,
    qinq = 0x88A8,
    old = 0x9100
};
}
namespace protocol {
enum Number : std::uint8_t {
    hop_by_hop = 0,
    tcp = 6,
    udp = 17,
    routing = 43,
    fragment = 44,
    destination_options = 60,
};
}

constexpr std::size_t vlan_depth_max = 4;
constexpr std::size_t extension_count_max = 8;

std::uint16_t u16(ByteView octets, std::size_t at) {
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(octets[at]) << 8U |
                                      std::to_integer<unsigned>(octets[at + 1]));
}
std::uint32_t u32(ByteView octets, std::size_t at) {
    return std::uint32_t{u16(octets, at)} << 16U | u16(octets, at + 2);
}
std::uint8_t u8(ByteView octets, std::size_t at) {
    return std::to_integer<std::uint8_t>(octets[at]);
}

// What is left of a packet on its way through the layers.
struct Rest {
    ByteView octets;       // captured
    std::size_t size = 0;  // on the wire, at least as many

    bool skip(std::size_t count) {
        if (octets.size() < count) {
            return false;
        }
        octets = octets.subspan(count);
        size -= count;
        return true;
    }
    // What the next layer says is its own: padding goes. False if it says more than there was.
    bool limit(std::size_t count) {
        if (count > size) {
            return false;
        }
        size = count;
        octets = octets.first(std::min(octets.size(), count));
        return true;
    }
};

// Headers that end early are cut by the capture, or malformed.
PacketFate missing(const Rest& rest) {
    return rest.octets.size() < rest.size ? PacketFate::cut : PacketFate::malformed;
}

bool is_vlan(std::uint16_t type) {
    return type == ether::vlan || type == ether::qinq || type == ether::old;
}

// Goes to the IP header; why not, if there is none.
std::optional<PacketFate> skip_link(std::uint32_t type, Rest& rest) {
    const auto skip = [&rest](std::size_t count) {
        return rest.skip(count) ? std::nullopt : std::optional(missing(rest));
    };
    std::uint16_t ether_type = 0;
    switch (type) {
        case link::raw_bsd:
        case link::raw_openbsd:
        case link::raw:
        case link::ipv4:
        case link::ipv6:
            return std::nullopt;
        case link::null:
        case link::loop:
            return skip(4);  // the family, in the octet order of some machine: IP says it too
        case link::ethernet:
            if (rest.octets.size() < 14) {
                return missing(rest);
            }
            ether_type = u16(rest.octets, 12);
            rest.skip(14);
            break;
        case link::linux_sll:
            if (rest.octets.size() < 16) {
                return missing(rest);
            }
            ether_type = u16(rest.octets, 14);
            rest.skip(16);
            break;
        case link::linux_sll2:
            if (rest.octets.size() < 20) {
                return missing(rest);
            }
            ether_type = u16(rest.octets, 0);
            rest.skip(20);
            break;
        default:
            return PacketFate::unknown_link;
    }
    for (std::size_t i = 0; i < vlan_depth_max && is_vlan(ether_type); ++i) {
        if (rest.octets.size() < 4) {
            return missing(rest);
        }
        ether_type = u16(rest.octets, 2);
        rest.skip(4);
    }
    const bool is_ip = ether_type == ether::ipv4 || ether_type == ether::ipv6;
    return is_ip ? std::nullopt : std::optional(PacketFate::other);
}

// Goes to the transport's header and says its protocol.
std::variant<std::uint8_t, PacketFate> skip_ipv4(Rest& rest, Segment& out) {
    if (rest.octets.size() < 20) {
        return missing(rest);
    }
    const std::size_t head = std::size_t{u8(rest.octets, 0) & 0xFU} * 4;
    const std::size_t total = u16(rest.octets, 2);
    const std::uint16_t fragment = u16(rest.octets, 6);
    const std::uint8_t next = u8(rest.octets, 9);
    out.source = rest.octets.subspan(12, 4);
    out.destination = rest.octets.subspan(16, 4);
    // A total of 0: the network card was to cut it up.
    if (head < 20 || (total != 0 && (total < head || !rest.limit(total)))) {
        return PacketFate::malformed;
    }
    if ((fragment & 0x3FFFU) != 0) {  // more of them, or not the first
        return PacketFate::fragment;
    }
    if (!rest.skip(head)) {
        return missing(rest);
    }
    return next;
}

std::variant<std::uint8_t, PacketFate> skip_ipv6(Rest& rest, Segment& out) {
    if (rest.octets.size() < 40) {
        return missing(rest);
    }
    const std::size_t size = u16(rest.octets, 4);
    std::uint8_t next = u8(rest.octets, 6);
    out.source = rest.octets.subspan(8, 16);
    out.destination = rest.octets.subspan(24, 16);
    rest.skip(40);
    if (size != 0 && !rest.limit(size)) {
        return PacketFate::malformed;
    }
    for (std::size_t i = 0; i < extension_count_max; ++i) {
        const bool is_option = next == protocol::hop_by_hop || next == protocol::routing ||
                               next == protocol::destination_options;
        if (!is_option && next != protocol::fragment) {
            return next;
        }
        if (rest.octets.size() < 8) {
            return missing(rest);
        }
        if (next == protocol::fragment && (u16(rest.octets, 2) & 0xFFF9U) != 0) {
            return PacketFate::fragment;
        }
        const std::size_t head = is_option ? (std::size_t{u8(rest.octets, 1)} + 1) * 8 : 8;
        next = u8(rest.octets, 0);
        if (!rest.skip(head)) {
            return missing(rest);
        }
    }
    return PacketFate::malformed;
}

std::optional<PacketFate> read_udp(Rest& rest, Segment& out) {
    if (rest.octets.size() < 8) {
        return missing(rest);
    }
    out.source_port = u16(rest.octets, 0);
    out.destination_port = u16(rest.octets, 2);
    const std::size_t size = u16(rest.octets, 4);
    if (size < 8 || !rest.limit(size)) {
        return PacketFate::malformed;
    }
    rest.skip(8);
    return std::nullopt;
}

std::optional<PacketFate> read_tcp(Rest& rest, Segment& out) {
    if (rest.octets.size() < 20) {
        return missing(rest);
    }
    out.is_tcp = true;
    out.source_port = u16(rest.octets, 0);
    out.destination_port = u16(rest.octets, 2);
    out.sequence = u32(rest.octets, 4);
    const std::size_t head = std::size_t{u8(rest.octets, 12)} / 16 * 4;
    const unsigned flags = u8(rest.octets, 13);
    out.is_fin = (flags & 1U) != 0;
    out.is_syn = (flags & 2U) != 0;
    out.is_reset = (flags & 4U) != 0;
    if (head < 20 || head > rest.size) {
        return PacketFate::malformed;
    }
    if (!rest.skip(head)) {
        return missing(rest);
    }
    return std::nullopt;
}

}  // namespace

std::variant<Segment, PacketFate> segment_of(const Packet& packet) {
    Rest rest{packet.octets, std::max(packet.size, packet.octets.size())};
    if (const auto fate = skip_link(packet.link, rest)) {
        return *fate;
    }
    if (rest.octets.empty()) {
        return missing(rest);
    }
    Segment out;
    const unsigned version = u8(rest.octets, 0) / 16U;
    if (version != 4 && version != 6) {
        return PacketFate::malformed;
    }
    const auto next = version == 4 ? skip_ipv4(rest, out) : skip_ipv6(rest, out);
    if (const auto* fate = std::get_if<PacketFate>(&next)) {
        return *fate;
    }
    const std::uint8_t number = std::get<std::uint8_t>(next);
    if (number != protocol::udp && number != protocol::tcp) {
        return PacketFate::other;
    }
    const auto fate = number == protocol::udp ? read_udp(rest, out) : read_tcp(rest, out);
    if (fate) {
        return *fate;
    }
    out.is_cut = rest.octets.size() < rest.size;
    out.payload = rest.octets;
    return out;
}

}  // namespace tapir::pcap
