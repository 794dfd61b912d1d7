// No frame makes the parser read outside it; what it accepts has views inside, and protozero reads
// the same from it. The mutator changes fields and keeps the lengths around them right.
#include <optional>
#include <string_view>
#include <vector>

#include <protozero/pbf_reader.hpp>

#include "tapir/base/fuzzing.hpp"
#include "tapir/dnstap/message.hpp"
#include "tapir/dnstap/testing.hpp"

namespace {

using namespace tapir;
using fuzzing::Dice;

constexpr std::uint32_t message_field = 14;

// A protobuf message as fields in order, and what is not protobuf at its end.
struct Field {
    std::uint32_t number = 1;
    unsigned wire = 0;
    std::uint64_t value = 0;  // of wire types 0, 1 and 5
    Bytes octets{};           // of wire type 2
};
struct Fields {
    std::vector<Field> list;
    Bytes rest;
};

std::optional<std::uint64_t> take_varint(ByteReader& in) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && in.remaining() > 0; shift += 7) {
        const std::uint64_t octet = in.u8();
        value |= (octet & 0x7FU) << shift;
        if (octet < 0x80) {
            return value;
        }
    }
    return std::nullopt;
}

std::uint64_t take_fixed(ByteReader& in, unsigned size) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
        value |= std::uint64_t{in.u8()} << (8 * i);
    }
    return value;
}

std::optional<Field> take_field(ByteReader& in) {
    const auto tag = take_varint(in);
    if (!tag) {
        return std::nullopt;
    }
    Field field{.number = static_cast<std::uint32_t>(*tag >> 3U),
                .wire = static_cast<unsigned>(*tag & 7U)};
    if (field.wire == 0 || field.wire == 2) {
        const auto value = take_varint(in);
        if (!value || (field.wire == 2 && *value > in.remaining())) {
            return std::nullopt;
        }
        field.value = *value;
        if (field.wire == 2) {
            field.octets = to_bytes(in.bytes(static_cast<std::size_t>(*value)));
        }
    } else if (field.wire == 1 || field.wire == 5) {
        field.value = take_fixed(in, field.wire == 1 ? 8 : 4);
    }
    return in.failed() ? std::nullopt : std::optional(std::move(field));
}

Fields read_fields(ByteView octets) {
    Fields fields;
    while (!octets.empty()) {
        ByteReader in(octets);
        auto field = take_field(in);
        if (!field) {
            break;
        }
        fields.list.push_back(*std::move(field));
        octets = octets.subspan(in.position());
    }
    fields.rest = to_bytes(octets);
    return fields;
}

Bytes write_fields(const Fields& fields) {
    Bytes out;
    for (const Field& field : fields.list) {
        dnstap::testing::append_varint(out, std::uint64_t{field.number} << 3U | field.wire);
        if (field.wire == 0) {
            dnstap::testing::append_varint(out, field.value);
        } else if (field.wire == 2) {
            dnstap::testing::append_varint(out, field.octets.size());
            append(out, field.octets);
        } else if (field.wire == 1 || field.wire == 5) {
            for (unsigned i = 0; i < (field.wire == 1 ? 8U : 4U); ++i) {
                append_u8(out, static_cast<std::uint8_t>(field.value >> (8 * i)));
            }
        }
    }
    append(out, fields.rest);
    return out;
}

std::uint64_t some_number(Dice& dice) {
    constexpr std::uint64_t one = 1;
    switch (dice.below(4)) {
        case 0:
            return dice.below(20);
        case 1:
            return (one << dice.below(64)) - dice.below(2);
        case 2:
            return 1'780'000'000 + dice.below(1'000);
        default:
            return dice.next();
    }
}

Bytes change_fields(ByteView octets, Dice& dice, int depth);

void change_field(Field& field, Dice& dice, int depth) {
    if (field.wire == 2) {
        const bool is_message = field.number == message_field && depth == 0;
        if (is_message && !dice.one_in(16)) {
            field.octets = change_fields(field.octets, dice, 1);
        } else {
            fuzzing::mutate_blindly(field.octets);
        }
    } else {
        field.value = some_number(dice);
    }
    if (dice.one_in(8)) {
        field.number = static_cast<std::uint32_t>(1 + dice.below(16));
    }
    if (dice.one_in(16)) {
        field.wire = static_cast<unsigned>(dice.below(6));
    }
}

// NOLINTNEXTLINE(misc-no-recursion): two levels
Bytes change_fields(ByteView octets, Dice& dice, int depth) {
    Fields fields = read_fields(octets);
    fuzzing::mutate_list(fields.list, dice,
                         [&](Field& field) { change_field(field, dice, depth); });
    if (dice.one_in(4)) {
        fields.rest.clear();
    }
    return write_fields(fields);
}

std::string_view text_of(const std::optional<ByteView>& octets) {
    return octets ? as_text(*octets) : std::string_view();
}

// What protozero makes of a frame.
struct Other {
    dnstap::Message message;
    bool has_type = false;
    bool has_outer_type = false;
    bool has_message = false;
    bool has_policy = false;
    bool gave_up = false;  // at a group or a reserved number, which it does not read
    bool failed = false;
};

ByteView octets_of(protozero::data_view view) {
    return as_bytes(std::string_view(view.data(), view.size()));
}

void read_inner(protozero::pbf_reader inner, Other& other) {
    using enum protozero::pbf_wire_type;
    using protozero::tag_and_type;
    dnstap::Message& m = other.message;
    while (inner.next()) {
        switch (inner.tag_and_type()) {
            case tag_and_type(1, varint):
                m.type = static_cast<dnstap::MessageType>(inner.get_uint32());
                other.has_type = true;
                break;
            case tag_and_type(2, varint):
                m.family = static_cast<dnstap::SocketFamily>(inner.get_uint32());
                break;
            case tag_and_type(3, varint):
                m.protocol = static_cast<dnstap::SocketProtocol>(inner.get_uint32());
                break;
            case tag_and_type(6, varint):
                m.query_port = inner.get_uint32();
                break;
            case tag_and_type(7, varint):
                m.response_port = inner.get_uint32();
                break;
            case tag_and_type(8, varint):
                m.query_time_s = inner.get_uint64();
                break;
            case tag_and_type(9, fixed32):
                m.query_time_ns = inner.get_fixed32();
                break;
            case tag_and_type(10, length_delimited):
                m.query_message = octets_of(inner.get_view());
                break;
            case tag_and_type(11, length_delimited):
                m.query_zone = octets_of(inner.get_view());
                break;
            case tag_and_type(12, varint):
                m.response_time_s = inner.get_uint64();
                break;
            case tag_and_type(13, fixed32):
                m.response_time_ns = inner.get_fixed32();
                break;
            case tag_and_type(14, length_delimited):
                m.response_message = octets_of(inner.get_view());
                break;
            default:
                other.has_policy |= inner.tag() == 15;
                inner.skip();
        }
    }
}

Other by_protozero(ByteView frame) {
    using enum protozero::pbf_wire_type;
    using protozero::tag_and_type;
    Other other;
    try {
        protozero::pbf_reader outer(as_text(frame).data(), frame.size());
        while (outer.next()) {
            switch (outer.tag_and_type()) {
                case tag_and_type(1, length_delimited):
                    other.message.identity = octets_of(outer.get_view());
                    break;
                case tag_and_type(2, length_delimited):
                    other.message.version = octets_of(outer.get_view());
                    break;
                case tag_and_type(3, length_delimited):
                    other.message.extra = octets_of(outer.get_view());
                    break;
                case tag_and_type(message_field, length_delimited):
                    other.has_message = true;
                    read_inner(outer.get_message(), other);
                    break;
                case tag_and_type(15, varint):
                    outer.get_uint64();
                    other.has_outer_type = true;
                    break;
                default:
                    outer.skip();
            }
        }
    } catch (const protozero::unknown_pbf_wire_type_exception&) {
        other.gave_up = true;
    } catch (const protozero::invalid_tag_exception&) {
        other.gave_up = true;
    } catch (const protozero::exception&) {
        other.failed = true;
    }
    return other;
}

// Where a number is spelled so long that protozero drops upper bits and we refuse.
bool has_long_number(ByteView frame) {
    int run = 0;
    for (const std::byte octet : frame) {
        run = std::to_integer<unsigned>(octet) < 0x80 ? 0 : run + 1;
        if (run >= 4) {
            return true;
        }
    }
    return false;
}

void check_same(const dnstap::Message& a, const dnstap::Message& b) {
    TAPIR_ASSERT(a.type == b.type && a.family == b.family && a.protocol == b.protocol);
    TAPIR_ASSERT(a.query_port == b.query_port && a.response_port == b.response_port);
    TAPIR_ASSERT(a.query_time_s == b.query_time_s && a.query_time_ns == b.query_time_ns);
    TAPIR_ASSERT(a.response_time_s == b.response_time_s);
    TAPIR_ASSERT(a.response_time_ns == b.response_time_ns);
    TAPIR_ASSERT(a.query_message.has_value() == b.query_message.has_value());
    TAPIR_ASSERT(text_of(a.query_message) == text_of(b.query_message));
    TAPIR_ASSERT(a.response_message.has_value() == b.response_message.has_value());
    TAPIR_ASSERT(text_of(a.response_message) == text_of(b.response_message));
    TAPIR_ASSERT(as_text(a.query_zone) == as_text(b.query_zone));
    TAPIR_ASSERT(as_text(a.identity) == as_text(b.identity));
    TAPIR_ASSERT(as_text(a.version) == as_text(b.version) && as_text(a.extra) == as_text(b.extra));
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max, seed, [](ByteView input, Dice& dice) {
        return change_fields(input, dice, 0);
    });
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView frame = std::as_bytes(std::span(data, size));
    const auto message = dnstap::Message::parse(frame);
    const Other other = by_protozero(frame);
    if (!message) {
        const bool is_whole = other.has_type && other.has_outer_type && other.has_message;
        const bool is_sure =
            !other.failed && !other.gave_up && !other.has_policy && !has_long_number(frame);
        TAPIR_ASSERT(!(is_whole && is_sure));
        return 0;
    }
    const auto is_inside = [frame](ByteView view) {
        return view.empty() || (view.data() >= frame.data() &&
                                view.data() + view.size() <= frame.data() + frame.size());
    };
    TAPIR_ASSERT(is_inside(message->identity) && is_inside(message->version));
    TAPIR_ASSERT(is_inside(message->query_message.value_or(ByteView())));
    TAPIR_ASSERT(is_inside(message->response_message.value_or(ByteView())));
    TAPIR_ASSERT(!other.failed);
    if (!other.gave_up) {
        check_same(*message, other.message);
    }
    static_cast<void>(message->query_time());
    static_cast<void>(message->response_time());
    return 0;
}
