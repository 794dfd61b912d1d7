#include <cstdio>
#include <cstdlib>
#include <exception>

#include "tapir/base/assert.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/base/main.hpp"
#include "tapir/base/result.hpp"

namespace tapir {

void assertion_failed(const char* expression, const char* file, int line) noexcept {
    (void)std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
    std::abort();
}

int run_main(const char* program, Result<int> (*work)(int, char**), int argc,
             char** argv) noexcept {
    try {
        const auto status = work(argc, argv);
        if (status) {
            return *status;
        }
        (void)std::fprintf(stderr, "%s: %s\n", program, status.error().what().c_str());
    } catch (const std::exception& error) {
        (void)std::fprintf(stderr, "%s: %s\n", program, error.what());
    } catch (...) {
        (void)std::fprintf(stderr, "%s: failed for an unknown reason\n", program);
    }
    return 1;
}

std::string_view to_string(Code code) {
    switch (code) {
        case Code::invalid:
            return "invalid";
        case Code::not_found:
            return "not_found";
        case Code::conflict:
            return "conflict";
        case Code::denied:
            return "denied";
        case Code::unavailable:
            return "unavailable";
        case Code::exhausted:
            return "exhausted";
        case Code::corrupt:
            return "corrupt";
        case Code::internal:
            return "internal";
    }
    return "unknown";
}

Error Error::at(std::string_view place) && {
    return {code_, std::string(place) + ": " + what_};
}

namespace {

void append_big_endian(Bytes& out, std::uint64_t value, std::size_t count) {
    for (std::size_t i = count; i > 0; --i) {
        out.push_back(static_cast<std::byte>((value >> (8 * (i - 1))) & 0xFFU));
    }
}

}  // namespace

void append_u8(Bytes& out, std::uint8_t value) {
    append_big_endian(out, value, 1);
}
void append_u16(Bytes& out, std::uint16_t value) {
    append_big_endian(out, value, 2);
}
void append_u32(Bytes& out, std::uint32_t value) {
    append_big_endian(out, value, 4);
}
void append_u64(Bytes& out, std::uint64_t value) {
    append_big_endian(out, value, 8);
}

std::string to_hex(ByteView bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const std::byte b : bytes) {
        const auto value = std::to_integer<unsigned>(b);
        out.push_back(digits[value >> 4U]);
        out.push_back(digits[value & 15U]);
    }
    return out;
}

std::uint64_t ByteReader::big_endian(std::size_t count) {
    std::uint64_t value = 0;
    for (const std::byte b : bytes(count)) {
        value = value << 8U | std::to_integer<std::uint64_t>(b);
    }
    return value;
}

std::uint8_t ByteReader::u8() {
    return static_cast<std::uint8_t>(big_endian(1));
}
std::uint16_t ByteReader::u16() {
    return static_cast<std::uint16_t>(big_endian(2));
}
std::uint32_t ByteReader::u32() {
    return static_cast<std::uint32_t>(big_endian(4));
}
std::uint64_t ByteReader::u64() {
    return big_endian(8);
}

ByteView ByteReader::bytes(std::size_t count) {
    if (failed_ || count > remaining()) {
        failed_ = true;
        return {};
    }
    const ByteView view = input_.subspan(position_, count);
    position_ += count;
    return view;
}

}  // namespace tapir
