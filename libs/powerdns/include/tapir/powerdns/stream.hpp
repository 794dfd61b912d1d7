// PowerDNS protobuf messages over a stream, turned into dnstap frames.
//
//     MessageStream stream;
//     for (;;) {
//         const std::size_t got = read(socket, stream.space());
//         if (got == 0) { stream.end(); break; }
//         stream.commit(got);
//         while (const auto frame = stream.next()) { ... }  // valid until dnstap::frames_kept more
//     }
//
// DNSQueryType becomes CLIENT_QUERY, DNSResponseType CLIENT_RESPONSE, DNSOutgoingQueryType
// RESOLVER_QUERY and DNSIncomingResponseType RESOLVER_RESPONSE. Of the flags of a response only QR
// and the rcode are known; the others are 0. A stream is used by one thread at a time; it takes any
// octets, and no more memory than one buffer and the frames given out.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/dns/message_writer.hpp"
#include "tapir/dnstap/frame_writer.hpp"

namespace tapir::powerdns {

inline constexpr std::size_t message_size_max = 65'535;  // what a 16-bit length can say
inline constexpr std::size_t stream_buffer_size = 131'072;
static_assert(stream_buffer_size >= message_size_max + 2);

// What is wrong with a message. Each value names a counter; the frame says the same.
enum class MessageError : std::uint8_t {
    undecodable,       // no protobuf: the frame is none
    type_missing,      // or a type that we do not know: the frame has none
    question_missing,  // the frame's DNS message is its header alone
    name_malformed,    // no domain name: the frame's DNS message is cut off
    no_answer,         // a response without one (a timeout): the frame has no DNS message
};
inline constexpr std::size_t message_error_count = 5;
std::string_view to_string(MessageError error);

// Turns one message into a frame.
class Translator {
public:
    // Valid until dnstap::frames_kept more have been made.
    ByteView translate(ByteView message);
    std::uint64_t errors(MessageError error) const {
        return errors_.at(static_cast<std::size_t>(error));
    }

private:
    std::optional<ByteView> response_of(std::uint32_t rcode, std::string_view qname,
                                        std::uint16_t qtype, std::uint16_t qclass,
                                        bool has_question);
    void count(MessageError error) { ++errors_.at(static_cast<std::size_t>(error)); }

    dnstap::FrameRing frames_;
    dns::MessageWriter writer_{dns::Header{}};
    std::array<std::uint64_t, message_error_count> errors_{};
};

class MessageStream {
public:
    MessageStream() : buffer_(stream_buffer_size) {}

    // Where to put the next octets. Empty only if next() was not called until it gave nothing.
    std::span<std::byte> space();
    void commit(std::size_t count);
    // As space() and commit() for octets that lie elsewhere; returns how many found room.
    std::size_t feed(ByteView octets);
    // The next frame, or nothing until more is committed. An empty message is no message.
    std::optional<ByteView> next();
    // No more octets will come: whether they ended inside a message.
    bool is_cut() const { return begin_ != end_; }

    const Translator& translator() const { return translator_; }

private:
    Bytes buffer_;
    std::size_t begin_ = 0;  // buffer_[begin_, end_) is not looked at yet
    std::size_t end_ = 0;
    Translator translator_;
};

}  // namespace tapir::powerdns
