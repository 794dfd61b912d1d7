// "new_qname": a name was seen that was not seen before; the JSON inside the JWS.
//
//     const std::string text = NewQname{.qname = "new.example.", .flags = 33155,
//                                       .timestamp = minute}.to_json();
//     const auto event = NewQname::parse(text);
//
// The schema is https://schema.dnstapir.se/v1/new_qname. Printed are members in the order of their
// names, strings escaped as Go does (< > & as \u003c \u003e \u0026), so that the octets are those
// of the existing minimiser. Read is any order, and unknown members are passed over.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/crypto/secret.hpp"

namespace tapir::products {

inline constexpr std::size_t event_size_max = 16U << 10U;  // octets of JSON
inline constexpr std::size_t name_text_size_max = 1024;    // characters: 255 octets, all escaped

// Why an event was refused. Each value names a counter.
enum class EventError : std::uint8_t {
    too_large,
    not_json,  // also what is not UTF-8, or has a member twice
    not_object,
    wrong_type,     // `type` is not "new_qname"
    bad_version,    // `version` missing, or no integer from 0 to 65535
    bad_qname,      // missing, no string, empty or too long
    bad_number,     // qtype, qclass, flags or rdlength: no integer from 0 to 65535
    bad_timestamp,  // no RFC 3339
    bad_member,     // message_id or initiator: no string
};
inline constexpr std::size_t event_error_count = 9;
std::string_view to_string(EventError error);
Error to_error(EventError error);

struct NewQname {
    std::string qname;  // presentation form (RFC 1035 §5.1), with the final dot; not validated here
    std::optional<std::uint16_t> qtype;  // ours: absent where it is none of A, AAAA, HTTPS
    std::optional<std::uint16_t> qclass = 1;
    std::optional<std::uint16_t> flags;  // the second 16 bits of the DNS header
    std::optional<UtcTime> timestamp;    // printed in whole seconds if it is whole
    std::string message_id;              // UUID; empty: not sent. Read: empty if it is no UUID
    std::uint16_t version = 0;           // 0 from all edges today

    static Result<NewQname, EventError> parse(std::string_view json);
    std::string to_json() const;

    friend bool operator==(const NewQname&, const NewQname&) = default;
};

// Whether `text` is a UUID as text: 8-4-4-4-12 hexadecimal digits, either case.
bool is_uuid(std::string_view text);

// A UUID (version 8, RFC 9562 §5.8) from HMAC-SHA256 of the content under a key: the same content,
// day and edge give the same id, and nobody without the key can tell the content from it.
std::string message_id(const crypto::Secret& key, ByteView content);

}  // namespace tapir::products
