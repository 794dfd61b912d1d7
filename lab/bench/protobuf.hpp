// Protobuf fields written by hand, for frames that are made up.
//
//     put_number(message, 1, 6);            // field 1, a varint
//     put_bytes(frame, 14, message);
#pragma once

#include <cstdint>

#include "tapir/base/bytes.hpp"

namespace tapir::bench {

inline void put_varint(Bytes& out, std::uint64_t value) {
    for (; value > 127; value >>= 7U) {
        append_u8(out, static_cast<std::uint8_t>((value & 127U) | 128U));
    }
    append_u8(out, static_cast<std::uint8_t>(value));
}
inline void put_number(Bytes& out, unsigned field, std::uint64_t value) {
    put_varint(out, field << 3U);
    put_varint(out, value);
}
inline void put_fixed32(Bytes& out, unsigned field, std::uint32_t value) {
    put_varint(out, field << 3U | 5U);
    for (unsigned i = 0; i < 4; ++i) {
        append_u8(out, static_cast<std::uint8_t>(value >> (8 * i)));
    }
}
inline void put_bytes(Bytes& out, unsigned field, ByteView value) {
    put_varint(out, field << 3U | 2U);
    put_varint(out, value.size());
    append(out, value);
}

}  // namespace tapir::bench
