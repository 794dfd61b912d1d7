// HTTP requests signed over their parts (RFC 9421), bodies under a digest (RFC 9530).
//
//     // sender
//     fields.push_back({"content-digest", content_digest(body)});
//     const SignatureFields signature = TRY(sign_request(key, request, now, Coverage::core));
//     // receiver
//     const auto verified = verify_request(request, keys, now, SignaturePolicy::interoperable());
//     if (!verified) { counter(verified.error()).add(); ... }
//
// Signatures are over the fields as sent; the digest is over the body as sent. Pure: the time is an
// argument. hmac-sha256 is refused: it needs a shared secret, and there is none.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/jose/jwk.hpp"

namespace tapir::jose {

inline constexpr std::size_t signature_field_size_max = 8192;  // octets of one structured field
inline constexpr std::size_t signature_component_count_max = 32;

// One header field, name in any case, value without outer white space. Points into the request.
struct FieldView {
    std::string_view name;
    std::string_view value;
};

// A request as it was sent; what the views point to must outlive it.
struct RequestView {
    std::string_view method;
    std::string_view path;   // up to '?', not decoded
    std::string_view query;  // after '?', not decoded
    std::span<const FieldView> fields;
    ByteView body;
};

// "sha-256=:…:", the value of Content-Digest.
std::string content_digest(ByteView body);

// What our signatures cover.
enum class Coverage : std::uint8_t {
    // "content-type" "content-length" "content-digest": what the existing minimiser sends
    edm,
    // those, "aggregate-interval" if the request has it, "@method" and "@path": for our own core
    core,
};

// Values of the two fields, label sig1.
struct SignatureFields {
    std::string signature_input;
    std::string signature;
};

// Code::invalid if a field that is to be covered is not in the request. Repeatable.
Result<SignatureFields> sign_request(const PrivateJwk& key, const RequestView& request,
                                     UtcTime created, Coverage coverage);

// Why a request was refused. Each value names a counter. (What HTTP status follows is the service's
// business.)
enum class HttpSignatureError : std::uint8_t {
    // There is not everything that is needed.
    signature_missing,
    signature_input_missing,
    digest_missing,
    // Signature-Input, Signature.
    signature_input_malformed,  // no structured field, or not of the right kind
    signature_malformed,
    several_signatures,
    label_mismatch,       // Signature has no member of Signature-Input's label
    parameter_unknown,    // one that neither RFC 9421 nor we know
    component_malformed,  // not lower case, with parameters, or too many
    component_twice,
    component_absent,       // a covered field is not in the request
    component_unsupported,  // a derived component that we do not compute
    // Algorithm and key.
    algorithm_missing,
    algorithm_unknown,
    algorithm_refused,     // hmac-sha256
    algorithm_not_of_key,  // does not fit the kind of key
    key_id_missing,
    key_id_malformed,  // empty, or not is_key_id
    unknown_key,
    // Time.
    created_missing,
    created_in_future,
    created_too_old,
    expired,
    // What it is worth.
    not_covered,         // a component that the policy demands
    digest_not_covered,  // content-digest itself
    bad_signature,
    // Content-Digest.
    digest_malformed,    // no structured field
    digest_unsupported,  // neither sha-256 nor sha-512
    digest_mismatch,
};
inline constexpr std::size_t http_signature_error_count = 29;
std::string_view to_string(HttpSignatureError error);
Error to_error(HttpSignatureError error);

struct SignaturePolicy {
    Duration age_max{};                // oldest `created` allowed
    Duration ahead_max{};              // how far `created` may lie in the future
    std::vector<std::string> covered;  // components demanded; content-digest is always

    // What the existing receiver demands: content-digest covered, a day old, 5 s ahead.
    static SignaturePolicy interoperable();
    // What our own edges are held to: also content-type, content-length, aggregate-interval,
    // @method, @path.
    static SignaturePolicy strict();
};

struct VerifiedRequest {
    std::string kid;
    std::string thumbprint;            // of the key (RFC 7638)
    std::string label;                 // of the signature
    std::vector<std::string> covered;  // components, in order
    UtcTime created;
};

// Verifies the signature, then the digest. The order of the checks is that of the existing
// receiver, so that where several faults meet the same one is named.
Result<VerifiedRequest, HttpSignatureError> verify_request(const RequestView& request,
                                                           const KeySet& keys, UtcTime now,
                                                           const SignaturePolicy& policy);

// The text that the request's one signature is over (RFC 9421 §2.5), for diagnosis and tests.
Result<std::string, HttpSignatureError> signature_base(const RequestView& request);

// Whether the Content-Digest of the request is that of its body; sha-256 decides if it is there,
// else sha-512. Other algorithms beside them do not matter.
Result<void, HttpSignatureError> verify_digest(const RequestView& request);

}  // namespace tapir::jose
