// The walk over protobuf's wire format that a message of PowerDNS needs: by hand, because a
// malformed message must cost no more than a good one (the libraries throw).
#pragma once

#include <cstdint>

#include "tapir/base/bytes.hpp"

namespace tapir::powerdns {

enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

// Field and wire type as one number, for a switch.
constexpr std::uint64_t key(std::uint32_t field, Wire wire) {
    return std::uint64_t{field} << 3U | static_cast<std::uint64_t>(wire);
}

// After a failure it stands at its end and gives zeros, so one look at failed() at the end will do.
// Groups are refused: PowerDNS has none.
class Walker {
public:
    explicit Walker(ByteView input) : in_(input) {}

    bool failed() const { return failed_; }
    bool is_at_end() const { return in_.empty(); }

    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64 && !in_.empty(); shift += 7) {
            const auto octet = std::to_integer<std::uint64_t>(in_.front());
            in_ = in_.subspan(1);
            if (shift == 63 && octet > 1) {
                break;  // does not fit 64 bits
            }
            value |= (octet & 0x7FU) << shift;
            if (octet < 0x80) {
                return value;
            }
        }
        fail_now();
        return 0;
    }
    std::uint32_t u32() { return static_cast<std::uint32_t>(varint()); }

    ByteView bytes() { return take(varint()); }

    // Field and wire type of what comes next, as key() makes them.
    std::uint64_t tag() {
        const std::uint64_t value = varint();
        if (value >> 3U == 0 || value >> 3U > field_max) {
            fail_now();
            return 0;
        }
        return value;
    }

    void skip(std::uint64_t tag) {
        switch (static_cast<Wire>(tag & 7U)) {
            case Wire::varint:
                varint();
                return;
            case Wire::fixed64:
                take(8);
                return;
            case Wire::bytes:
                bytes();
                return;
            case Wire::fixed32:
                take(4);
                return;
        }
        fail_now();
    }

private:
    static constexpr std::uint64_t field_max = (1U << 29U) - 1;

    ByteView take(std::uint64_t size) {
        if (size > in_.size()) {
            fail_now();
            return {};
        }
        const ByteView value = in_.first(static_cast<std::size_t>(size));
        in_ = in_.subspan(static_cast<std::size_t>(size));
        return value;
    }
    void fail_now() {
        failed_ = true;
        in_ = {};
    }

    ByteView in_;
    bool failed_ = false;
};

}  // namespace tapir::powerdns
