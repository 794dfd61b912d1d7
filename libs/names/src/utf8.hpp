// UTF-8 as the existing tools have it: octets that are no UTF-8 count as U+FFFD each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tapir::names {

inline void append_utf8(std::string& out, std::uint32_t point) {
    const auto put = [&](std::uint32_t octet) { out += static_cast<char>(octet); };
    if (point < 0x80) {
        put(point);
    } else if (point < 0x800) {
        put(0xC0U | point >> 6U);
        put(0x80U | (point & 0x3FU));
    } else if (point < 0x10000) {
        put(0xE0U | point >> 12U);
        put(0x80U | (point >> 6U & 0x3FU));
        put(0x80U | (point & 0x3FU));
    } else {
        put(0xF0U | point >> 18U);
        put(0x80U | (point >> 12U & 0x3FU));
        put(0x80U | (point >> 6U & 0x3FU));
        put(0x80U | (point & 0x3FU));
    }
}

// The code point of `text` at `at`, which moves behind it.
inline std::uint32_t next_code_point(std::string_view text, std::size_t& at) {
    constexpr std::uint32_t replacement = 0xFFFD;
    const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const std::uint32_t lead = octet(at++);
    if (lead < 0x80) {
        return lead;
    }
    const std::size_t more = lead < 0xC2   ? 0
                             : lead < 0xE0 ? 1
                             : lead < 0xF0 ? 2
                             : lead < 0xF5 ? 3
                                           : 0;
    if (more == 0 || text.size() - at < more) {
        return replacement;
    }
    std::uint32_t point = lead & (0x3FU >> more);
    for (std::size_t k = 0; k < more; ++k) {
        if ((octet(at + k) & 0xC0U) != 0x80U) {
            return replacement;
        }
        point = point << 6U | (octet(at + k) & 0x3FU);
    }
    const bool overlong = (more == 2 && point < 0x800) || (more == 3 && point < 0x10000);
    if (overlong || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) {
        return replacement;
    }
    at += more;
    return point;
}

}  // namespace tapir::names
