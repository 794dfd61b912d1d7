// Control frames of Frame Streams: the part that both ends and the file form share.
#pragma once

#include <cstdint>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/dnstap/frame_stream.hpp"

namespace tapir::dnstap {

// FSTRM_CONTROL_* of libfstrm. Other numbers are kept as they came.
enum class ControlType : std::uint32_t { accept = 1, start = 2, stop = 3, ready = 4, finish = 5 };

inline constexpr std::uint32_t control_field_content_type = 1;
inline constexpr std::size_t control_head_size = 8;  // escape and length, 4 octets each

struct Control {
    ControlType type{};
    bool has_types = false;  // names at least one content type
    bool has_ours = false;   // ours among them

    bool is_acceptable() const { return !has_types || has_ours; }
};

// Reads what follows escape and length.
Result<Control, StreamError> parse_control(ByteView body);

// Whether the length in a control frame's head is within the limits.
Result<void, StreamError> check_control_size(std::size_t size);

// Appends a whole control frame: escape, length, type, and our content type if asked for.
void append_control(Bytes& out, ControlType type, bool with_content_type);

}  // namespace tapir::dnstap
