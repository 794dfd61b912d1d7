#include "tapir/dnstap/frame_stream.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "control.hpp"

namespace tapir::dnstap {

namespace {

// The octets must be there.
std::uint32_t u32_at(ByteView octets, std::size_t position) {
    TAPIR_DEBUG_ASSERT(position + sizeof(std::uint32_t) <= octets.size());
    std::uint32_t value = 0;
    std::memcpy(&value, octets.data() + position, sizeof value);
    return std::endian::native == std::endian::little ? __builtin_bswap32(value) : value;
}

bool is_stop(ByteView control) {
    return control.size() >= sizeof(std::uint32_t) &&
           u32_at(control, 0) == static_cast<std::uint32_t>(ControlType::stop);
}

}  // namespace

FrameStreamServer::FrameStreamServer(std::size_t buffer_size)
    : buffer_(std::max(buffer_size, stream_buffer_size_min)) {}

std::span<std::byte> FrameStreamServer::space() {
    if (begin_ > 0) {
        // What is left is a part of one frame, if next() was called until it gave nothing.
        if (begin_ != end_) {
            std::memmove(buffer_.data(), buffer_.data() + begin_, available());
        }
        end_ = available();
        begin_ = 0;
    }
    return std::span(buffer_).subspan(end_);
}

void FrameStreamServer::commit(std::size_t count) {
    TAPIR_ASSERT(count <= buffer_.size() - end_);
    end_ += count;
}

std::size_t FrameStreamServer::feed(ByteView octets) {
    const auto room = space();
    const std::size_t count = std::min(room.size(), octets.size());
    std::copy_n(octets.begin(), count, room.begin());
    commit(count);
    return count;
}

void FrameStreamServer::skip() {
    const std::size_t count = std::min(skipping_, available());
    skipping_ -= count;
    begin_ += count;
}

void FrameStreamServer::fail_with(StreamError error) {
    state_ = StreamState::failed;
    error_ = error;
}

std::optional<ByteView> FrameStreamServer::next() {
    while (is_open()) {
        skip();
        if (available() < sizeof(std::uint32_t)) {
            break;
        }
        const std::size_t size = u32_at(buffer_, begin_);
        if (size == 0) {
            if (!take_control()) {
                break;
            }
            continue;
        }
        if (state_ != StreamState::data) {
            fail_with(StreamError::data_before_start);
            break;
        }
        if (size > frame_size_max) {
            ++frames_oversized_;
            begin_ += sizeof(std::uint32_t);
            skipping_ = size;
            continue;
        }
        if (available() < sizeof(std::uint32_t) + size) {
            break;
        }
        const ByteView frame = ByteView(buffer_).subspan(begin_ + sizeof(std::uint32_t), size);
        begin_ += sizeof(std::uint32_t) + size;
        ++frames_;
        return frame;
    }
    if (!is_open()) {
        begin_ = end_;  // what follows the end is not looked at, and must not fill the buffer
    }
    return std::nullopt;
}

// Handles the control frame at the front; false if it is not whole yet, or refused.
bool FrameStreamServer::take_control() {
    if (available() < control_head_size) {
        return false;
    }
    const std::size_t size = u32_at(buffer_, begin_ + sizeof(std::uint32_t));
    if (const auto checked = check_control_size(size); !checked) {
        fail_with(checked.error());
        return false;
    }
    if (available() < control_head_size + size) {
        return false;
    }
    handle_control(ByteView(buffer_).subspan(begin_ + control_head_size, size));
    begin_ += control_head_size + size;
    return true;
}

void FrameStreamServer::handle_control(ByteView body) {
    if (state_ == StreamState::data && !is_stop(body)) {
        ++controls_skipped_;  // after START only STOP acts, whatever else a peer may invent
        return;
    }
    const auto control = parse_control(body);
    if (!control) {
        fail_with(control.error());
        return;
    }
    if (state_ == StreamState::data) {
        state_ = StreamState::stopped;
        if (ready_seen_) {
            append_control(reply_, ControlType::finish, false);
        }
        return;
    }
    const bool is_ready = control->type == ControlType::ready && !ready_seen_;
    if (!is_ready && control->type != ControlType::start) {
        fail_with(StreamError::control_unexpected);
        return;
    }
    if (!control->is_acceptable()) {
        fail_with(StreamError::content_type_refused);
        return;
    }
    if (is_ready) {
        ready_seen_ = true;
        // A peer that names no type is not told of one: libfstrm's writer would refuse it.
        append_control(reply_, ControlType::accept, control->has_types);
    } else {
        state_ = StreamState::data;
    }
}

void FrameStreamServer::sent(std::size_t count) {
    TAPIR_ASSERT(count <= reply_.size() - reply_sent_);
    reply_sent_ += count;
    if (reply_sent_ == reply_.size()) {
        reply_.clear();
        reply_sent_ = 0;
    }
}

void FrameStreamServer::end() {
    if (is_open()) {
        const bool is_inside = skipping_ > 0 || available() > 0;
        state_ = is_inside ? StreamState::truncated : StreamState::cut_off;
        begin_ = end_;
    }
}

FrameStreamWriter::FrameStreamWriter(Form form)
    : form_(form), state_(form == Form::socket ? State::waiting : State::open) {
    append_control(output_, form == Form::socket ? ControlType::ready : ControlType::start, true);
}

void FrameStreamWriter::write(ByteView frame) {
    TAPIR_ASSERT(state_ == State::open);
    TAPIR_ASSERT(!frame.empty() && frame.size() <= frame_size_max);
    append_u32(output_, static_cast<std::uint32_t>(frame.size()));
    append(output_, frame);
}

void FrameStreamWriter::stop() {
    if (state_ == State::open) {
        append_control(output_, ControlType::stop, false);
        state_ = form_ == Form::socket ? State::stopping : State::finished;
    } else if (state_ == State::waiting) {
        state_ = State::finished;
    }
}

Result<void, StreamError> FrameStreamWriter::receive(ByteView octets) {
    append(input_, octets);
    std::size_t position = 0;
    while (input_.size() - position >= control_head_size) {
        const ByteView rest = ByteView(input_).subspan(position);
        const std::size_t size = u32_at(rest, sizeof(std::uint32_t));
        auto outcome =
            u32_at(rest, 0) == 0 ? check_control_size(size) : fail(StreamError::control_unexpected);
        if (outcome && rest.size() < control_head_size + size) {
            break;
        }
        if (outcome) {
            outcome = handle(rest.subspan(control_head_size, size));
        }
        if (!outcome) {
            state_ = State::failed;
            return outcome;
        }
        position += control_head_size + size;
    }
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(position));
    return {};
}

Result<void, StreamError> FrameStreamWriter::handle(ByteView body) {
    const Control control = TRY(parse_control(body));
    if (state_ == State::waiting && control.type == ControlType::accept) {
        if (!control.is_acceptable()) {
            return fail(StreamError::content_type_refused);
        }
        append_control(output_, ControlType::start, true);
        state_ = State::open;
        return {};
    }
    if (state_ == State::waiting && control.type == ControlType::finish) {
        return fail(StreamError::content_type_refused);  // libfstrm's way to say no
    }
    if (state_ == State::stopping && control.type == ControlType::finish) {
        state_ = State::finished;
        return {};
    }
    return fail(StreamError::control_unexpected);
}

Bytes FrameStreamWriter::take_output() {
    return std::exchange(output_, {});
}

std::optional<ByteView> FstrmReader::next() {
    // What is usual: a frame of usual size, all of it there.
    if (state_ == StreamState::data && rest_.size() >= sizeof(std::uint32_t)) {
        const std::size_t size = u32_at(rest_, 0);
        if (size != 0 && size <= frame_size_max && size <= rest_.size() - sizeof(std::uint32_t)) {
            const ByteView frame = rest_.subspan(sizeof(std::uint32_t), size);
            rest_ = rest_.subspan(sizeof(std::uint32_t) + size);
            return frame;
        }
    }
    while (state_ == StreamState::handshake || state_ == StreamState::data) {
        if (rest_.empty()) {
            state_ = StreamState::cut_off;
            break;
        }
        ByteReader in(rest_);
        std::size_t size = in.u32();
        const bool is_control = size == 0;
        if (is_control) {
            size = in.u32();
            const auto checked = check_control_size(size);
            if (!in.failed() && !checked) {
                state_ = StreamState::failed;
                error_ = checked.error();
                break;
            }
        } else if (!in.failed() && state_ == StreamState::handshake) {
            state_ = StreamState::failed;
            error_ = StreamError::data_before_start;
            break;
        }
        const ByteView body = in.bytes(size);
        if (in.failed()) {
            state_ = StreamState::truncated;
            break;
        }
        rest_ = in.rest();
        if (is_control) {
            take_control(body);
        } else if (body.size() > frame_size_max) {
            ++frames_oversized_;
        } else {
            return body;
        }
    }
    return std::nullopt;
}

void FstrmReader::take_control(ByteView body) {
    if (state_ == StreamState::data && !is_stop(body)) {
        return;  // as on a socket
    }
    const auto control = parse_control(body);
    if (control && state_ == StreamState::data) {
        state_ = StreamState::stopped;
        return;
    }
    if (!control) {
        error_ = control.error();
    } else if (control->type != ControlType::start) {
        error_ = StreamError::control_unexpected;
    } else if (!control->is_acceptable()) {
        error_ = StreamError::content_type_refused;
    }
    state_ = error_ ? StreamState::failed : StreamState::data;
}

}  // namespace tapir::dnstap
