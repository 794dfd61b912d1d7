#include "tapir/powerdns/stream.hpp"

#include <algorithm>
#include <cstring>

#include "protobuf.hpp"
#include "tapir/base/assert.hpp"

namespace tapir::powerdns {
namespace {

// Field numbers of dnsmessage.proto; only these are read.
namespace outer {
enum Field : std::uint32_t {
    type = 1,
    server_identity = 3,
    socket_protocol = 5,
    from = 6,
    to = 7,
    time_sec = 9,
    time_usec = 10,
    question = 12,
    response = 13,
    from_port = 20,
    to_port = 21,
};
}
namespace question {
enum Field : std::uint32_t { qname = 1, qtype = 2, qclass = 3 };
}
namespace response {
enum Field : std::uint32_t { rcode = 1, query_time_sec = 5, query_time_usec = 6 };
}

constexpr std::uint32_t rcode_max = 0xFFF;  // with EDNS; PowerDNS says 65536 of a timeout
constexpr std::uint16_t udp_size_usual = 1232;

struct Observed {
    std::uint32_t type = 0;
    ByteView identity;
    std::optional<std::uint32_t> protocol;
    ByteView from;
    ByteView to;
    std::optional<std::uint32_t> from_port;
    std::optional<std::uint32_t> to_port;
    std::optional<std::uint32_t> time_s;
    std::uint32_t time_us = 0;
    bool has_question = false;
    std::string_view qname;
    std::uint16_t qtype = 0;
    std::uint16_t qclass = 1;  // IN, where none is said
    std::uint32_t rcode = 0;
    std::optional<std::uint32_t> query_time_s;
    std::uint32_t query_time_us = 0;
};

bool read_question(ByteView octets, Observed& out) {
    Walker in(octets);
    while (!in.is_at_end()) {
        const std::uint64_t tag = in.tag();
        switch (tag) {
            case key(question::qname, Wire::bytes):
                out.qname = as_text(in.bytes());
                break;
            case key(question::qtype, Wire::varint):
                out.qtype = static_cast<std::uint16_t>(in.varint());
                break;
            case key(question::qclass, Wire::varint):
                out.qclass = static_cast<std::uint16_t>(in.varint());
                break;
            default:
                in.skip(tag);
        }
    }
    return !in.failed();
}

bool read_response(ByteView octets, Observed& out) {
    Walker in(octets);
    while (!in.is_at_end()) {
        const std::uint64_t tag = in.tag();
        switch (tag) {
            case key(response::rcode, Wire::varint):
                out.rcode = in.u32();
                break;
            case key(response::query_time_sec, Wire::varint):
                out.query_time_s = in.u32();
                break;
            case key(response::query_time_usec, Wire::varint):
                out.query_time_us = in.u32();
                break;
            default:
                in.skip(tag);
        }
    }
    return !in.failed();
}

// One field of the outer message; false if what it holds is no protobuf.
bool read_field(Walker& in, std::uint64_t tag, Observed& out) {
    switch (tag) {
        case key(outer::type, Wire::varint):
            out.type = in.u32();
            return true;
        case key(outer::server_identity, Wire::bytes):
            out.identity = in.bytes();
            return true;
        case key(outer::socket_protocol, Wire::varint):
            out.protocol = in.u32();
            return true;
        case key(outer::from, Wire::bytes):
            out.from = in.bytes();
            return true;
        case key(outer::to, Wire::bytes):
            out.to = in.bytes();
            return true;
        case key(outer::from_port, Wire::varint):
            out.from_port = in.u32();
            return true;
        case key(outer::to_port, Wire::varint):
            out.to_port = in.u32();
            return true;
        case key(outer::time_sec, Wire::varint):
            out.time_s = in.u32();
            return true;
        case key(outer::time_usec, Wire::varint):
            out.time_us = in.u32();
            return true;
        case key(outer::question, Wire::bytes):
            out.has_question = true;
            return read_question(in.bytes(), out);
        case key(outer::response, Wire::bytes):
            return read_response(in.bytes(), out);
        default:
            in.skip(tag);
            return true;
    }
}

bool read(ByteView message, Observed& out) {
    Walker in(message);
    while (!in.is_at_end()) {
        if (!read_field(in, in.tag(), out)) {
            return false;
        }
    }
    return !in.failed();
}

std::optional<UtcTime> time_of(const std::optional<std::uint32_t>& seconds, std::uint32_t us) {
    if (!seconds) {
        return std::nullopt;
    }
    return UtcTime::from_ns(std::int64_t{*seconds} * 1'000'000'000 + std::int64_t{us} * 1000);
}

std::optional<dnstap::MessageType> type_of(std::uint32_t type) {
    using enum dnstap::MessageType;
    constexpr std::array types{client_query, client_response, resolver_query, resolver_response};
    return type >= 1 && type <= types.size() ? std::optional(types.at(type - 1)) : std::nullopt;
}

}  // namespace

std::string_view to_string(MessageError error) {
    switch (error) {
        case MessageError::undecodable:
            return "undecodable";
        case MessageError::type_missing:
            return "type_missing";
        case MessageError::question_missing:
            return "question_missing";
        case MessageError::name_malformed:
            return "name_malformed";
        case MessageError::no_answer:
            return "no_answer";
    }
    return "unknown";
}

// Header, question, and where the rcode needs it an OPT. Valid until the next one.
std::optional<ByteView> Translator::response_of(std::uint32_t rcode, std::string_view qname,
                                                std::uint16_t qtype, std::uint16_t qclass,
                                                bool has_question) {
    if (rcode > rcode_max) {
        count(MessageError::no_answer);
        return std::nullopt;
    }
    writer_.reset({.flags = static_cast<std::uint16_t>(dns::flag::qr | (rcode & 0xFU))});
    if (!has_question) {
        count(MessageError::question_missing);
        return writer_.view();
    }
    const auto name = dns::Name::from_text(qname);
    if (!name) {
        count(MessageError::name_malformed);
        return writer_.view().first(dns::header_size - 1);
    }
    bool is_whole = writer_.add_question(*name, static_cast<dns::RrType>(qtype),
                                         static_cast<dns::RrClass>(qclass));
    if (rcode > 0xF) {
        is_whole = is_whole && writer_.add_opt(udp_size_usual, static_cast<dns::Rcode>(rcode));
    }
    TAPIR_ASSERT(is_whole);
    return writer_.view();
}

ByteView Translator::translate(ByteView message) {
    Observed seen;
    if (!read(message, seen)) {
        count(MessageError::undecodable);
        return dnstap::undecodable_frame;
    }
    dnstap::MessageParts parts;
    parts.type = type_of(seen.type);
    if (!parts.type) {
        count(MessageError::type_missing);
    }
    // The numbers of the protocols are dnstap's.
    if (seen.protocol) {
        parts.protocol = static_cast<dnstap::SocketProtocol>(*seen.protocol);
    }
    parts.query_address = seen.from.size() <= 16 ? seen.from : ByteView();
    parts.response_address = seen.to.size() <= 16 ? seen.to : ByteView();
    parts.query_port = seen.from_port;
    parts.response_port = seen.to_port;
    parts.identity = seen.identity;
    if (parts.type && !dnstap::is_query(*parts.type)) {
        parts.query_time = time_of(seen.query_time_s, seen.query_time_us);
        parts.response_time = time_of(seen.time_s, seen.time_us);
        parts.response_message =
            response_of(seen.rcode, seen.qname, seen.qtype, seen.qclass, seen.has_question);
    } else {
        parts.query_time = time_of(seen.time_s, seen.time_us);
    }
    return frames_.make(parts);
}

std::span<std::byte> MessageStream::space() {
    if (begin_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    return std::span(buffer_).subspan(end_);
}

void MessageStream::commit(std::size_t count) {
    TAPIR_ASSERT(count <= buffer_.size() - end_);
    end_ += count;
}

std::size_t MessageStream::feed(ByteView octets) {
    const auto room = space();
    const std::size_t count = std::min(room.size(), octets.size());
    std::copy_n(octets.begin(), count, room.begin());
    commit(count);
    return count;
}

std::optional<ByteView> MessageStream::next() {
    while (end_ - begin_ >= 2) {
        const std::size_t size = std::to_integer<std::size_t>(buffer_[begin_]) << 8U |
                                 std::to_integer<std::size_t>(buffer_[begin_ + 1]);
        if (end_ - begin_ < 2 + size) {
            break;
        }
        const ByteView message = ByteView(buffer_).subspan(begin_ + 2, size);
        begin_ += 2 + size;
        if (size > 0) {
            return translator_.translate(message);
        }
    }
    return std::nullopt;
}

}  // namespace tapir::powerdns
