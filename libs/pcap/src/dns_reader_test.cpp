#include "tapir/pcap/dns_reader.hpp"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tapir/dnstap/message.hpp"
#include "testing_packets.hpp"

namespace tapir::pcap {
namespace {

using namespace testing;
using dnstap::Message;
using dnstap::MessageType;
using ::testing::ElementsAre;

Bytes golden(const std::string& name) {
    std::ifstream in(std::string(TAPIR_GOLDEN) + "/" + name, std::ios::binary);
    EXPECT_TRUE(in.good()) << name;
    const std::string octets((std::istreambuf_iterator<char>(in)), {});
    return to_bytes(octets);
}

// What a capture gave: "R" or "Q", and what follows the DNS header of each message.
struct Read {
    std::vector<std::string> messages;
    std::array<std::uint64_t, packet_fate_count> packets{};
    std::uint64_t lost = 0;
    CaptureState state{};
    std::optional<CaptureError> error;

    std::uint64_t of(PacketFate fate) const { return packets.at(static_cast<std::size_t>(fate)); }
};
Read read(ByteView file) {
    DnsReader reader(file);
    Read out;
    while (const auto frame = reader.next()) {
        const auto message = Message::parse(*frame);
        EXPECT_TRUE(message.has_value());
        const bool is_response = message->type == MessageType::client_response;
        const ByteView dns = is_response ? *message->response_message : *message->query_message;
        out.messages.push_back(
            (is_response ? "R" : "Q") +
            std::string(as_text(dns.subspan(std::min<std::size_t>(12, dns.size())))));
    }
    for (std::size_t i = 0; i < packet_fate_count; ++i) {
        out.packets.at(i) = reader.packets(static_cast<PacketFate>(i));
    }
    out.lost = reader.streams_lost();
    out.state = reader.state();
    out.error = reader.error();
    return out;
}

Bytes with_length(ByteView message) {
    Bytes out;
    append_u16(out, static_cast<std::uint16_t>(message.size()));
    append(out, message);
    return out;
}

TEST(DnsReader, ReadsRealPacketsInBothForms) {
    for (const char* name : {"loopback.pcap", "loopback.pcapng"}) {
        const Bytes file = golden(name);
        const Read all = read(file);
        EXPECT_EQ(all.state, CaptureState::whole) << name;
        EXPECT_EQ(std::ranges::count_if(all.messages, [](auto& m) { return m[0] == 'Q'; }), 13);
        EXPECT_EQ(std::ranges::count_if(all.messages, [](auto& m) { return m[0] == 'R'; }), 13);
        EXPECT_EQ(all.of(PacketFate::udp), 18U);
        EXPECT_GT(all.of(PacketFate::tcp), 10U);
        EXPECT_EQ(all.lost, 0U);
        DnsReader reader(file);
        reader.next();
        const auto response = Message::parse(*reader.next());
        EXPECT_EQ(response->response_port, 53U);
        EXPECT_EQ(response->protocol, dnstap::SocketProtocol::udp);
        EXPECT_EQ(response->family, dnstap::SocketFamily::inet);
        EXPECT_EQ(response->response_time()->seconds() / 1000, 1'795'724) << name;
    }
}

TEST(DnsReader, KnowsWhoIsTheClient) {
    const Flow answer{.source = v4(53), .destination = v4(9)};
    const Flow query{
        .source = v4(9), .destination = v4(53), .source_port = 4000, .destination_port = 53};
    const Bytes file =
        capture(link_raw, {udp_packet(query, dns(false, "q")), udp_packet(answer, dns(true, "a"))});
    // Parts written by hand: client 10.0.0.9 and server 10.0.0.53 both times.
    DnsReader reader(file);
    const Bytes first = to_bytes(*reader.next());
    const Bytes second = to_bytes(*reader.next());
    EXPECT_FALSE(reader.next());
    const Bytes client = v4(9);
    const Bytes server = v4(53);
    const Bytes message_q = dns(false, "q");
    const Bytes message_a = dns(true, "a");
    dnstap::MessageParts parts{.type = MessageType::client_query,
                               .protocol = dnstap::SocketProtocol::udp,
                               .query_address = client,
                               .response_address = server,
                               .query_port = 4000,
                               .response_port = 53};
    parts.query_time = UtcTime::from_ns(1'790'000'040'250'000'000);
    parts.query_message = message_q;
    Bytes expected;
    append_frame(expected, parts);
    EXPECT_EQ(first, expected);
    parts.type = MessageType::client_response;
    parts.query_time = {};
    parts.query_message = {};
    parts.response_time = UtcTime::from_ns(1'790'000'041'250'000'000);
    parts.response_message = message_a;
    expected.clear();
    append_frame(expected, parts);
    EXPECT_EQ(second, expected);
}

TEST(DnsReader, ReadsEachLink) {
    const Bytes packet = udp_packet({}, dns(true, "x"));
    const Flow six{.source = v6(53), .destination = v6(1)};
    const Bytes packet6 = udp_packet(six, dns(true, "x"));
    const auto behind = [&packet](std::size_t count, std::size_t at) {
        Bytes out(count);
        out.at(at) = std::byte{8};
        append(out, packet);
        return out;
    };
    Bytes padded = ethernet(packet);
    padded.resize(padded.size() + 30, std::byte{0xEE});
    const std::vector<std::pair<std::uint32_t, Bytes>> cases{
        {1, ethernet(packet)},
        {1, ethernet(packet6, {0x86DD})},
        {1, ethernet(packet, {0x8100, 0x0800})},
        {1, ethernet(packet6, {0x88A8, 0x8100, 0x86DD})},
        {1, padded},
        {101, packet},
        {101, packet6},
        {228, packet},
        {0, behind(4, 3)},
        {108, behind(4, 3)},
        {113, behind(16, 14)},
        {276, behind(20, 0)},
    };
    for (const auto& [link, octets] : cases) {
        EXPECT_THAT(read(capture(link, {octets})).messages, ElementsAre("Rx")) << link;
    }
    EXPECT_EQ(read(capture(9, {packet})).of(PacketFate::unknown_link), 1U);
}

TEST(DnsReader, CountsWhatGivesNoMessage) {
    const Flow usual;
    const Bytes good = udp_packet(usual, dns(true, "x"));
    const auto one = [](const Bytes& packet, std::size_t captured = SIZE_MAX) {
        return read(capture(link_raw, {packet}, captured));
    };
    EXPECT_EQ(one(udp_packet({.source_port = 5353}, dns(true))).of(PacketFate::other), 1U);
    EXPECT_EQ(one(udp_packet(usual, dns(false))).of(PacketFate::other), 1U)
        << "from port 53 without QR: another one's query";
    EXPECT_EQ(one(ip(usual, Bytes(8), {.protocol = 1})).of(PacketFate::other), 1U) << "ICMP";
    EXPECT_EQ(read(capture(link_ethernet, {ethernet(good, {0x0806})})).of(PacketFate::other), 1U);
    EXPECT_EQ(one(ip(usual, udp(usual, dns(true)), {.fragment = 0x2000})).of(PacketFate::fragment),
              1U);
    EXPECT_EQ(one(ip(usual, udp(usual, dns(true)), {.fragment = 5})).of(PacketFate::fragment), 1U);
    const Flow six{.source = v6(53), .destination = v6(1)};
    Bytes extension{std::byte{17}, {}, {}, std::byte{1}, {}, {}, {}, {}};
    append(extension, udp(six, dns(true, "x")));
    EXPECT_EQ(one(ip(six, extension, {.protocol = 44})).of(PacketFate::fragment), 1U);
    extension.at(3) = std::byte{0};
    EXPECT_THAT(one(ip(six, extension, {.protocol = 44})).messages, ElementsAre("Rx"))
        << "a fragment that is the whole";
    EXPECT_THAT(one(ip(six, extension, {.protocol = 60})).messages, ElementsAre("Rx"));
    for (std::size_t captured = 1; captured < good.size(); ++captured) {
        EXPECT_EQ(one(good, captured).of(PacketFate::cut), 1U) << captured;
    }
    for (std::size_t size = 0; size < good.size(); ++size) {
        const Read read_so_far = one(Bytes(good.begin(), good.begin() + static_cast<long>(size)));
        EXPECT_EQ(read_so_far.of(PacketFate::malformed), 1U) << size;
    }
    EXPECT_EQ(one(udp_packet(usual, Bytes(1))).of(PacketFate::udp), 1U)
        << "the reader of DNS says what is wrong with it";
}

// A stream of three messages, in the segments that `cuts` make.
std::vector<Bytes> segments_of(const std::vector<std::size_t>& cuts, std::uint32_t start) {
    Bytes stream;
    for (const char* tag : {"one", "two", "three"}) {
        append(stream, with_length(dns(true, tag)));
    }
    std::vector<Bytes> packets;
    std::size_t at = 0;
    for (const std::size_t cut : cuts) {
        const std::size_t end = std::min(stream.size(), at + cut);
        packets.push_back(tcp_packet({}, start + static_cast<std::uint32_t>(at), 0,
                                     ByteView(stream).subspan(at, end - at)));
        at = end;
    }
    packets.push_back(tcp_packet({}, start + static_cast<std::uint32_t>(at), tcp_fin,
                                 ByteView(stream).subspan(at)));
    return packets;
}

RC_GTEST_PROP(DnsReader, PutsStreamsTogetherHoweverTheyAreCutAndOrdered, ()) {
    const auto start = *rc::gen::element<std::uint32_t>(1, 0xFFFFFFF0U, 0x7FFFFFF8U);
    const auto cuts =
        *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 20));
    std::vector<Bytes> packets = segments_of(cuts, start);
    // Any order, and some of them twice; the last stays last, since it ends the stream.
    for (std::size_t i = 0; i + 2 < packets.size(); ++i) {
        std::swap(packets[i], packets[*rc::gen::inRange<std::size_t>(i, packets.size() - 1)]);
    }
    const std::size_t twice = packets.size() > 1 ? packets.size() - 1 : 0;
    for (std::size_t i = 0; i < std::min<std::size_t>(3, twice); ++i) {
        packets.insert(packets.begin() + static_cast<long>(i),
                       packets[*rc::gen::inRange<std::size_t>(i, twice)]);
    }
    packets.insert(packets.begin(), tcp_packet({}, start - 1, tcp_syn, {}));
    const Read all = read(capture(link_raw, packets));
    RC_ASSERT(all.messages == (std::vector<std::string>{"Rone", "Rtwo", "Rthree"}));
    RC_ASSERT(all.lost == 0U);
}

TEST(DnsReader, MeetsAStreamInItsMiddle) {
    const auto packets = segments_of({17, 17}, 99);
    EXPECT_THAT(read(capture(link_raw, packets)).messages, ElementsAre("Rone", "Rtwo", "Rthree"));
    // In the middle of a message: what looks like a length is none.
    const auto later = segments_of({5, 29}, 99);
    const Read some = read(capture(link_raw, {later.begin() + 1, later.end()}));
    EXPECT_THAT(some.messages, ElementsAre());
    EXPECT_EQ(some.lost, 1U);
}

TEST(DnsReader, GivesUpAStreamWithAHoleAndTakesTheNextOne) {
    auto packets = segments_of({17, 17}, 99);
    packets.erase(packets.begin() + 1);
    packets.insert(packets.begin(), tcp_packet({}, 98, tcp_syn, {}));
    for (const Bytes& packet : segments_of({17}, 5000)) {
        packets.push_back(packet);
    }
    packets.insert(packets.begin() + 3, tcp_packet({}, 4999, tcp_syn, {}));
    const Read all = read(capture(link_raw, packets));
    EXPECT_THAT(all.messages, ElementsAre("Rone", "Rone", "Rtwo", "Rthree"));
    EXPECT_EQ(all.lost, 1U);
}

TEST(DnsReader, HasALimitForStreams) {
    std::vector<Bytes> packets;
    const Bytes begun = with_length(dns(true, "never whole"));
    for (std::size_t i = 0; i < stream_count_max + 10; ++i) {
        Flow flow;
        flow.destination = v4(static_cast<unsigned>(i % 200));
        flow.destination_port = static_cast<std::uint16_t>(i / 200 + 1);
        packets.push_back(tcp_packet(flow, 1, 0, ByteView(begun).first(14)));
    }
    EXPECT_EQ(read(capture(link_raw, packets)).lost, stream_count_max + 10)
        << "10 make room for others, and none of the rest is whole at the end";
    packets.clear();
    for (std::uint32_t i = 0; i < stream_early_count_max + 1; ++i) {
        packets.push_back(tcp_packet({}, 100 + 200 * i, i == 0 ? tcp_syn : 0, begun));
    }
    packets.push_back(tcp_packet({}, 100'000, 0, begun));
    EXPECT_EQ(read(capture(link_raw, packets)).lost, 1U) << "too many that came too early";
}

TEST(CaptureReader, SaysHowACaptureEnds) {
    const Bytes file = capture(link_raw, {udp_packet({}, dns(true, "x"))});
    for (std::size_t size = 0; size < file.size(); ++size) {
        const Read part = read(ByteView(file).first(size));
        if (size < 4) {
            EXPECT_EQ(part.error, CaptureError::not_a_capture);
        } else {
            EXPECT_EQ(part.state, size == 24 ? CaptureState::whole : CaptureState::truncated)
                << size;
        }
    }
    Bytes other = file;
    other.at(5) = std::byte{9};
    EXPECT_EQ(read(other).error, CaptureError::version);
    other = file;
    other.at(24 + 8) = std::byte{9};
    EXPECT_EQ(read(other).error, CaptureError::packet_too_large);
    EXPECT_EQ(read(as_bytes("this is no capture")).error, CaptureError::not_a_capture);
}

TEST(CaptureReader, RefusesBlocksThatContradictThemselves) {
    const Bytes file = golden("loopback.pcapng");
    const auto changed = [&file](std::size_t at, unsigned value) {
        Bytes other = file;
        other.at(at) = static_cast<std::byte>(value);
        return read(other).error;
    };
    EXPECT_EQ(changed(7, 29), CaptureError::block_malformed) << "no multiple of four";
    EXPECT_EQ(changed(8, 0), CaptureError::block_malformed) << "no octet order";
    EXPECT_EQ(changed(27, 32), CaptureError::block_malformed) << "the lengths differ";
    EXPECT_EQ(changed(13, 2), CaptureError::version);
    EXPECT_EQ(changed(28 + 3, 9), CaptureError::unknown_interface) << "no interface any more";
}

}  // namespace
}  // namespace tapir::pcap
