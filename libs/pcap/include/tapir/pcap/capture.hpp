// A packet capture that lies in memory as a whole: pcap (microseconds and nanoseconds, either octet
// order) and pcapng.
//
//     CaptureReader in(file);
//     while (const auto packet = in.next()) { ... }
//     if (in.state() == CaptureState::truncated) { ... }
//
// Packets are views into the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/time.hpp"

namespace tapir::pcap {

inline constexpr std::size_t packet_size_max = 262'144;    // octets, libpcap's limit
inline constexpr std::size_t interface_count_max = 4096;   // in a section of a pcapng file
inline constexpr std::size_t block_size_max = 16'777'216;  // octets of a pcapng block

enum class CaptureState : std::uint8_t {
    reading,
    whole,      // the end came where a packet could begin
    truncated,  // the end came inside a packet or block
    failed,     // see error()
};
std::string_view to_string(CaptureState state);

enum class CaptureError : std::uint8_t {
    not_a_capture,      // neither form's first octets
    version,            // a version that we do not know
    packet_too_large,   // over packet_size_max
    block_malformed,    // a pcapng block whose lengths do not agree
    unknown_interface,  // a packet of an interface that was not described, or too many of them
};
std::string_view to_string(CaptureError error);

struct Packet {
    ByteView octets;              // as captured
    std::size_t size = 0;         // as it was on the wire: more, if the capture cut it
    std::optional<UtcTime> time;  // nothing if the capture says none, or one that nobody can mean
    std::uint32_t link = 0;       // LINKTYPE_*
};

// Whether `file` begins as a capture does.
bool is_capture(ByteView file);

class CaptureReader {
public:
    explicit CaptureReader(ByteView file);

    std::optional<Packet> next();
    CaptureState state() const { return state_; }
    std::optional<CaptureError> error() const { return error_; }

private:
    enum class Form : std::uint8_t { none, pcap, pcapng };
    struct Interface {
        std::uint32_t link = 0;
        std::uint32_t snap_size = 0;           // 0: no limit
        std::uint64_t ticks_in_s = 1'000'000;  // at least 1
        std::int64_t offset_s = 0;
    };

    void open();
    std::optional<Packet> next_record();
    // Takes one block; a packet if it holds one.
    std::optional<Packet> take_block();
    std::optional<Packet> take_packet(std::uint32_t type, ByteView body);
    void take_section(ByteView body);
    void take_interface(ByteView body);
    std::uint16_t u16(ByteView octets, std::size_t at) const;
    std::uint32_t u32(ByteView octets, std::size_t at) const;
    std::optional<Packet> fail_with(CaptureError error);
    std::optional<Packet> end(CaptureState state);

    ByteView rest_;
    Form form_ = Form::none;
    bool is_little_ = true;
    CaptureState state_ = CaptureState::reading;
    std::optional<CaptureError> error_;
    std::vector<Interface> interfaces_;  // pcap has one
};

}  // namespace tapir::pcap
