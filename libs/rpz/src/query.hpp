// Reading requests: header, one question, and the records after it, names uncompressed or not.
#pragma once

#include <cstdint>
#include <optional>

#include "tapir/base/bytes.hpp"

namespace tapir::rpz {

inline constexpr std::size_t header_size = 12;
inline constexpr std::size_t records_max = 64;  // of a request; more is malformed

inline std::uint16_t get_u16(ByteView bytes, std::size_t at) {
    return static_cast<std::uint16_t>((std::to_integer<unsigned>(bytes[at]) << 8U) |
                                      std::to_integer<unsigned>(bytes[at + 1]));
}
inline void set_u16(Bytes& bytes, std::size_t at, std::uint16_t value) {
    bytes[at] = static_cast<std::byte>(value >> 8U);
    bytes[at + 1] = static_cast<std::byte>(value & 0xffU);
}

// An uncompressed name, case folded, root label included; empty if there is none.
Bytes read_plain_name(ByteReader& in);

struct RawRecord {
    std::size_t start = 0;
    Bytes owner;  // case folded, decompressed
    std::uint16_t type = 0;
    std::uint16_t record_class = 0;
    std::uint32_t ttl = 0;
    ByteView rdata;
    std::size_t rdata_at = 0;  // in the message
};

// Reads a name at `at`, following compression pointers, which must point backwards. Moves `at`
// behind the name's own octets. Case folded, root label included; nothing on any fault.
std::optional<Bytes> read_name(ByteView message, std::size_t& at);
// Reads the record at `at` and moves `at` behind it; nothing on any fault.
std::optional<RawRecord> read_record(ByteView message, std::size_t& at);

struct Request {
    std::uint16_t id = 0;
    std::uint16_t flags = 0;
    Bytes qname;  // case folded
    std::uint16_t qtype = 0;
    std::uint16_t qclass = 0;
    std::size_t question_end = 0;
    std::optional<std::uint32_t> soa_serial;  // of the SOA in the authority section
    bool has_opt = false;
    std::uint8_t edns_version = 0;
    std::uint16_t udp_size = 512;

    unsigned opcode() const { return (flags >> 11U) & 0xfU; }
    bool is_response() const { return (flags & 0x8000U) != 0; }
};

// The header alone; nothing if there is none.
std::optional<Request> read_header(ByteView message);
// All of it; nothing if it is malformed or has not exactly one question.
std::optional<Request> read_request(ByteView message);
// The last record of the message (a TSIG record is always last); nothing if malformed. A message
// without records gives one of type 0.
std::optional<RawRecord> find_last_record(ByteView message);

}  // namespace tapir::rpz
