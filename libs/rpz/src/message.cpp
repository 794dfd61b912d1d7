#include "message.hpp"

#include <algorithm>

#include "query.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/rpz/trigger.hpp"

namespace tapir::rpz {
namespace {

constexpr std::uint16_t flag_qr = 0x8000;
constexpr std::uint16_t flag_aa = 0x0400;
constexpr std::uint16_t flags_kept = 0x7900 | flag_tc;  // opcode, RD; TC is set by ourselves only
constexpr std::uint16_t pointer = 0xc000;
constexpr std::uint16_t udp_size_ours = 1232;

std::byte folded(std::byte c) {
    return c >= std::byte{'A'} && c <= std::byte{'Z'}
               ? static_cast<std::byte>(std::to_integer<int>(c) + 32)
               : c;
}

}  // namespace

std::optional<std::size_t> zone_start(ByteView name, ByteView zone) {
    for (std::size_t at = 0; at < name.size(); at += std::to_integer<std::size_t>(name[at]) + 1) {
        if (name.size() - at == zone.size()) {
            const bool same = std::ranges::equal(name.subspan(at), zone, {}, folded, folded);
            return same ? std::optional(at) : std::nullopt;
        }
        if (name.size() - at < zone.size()) {
            break;
        }
    }
    return std::nullopt;
}

MessageBuilder::MessageBuilder(std::uint16_t id, std::uint16_t request_flags, unsigned rcode,
                               ByteView question, ByteView zone)
    : zone_(to_bytes(zone)) {
    out_.reserve(512);
    append_u16(out_, id);
    append_u16(out_,
               static_cast<std::uint16_t>(
                   flag_qr | (rcode == rcode_noerror || rcode == rcode_nxdomain ? flag_aa : 0) |
                   (request_flags & flags_kept) | rcode));
    append_u16(out_, question.empty() ? 0 : 1);
    append_u32(out_, 0);
    append_u16(out_, 0);
    append(out_, question);
    if (question.size() > 4) {
        if (const auto start = zone_start(question.first(question.size() - 4), zone)) {
            zone_at_ = static_cast<std::uint16_t>(header_size + *start);
        }
    }
}

MessageBuilder MessageBuilder::request(std::uint16_t id, unsigned opcode, ByteView question,
                                       ByteView zone) {
    MessageBuilder message(id, 0, rcode_noerror, question, zone);
    set_u16(message.out_, 2, static_cast<std::uint16_t>((opcode << 11U) | flag_aa));
    return message;
}

void MessageBuilder::append_zone() {
    if (zone_at_) {
        append_u16(out_, static_cast<std::uint16_t>(pointer | *zone_at_));
    } else {
        append(out_, zone_);
    }
}

void MessageBuilder::append_name(ByteView name, ByteView zone) {
    const auto start = zone_start(name, zone);
    if (start) {
        append(out_, name.first(*start));
        append_zone();
    } else {
        append(out_, name);
    }
}

void MessageBuilder::begin_rdata(std::uint16_t type, std::uint32_t ttl_s) {
    append_u16(out_, type);
    append_u16(out_, class_in);
    append_u32(out_, ttl_s);
    append_u16(out_, 0);
    rdata_at_ = out_.size();
}

void MessageBuilder::end_rdata() {
    set_u16(out_, rdata_at_ - 2, static_cast<std::uint16_t>(out_.size() - rdata_at_));
}

void MessageBuilder::add_soa(const Apex& apex, Serial serial, Section section) {
    append_zone();
    begin_rdata(type_soa, apex.ttl_s);
    append_name(apex.mname, apex.zone);
    append_name(apex.rname, apex.zone);
    for (const std::uint32_t value :
         {serial.value(), apex.refresh_s, apex.retry_s, apex.expire_s, apex.minimum_s}) {
        append_u32(out_, value);
    }
    end_rdata();
    count(section);
}

void MessageBuilder::add_ns(const Apex& apex, std::size_t index, Section section) {
    append_zone();
    begin_rdata(type_ns, apex.ttl_s);
    append_name(apex.ns[index], apex.zone);
    end_rdata();
    count(section);
}

void MessageBuilder::append_cname(Action action, std::uint32_t ttl_s) {
    begin_rdata(type_cname, ttl_s);
    append(out_, target_wire(action));
    end_rdata();
    count(Section::answer);
}

void MessageBuilder::add_rule(std::string_view key, Action action, std::uint32_t ttl_s) {
    append_labels(key, out_);
    append_zone();
    append_cname(action, ttl_s);
}

void MessageBuilder::add_rule_at_question(Action action, std::uint32_t ttl_s) {
    append_u16(out_, pointer | header_size);
    append_cname(action, ttl_s);
}

void MessageBuilder::add_opt(std::uint8_t extended_rcode) {
    append_u8(out_, 0);
    append_u16(out_, type_opt);
    append_u16(out_, udp_size_ours);
    append_u32(out_, static_cast<std::uint32_t>(extended_rcode) << 24U);
    append_u16(out_, 0);
    ++additionals_;
}

Bytes MessageBuilder::finish() && {
    TAPIR_ASSERT(out_.size() <= message_size_max);
    set_u16(out_, 6, answers_);
    set_u16(out_, 8, authorities_);
    set_u16(out_, 10, additionals_);
    return std::move(out_);
}

}  // namespace tapir::rpz
