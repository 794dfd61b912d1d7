#include "tapir/dnstap/message.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

namespace tapir::dnstap {

namespace {

enum class Wire : std::uint8_t {
    varint = 0,
    fixed64 = 1,
    bytes = 2,
    group_start = 3,
    group_end = 4,
    fixed32 = 5,
};

// Field numbers of dnstap.proto.
namespace outer {
enum Field : std::uint32_t { identity = 1, version = 2, extra = 3, message = 14, type = 15 };
}
namespace inner {
enum Field : std::uint32_t {
    type = 1,
    socket_family = 2,
    socket_protocol = 3,
    query_address = 4,
    response_address = 5,
    query_port = 6,
    response_port = 7,
    query_time_sec = 8,
    query_time_nsec = 9,
    query_message = 10,
    query_zone = 11,
    response_time_sec = 12,
    response_time_nsec = 13,
    response_message = 14,
    policy = 15,
};
}

constexpr std::uint64_t field_number_max = (1U << 29U) - 1;

struct Tag {
    std::uint32_t field = 0;
    Wire wire = Wire::varint;

    // Field and wire type as one number, for a switch: a known field of another wire type is not
    // it.
    std::uint32_t key() const { return field << 3U | static_cast<std::uint32_t>(wire); }
};
constexpr std::uint32_t key(std::uint32_t field, Wire wire) {
    return field << 3U | static_cast<std::uint32_t>(wire);
}

// Where an attempt to read ended; nowhere: it failed.
struct Read {
    const std::byte* next = nullptr;
    std::uint64_t value = 0;
};

// A varint of any length, octet by octet.
[[gnu::noinline]] Read read_varint(const std::byte* at, const std::byte* end) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && at != end; shift += 7) {
        const auto octet = std::to_integer<std::uint64_t>(*at++);
        if (shift == 63 && octet > 1) {
            break;  // does not fit 64 bits
        }
        value |= (octet & 0x7FU) << shift;
        if (octet < 0x80) {
            return {at, value};
        }
    }
    return {};
}

// The same for varints of at most eight octets where eight octets are there: no loop, since what
// is usual (times, ports, lengths) has two to five octets.
inline Read read_some_varint(const std::byte* at, const std::byte* end) {
    if constexpr (std::endian::native == std::endian::little) {
        std::uint64_t word = 0;
        if (static_cast<std::size_t>(end - at) >= sizeof word) {
            std::memcpy(&word, at, sizeof word);
            const std::uint64_t stops = ~word & 0x8080'8080'8080'8080;
            if (stops != 0) [[likely]] {
                // All up to the first octet without its upper bit, seven bits of each put together.
                word &= stops ^ (stops - 1);
                word = (word & 0x007F'007F'007F'007F) | (word & 0x7F00'7F00'7F00'7F00) >> 1U;
                word = (word & 0x0000'3FFF'0000'3FFF) | (word & 0x3FFF'0000'3FFF'0000) >> 2U;
                word = (word & 0x0000'0000'0FFF'FFFF) | (word & 0x0FFF'FFFF'0000'0000) >> 4U;
                return {at + std::countr_zero(stops) / 8 + 1, word};
            }
        }
    }
    return read_varint(at, end);
}

// Where the group of `field` ends that was opened before `at`; null if it is astray.
const std::byte* end_of_group(const std::byte* at, const std::byte* end, std::uint32_t field);

// Walks protobuf's wire format. After a failure it stands at its end and gives zeros, so one look
// at failed() at the end will do.
class Walker {
public:
    explicit Walker(ByteView input) : at_(input.data()), end_(input.data() + input.size()) {}
    Walker(const std::byte* at, const std::byte* end) : at_(at), end_(end) {}

    bool failed() const { return failed_; }
    bool is_at_end() const { return at_ == end_; }
    const std::byte* at() const { return at_; }

    [[gnu::always_inline]] std::uint64_t varint() {
        if (at_ != end_ && std::to_integer<unsigned>(*at_) < 0x80) [[likely]] {
            return std::to_integer<std::uint64_t>(*at_++);
        }
        const Read read = read_some_varint(at_, end_);
        if (read.next == nullptr) {
            return fail_now();
        }
        at_ = read.next;
        return read.value;
    }

    [[gnu::always_inline]] Tag tag() {
        // Fields 1 to 15 are one octet, and all of dnstap's are among them.
        if (at_ != end_ && std::to_integer<unsigned>(*at_) - 8 < 0x78) [[likely]] {
            const auto octet = std::to_integer<std::uint32_t>(*at_++);
            return {octet >> 3U, static_cast<Wire>(octet & 7U)};
        }
        const Read read = read_varint(at_, end_);
        if (read.next == nullptr) {
            fail_now();
            return {};
        }
        at_ = read.next;
        const std::uint64_t value = read.value;
        const std::uint64_t field = value >> 3U;
        if (field - 1 >= field_number_max) {
            fail_now();
            return {};
        }
        return {static_cast<std::uint32_t>(field), static_cast<Wire>(value & 7U)};
    }

    // Goes on behind the tag of a known field, if that is next.
    [[gnu::always_inline]] bool take(std::uint32_t key) {
        if (at_ == end_ || std::to_integer<std::uint32_t>(*at_) != key) {
            return false;
        }
        ++at_;
        return true;
    }

    [[gnu::always_inline]] void skip_varint() {
        if constexpr (std::endian::native == std::endian::little) {
            std::uint64_t word = 0;
            if (remaining() >= sizeof word) [[likely]] {
                std::memcpy(&word, at_, sizeof word);
                const std::uint64_t stops = ~word & 0x8080'8080'8080'8080;
                if (stops != 0) [[likely]] {
                    at_ += std::countr_zero(stops) / 8 + 1;
                    return;
                }
            }
        }
        varint();
    }

    [[gnu::always_inline]] std::uint32_t fixed32() {
        if (remaining() < 4) {
            return static_cast<std::uint32_t>(fail_now());
        }
        std::uint32_t value = 0;
        for (unsigned i = 0; i < 4; ++i) {
            value |= std::to_integer<std::uint32_t>(at_[i]) << (8 * i);
        }
        at_ += 4;
        return value;
    }

    [[gnu::always_inline]] ByteView bytes() {
        const std::uint64_t size = varint();
        if (size > remaining()) {
            fail_now();
            return {};
        }
        const ByteView value(at_, static_cast<std::size_t>(size));
        at_ += size;
        return value;
    }

    // Skips the value of a field that nobody asked for, groups with all they hold.
    [[gnu::always_inline]] void skip(Tag tag) {
        if (tag.wire != Wire::group_start) {
            skip_plain(tag.wire);
            return;
        }
        const std::byte* end = end_of_group(at_, end_, tag.field);
        if (end == nullptr) {
            fail_now();
        } else {
            at_ = end;
        }
    }

    [[gnu::always_inline]] void skip_plain(Wire wire) {
        switch (wire) {
            case Wire::varint:
                varint();
                return;
            case Wire::bytes:
                bytes();
                return;
            case Wire::fixed64:
            case Wire::fixed32: {
                const std::size_t size = wire == Wire::fixed64 ? 8 : 4;
                if (remaining() < size) {
                    fail_now();
                } else {
                    at_ += size;
                }
                return;
            }
            case Wire::group_start:
            case Wire::group_end:
                break;
        }
        fail_now();  // the end of a group that is not open, or wire type 6 or 7
    }

private:
    std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }

    std::uint64_t fail_now() {
        failed_ = true;
        at_ = end_;
        return 0;
    }

    const std::byte* at_;
    const std::byte* end_;
    bool failed_ = false;
};

[[gnu::noinline]] const std::byte* end_of_group(const std::byte* at, const std::byte* end,
                                                std::uint32_t field) {
    Walker in(at, end);
    std::array<std::uint32_t, group_depth_max> open{};
    std::size_t depth = 0;
    open[depth++] = field;
    while (depth > 0 && !in.failed()) {
        const Tag inside = in.tag();
        if (in.failed()) {
            break;
        }
        if (inside.wire == Wire::group_start) {
            if (depth == group_depth_max) {
                return nullptr;
            }
            open[depth++] = inside.field;
        } else if (inside.wire == Wire::group_end) {
            if (open[--depth] != inside.field) {
                return nullptr;
            }
        } else {
            in.skip_plain(inside.wire);
        }
    }
    return in.failed() ? nullptr : in.at();
}

// Whether `bytes` is protobuf at all; for a sub-message that we do not read.
bool is_walkable(ByteView bytes) {
    Walker in(bytes);
    while (!in.is_at_end()) {
        in.skip(in.tag());
    }
    return !in.failed();
}

// Numbers that are not listed are kept too.
template <class Enum>
Enum kept_as_it_is(std::uint64_t number) {
    return std::bit_cast<Enum>(static_cast<std::uint32_t>(number));
}

// Where the fields of one frame go. Only Message wants them all.
template <class Out>
constexpr bool wants_all = std::is_same_v<Out, Message>;

// What of the inner message only Message holds. False: it is none of these fields.
bool take_more(Walker& in, Tag tag, Message& out) {
    const auto u32 = [&in] { return static_cast<std::uint32_t>(in.varint()); };
    switch (tag.key()) {
        case key(inner::socket_family, Wire::varint):
            out.family = kept_as_it_is<SocketFamily>(in.varint());
            return true;
        case key(inner::query_port, Wire::varint):
            out.query_port = u32();
            return true;
        case key(inner::query_time_sec, Wire::varint):
            out.query_time_s = in.varint();
            return true;
        case key(inner::query_time_nsec, Wire::fixed32):
            out.query_time_ns = in.fixed32();
            return true;
        case key(inner::query_message, Wire::bytes):
            out.query_message = in.bytes();
            return true;
        case key(inner::query_zone, Wire::bytes):
            out.query_zone = in.bytes();
            return true;
        default:
            return false;
    }
}

// The fields of the inner message in the order of their numbers, in which all resolvers write them:
// a comparison each that always comes out the same. What does not follow it is left for the loop.
[[gnu::always_inline]] inline void take_in_order(Walker& in, ResponseFields& out, bool& has_type) {
    if (in.take(key(inner::type, Wire::varint))) {
        out.type = kept_as_it_is<MessageType>(in.varint());
        has_type = true;
    }
    if (in.take(key(inner::socket_family, Wire::varint))) {
        in.skip_varint();
    }
    if (in.take(key(inner::socket_protocol, Wire::varint))) {
        out.protocol = kept_as_it_is<SocketProtocol>(in.varint());
    }
    if (in.take(key(inner::query_address, Wire::bytes))) {
        out.query_address = ClientAddress(in.bytes());
    }
    if (in.take(key(inner::response_address, Wire::bytes))) {
        out.response_address = ClientAddress(in.bytes());
    }
    if (in.take(key(inner::query_port, Wire::varint))) {
        in.skip_varint();
    }
    if (in.take(key(inner::response_port, Wire::varint))) {
        out.response_port = static_cast<std::uint32_t>(in.varint());
    }
    if (in.take(key(inner::query_time_sec, Wire::varint))) {
        in.skip_varint();
    }
    if (in.take(key(inner::query_time_nsec, Wire::fixed32))) {
        in.fixed32();
    }
    if (in.take(key(inner::query_zone, Wire::bytes))) {
        in.bytes();
    }
    if (in.take(key(inner::response_time_sec, Wire::varint))) {
        out.response_time_s = in.varint();
    }
    if (in.take(key(inner::response_time_nsec, Wire::fixed32))) {
        out.response_time_ns = in.fixed32();
    }
    if (in.take(key(inner::response_message, Wire::bytes))) {
        out.response_message = in.bytes();
    }
}

// Reads one occurrence of the inner message over what earlier ones said, as protobuf merges them.
template <class Out>
bool parse_inner(ByteView bytes, Out& out, bool& has_type) {
    Walker in(bytes);
    if constexpr (!wants_all<Out>) {
        take_in_order(in, out, has_type);
    }
    while (!in.is_at_end()) {
        const Tag tag = in.tag();
        switch (tag.key()) {
            case key(inner::type, Wire::varint):
                out.type = kept_as_it_is<MessageType>(in.varint());
                has_type = true;
                break;
            case key(inner::socket_protocol, Wire::varint):
                out.protocol = kept_as_it_is<SocketProtocol>(in.varint());
                break;
            case key(inner::query_address, Wire::bytes):
                out.query_address = ClientAddress(in.bytes());
                break;
            case key(inner::response_address, Wire::bytes):
                out.response_address = ClientAddress(in.bytes());
                break;
            case key(inner::response_port, Wire::varint):
                out.response_port = static_cast<std::uint32_t>(in.varint());
                break;
            case key(inner::response_time_sec, Wire::varint):
                out.response_time_s = in.varint();
                break;
            case key(inner::response_time_nsec, Wire::fixed32):
                out.response_time_ns = in.fixed32();
                break;
            case key(inner::response_message, Wire::bytes):
                out.response_message = in.bytes();
                break;
            case key(inner::policy, Wire::bytes):
                if (!is_walkable(in.bytes())) {
                    return false;
                }
                break;
            default:
                if constexpr (wants_all<Out>) {
                    if (take_more(in, tag, out)) {
                        break;
                    }
                }
                in.skip(tag);
        }
    }
    return !in.failed();
}

// By reference: where the two parts were written a moment ago, a copy of both at once would wait.
std::optional<UtcTime> to_time(const std::optional<std::uint64_t>& seconds, std::uint32_t ns) {
    constexpr std::int64_t second = 1'000'000'000;
    // One less than fits, so that the nanoseconds (up to four seconds of them) fit too.
    constexpr auto seconds_max =
        static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / second - 5);
    if (!seconds || *seconds > seconds_max) {
        return std::nullopt;
    }
    return UtcTime::from_ns(static_cast<std::int64_t>(*seconds) * second + ns);
}

bool take_outer(Walker& in, Tag tag, Message& out) {
    switch (tag.key()) {
        case key(outer::identity, Wire::bytes):
            out.identity = in.bytes();
            return true;
        case key(outer::version, Wire::bytes):
            out.version = in.bytes();
            return true;
        case key(outer::extra, Wire::bytes):
            out.extra = in.bytes();
            return true;
        default:
            return false;
    }
}

// `out` is as it was made.
template <class Out>
std::optional<MessageError> parse_frame(ByteView frame, Out& out) {
    bool has_outer_type = false;
    bool has_message = false;
    bool has_type = false;
    Walker in(frame);
    if constexpr (!wants_all<Out>) {
        for (const auto field : {outer::identity, outer::version}) {
            if (in.take(key(field, Wire::bytes))) {
                in.bytes();
            }
        }
        if (in.take(key(outer::message, Wire::bytes))) {
            has_message = true;
            if (!parse_inner(in.bytes(), out, has_type)) {
                return MessageError::undecodable;
            }
        }
        if (in.take(key(outer::type, Wire::varint))) {
            in.skip_varint();
            has_outer_type = true;
        }
    }
    while (!in.is_at_end()) {
        const Tag tag = in.tag();
        switch (tag.key()) {
            case key(outer::type, Wire::varint):
                in.varint();
                has_outer_type = true;
                break;
            case key(outer::message, Wire::bytes):
                has_message = true;
                if (!parse_inner(in.bytes(), out, has_type)) {
                    return MessageError::undecodable;
                }
                break;
            default:
                if constexpr (wants_all<Out>) {
                    if (take_outer(in, tag, out)) {
                        break;
                    }
                }
                in.skip(tag);
        }
    }
    if (in.failed()) {
        return MessageError::undecodable;
    }
    if (!has_outer_type) {
        return MessageError::type_missing;
    }
    if (!has_message) {
        return MessageError::message_missing;
    }
    if (!has_type) {
        return MessageError::message_type_missing;
    }
    return std::nullopt;
}

}  // namespace

Result<Message, MessageError> Message::parse(ByteView frame) {
    Message message;
    if (const auto error = parse_frame(frame, message)) {
        return fail(*error);
    }
    return message;
}

Result<ResponseFields, MessageError> ResponseFields::parse(ByteView frame) {
    ResponseFields fields;
    if (const auto error = fields.assign(frame)) {
        return fail(*error);
    }
    return fields;
}

std::optional<MessageError> ResponseFields::assign(ByteView frame) {
    // One by one: to clear all of it at once costs more than to read it.
    type = MessageType{};
    response_time_ns = 0;
    response_time_s.reset();
    query_address = ClientAddress();
    response_message.reset();
    protocol.reset();
    response_address = ClientAddress();
    response_port.reset();
    return parse_frame(frame, *this);
}

std::optional<UtcTime> Message::query_time() const {
    return to_time(query_time_s, query_time_ns);
}

std::optional<UtcTime> Message::response_time() const {
    return to_time(response_time_s, response_time_ns);
}

std::optional<UtcTime> ResponseFields::response_time() const {
    return to_time(response_time_s, response_time_ns);
}

std::string_view to_string(MessageType type) {
    static constexpr std::array<std::string_view, message_type_max + 1> names = {
        "unknown",         "auth_query",        "auth_response",
        "resolver_query",  "resolver_response", "client_query",
        "client_response", "forwarder_query",   "forwarder_response",
        "stub_query",      "stub_response",     "tool_query",
        "tool_response",   "update_query",      "update_response"};
    const auto number = static_cast<std::uint32_t>(type);
    return names[number <= message_type_max ? number : 0];
}

bool is_query(MessageType type) {
    const auto number = static_cast<std::uint32_t>(type);
    return number >= 1 && number <= message_type_max && number % 2 == 1;
}

std::string_view to_string(MessageError error) {
    switch (error) {
        case MessageError::undecodable:
            return "undecodable";
        case MessageError::type_missing:
            return "type_missing";
        case MessageError::message_missing:
            return "message_missing";
        case MessageError::message_type_missing:
            return "message_type_missing";
    }
    return "unknown";
}

Error to_error(MessageError error) {
    return {Code::invalid, "dnstap message: " + std::string(to_string(error))};
}

}  // namespace tapir::dnstap
