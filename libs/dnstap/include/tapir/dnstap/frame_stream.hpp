// Frame Streams (the protocol of libfstrm) without input or output: the receiving end of a
// connection, the sending end, and the file form (.fstrm).
//
//     FrameStreamServer stream;
//     while (stream.is_open()) {
//         const auto space = stream.space();              // frames given out before are now gone
//         const std::size_t got = read(socket, space);
//         if (got == 0) { stream.end(); break; }          // end of file; without STOP is usual
//         stream.commit(got);
//         while (const auto frame = stream.next()) { ... }   // views, valid until space()
//         write(socket, stream.to_send());  stream.sent(...);
//     }
//     if (const auto error = stream.error()) { ... }      // close the connection
//
// The same server reads a file in pieces: there the START comes without READY. A stream is used
// by one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"

namespace tapir::dnstap {

inline constexpr std::string_view content_type = "protobuf:dnstap.Dnstap";
inline constexpr std::size_t frame_size_max = 98'304;  // larger: skipped, counted, stream kept
inline constexpr std::size_t control_size_max = 512;   // libfstrm's limit
inline constexpr std::size_t stream_buffer_size_min = frame_size_max + 4;
inline constexpr std::size_t stream_buffer_size = 262'144;  // the default: many frames a read

// Why a stream cannot go on. Each value names a counter.
enum class StreamError : std::uint8_t {
    control_too_small,     // a control frame under 4 octets
    control_too_large,     // a control frame over 512 octets
    control_malformed,     // a field that is not a content type, or runs past the end
    control_unexpected,    // ACCEPT or FINISH to a receiver, a second READY, STOP before START, …
    content_type_refused,  // types are given, and ours is not among them
    data_before_start,     // a frame before the handshake is over
};
inline constexpr std::size_t stream_error_count = 6;
std::string_view to_string(StreamError error);
Error to_error(StreamError error);

// How a stream stands, or how it ended.
enum class StreamState : std::uint8_t {
    handshake,  // nothing yet, or READY seen
    data,       // START seen
    stopped,    // STOP seen: all frames are there
    cut_off,    // the end came without STOP, between frames: usual on sockets
    truncated,  // the end came inside a frame
    failed,     // see error()
};
std::string_view to_string(StreamState state);

// The receiving end: bidirectional (READY, ACCEPT, START, data, STOP, FINISH) and unidirectional
// (START, data, STOP). READY and START may leave the content type out. Memory: one buffer of the
// size asked for, whatever a peer claims.
class FrameStreamServer {
public:
    // `buffer_size` is raised to stream_buffer_size_min.
    explicit FrameStreamServer(std::size_t buffer_size = stream_buffer_size);

    // Where to put the next octets; what next() gave out before is gone. Empty only if next() was
    // not called until it gave nothing.
    std::span<std::byte> space();
    // The first `count` octets of space() are there now.
    void commit(std::size_t count);
    // As space() and commit() for octets that lie elsewhere; returns how many found room.
    std::size_t feed(ByteView octets);

    // The next whole frame, or nothing until more is committed.
    std::optional<ByteView> next();

    // What the peer is to be told; valid until the next call of next() or sent().
    ByteView to_send() const { return ByteView(reply_).subspan(reply_sent_); }
    void sent(std::size_t count);

    // No more octets will come; to be called when next() gave nothing. Then state() is stopped,
    // cut_off, truncated or failed.
    void end();

    StreamState state() const { return state_; }
    bool is_open() const { return state_ == StreamState::handshake || state_ == StreamState::data; }
    bool is_bidirectional() const { return ready_seen_; }
    std::optional<StreamError> error() const { return error_; }

    std::uint64_t frames() const { return frames_; }
    std::uint64_t frames_oversized() const { return frames_oversized_; }
    std::uint64_t controls_skipped() const { return controls_skipped_; }

private:
    std::size_t available() const { return end_ - begin_; }
    void skip();
    bool take_control();
    void handle_control(ByteView control);
    void fail_with(StreamError error);

    Bytes buffer_;
    std::size_t begin_ = 0;  // 1. buffer_[begin_, end_) is not looked at yet
    std::size_t end_ = 0;
    std::size_t skipping_ = 0;  // 2. octets of an oversized frame still to come
    Bytes reply_;
    std::size_t reply_sent_ = 0;
    StreamState state_ = StreamState::handshake;
    bool ready_seen_ = false;
    std::optional<StreamError> error_;
    std::uint64_t frames_ = 0;
    std::uint64_t frames_oversized_ = 0;
    std::uint64_t controls_skipped_ = 0;
};

// The sending end. To a socket (bidirectional): READY goes out, and frames may be written once
// ACCEPT came. To a file: START and frames at once.
//
//     FrameStreamWriter out(FrameStreamWriter::Form::socket);
//     send(out.take_output());  out.receive(answer);      // until out.is_accepting_frames()
//     out.write(frame);  out.stop();  send(out.take_output());
class FrameStreamWriter {
public:
    enum class Form : std::uint8_t { socket, file };

    explicit FrameStreamWriter(Form form);

    // Whether frames may be written: START is out (or in the output) and stop() was not called.
    bool is_accepting_frames() const { return state_ == State::open; }
    // Appends one frame of 1 to frame_size_max octets to the output (asserted).
    void write(ByteView frame);
    // Ends the stream: STOP. Writing is over.
    void stop();
    // What the peer answered.
    Result<void, StreamError> receive(ByteView octets);
    // Whether all is said: FINISH came, or for a file: STOP is in the output.
    bool is_finished() const { return state_ == State::finished; }

    // What is to be sent or stored next; empties the output.
    Bytes take_output();
    std::size_t output_size() const { return output_.size(); }

private:
    enum class State : std::uint8_t { waiting, open, stopping, finished, failed };
    Result<void, StreamError> handle(ByteView control);

    Form form_;
    State state_;
    Bytes output_;
    Bytes input_;
};

// A .fstrm file that lies in memory as a whole. Frames are views into it.
//
//     FstrmReader in(file);
//     while (const auto frame = in.next()) { ... }
//     if (in.state() != StreamState::stopped) { ... }     // cut_off, truncated or failed
class FstrmReader {
public:
    explicit FstrmReader(ByteView file) : rest_(file) {}

    std::optional<ByteView> next();
    StreamState state() const { return state_; }
    std::optional<StreamError> error() const { return error_; }
    std::uint64_t frames_oversized() const { return frames_oversized_; }

private:
    void take_control(ByteView body);

    ByteView rest_;
    StreamState state_ = StreamState::handshake;
    std::optional<StreamError> error_;
    std::uint64_t frames_oversized_ = 0;
};

}  // namespace tapir::dnstap
