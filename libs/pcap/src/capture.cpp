#include "tapir/pcap/capture.hpp"

#include <algorithm>
#include <limits>

namespace tapir::pcap {
namespace {

constexpr std::size_t file_header_size = 24;
constexpr std::size_t record_header_size = 16;
constexpr std::size_t block_frame_size = 12;  // type, length, and the length again at the end
constexpr std::uint32_t magic_us = 0xA1B2C3D4;
constexpr std::uint32_t magic_ns = 0xA1B23C4D;
constexpr std::uint32_t magic_section = 0x0A0D0D0A;  // the same in either order
constexpr std::uint32_t magic_order = 0x1A2B3C4D;

namespace block {
enum Type : std::uint32_t { interface = 1, packet = 2, simple = 3, enhanced = 6 };
}
namespace option {
enum Code : std::uint16_t { end = 0, ts_resolution = 9, ts_offset = 14 };
}

std::uint32_t read_u32(ByteView octets, std::size_t at, bool is_little) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < 4; ++i) {
        value |= std::to_integer<std::uint32_t>(octets[at + i]) << 8 * (is_little ? i : 3 - i);
    }
    return value;
}

// `ticks` of which `ticks_in_s` make a second; nothing if UtcTime cannot say it.
std::optional<UtcTime> time_of(std::uint64_t ticks, std::uint64_t ticks_in_s,
                               std::int64_t offset_s) {
    constexpr std::uint64_t billion = 1'000'000'000;
    constexpr std::int64_t seconds_max = std::numeric_limits<std::int64_t>::max() / 1'000'000'000;
    const std::uint64_t whole = ticks / ticks_in_s;
    const std::uint64_t part = ticks % ticks_in_s;
    if (whole >= static_cast<std::uint64_t>(seconds_max) || offset_s <= -seconds_max ||
        offset_s >= seconds_max) {
        return std::nullopt;
    }
    const std::int64_t seconds = static_cast<std::int64_t>(whole) + offset_s;
    if (seconds < 0 || seconds >= seconds_max) {
        return std::nullopt;
    }
    const std::uint64_t ns = ticks_in_s <= billion * 16
                                 ? part * billion / ticks_in_s
                                 : std::min(part / (ticks_in_s / billion), billion - 1);
    return UtcTime::from_ns(seconds * 1'000'000'000 + static_cast<std::int64_t>(ns));
}

// if_tsresol: a power of ten, or of two. A second that has no whole number of ticks has one.
std::uint64_t ticks_of(std::uint8_t resolution) {
    const unsigned power = resolution & 0x7FU;
    if ((resolution & 0x80U) != 0) {
        return std::uint64_t{1} << std::min(power, 63U);
    }
    std::uint64_t ticks = 1;
    for (unsigned i = 0; i < std::min(power, 19U); ++i) {
        ticks *= 10;
    }
    return ticks;
}

constexpr std::size_t padded(std::size_t size) {
    return (size + 3) / 4 * 4;
}

}  // namespace

std::string_view to_string(CaptureState state) {
    switch (state) {
        case CaptureState::reading:
            return "reading";
        case CaptureState::whole:
            return "whole";
        case CaptureState::truncated:
            return "truncated";
        case CaptureState::failed:
            return "failed";
    }
    return "unknown";
}

std::string_view to_string(CaptureError error) {
    switch (error) {
        case CaptureError::not_a_capture:
            return "not_a_capture";
        case CaptureError::version:
            return "version";
        case CaptureError::packet_too_large:
            return "packet_too_large";
        case CaptureError::block_malformed:
            return "block_malformed";
        case CaptureError::unknown_interface:
            return "unknown_interface";
    }
    return "unknown";
}

bool is_capture(ByteView file) {
    if (file.size() < 4) {
        return false;
    }
    for (const bool is_little : {true, false}) {
        const std::uint32_t magic = read_u32(file, 0, is_little);
        if (magic == magic_us || magic == magic_ns || magic == magic_section) {
            return true;
        }
    }
    return false;
}

CaptureReader::CaptureReader(ByteView file) : rest_(file) {
    open();
}

std::uint16_t CaptureReader::u16(ByteView octets, std::size_t at) const {
    const auto first = std::to_integer<unsigned>(octets[at]);
    const auto second = std::to_integer<unsigned>(octets[at + 1]);
    return static_cast<std::uint16_t>(is_little_ ? second << 8U | first : first << 8U | second);
}

std::uint32_t CaptureReader::u32(ByteView octets, std::size_t at) const {
    return read_u32(octets, at, is_little_);
}

std::optional<Packet> CaptureReader::fail_with(CaptureError error) {
    error_ = error;
    return end(CaptureState::failed);
}

std::optional<Packet> CaptureReader::end(CaptureState state) {
    state_ = state;
    rest_ = {};
    return std::nullopt;
}

void CaptureReader::open() {
    if (!is_capture(rest_)) {
        fail_with(CaptureError::not_a_capture);
        return;
    }
    if (read_u32(rest_, 0, true) == magic_section) {
        form_ = Form::pcapng;
        return;
    }
    form_ = Form::pcap;
    const std::uint32_t little = read_u32(rest_, 0, true);
    is_little_ = little == magic_us || little == magic_ns;
    if (rest_.size() < file_header_size) {
        end(CaptureState::truncated);
        return;
    }
    if (u16(rest_, 4) != 2) {
        fail_with(CaptureError::version);
        return;
    }
    constexpr std::uint32_t link_mask = 0xFFFF;  // above: the length of a checksum, and reserved
    interfaces_.push_back({.link = u32(rest_, 20) & link_mask,
                           .snap_size = 0,
                           .ticks_in_s = u32(rest_, 0) == magic_ns ? 1'000'000'000U : 1'000'000U,
                           .offset_s = 0});
    rest_ = rest_.subspan(file_header_size);
}

std::optional<Packet> CaptureReader::next() {
    while (state_ == CaptureState::reading) {
        if (rest_.empty()) {
            return end(CaptureState::whole);
        }
        const auto packet = form_ == Form::pcap ? next_record() : take_block();
        if (packet) {
            return packet;
        }
    }
    return std::nullopt;
}

std::optional<Packet> CaptureReader::next_record() {
    if (rest_.size() < record_header_size) {
        return end(CaptureState::truncated);
    }
    const Interface& from = interfaces_.front();
    const std::size_t size = u32(rest_, 8);
    if (size > packet_size_max) {
        return fail_with(CaptureError::packet_too_large);
    }
    if (rest_.size() - record_header_size < size) {
        return end(CaptureState::truncated);
    }
    const std::uint64_t part = u32(rest_, 4);
    const Packet packet{.octets = rest_.subspan(record_header_size, size),
                        .size = u32(rest_, 12),
                        .time = part < from.ticks_in_s
                                    ? time_of(u32(rest_, 0) * from.ticks_in_s + part,
                                              from.ticks_in_s, from.offset_s)
                                    : std::nullopt,
                        .link = from.link};
    rest_ = rest_.subspan(record_header_size + size);
    return packet;
}

std::optional<Packet> CaptureReader::take_block() {
    if (rest_.size() < block_frame_size) {
        return end(CaptureState::truncated);
    }
    std::uint32_t type = u32(rest_, 0);
    if (read_u32(rest_, 0, true) == magic_section) {
        // Its octet order is its own, and stands behind its length.
        const bool little = read_u32(rest_, 8, true) == magic_order;
        if (!little && read_u32(rest_, 8, false) != magic_order) {
            return fail_with(CaptureError::block_malformed);
        }
        is_little_ = little;
        type = magic_section;
    }
    const std::size_t size = u32(rest_, 4);
    if (size < block_frame_size || size > block_size_max || size % 4 != 0) {
        return fail_with(CaptureError::block_malformed);
    }
    if (rest_.size() < size) {
        return end(CaptureState::truncated);
    }
    if (u32(rest_, size - 4) != size) {
        return fail_with(CaptureError::block_malformed);
    }
    const ByteView body = rest_.subspan(8, size - block_frame_size);
    rest_ = rest_.subspan(size);
    switch (type) {
        case magic_section:
            take_section(body);
            return std::nullopt;
        case block::interface:
            take_interface(body);
            return std::nullopt;
        case block::packet:
        case block::simple:
        case block::enhanced:
            return take_packet(type, body);
        default:
            return std::nullopt;
    }
}

void CaptureReader::take_section(ByteView body) {
    if (body.size() < 8) {
        fail_with(CaptureError::block_malformed);
    } else if (u16(body, 4) != 1) {
        fail_with(CaptureError::version);
    }
    interfaces_.clear();
}

void CaptureReader::take_interface(ByteView body) {
    if (body.size() < 8) {
        fail_with(CaptureError::block_malformed);
        return;
    }
    if (interfaces_.size() == interface_count_max) {
        fail_with(CaptureError::unknown_interface);
        return;
    }
    Interface described{.link = u16(body, 0), .snap_size = u32(body, 4)};
    ByteView options = body.subspan(8);
    while (options.size() >= 4) {
        const std::uint16_t code = u16(options, 0);
        const std::size_t size = u16(options, 2);
        if (code == option::end || options.size() - 4 < size) {
            break;
        }
        if (code == option::ts_resolution && size == 1) {
            described.ticks_in_s = ticks_of(std::to_integer<std::uint8_t>(options[4]));
        } else if (code == option::ts_offset && size == 8) {
            const std::uint64_t first = u32(options, 4);
            const std::uint64_t second = u32(options, 8);
            described.offset_s = static_cast<std::int64_t>(is_little_ ? second << 32U | first
                                                                      : first << 32U | second);
        }
        options = options.subspan(std::min(options.size(), 4 + padded(size)));
    }
    interfaces_.push_back(described);
}

std::optional<Packet> CaptureReader::take_packet(std::uint32_t type, ByteView body) {
    const std::size_t head = type == block::simple ? 4 : 20;
    if (body.size() < head) {
        return fail_with(CaptureError::block_malformed);
    }
    std::size_t number = 0;
    if (type != block::simple) {
        number = type == block::enhanced ? u32(body, 0) : u16(body, 0);
    }
    if (number >= interfaces_.size()) {
        return fail_with(CaptureError::unknown_interface);
    }
    const Interface& from = interfaces_[number];
    Packet packet{.octets = {}, .size = u32(body, head - 4), .time = {}, .link = from.link};
    std::size_t captured = packet.size;
    if (type == block::simple) {
        captured = from.snap_size == 0 ? captured : std::min<std::size_t>(captured, from.snap_size);
    } else {
        captured = u32(body, 12);
        packet.time = time_of(std::uint64_t{u32(body, 4)} << 32U | u32(body, 8), from.ticks_in_s,
                              from.offset_s);
    }
    if (captured > packet_size_max) {
        return fail_with(CaptureError::packet_too_large);
    }
    if (captured > body.size() - head) {
        return fail_with(CaptureError::block_malformed);
    }
    packet.octets = body.subspan(head, captured);
    return packet;
}

}  // namespace tapir::pcap
