// For fuzzers: dnstap frames changed field by field, with the lengths around them right.
//
//     return tapir::fuzzing::mutate_by(data, size, size_max, seed, dnstap::fuzzing::change_frame);
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/dnstap/testing.hpp"

namespace tapir::dnstap::fuzzing {

using tapir::fuzzing::Dice;

inline constexpr std::uint32_t message_field = 14;

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

inline std::optional<std::uint64_t> take_varint(ByteReader& in) {
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

inline std::uint64_t take_fixed(ByteReader& in, unsigned size) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
        value |= std::uint64_t{in.u8()} << (8 * i);
    }
    return value;
}

inline std::optional<Field> take_field(ByteReader& in) {
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

inline Fields read_fields(ByteView octets) {
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

inline Bytes write_fields(const Fields& fields) {
    Bytes out;
    for (const Field& field : fields.list) {
        testing::append_varint(out, std::uint64_t{field.number} << 3U | field.wire);
        if (field.wire == 0) {
            testing::append_varint(out, field.value);
        } else if (field.wire == 2) {
            testing::append_varint(out, field.octets.size());
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

inline std::uint64_t some_number(Dice& dice) {
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

// `change_octets` does what is to be done to the octets of a field of wire type 2.
template <class Change>
Bytes change_fields(ByteView octets, Dice& dice, const Change& change_octets) {
    Fields fields = read_fields(octets);
    tapir::fuzzing::mutate_list(fields.list, dice, [&](Field& field) {
        if (field.wire == 2) {
            change_octets(field);
        } else {
            field.value = some_number(dice);
        }
        if (dice.one_in(8)) {
            field.number = static_cast<std::uint32_t>(1 + dice.below(16));
        }
        if (dice.one_in(16)) {
            field.wire = static_cast<unsigned>(dice.below(6));
        }
    });
    if (dice.one_in(4)) {
        fields.rest.clear();
    }
    return write_fields(fields);
}

// The frame with one of its fields changed, or one of those of the message in it.
inline Bytes change_frame(ByteView frame, Dice& dice) {
    const auto blindly = [](Field& field) { tapir::fuzzing::mutate_blindly(field.octets); };
    return change_fields(frame, dice, [&](Field& field) {
        if (field.number == message_field && !dice.one_in(16)) {
            field.octets = change_fields(field.octets, dice, blindly);
        } else {
            blindly(field);
        }
    });
}

}  // namespace tapir::dnstap::fuzzing
