// Writes dnstap frames, for what is observed by other means: what comes after reads them like those
// of a resolver.
//
//     FrameRing frames;
//     const ByteView frame = frames.make({.type = MessageType::client_response, ...});
//
// A FrameRing is used by one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "tapir/base/bytes.hpp"
#include "tapir/base/time.hpp"
#include "tapir/dnstap/message.hpp"

namespace tapir::dnstap {

// What a frame says; what is absent is left out. Everything must outlive the call only.
struct MessageParts {
    std::optional<MessageType> type{};  // nothing: the frame lacks what is required
    std::optional<SocketProtocol> protocol{};
    ByteView query_address{};  // 4 or 16 octets; the family follows from them. Empty: none
    ByteView response_address{};
    std::optional<std::uint32_t> query_port{};
    std::optional<std::uint32_t> response_port{};
    std::optional<UtcTime> query_time{};  // not before 1970
    std::optional<UtcTime> response_time{};
    std::optional<ByteView> query_message{};
    std::optional<ByteView> response_message{};
    ByteView identity{};  // empty: none
};

// What a frame holds besides the two messages, at most.
inline constexpr std::size_t frame_overhead_max = 512;
inline constexpr std::size_t identity_size_max = 255;  // a longer one is left out

void append_frame(Bytes& out, const MessageParts& parts);

// A frame that is no protobuf: where something came that could not be read, so that it is counted
// as what a resolver sends and cannot be read.
inline constexpr std::array<std::byte, 1> undecodable_frame{std::byte{0xFF}};

inline constexpr std::size_t frames_kept = 64;

// Each frame stays valid until `frames_kept` more have been made. Memory: that of the largest ones.
class FrameRing {
public:
    ByteView make(const MessageParts& parts) {
        Bytes& octets = frames_.at(next_);
        next_ = (next_ + 1) % frames_.size();
        octets.clear();
        append_frame(octets, parts);
        return octets;
    }

private:
    std::array<Bytes, frames_kept + 1> frames_;
    std::size_t next_ = 0;
};

}  // namespace tapir::dnstap
