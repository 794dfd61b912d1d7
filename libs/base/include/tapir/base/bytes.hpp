// Octets: views, owned buffers, and a cursor that reads fields without running past the end.
//
//     ByteReader in(view);
//     const auto type = in.u16();          // big-endian, as networks write
//     const auto body = in.bytes(length);
//     if (in.failed()) { ... }             // asked once, after all fields
//
// A failed reader returns zeros and empty views from then on. Views point into the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tapir {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

inline ByteView as_bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes to_bytes(ByteView bytes) {
    return {bytes.begin(), bytes.end()};
}
inline Bytes to_bytes(std::string_view text) {
    return to_bytes(as_bytes(text));
}

// The octets of `part`, which lies in `whole`, where they are in `copy`, a copy of `whole`.
inline ByteView in_copy(ByteView part, ByteView whole, ByteView copy) {
    return part.empty()
               ? ByteView()
               : copy.subspan(static_cast<std::size_t>(part.data() - whole.data()), part.size());
}

inline void append(Bytes& out, ByteView bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}
inline void append(Bytes& out, std::string_view text) {
    append(out, as_bytes(text));
}
// Big-endian integers at the end of `out`.
void append_u8(Bytes& out, std::uint8_t value);
void append_u16(Bytes& out, std::uint16_t value);
void append_u32(Bytes& out, std::uint32_t value);
void append_u64(Bytes& out, std::uint64_t value);

// Lower-case hexadecimal, two digits an octet.
std::string to_hex(ByteView bytes);

class ByteReader {
public:
    explicit ByteReader(ByteView input) : input_(input) {}

    std::uint8_t u8();
    std::uint16_t u16();
    std::uint32_t u32();
    std::uint64_t u64();
    ByteView bytes(std::size_t count);
    ByteView rest() { return bytes(remaining()); }

    bool failed() const { return failed_; }
    std::size_t remaining() const { return input_.size() - position_; }
    std::size_t position() const { return position_; }

private:
    std::uint64_t big_endian(std::size_t count);

    ByteView input_;
    std::size_t position_ = 0;
    bool failed_ = false;
};

}  // namespace tapir
