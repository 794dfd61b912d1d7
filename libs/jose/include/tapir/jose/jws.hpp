// Signed messages (RFC 7515). What is not verified has no payload that one could read.
//
//     const std::string text = TRY(sign_jws(key, payload));             // flattened JSON
//
//     const auto message = UnverifiedJws::parse(text);                  // what it claims
//     const auto verified = message->verify(keys);                      // what is true
//     use(verified->kid(), verified->payload());
//
// Read: flattened, general (its first signature; the others are not looked at) and compact form.
// The key decides the algorithm: a header `alg` that is not the key's is refused, "none" always. So
// is any `crit`, for there is no extension that we know. `kid` counts in the protected header only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/jose/jwk.hpp"

namespace tapir::jose {

inline constexpr std::size_t jws_size_max = 64U << 10U;    // octets of one message
inline constexpr std::size_t jws_header_size_max = 4096;   // octets of a protected header
inline constexpr std::size_t batch_size_max = 64U << 20U;  // octets of a batch
inline constexpr std::size_t batch_count_max = 1U << 20U;  // messages in a batch

// Why a message was refused. Each value names a counter.
enum class JwsError : std::uint8_t {
    too_large,           // over jws_size_max
    malformed,           // none of the three forms, or something in it is not as it must be
    key_id_missing,      // no kid in the protected header
    key_id_malformed,    // not is_key_id
    critical_extension,  // a crit member
    algorithm_refused,   // alg absent, "none", unknown, or not that of the key
    unknown_key,         // no key of that kid
    bad_signature,       // not this key's over this message
};
inline constexpr std::size_t jws_error_count = 8;
std::string_view to_string(JwsError error);
Error to_error(JwsError error);

// A message whose signature was found good. Only UnverifiedJws::verify makes one.
class VerifiedJws {
public:
    const std::string& kid() const { return kid_; }
    const std::string& thumbprint() const { return thumbprint_; }  // of the key (RFC 7638)
    // The octets that were signed for. Valid while this lives.
    ByteView payload() const& { return payload_; }
    ByteView payload() const&& = delete;
    std::string_view payload_text() const& { return as_text(payload_); }
    std::string_view payload_text() const&& = delete;

private:
    friend class UnverifiedJws;
    VerifiedJws(std::string kid, std::string thumbprint, Bytes payload)
        : kid_(std::move(kid)), thumbprint_(std::move(thumbprint)), payload_(std::move(payload)) {}

    std::string kid_;
    std::string thumbprint_;
    Bytes payload_;
};

class UnverifiedJws {
public:
    static Result<UnverifiedJws, JwsError> parse(std::string_view text);

    // The key that it names, for finding that key. Nothing is known to be true yet.
    const std::string& claimed_kid() const { return kid_; }

    Result<VerifiedJws, JwsError> verify(const KeySet& keys) const;
    // With the one key that is expected; its kid, if it has one, must be the message's.
    Result<VerifiedJws, JwsError> verify(const Jwk& key) const;

private:
    friend struct JwsReader;
    UnverifiedJws() = default;

    std::string kid_;
    std::string algorithm_;
    std::string signing_input_;  // protected '.' payload, as sent
    Bytes payload_;
    Bytes signature_;
};

// Flattened JSON, members in the order payload, protected, signature; the protected header is
// {"alg":"EdDSA","kid":"<kid>"}. Repeatable. Code::exhausted if it would be over jws_size_max.
Result<std::string> sign_jws(const PrivateJwk& key, ByteView payload);

// A batch: a JSON array of messages, one a line, filled with spaces to a multiple of `size_step`
// octets, so that its size tells little. An empty batch is filled too.
std::string join_batch(std::span<const std::string> messages, std::size_t size_step);
std::string join_batch(std::span<const std::string_view> messages, std::size_t size_step);

// The messages of a batch as they were written, not looked into; or the body itself if it is one
// message. Views into `body`. Errors: too_large, malformed.
Result<std::vector<std::string_view>, JwsError> split_batch(std::string_view body);

}  // namespace tapir::jose
