// Writes one answer: header, question, records. The zone's name stands at the end of the question,
// and every owner below it is its labels and a pointer there (RFC 1035 §4.1.4).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/rpz/answer.hpp"

namespace tapir::rpz {

inline constexpr unsigned opcode_query = 0;
inline constexpr unsigned opcode_notify = 4;
inline constexpr unsigned rcode_noerror = 0;
inline constexpr unsigned rcode_formerr = 1;
inline constexpr unsigned rcode_nxdomain = 3;
inline constexpr unsigned rcode_notimp = 4;
inline constexpr unsigned rcode_refused = 5;
inline constexpr unsigned rcode_notauth = 9;
inline constexpr std::uint16_t type_ns = 2;
inline constexpr std::uint16_t type_cname = 5;
inline constexpr std::uint16_t type_soa = 6;
inline constexpr std::uint16_t type_opt = 41;
inline constexpr std::uint16_t type_ixfr = 251;
inline constexpr std::uint16_t type_axfr = 252;
inline constexpr std::uint16_t type_any = 255;
inline constexpr std::uint16_t class_in = 1;
inline constexpr std::uint16_t class_any = 255;
inline constexpr std::uint16_t flag_tc = 0x0200;
inline constexpr std::size_t record_size_max = 900;  // an SOA with three long names is the largest

enum class Section : std::uint8_t { answer, authority };

// Where in `name` the zone's name begins, if it is the name's end on a label boundary.
std::optional<std::size_t> zone_start(ByteView name, ByteView zone);

class MessageBuilder {
public:
    // A response to a request with these flags (opcode, RD and TC are kept).
    MessageBuilder(std::uint16_t id, std::uint16_t request_flags, unsigned rcode, ByteView question,
                   ByteView zone);
    static MessageBuilder request(std::uint16_t id, unsigned opcode, ByteView question,
                                  ByteView zone);

    // Answers come before authorities, and both before OPT.
    void add_soa(const Apex& apex, Serial serial, Section section);
    void add_ns(const Apex& apex, std::size_t index, Section section);
    void add_rule(std::string_view key, Action action, std::uint32_t ttl_s);
    void add_rule_at_question(Action action, std::uint32_t ttl_s);
    void add_opt(std::uint8_t extended_rcode);

    std::size_t size() const { return out_.size(); }
    Bytes finish() &&;

private:
    void append_zone();
    void append_name(ByteView name, ByteView zone);
    void begin_rdata(std::uint16_t type, std::uint32_t ttl_s);
    void end_rdata();
    void append_cname(Action action, std::uint32_t ttl_s);
    void count(Section section) { ++(section == Section::answer ? answers_ : authorities_); }

    Bytes out_;
    std::optional<std::uint16_t> zone_at_;  // where a pointer to the zone's name leads
    std::size_t rdata_at_ = 0;
    std::uint16_t answers_ = 0;
    std::uint16_t authorities_ = 0;
    std::uint16_t additionals_ = 0;
    Bytes zone_;
};

}  // namespace tapir::rpz
