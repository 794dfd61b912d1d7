// The DNS messages in a packet capture, as dnstap frames: what came from port 53 with QR set is a
// CLIENT_RESPONSE to its destination, what went there without it a CLIENT_QUERY.
//
//     DnsReader in(file);
//     while (const auto frame = in.next()) { ... }   // valid until dnstap::frames_kept more
//     in.packets(PacketFate::fragment);              // what gave no message, and why
//
// A capture taken on a resolver also has what it asked others, and that looks the same: capture, or
// filter, on the side of the clients. IP fragments are not put together but counted. TCP streams
// are put together within limits; one that is met in its middle is taken to start where a message
// does, unless what follows contradicts it.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>

#include "tapir/base/bytes.hpp"
#include "tapir/dnstap/frame_writer.hpp"
#include "tapir/pcap/capture.hpp"

namespace tapir::pcap {

inline constexpr std::uint16_t dns_port = 53;
inline constexpr std::size_t stream_count_max = 4096;        // more: the one least used goes
inline constexpr std::size_t stream_early_count_max = 64;    // segments that came too early
inline constexpr std::size_t streams_size_max = 64U << 20U;  // octets held of all streams

// What became of a packet. Each value names a counter.
enum class PacketFate : std::uint8_t {
    udp,           // gave a message
    tcp,           // belongs to a stream: gave none, one or many
    other,         // not DNS: another protocol or port, or QR set towards port 53
    unknown_link,  // a link layer that is not read
    malformed,     // headers that contradict themselves or end early
    fragment,      // a part of an IP packet
    cut,           // the capture has not all of it
};
inline constexpr std::size_t packet_fate_count = 7;
std::string_view to_string(PacketFate fate);

class DnsReader {
public:
    explicit DnsReader(ByteView file) : capture_(file) {}
    DnsReader(const DnsReader&) = delete;
    DnsReader& operator=(const DnsReader&) = delete;

    std::optional<ByteView> next();

    CaptureState state() const { return capture_.state(); }
    std::optional<CaptureError> error() const { return capture_.error(); }
    std::uint64_t packets(PacketFate fate) const {
        return packets_.at(static_cast<std::size_t>(fate));
    }
    // TCP streams of which a part was given up: octets were missing, it was met in the middle of a
    // message, it had to make room, or the capture ended first.
    std::uint64_t streams_lost() const { return streams_lost_; }

private:
    using Address = std::array<std::byte, 16>;
    struct Key {
        Address source{};
        Address destination{};
        std::uint8_t address_size = 0;
        std::uint16_t source_port = 0;
        std::uint16_t destination_port = 0;
        friend auto operator<=>(const Key&, const Key&) = default;
    };
    struct Stream {
        Key key;
        std::uint32_t next = 0;  // the sequence number that comes next
        bool is_sure = false;    // it was met at its start, or has given a message
        bool is_lost = false;    // nothing more of it, until it starts anew
        Bytes octets;            // in order; not a whole message, once looked at
        std::size_t begin = 0;   // octets[begin, end) are not looked at yet
        std::map<std::uint32_t, Bytes> early;
        std::size_t size = 0;  // octets held
        std::optional<UtcTime> time;
    };
    using Streams = std::list<Stream>;  // the one used last in front

    std::optional<ByteView> take(const Packet& packet);
    std::optional<ByteView> next_of(Stream& stream);
    Stream* stream_of(const Key& key, bool is_start, std::uint32_t sequence);
    void add(Stream& stream, std::uint32_t sequence, ByteView payload);
    void append_in_order(Stream& stream, ByteView payload);
    void lose(Stream& stream);
    void forget(Streams::iterator stream);
    void account(Stream& stream);
    // A frame around a message; nothing if its QR bit says that it goes the other way.
    std::optional<ByteView> frame_of(const Key& key, bool is_tcp, ByteView message,
                                     const std::optional<UtcTime>& time);

    CaptureReader capture_;
    dnstap::FrameRing frames_;
    Streams streams_;
    std::map<Key, Streams::iterator> by_key_;
    Stream* current_ = nullptr;  // that may have more messages
    bool current_ends_ = false;
    std::size_t streams_size_ = 0;
    std::array<std::uint64_t, packet_fate_count> packets_{};
    std::uint64_t streams_lost_ = 0;
};

}  // namespace tapir::pcap
