#include "tapir/dns/message_writer.hpp"

#include <algorithm>

#include "tapir/base/assert.hpp"

namespace tapir::dns {

namespace {

constexpr std::size_t pointer_target_max = 0x3FFF;  // 14 bits
constexpr std::size_t record_fixed_size = 10;

void put_u16(Bytes& octets, std::size_t at, std::uint16_t value) {
    octets[at] = static_cast<std::byte>(value >> 8U);
    octets[at + 1] = static_cast<std::byte>(value & 0xFFU);
}

}  // namespace

MessageWriter::MessageWriter(Header header, std::size_t size_max, Compression compression)
    : size_max_(size_max), compression_(compression) {
    TAPIR_ASSERT(size_max >= header_size && size_max <= message_size_max);
    reset(header);
}

void MessageWriter::reset(Header header) {
    octets_.clear();
    append_u16(octets_, header.id);
    append_u16(octets_, header.flags);
    octets_.resize(header_size);
    slots_.fill(0);
    field_ = 0;
}

void MessageWriter::set_flags(std::uint16_t flags) {
    put_u16(octets_, 2, flags);
}

void MessageWriter::count(std::size_t field) {
    const std::size_t at = 4 + 2 * field;
    const unsigned old =
        std::to_integer<unsigned>(octets_[at]) << 8U | std::to_integer<unsigned>(octets_[at + 1]);
    TAPIR_ASSERT(old < 0xFFFF);  // 65 535 octets hold fewer records
    put_u16(octets_, at, static_cast<std::uint16_t>(old + 1));
    field_ = field;
}

void MessageWriter::append_name(NameView name) {
    if (compression_ == Compression::off) {
        append(octets_, name.wire());
        return;
    }
    const FoldedName folded(name);
    NameBuffer buffer;
    NameView rest = name;
    while (!rest.is_root()) {
        std::uint16_t& slot = slots_[folded.fingerprint(rest.label_count()) % slot_count];
        if (slot != 0) {
            const auto there = read_name(octets_, slot, buffer);
            // Same octets, case included: readers may show names as they stand in the message.
            if (there && std::ranges::equal(there->name.wire(), rest.wire())) {
                append_u16(octets_, static_cast<std::uint16_t>(0xC000U | slot));
                return;
            }
        }
        if (octets_.size() <= pointer_target_max) {
            slot = static_cast<std::uint16_t>(octets_.size());
        }
        append(octets_, rest.wire().first(rest.wire_size() - rest.parent().wire_size()));
        rest = rest.parent();
    }
    append_u8(octets_, 0);
}

bool MessageWriter::add_question(NameView name, RrType qtype, RrClass qclass) {
    TAPIR_ASSERT(field_ == 0);
    const std::size_t start = octets_.size();
    if (size_max_ - start < name.wire_size() + 4) {
        return false;
    }
    append_name(name);
    append_u16(octets_, static_cast<std::uint16_t>(qtype));
    append_u16(octets_, static_cast<std::uint16_t>(qclass));
    count(0);
    return true;
}

bool MessageWriter::add_record(Section section, NameView owner, RrType type, RrClass rr_class,
                               std::uint32_t ttl_s, ByteView rdata) {
    const std::size_t field = static_cast<std::size_t>(section) + 1;
    TAPIR_ASSERT(field >= field_);
    const std::size_t start = octets_.size();
    // By the uncompressed size: what has been written for a record is never taken back, so that the
    // slots stay true.
    if (size_max_ - start < owner.wire_size() + record_fixed_size + rdata.size()) {
        return false;
    }
    append_name(owner);
    append_u16(octets_, static_cast<std::uint16_t>(type));
    append_u16(octets_, static_cast<std::uint16_t>(rr_class));
    append_u32(octets_, ttl_s);
    append_u16(octets_, static_cast<std::uint16_t>(rdata.size()));
    append(octets_, rdata);
    count(field);
    return true;
}

bool MessageWriter::add_opt(std::uint16_t udp_size, Rcode rcode, bool dnssec_ok, ByteView options) {
    const std::uint32_t ttl =
        static_cast<std::uint32_t>(rcode) >> 4U << 24U | (dnssec_ok ? 0x8000U : 0U);
    return add_record(Section::additional, NameView(), RrType::opt, static_cast<RrClass>(udp_size),
                      ttl, options);
}

Bytes soa_rdata(NameView mname, NameView rname, std::uint32_t serial, std::uint32_t refresh_s,
                std::uint32_t retry_s, std::uint32_t expire_s, std::uint32_t minimum_s) {
    Bytes rdata = to_bytes(mname.wire());
    append(rdata, rname.wire());
    for (const std::uint32_t value : {serial, refresh_s, retry_s, expire_s, minimum_s}) {
        append_u32(rdata, value);
    }
    return rdata;
}

}  // namespace tapir::dns
