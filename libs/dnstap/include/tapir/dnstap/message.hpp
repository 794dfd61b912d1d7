// One dnstap frame: its protobuf fields (dnstap.proto, proto2), without a copy.
//
//     const auto message = Message::parse(frame);       // Result<Message, MessageError>
//     if (message && message->type == MessageType::client_response) { ... }
//     const auto fields = ResponseFields::parse(frame);  // only what counting needs, in less time
//
// Every view points into the frame, which must outlive the Message. Fields as protobuf has it:
// absent is told from empty where it matters, the last of a repeated field counts, unknown fields
// and known fields of another wire type are skipped.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/dnstap/client_address.hpp"

namespace tapir::dnstap {

// Message.Type. Numbers that are not listed are kept as they came.
enum class MessageType : std::uint32_t {
    auth_query = 1,
    auth_response = 2,
    resolver_query = 3,
    resolver_response = 4,
    client_query = 5,
    client_response = 6,
    forwarder_query = 7,
    forwarder_response = 8,
    stub_query = 9,
    stub_response = 10,
    tool_query = 11,
    tool_response = 12,
    update_query = 13,
    update_response = 14,
};
inline constexpr std::uint32_t message_type_max = 14;  // the highest listed number

// "client_response" and so on; "unknown" for a number that is not listed. For labels and people.
std::string_view to_string(MessageType type);
// Whether it is one of the listed *_QUERY types; a number that is not listed is not.
bool is_query(MessageType type);

enum class SocketFamily : std::uint32_t { inet = 1, inet6 = 2 };
enum class SocketProtocol : std::uint32_t {
    udp = 1,
    tcp = 2,
    dot = 3,
    doh = 4,
    dnscrypt_udp = 5,
    dnscrypt_tcp = 6,
    doq = 7,
};

// Why a frame is no message. Each value names a counter.
enum class MessageError : std::uint8_t {
    undecodable,      // not protobuf: cut off, overlong varint, wire type 6 or 7, groups astray
    type_missing,     // the required outer `type`
    message_missing,  // a frame of a type that carries none
    message_type_missing,  // the required inner `type`
};
inline constexpr std::size_t message_error_count = 4;
std::string_view to_string(MessageError error);
Error to_error(MessageError error);

inline constexpr std::size_t group_depth_max = 32;  // nested unknown groups that are skipped

struct Message {
    static Result<Message, MessageError> parse(ByteView frame);

    MessageType type{};
    std::optional<SocketFamily> family;
    std::optional<SocketProtocol> protocol;  // unbound leaves it out for DNS over HTTPS

    ClientAddress query_address;
    ClientAddress response_address;
    std::optional<std::uint32_t> query_port;
    std::optional<std::uint32_t> response_port;

    std::optional<std::uint64_t> query_time_s;
    std::uint32_t query_time_ns = 0;
    std::optional<std::uint64_t> response_time_s;
    std::uint32_t response_time_ns = 0;

    std::optional<ByteView> query_message;     // DNS in wire form
    std::optional<ByteView> response_message;  // DNS in wire form
    ByteView query_zone;                       // a name in wire form; empty: none

    ByteView identity;
    ByteView version;
    ByteView extra;

    // The time as a point in time; nothing if absent or outside what UtcTime can say.
    std::optional<UtcTime> query_time() const;
    std::optional<UtcTime> response_time() const;
};

// What counting responses asks of a frame, and no more: for the hot path. Accepts and refuses what
// Message does, and says the same.
struct ResponseFields {
    static Result<ResponseFields, MessageError> parse(ByteView frame);
    // The same into this object, whatever it held. What keeps it from being a message, if anything;
    // then its fields say nothing.
    std::optional<MessageError> assign(ByteView frame);

    MessageType type{};
    std::uint32_t response_time_ns = 0;
    std::optional<std::uint64_t> response_time_s;
    ClientAddress query_address;
    std::optional<ByteView> response_message;
    // How it was asked, and where: for the transport.
    std::optional<SocketProtocol> protocol;
    ClientAddress response_address;
    std::optional<std::uint32_t> response_port;

    std::optional<UtcTime> response_time() const;
};

}  // namespace tapir::dnstap
