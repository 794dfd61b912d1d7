#include "tapir/crypto/base64.hpp"

#include <array>
#include <cstdint>

#include <fmt/format.h>

namespace tapir::crypto {
namespace {

constexpr std::string_view standard_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view url_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t no_digit = 0xff;

using Digits = std::array<std::uint8_t, 256>;

constexpr Digits digits_of(std::string_view alphabet) {
    Digits digits{};
    digits.fill(no_digit);
    for (std::size_t i = 0; i < alphabet.size(); ++i) {
        digits[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
    }
    return digits;
}

constexpr Digits standard_digits = digits_of(standard_alphabet);
constexpr Digits url_digits = digits_of(url_alphabet);

std::string encode(ByteView octets, std::string_view alphabet) {
    std::string text;
    text.reserve((octets.size() + 2) / 3 * 4);
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const std::byte octet : octets) {
        bits = (bits << 8U) | std::to_integer<std::uint32_t>(octet);
        count += 8;
        while (count >= 6) {
            count -= 6;
            text.push_back(alphabet[(bits >> count) & 63U]);
        }
    }
    if (count > 0) {
        text.push_back(alphabet[(bits << (6 - count)) & 63U]);
    }
    return text;
}

// `text` without padding.
Result<Bytes> decode(std::string_view text, const Digits& digits) {
    if (text.size() % 4 == 1) {
        return fail(Code::invalid, "base64: one character too many or too few");
    }
    Bytes octets;
    octets.reserve(text.size() / 4 * 3 + 2);
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::uint8_t digit = digits[static_cast<unsigned char>(text[i])];
        if (digit == no_digit) {
            return fail(Code::invalid, fmt::format("base64: character {} is of no digit", i));
        }
        bits = (bits << 6U) | digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            octets.push_back(static_cast<std::byte>((bits >> count) & 0xffU));
        }
    }
    if ((bits & ((1U << count) - 1)) != 0) {
        return fail(Code::invalid, "base64: bits set behind the last octet");
    }
    return octets;
}

std::uint8_t hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return static_cast<std::uint8_t>(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return static_cast<std::uint8_t>(c - 'a' + 10);
    }
    if (c >= 'A' && c <= 'F') {
        return static_cast<std::uint8_t>(c - 'A' + 10);
    }
    return no_digit;
}

}  // namespace

std::string base64(ByteView octets) {
    std::string text = encode(octets, standard_alphabet);
    text.append((4 - text.size() % 4) % 4, '=');
    return text;
}

std::string base64url(ByteView octets) {
    return encode(octets, url_alphabet);
}

Result<Bytes> parse_base64(std::string_view text) {
    if (text.size() % 4 != 0) {
        return fail(Code::invalid, "base64: length is no multiple of four");
    }
    for (int i = 0; i < 2 && text.ends_with('='); ++i) {
        text.remove_suffix(1);
    }
    return decode(text, standard_digits);
}

Result<Bytes> parse_base64url(std::string_view text) {
    return decode(text, url_digits);
}

Result<Bytes> parse_hex(std::string_view text) {
    if (text.size() % 2 != 0) {
        return fail(Code::invalid, "hexadecimal: odd number of digits");
    }
    Bytes octets;
    octets.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const std::uint8_t high = hex_digit(text[i]);
        const std::uint8_t low = hex_digit(text[i + 1]);
        if (high == no_digit || low == no_digit) {
            return fail(Code::invalid, fmt::format("hexadecimal: no digit near character {}", i));
        }
        octets.push_back(static_cast<std::byte>(high << 4U | low));
    }
    return octets;
}

}  // namespace tapir::crypto
