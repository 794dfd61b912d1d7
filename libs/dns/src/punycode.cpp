#include "punycode.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace tapir::dns {

namespace {

constexpr std::size_t label_octets_max = 63;

// RFC 3492 §5.
constexpr std::uint32_t base = 36;
constexpr std::uint32_t t_min = 1;
constexpr std::uint32_t t_max = 26;
constexpr std::uint32_t skew = 38;
constexpr std::uint32_t damp = 700;
constexpr std::uint32_t initial_bias = 72;
constexpr std::uint32_t initial_n = 128;

// Strict: no overlong forms, no surrogates.
std::optional<std::vector<std::uint32_t>> code_points_of(std::string_view text) {
    std::vector<std::uint32_t> points;
    std::size_t i = 0;
    while (i < text.size()) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t more = lead < 0x80   ? 0
                                 : lead < 0xC2 ? 4
                                 : lead < 0xE0 ? 1
                                 : lead < 0xF0 ? 2
                                 : lead < 0xF5 ? 3
                                               : 4;
        if (more == 4 || text.size() - i - 1 < more) {
            return std::nullopt;
        }
        std::uint32_t point = more == 0 ? lead : lead & (0x3FU >> more);
        for (std::size_t k = 1; k <= more; ++k) {
            const auto next = static_cast<unsigned char>(text[i + k]);
            if ((next & 0xC0U) != 0x80U) {
                return std::nullopt;
            }
            point = point << 6U | (next & 0x3FU);
        }
        const bool overlong = (more == 2 && point < 0x800) || (more == 3 && point < 0x10000);
        if (overlong || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) {
            return std::nullopt;
        }
        points.push_back(point);
        i += 1 + more;
    }
    return points;
}

std::uint32_t adapt(std::uint32_t delta, std::uint32_t count, bool first) {
    delta = first ? delta / damp : delta / 2;
    delta += delta / count;
    std::uint32_t k = 0;
    while (delta > (base - t_min) * t_max / 2) {
        delta /= base - t_min;
        k += base;
    }
    return k + (base - t_min + 1) * delta / (delta + skew);
}

char digit(std::uint32_t value) {
    return static_cast<char>(value < 26 ? 'a' + value : '0' + (value - 26));
}

void append_number(std::string& out, std::uint32_t number, std::uint32_t bias) {
    for (std::uint32_t k = base;; k += base) {
        const std::uint32_t t = k <= bias ? t_min : std::min(k - bias, t_max);
        if (number < t) {
            break;
        }
        out += digit(t + (number - t) % (base - t));
        number = (number - t) / (base - t);
    }
    out += digit(number);
}

}  // namespace

std::optional<std::string> to_a_label(std::string_view label) {
    if (label.size() > 4 * label_octets_max) {
        return std::nullopt;
    }
    const auto points = code_points_of(label);
    if (!points) {
        return std::nullopt;
    }
    std::string out;
    for (const std::uint32_t point : *points) {
        if (point < 0x80) {
            out += static_cast<char>(point);
        }
    }
    const auto basic = static_cast<std::uint32_t>(out.size());
    auto handled = basic;
    if (handled != points->size()) {
        out = "xn--" + out + (basic > 0 ? "-" : "");
    }
    // At most 252 code points below 2^21: no sum below comes near 2^32.
    std::uint32_t n = initial_n;
    std::uint32_t delta = 0;
    std::uint32_t bias = initial_bias;
    while (handled < points->size()) {
        std::uint32_t next = UINT32_MAX;
        for (const std::uint32_t point : *points) {
            if (point >= n) {
                next = std::min(next, point);
            }
        }
        delta += (next - n) * (handled + 1);
        n = next;
        for (const std::uint32_t point : *points) {
            if (point < n) {
                ++delta;
            } else if (point == n) {
                append_number(out, delta, bias);
                bias = adapt(delta, handled + 1, handled == basic);
                delta = 0;
                ++handled;
            }
        }
        ++delta;
        ++n;
    }
    if (out.size() > label_octets_max) {
        return std::nullopt;
    }
    return out;
}

}  // namespace tapir::dns
