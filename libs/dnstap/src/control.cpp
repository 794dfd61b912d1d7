#include "control.hpp"

#include <array>

namespace tapir::dnstap {

std::string_view to_string(StreamError error) {
    switch (error) {
        case StreamError::control_too_small:
            return "control_too_small";
        case StreamError::control_too_large:
            return "control_too_large";
        case StreamError::control_malformed:
            return "control_malformed";
        case StreamError::control_unexpected:
            return "control_unexpected";
        case StreamError::content_type_refused:
            return "content_type_refused";
        case StreamError::data_before_start:
            return "data_before_start";
    }
    return "unknown";
}

Error to_error(StreamError error) {
    return {Code::invalid, "frame stream: " + std::string(to_string(error))};
}

std::string_view to_string(StreamState state) {
    switch (state) {
        case StreamState::handshake:
            return "handshake";
        case StreamState::data:
            return "data";
        case StreamState::stopped:
            return "stopped";
        case StreamState::cut_off:
            return "cut_off";
        case StreamState::truncated:
            return "truncated";
        case StreamState::failed:
            return "failed";
    }
    return "unknown";
}

Result<Control, StreamError> parse_control(ByteView body) {
    ByteReader in(body);
    Control control;
    control.type = static_cast<ControlType>(in.u32());
    while (!in.failed() && in.remaining() > 0) {
        const std::uint32_t field = in.u32();
        const ByteView value = in.bytes(in.u32());
        if (in.failed() || field != control_field_content_type) {
            return fail(StreamError::control_malformed);
        }
        control.has_types = true;
        control.has_ours = control.has_ours || as_text(value) == content_type;
    }
    if (in.failed()) {
        return fail(StreamError::control_malformed);
    }
    return control;
}

Result<void, StreamError> check_control_size(std::size_t size) {
    if (size < sizeof(std::uint32_t)) {
        return fail(StreamError::control_too_small);
    }
    if (size > control_size_max) {
        return fail(StreamError::control_too_large);
    }
    return {};
}

void append_control(Bytes& out, ControlType type, bool with_content_type) {
    Bytes body;
    append_u32(body, static_cast<std::uint32_t>(type));
    if (with_content_type) {
        append_u32(body, control_field_content_type);
        append_u32(body, static_cast<std::uint32_t>(content_type.size()));
        append(body, content_type);
    }
    append_u32(out, 0);
    append_u32(out, static_cast<std::uint32_t>(body.size()));
    append(out, body);
}

}  // namespace tapir::dnstap
