#include "query.hpp"

#include <algorithm>

namespace tapir::rpz {
namespace {

constexpr std::size_t name_size_max = 255;
constexpr std::uint16_t type_soa = 6;
constexpr std::uint16_t type_opt = 41;
constexpr unsigned pointers_max = 64;

std::byte folded(std::byte c) {
    return c >= std::byte{'A'} && c <= std::byte{'Z'}
               ? static_cast<std::byte>(std::to_integer<int>(c) + 32)
               : c;
}

}  // namespace

std::optional<Bytes> read_name(ByteView message, std::size_t& at) {
    Bytes name;
    std::size_t position = at;
    bool jumped = false;
    for (unsigned pointers = 0;;) {
        if (position >= message.size()) {
            return std::nullopt;
        }
        const auto size = std::to_integer<std::size_t>(message[position]);
        if (size >= 0xc0) {
            if (position + 2 > message.size() || ++pointers > pointers_max) {
                return std::nullopt;
            }
            const std::size_t target = get_u16(message, position) & 0x3fffU;
            if (!jumped) {
                at = position + 2;
                jumped = true;
            }
            if (target >= position || target < header_size) {
                return std::nullopt;
            }
            position = target;
            continue;
        }
        if (size > 63 || position + 1 + size > message.size() ||
            name.size() + 1 + size > name_size_max) {
            return std::nullopt;
        }
        const ByteView label = message.subspan(position, 1 + size);
        std::ranges::transform(label, std::back_inserter(name), folded);
        position += 1 + size;
        if (size == 0) {
            at = jumped ? at : position;
            return name;
        }
    }
}

std::optional<RawRecord> read_record(ByteView message, std::size_t& at) {
    RawRecord record;
    record.start = at;
    auto owner = read_name(message, at);
    if (!owner || at + 10 > message.size()) {
        return std::nullopt;
    }
    record.owner = std::move(*owner);
    ByteReader fixed(message.subspan(at, 10));
    record.type = fixed.u16();
    record.record_class = fixed.u16();
    record.ttl = fixed.u32();
    const std::size_t size = fixed.u16();
    at += 10;
    if (at + size > message.size()) {
        return std::nullopt;
    }
    record.rdata = message.subspan(at, size);
    record.rdata_at = at;
    at += size;
    return record;
}

namespace {

std::optional<std::uint32_t> serial_of(ByteView message, const RawRecord& soa) {
    std::size_t at = soa.rdata_at;
    if (!read_name(message, at) || !read_name(message, at) ||
        at + 20 != soa.rdata_at + soa.rdata.size()) {
        return std::nullopt;
    }
    return ByteReader(message.subspan(at, 4)).u32();
}

bool skip_question(ByteView message, std::size_t& at) {
    if (!read_name(message, at) || at + 4 > message.size()) {
        return false;
    }
    at += 4;
    return true;
}

}  // namespace

Bytes read_plain_name(ByteReader& in) {
    Bytes name;
    for (;;) {
        const std::size_t size = in.u8();
        if (in.failed() || size > 63 || name.size() + 1 + size > name_size_max) {
            return {};
        }
        append_u8(name, static_cast<std::uint8_t>(size));
        const ByteView label = in.bytes(size);
        if (in.failed()) {
            return {};
        }
        std::ranges::transform(label, std::back_inserter(name), folded);
        if (size == 0) {
            return name;
        }
    }
}

std::optional<Request> read_header(ByteView message) {
    if (message.size() < header_size) {
        return std::nullopt;
    }
    Request request;
    request.id = get_u16(message, 0);
    request.flags = get_u16(message, 2);
    return request;
}

std::optional<Request> read_request(ByteView message) {
    auto request = read_header(message);
    if (!request || get_u16(message, 4) != 1) {
        return std::nullopt;
    }
    std::size_t at = header_size;
    auto qname = read_name(message, at);
    // A pointer in the question has nothing before it to point to; into itself it would read on
    // into what an answer, which repeats the question, has not.
    if (!qname || at - header_size != qname->size() || at + 4 > message.size()) {
        return std::nullopt;
    }
    request->qname = std::move(*qname);
    request->qtype = get_u16(message, at);
    request->qclass = get_u16(message, at + 2);
    at += 4;
    request->question_end = at;
    const std::size_t answers = get_u16(message, 6);
    const std::size_t authorities = get_u16(message, 8);
    const std::size_t count = answers + authorities + get_u16(message, 10);
    if (count > records_max) {
        return std::nullopt;
    }
    for (std::size_t i = 0; i < count; ++i) {
        const auto record = read_record(message, at);
        if (!record) {
            return std::nullopt;
        }
        if (i >= answers && i < answers + authorities && record->type == type_soa) {
            request->soa_serial = serial_of(message, *record);
        }
        if (i >= answers + authorities && record->type == type_opt) {
            if (request->has_opt || record->owner.size() != 1) {
                return std::nullopt;  // RFC 6891 §6.1.1: one, at the root
            }
            request->has_opt = true;
            request->udp_size = std::max<std::uint16_t>(512, record->record_class);
            request->edns_version = static_cast<std::uint8_t>((record->ttl >> 16U) & 0xffU);
        }
    }
    return at == message.size() ? request : std::nullopt;
}

std::optional<RawRecord> find_last_record(ByteView message) {
    if (message.size() < header_size) {
        return std::nullopt;
    }
    std::size_t at = header_size;
    if (get_u16(message, 4) > 1 || (get_u16(message, 4) == 1 && !skip_question(message, at))) {
        return std::nullopt;
    }
    const std::size_t count =
        std::size_t{get_u16(message, 6)} + get_u16(message, 8) + get_u16(message, 10);
    if (count > records_max) {
        return std::nullopt;
    }
    RawRecord last;
    for (std::size_t i = 0; i < count; ++i) {
        auto record = read_record(message, at);
        if (!record) {
            return std::nullopt;
        }
        last = std::move(*record);
    }
    if (at != message.size() || (last.type == 250 && get_u16(message, 10) == 0)) {
        return std::nullopt;
    }
    return last;
}

}  // namespace tapir::rpz
