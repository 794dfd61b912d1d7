// For fuzzers: DNS messages changed part by part, with the counts and lengths put right and
// compression pointers that lead somewhere. Not for programs.
//
//     return fuzzing::mutate_by(data, size, size_max, seed, dns::fuzzing::change_message);
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/dns/message.hpp"

namespace tapir::dns::fuzzing {

using tapir::fuzzing::Dice;

// A question or a record; names as they stand on the wire, pointers and all.
struct Part {
    Bytes name{};
    std::uint16_t type = 1;
    std::uint16_t rr_class = 1;
    std::uint32_t ttl_s = 0;
    Bytes rdata{};
};

struct Parts {
    std::array<std::byte, 4> head{};         // id and flags
    std::array<std::vector<Part>, 4> lists;  // questions and the three sections
    Bytes rest;
};

// Reads as far as it goes; what is no question and no record is the rest.
inline Parts read_parts(ByteView wire) {
    Parts parts;
    ByteReader header(wire);
    for (std::byte& octet : parts.head) {
        octet = static_cast<std::byte>(header.u8());
    }
    std::array<std::size_t, 4> counts{};
    for (std::size_t& count : counts) {
        count = header.u16();
    }
    std::size_t at = header.position();
    for (std::size_t list = 0; list < counts.size(); ++list) {
        for (std::size_t i = 0; i < counts[list]; ++i) {
            const auto end = skip_name(wire, at);
            if (!end) {
                parts.rest = to_bytes(wire.subspan(at));
                return parts;
            }
            ByteReader in(wire.subspan(*end));
            Part part{.name = to_bytes(wire.subspan(at, *end - at))};
            part.type = in.u16();
            part.rr_class = in.u16();
            if (list > 0) {
                part.ttl_s = in.u32();
                part.rdata = to_bytes(in.bytes(in.u16()));
            }
            if (in.failed()) {
                parts.rest = to_bytes(wire.subspan(at));
                return parts;
            }
            at = *end + in.position();
            parts.lists[list].push_back(std::move(part));
        }
    }
    parts.rest = to_bytes(wire.subspan(at));
    return parts;
}

inline Bytes write_parts(const Parts& parts) {
    Bytes out(parts.head.begin(), parts.head.end());
    for (const auto& list : parts.lists) {
        append_u16(out, static_cast<std::uint16_t>(list.size()));
    }
    for (std::size_t list = 0; list < parts.lists.size(); ++list) {
        for (const Part& part : parts.lists[list]) {
            append(out, part.name);
            append_u16(out, part.type);
            append_u16(out, part.rr_class);
            if (list > 0) {
                append_u32(out, part.ttl_s);
                append_u16(out, static_cast<std::uint16_t>(part.rdata.size()));
                append(out, part.rdata);
            }
        }
    }
    append(out, parts.rest);
    return out;
}

inline Bytes some_labels(Dice& dice) {
    using namespace std::string_view_literals;
    static constexpr std::array labels = {"\1a"sv,       "\3www"sv,       "\3COM"sv,
                                          "\7example"sv, "\10dnstapir"sv, "\1*"sv,
                                          "\2n1"sv,      "\7rpz-key"sv,   "\1\0"sv};
    Bytes name;
    for (std::size_t left = dice.below(5); left > 0; --left) {
        append(name, labels[dice.below(labels.size())]);
    }
    if (dice.one_in(16)) {
        append_u8(name, 63);
        name.resize(name.size() + 63, std::byte{'x'});
    }
    return name;
}

// Labels and the root, or a pointer to where a name may stand.
inline Bytes some_name(Dice& dice) {
    Bytes name = some_labels(dice);
    if (dice.one_in(2)) {
        append_u8(name, 0);
    } else {
        const std::size_t target = header_size + (dice.one_in(2) ? 0 : dice.below(96));
        append_u16(name, static_cast<std::uint16_t>(0xC000U | target));
    }
    return name;
}

inline std::uint16_t some_type(Dice& dice) {
    static constexpr std::array<std::uint16_t, 15> types = {1,  2,  5,   6,   15,  28,  41, 46,
                                                            65, 99, 250, 251, 252, 255, 0};
    return dice.one_in(8) ? static_cast<std::uint16_t>(dice.next())
                          : types[dice.below(types.size())];
}

inline void change_part(Part& part, Dice& dice) {
    switch (dice.below(6)) {
        case 0:
            part.name = some_name(dice);
            break;
        case 1:
            tapir::fuzzing::mutate_blindly(part.name, 8);
            break;
        case 2:
            part.type = some_type(dice);
            break;
        case 3:
            part.rr_class =
                static_cast<std::uint16_t>(dice.one_in(2) ? 1 + 254 * dice.below(2) : dice.next());
            break;
        case 4:
            part.ttl_s = static_cast<std::uint32_t>(dice.one_in(2) ? 0 : dice.next());
            break;
        default:
            tapir::fuzzing::mutate_blindly(part.rdata);
    }
    if (part.name.empty()) {
        append_u8(part.name, 0);
    }
}

inline Bytes change_message(ByteView wire, Dice& dice) {
    Parts parts = read_parts(wire);
    if (dice.one_in(6)) {
        constexpr std::uint32_t flag_bits = 16;
        const std::size_t bit = dice.below(flag_bits);
        parts.head[2 + bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    } else {
        tapir::fuzzing::mutate_list(parts.lists[dice.below(parts.lists.size())], dice,
                                    [&](Part& part) { change_part(part, dice); });
    }
    if (dice.one_in(4)) {
        parts.rest.clear();
    }
    return write_parts(parts);
}

}  // namespace tapir::dns::fuzzing
