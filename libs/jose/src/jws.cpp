#include "tapir/jose/jws.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "tapir/base/assert.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/text/json.hpp"

namespace tapir::jose {

using crypto::SignatureAlgorithm;
using text::Json;

namespace {

constexpr std::string_view whitespace = " \t\r\n";

std::string_view without_whitespace(std::string_view text) {
    const std::size_t first = text.find_first_not_of(whitespace);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(whitespace) - first + 1);
}

SignatureAlgorithm signature_algorithm(JwsAlgorithm algorithm) {
    switch (algorithm) {
        case JwsAlgorithm::eddsa:
            return SignatureAlgorithm::ed25519;
        case JwsAlgorithm::es256:
            return SignatureAlgorithm::ecdsa_p256_sha256;
        case JwsAlgorithm::rs256:
            break;
    }
    return SignatureAlgorithm::rsa_v1_5_sha256;
}

// The three parts of a message, still encoded.
struct Parts {
    std::string protected_header;
    std::string payload;
    std::string signature;
};

const std::string* text_member(const Json& json, std::string_view member) {
    const Json* const value = json.find(member);
    return value == nullptr ? nullptr : value->if_string();
}

Result<Parts, JwsError> parts_of_compact(std::string_view text) {
    const std::size_t first = text.find('.');
    const std::size_t second = text.find('.', first == std::string_view::npos ? first : first + 1);
    if (second == std::string_view::npos) {
        return fail(JwsError::malformed);
    }
    return Parts{.protected_header = std::string(text.substr(0, first)),
                 .payload = std::string(text.substr(first + 1, second - first - 1)),
                 .signature = std::string(text.substr(second + 1))};
}

Result<Parts, JwsError> parts_of_json(std::string_view text) {
    const auto json = Json::parse(text, jws_size_max);
    if (!json || json->if_object() == nullptr) {
        return fail(JwsError::malformed);
    }
    const Json* signed_part = &*json;
    if (const Json* const signatures = json->find("signatures")) {
        // General form: the first signature alone counts (core.md §4.3); both forms at once is
        // none.
        if (signatures->if_array() == nullptr || signatures->if_array()->empty() ||
            json->find("signature") != nullptr) {
            return fail(JwsError::malformed);
        }
        signed_part = signatures->if_array()->data();
    }
    const std::string* const payload = text_member(*json, "payload");
    const std::string* const signature = text_member(*signed_part, "signature");
    const std::string* const protected_header = text_member(*signed_part, "protected");
    if (payload == nullptr || signature == nullptr) {
        return fail(JwsError::malformed);
    }
    if (protected_header == nullptr) {
        return fail(signed_part->find("protected") == nullptr ? JwsError::key_id_missing
                                                              : JwsError::malformed);
    }
    return Parts{
        .protected_header = *protected_header, .payload = *payload, .signature = *signature};
}

}  // namespace

std::string_view to_string(JwsError error) {
    switch (error) {
        case JwsError::too_large:
            return "too_large";
        case JwsError::malformed:
            return "malformed";
        case JwsError::key_id_missing:
            return "key_id_missing";
        case JwsError::key_id_malformed:
            return "key_id_malformed";
        case JwsError::critical_extension:
            return "critical_extension";
        case JwsError::algorithm_refused:
            return "algorithm_refused";
        case JwsError::unknown_key:
            return "unknown_key";
        case JwsError::bad_signature:
            break;
    }
    return "bad_signature";
}

Error to_error(JwsError error) {
    switch (error) {
        case JwsError::too_large:
            return {Code::exhausted, "JWS: too_large"};
        case JwsError::unknown_key:
        case JwsError::bad_signature:
        case JwsError::algorithm_refused:
            return {Code::denied, fmt::format("JWS: {}", to_string(error))};
        default:
            return {Code::invalid, fmt::format("JWS: {}", to_string(error))};
    }
}

// Reads the protected header and decodes the parts.
struct JwsReader {
    static Result<UnverifiedJws, JwsError> read(const Parts& parts) {
        if (parts.protected_header.size() > jws_header_size_max) {
            return fail(JwsError::malformed);
        }
        const auto header = crypto::parse_base64url(parts.protected_header);
        auto payload = crypto::parse_base64url(parts.payload);
        auto signature = crypto::parse_base64url(parts.signature);
        if (!header || !payload || !signature) {
            return fail(JwsError::malformed);
        }
        const auto json = Json::parse(as_text(*header), jws_header_size_max);
        if (!json || json->if_object() == nullptr) {
            return fail(JwsError::malformed);
        }
        if (json->find("crit") != nullptr) {
            return fail(JwsError::critical_extension);
        }
        UnverifiedJws message;
        const Json* const kid = json->find("kid");
        if (kid == nullptr) {
            return fail(JwsError::key_id_missing);
        }
        if (kid->if_string() == nullptr || !is_key_id(*kid->if_string())) {
            return fail(JwsError::key_id_malformed);
        }
        message.kid_ = *kid->if_string();
        const std::string* const algorithm = text_member(*json, "alg");
        if (algorithm == nullptr || *algorithm == "none") {
            return fail(JwsError::algorithm_refused);
        }
        message.algorithm_ = *algorithm;
        message.signing_input_ = parts.protected_header + "." + parts.payload;
        message.payload_ = *std::move(payload);
        message.signature_ = *std::move(signature);
        return message;
    }
};

Result<UnverifiedJws, JwsError> UnverifiedJws::parse(std::string_view text) {
    if (text.size() > jws_size_max) {
        return fail(JwsError::too_large);
    }
    text = without_whitespace(text);
    const Parts parts = TRY(text.starts_with('{') ? parts_of_json(text) : parts_of_compact(text));
    return JwsReader::read(parts);
}

Result<VerifiedJws, JwsError> UnverifiedJws::verify(const KeySet& keys) const {
    const Jwk* const key = keys.find(kid_);
    if (key == nullptr) {
        return fail(JwsError::unknown_key);
    }
    return verify(*key);
}

Result<VerifiedJws, JwsError> UnverifiedJws::verify(const Jwk& key) const {
    if (!key.kid().empty() && key.kid() != kid_) {
        return fail(JwsError::unknown_key);
    }
    const JwsAlgorithm algorithm = key.algorithm();
    const bool is_other_name = algorithm == JwsAlgorithm::eddsa && algorithm_ == "Ed25519";
    if (algorithm_ != to_string(algorithm) && !is_other_name) {
        return fail(JwsError::algorithm_refused);
    }
    if (!key.key().verify(signature_algorithm(algorithm), as_bytes(signing_input_), signature_)) {
        return fail(JwsError::bad_signature);
    }
    return VerifiedJws(kid_, key.thumbprint(), payload_);
}

Result<std::string> sign_jws(const PrivateJwk& key, ByteView payload) {
    const Json header =
        Json::object({{"alg", to_string(key.public_jwk().algorithm())}, {"kid", key.kid()}});
    const std::string encoded_header = crypto::base64url(as_bytes(header.to_string()));
    if (payload.size() > jws_size_max) {
        return fail(Code::exhausted, "JWS: payload too large");
    }
    const std::string encoded_payload = crypto::base64url(payload);
    const std::string input = encoded_header + "." + encoded_payload;
    const std::string signature = crypto::base64url(key.key().sign(as_bytes(input)));
    std::string text = fmt::format(R"({{"payload":"{}","protected":"{}","signature":"{}"}})",
                                   encoded_payload, encoded_header, signature);
    if (text.size() > jws_size_max) {
        return fail(Code::exhausted, "JWS: payload too large");
    }
    return text;
}

namespace {

template <class Text>
std::string joined(std::span<const Text> messages, std::size_t size_step) {
    TAPIR_ASSERT(size_step > 0);
    std::string batch = "[";
    for (const std::string_view message : messages) {
        batch += batch.size() == 1 ? "\n" : ",\n";
        batch += message;
    }
    batch += "\n]";
    const std::size_t rest = batch.size() % size_step;
    batch.append(rest == 0 ? 0 : size_step - rest, ' ');
    return batch;
}

}  // namespace

std::string join_batch(std::span<const std::string> messages, std::size_t size_step) {
    return joined(messages, size_step);
}

std::string join_batch(std::span<const std::string_view> messages, std::size_t size_step) {
    return joined(messages, size_step);
}

namespace {

// Where the object that begins at `at` ends: past its closing brace; npos if it does not. Strings
// are skipped, so that braces in them do not count. What is inside is for the parser to judge.
std::size_t end_of_object(std::string_view text, std::size_t at) {
    std::size_t depth = 0;
    bool is_string = false;
    for (; at < text.size(); ++at) {
        const char c = text[at];
        if (is_string) {
            if (c == '\\') {
                ++at;
            } else if (c == '"') {
                is_string = false;
            }
        } else if (c == '"') {
            is_string = true;
        } else if (c == '{') {
            ++depth;
        } else if (c == '}' && --depth == 0) {
            return at + 1;
        }
    }
    return std::string_view::npos;
}

}  // namespace

Result<std::vector<std::string_view>, JwsError> split_batch(std::string_view body) {
    if (body.size() > batch_size_max) {
        return fail(JwsError::too_large);
    }
    const std::string_view text = without_whitespace(body);
    std::vector<std::string_view> messages;
    if (!text.starts_with('[')) {
        messages.push_back(text);
        return messages;
    }
    std::size_t at = text.find_first_not_of(whitespace, 1);
    if (at != std::string_view::npos && text[at] == ']') {
        return at + 1 == text.size() ? Result<std::vector<std::string_view>, JwsError>(messages)
                                     : fail(JwsError::malformed);
    }
    while (at != std::string_view::npos && text[at] == '{') {
        const std::size_t end = end_of_object(text, at);
        if (end == std::string_view::npos) {
            break;
        }
        if (end - at > jws_size_max || messages.size() == batch_count_max) {
            return fail(JwsError::too_large);
        }
        messages.push_back(text.substr(at, end - at));
        at = text.find_first_not_of(whitespace, end);
        if (at == std::string_view::npos) {
            break;
        }
        if (text[at] == ']') {
            return at + 1 == text.size() ? Result<std::vector<std::string_view>, JwsError>(messages)
                                         : fail(JwsError::malformed);
        }
        if (text[at] != ',') {
            break;
        }
        at = text.find_first_not_of(whitespace, at + 1);
    }
    return fail(JwsError::malformed);
}

}  // namespace tapir::jose
