#include "tapir/jose/jwk.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "tapir/base/assert.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/text/json.hpp"

namespace tapir::jose {
namespace {

using crypto::base64url;
using crypto::KeyType;
using text::Json;

JwsAlgorithm algorithm_of(KeyType type) {
    switch (type) {
        case KeyType::ed25519:
            return JwsAlgorithm::eddsa;
        case KeyType::p256:
            return JwsAlgorithm::es256;
        case KeyType::rsa:
            break;
    }
    return JwsAlgorithm::rs256;
}

// Kinds that a set may hold and that we pass over.
bool is_known_kind(const Json& json) {
    const Json* const kty = json.find("kty");
    const Json* const crv = json.find("crv");
    const std::string* const kind = kty == nullptr ? nullptr : kty->if_string();
    const std::string* const curve = crv == nullptr ? nullptr : crv->if_string();
    if (kind == nullptr) {
        return false;
    }
    return *kind == "RSA" || (curve != nullptr && ((*kind == "OKP" && *curve == "Ed25519") ||
                                                   (*kind == "EC" && *curve == "P-256")));
}

bool is_for_encryption(const Json& json) {
    const Json* const use = json.find("use");
    return use != nullptr && use->if_string() != nullptr && *use->if_string() == "enc";
}

Result<Bytes> octets_of(const Json& json, std::string_view member) {
    const std::string text = TRY(json.string(member));
    auto octets = crypto::parse_base64url(text);
    if (!octets) {
        return fail(std::move(octets).error().at(fmt::format("JWK: {}", member)));
    }
    return octets;
}

Result<crypto::PublicKey> key_of(const Json& json) {
    const std::string kind = TRY(json.string("kty"));
    if (!is_known_kind(json)) {
        return fail(Code::invalid,
                    "JWK: expected OKP with Ed25519, EC with P-256, or RSA as kty and crv");
    }
    if (kind == "OKP") {
        const Bytes x = TRY(octets_of(json, "x"));
        return crypto::PublicKey::ed25519(x);
    }
    if (kind == "EC") {
        const Bytes x = TRY(octets_of(json, "x"));
        const Bytes y = TRY(octets_of(json, "y"));
        return crypto::PublicKey::p256(x, y);
    }
    const Bytes n = TRY(octets_of(json, "n"));
    const Bytes e = TRY(octets_of(json, "e"));
    return crypto::PublicKey::rsa(n, e);
}

bool fits(std::string_view algorithm, KeyType type) {
    return algorithm == to_string(algorithm_of(type)) ||
           (type == KeyType::ed25519 && algorithm == "Ed25519");  // its other name, RFC 9864
}

Result<Jwk> jwk_of(const Json& json) {
    if (json.if_object() == nullptr) {
        return fail(Code::invalid, "JWK: expected a JSON object");
    }
    std::string kid;
    if (json.find("kid") != nullptr) {
        kid = TRY(json.string("kid"));
        if (!is_key_id(kid)) {
            return fail(Code::invalid, "JWK: kid: expected 1 to 255 of A-Z a-z 0-9 . _ -");
        }
    }
    crypto::PublicKey key = TRY(key_of(json));
    if (json.find("alg") != nullptr) {
        const std::string algorithm = TRY(json.string("alg"));
        if (!fits(algorithm, key.type())) {
            return fail(Code::invalid, fmt::format("JWK: alg: expected {} for this key",
                                                   to_string(algorithm_of(key.type()))));
        }
    }
    if (json.find("use") != nullptr) {
        const std::string use = TRY(json.string("use"));
        if (use != "sig") {
            return fail(Code::invalid, "JWK: use: expected sig");
        }
    }
    return Jwk(std::move(key), std::move(kid));
}

// The members that make the key (RFC 7638 §3.2), in canonical order.
Json required_members(const crypto::PublicKey& key) {
    switch (key.type()) {
        case KeyType::ed25519:
            return Json::object({{"crv", "Ed25519"}, {"kty", "OKP"}, {"x", base64url(key.x())}});
        case KeyType::p256:
            return Json::object({{"crv", "P-256"},
                                 {"kty", "EC"},
                                 {"x", base64url(key.x())},
                                 {"y", base64url(key.y())}});
        case KeyType::rsa:
            break;
    }
    return Json::object({{"e", base64url(key.e())}, {"kty", "RSA"}, {"n", base64url(key.n())}});
}

Json public_members(const Jwk& jwk) {
    Json json = required_members(jwk.key());
    json.set("alg", to_string(jwk.algorithm()));
    if (!jwk.kid().empty()) {
        json.set("kid", jwk.kid());
    }
    json.set("use", "sig");
    return json;
}

}  // namespace

bool is_key_id(std::string_view text) {
    const auto is_allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    };
    return !text.empty() && text.size() <= key_id_size_max && text.front() != '.' &&
           std::ranges::all_of(text, is_allowed);
}

std::string_view to_string(JwsAlgorithm algorithm) {
    switch (algorithm) {
        case JwsAlgorithm::eddsa:
            return "EdDSA";
        case JwsAlgorithm::es256:
            return "ES256";
        case JwsAlgorithm::rs256:
            break;
    }
    return "RS256";
}

Jwk::Jwk(crypto::PublicKey key, std::string kid) : key_(std::move(key)), kid_(std::move(kid)) {
    TAPIR_ASSERT(kid_.empty() || is_key_id(kid_));
}

Result<Jwk> Jwk::parse(std::string_view json) {
    const Json parsed = TRY(Json::parse(json, jwk_size_max));
    return jwk_of(parsed);
}

Result<Jwk> Jwk::from_pem(std::string_view pem, std::string kid) {
    if (!kid.empty() && !is_key_id(kid)) {
        return fail(Code::invalid, "key id: expected 1 to 255 of A-Z a-z 0-9 . _ -");
    }
    crypto::PublicKey key = TRY(crypto::PublicKey::from_pem(pem));
    return Jwk(std::move(key), std::move(kid));
}

JwsAlgorithm Jwk::algorithm() const {
    return algorithm_of(key_.type());
}

std::string Jwk::thumbprint() const {
    return base64url(crypto::sha256(as_bytes(required_members(key_).to_canonical())));
}

std::string Jwk::to_json() const {
    return public_members(*this).to_canonical();
}

PrivateJwk::PrivateJwk(crypto::SigningKey key, std::string kid)
    : key_(std::move(key)), public_(key_.public_key(), std::move(kid)) {
    TAPIR_ASSERT(!public_.kid().empty());
}

Result<PrivateJwk> PrivateJwk::parse(std::string_view text) {
    const Json json = TRY(Json::parse(text, jwk_size_max));
    const Jwk claimed = TRY(jwk_of(json));
    if (claimed.key().type() != KeyType::ed25519) {
        return fail(Code::invalid, "JWK: only Ed25519 keys sign");
    }
    if (json.find("d") == nullptr) {
        return fail(Code::invalid, "JWK: expected a private key, this is a public one (no d)");
    }
    if (claimed.kid().empty()) {
        return fail(Code::invalid, "JWK: expected a kid");
    }
    Bytes d = TRY(octets_of(json, "d"));
    crypto::SigningKey key =
        TRY(crypto::SigningKey::from_seed(crypto::Secret::taken_from(std::move(d))));
    if (!(key.public_key() == claimed.key())) {
        return fail(Code::invalid, "JWK: x is not the public key of d");
    }
    return PrivateJwk(std::move(key), claimed.kid());
}

crypto::Secret PrivateJwk::to_json() const {
    Json json = public_members(public_);
    json.set("d", base64url(key_.seed().bytes()));
    return crypto::Secret::copy_of(as_bytes(json.to_canonical()));
}

Result<KeySet> KeySet::parse(std::string_view text) {
    const Json json = TRY(Json::parse(text, key_set_size_max));
    KeySet set;
    if (json.find("keys") == nullptr) {
        const Jwk key = TRY(jwk_of(json));
        TRY(set.add(key));
        return set;
    }
    const Json::Array keys = TRY(json.array_of("keys"));
    if (keys.size() > key_count_max) {
        return fail(Code::exhausted, fmt::format("JWK Set: more than {} keys", key_count_max));
    }
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (!is_known_kind(keys[i]) || is_for_encryption(keys[i]) ||
            keys[i].find("kid") == nullptr) {
            ++set.skipped_;
            continue;
        }
        const auto key = jwk_of(keys[i]);
        if (!key) {
            return fail(Error(key.error()).at(fmt::format("keys[{}]", i)));
        }
        TRY(set.add(*key));
    }
    return set;
}

Result<void> KeySet::add(const Jwk& key) {
    if (key.kid().empty()) {
        return fail(Code::invalid, "key set: a key without a kid");
    }
    if (keys_.size() == key_count_max) {
        return fail(Code::exhausted, "key set: full");
    }
    if (!keys_.try_emplace(key.kid(), key).second) {
        return fail(Code::conflict, fmt::format("key set: two keys of the kid {}", key.kid()));
    }
    return {};
}

const Jwk* KeySet::find(std::string_view kid) const {
    const auto found = keys_.find(kid);
    return found == keys_.end() ? nullptr : &found->second;
}

Result<Jwk> key_from_file(std::string_view file_name, std::string_view content) {
    const bool is_jwk = file_name.ends_with(".jwk");
    if (!is_jwk && !file_name.ends_with(".pem")) {
        return fail(Code::not_found, "not a key file: expected KID.jwk or KID.pem");
    }
    const std::string kid(file_name.substr(0, file_name.size() - 4));
    if (!is_key_id(kid)) {
        return fail(Code::invalid, "key file: expected 1 to 255 of A-Z a-z 0-9 . _ - as its name");
    }
    if (!is_jwk) {
        return Jwk::from_pem(content, kid);
    }
    const Jwk key = TRY(Jwk::parse(content));
    if (!key.kid().empty() && key.kid() != kid) {
        return fail(
            Code::invalid,
            fmt::format("key file: the kid inside is {}, by the name it is {}", key.kid(), kid));
    }
    return Jwk(key.key(), kid);
}

}  // namespace tapir::jose
