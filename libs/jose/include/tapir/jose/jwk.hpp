// Keys as JSON (RFC 7517, RFC 8037), and sets of them found by key id.
//
//     KeySet keys = TRY(KeySet::parse(text));                        // {"keys":[…]} or one key
//     TRY(keys.add(TRY(key_from_file("edge-1.example.jwk", text)))); // or edge-1.example.pem
//     const Jwk* key = keys.find("edge-1.example");
//
//     const PrivateJwk mine = TRY(PrivateJwk::parse(text));          // Ed25519, with its kid
//
// No file access here: texts come in. A Jwk is public; only a PrivateJwk can sign, and a public key
// given in its place is an error. None of them changes, so threads may share them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/crypto/signature.hpp"

namespace tapir::jose {

inline constexpr std::size_t jwk_size_max = 16U << 10U;     // octets of one key's JSON
inline constexpr std::size_t key_set_size_max = 4U << 20U;  // octets of a set's JSON
inline constexpr std::size_t key_count_max = 10'000;        // keys in a set
inline constexpr std::size_t key_id_size_max = 255;         // octets

// Whether `text` may be a key id here: 1 to 255 of A-Z a-z 0-9 . _ -, not beginning with a dot. So
// it is safe as file name, topic level and path element.
bool is_key_id(std::string_view text);

// The algorithms of JWS that we know (RFC 7518, RFC 8037).
enum class JwsAlgorithm : std::uint8_t { eddsa, es256, rs256 };
std::string_view to_string(JwsAlgorithm algorithm);  // "EdDSA", "ES256", "RS256"

// A public key: OKP Ed25519, EC P-256 or RSA.
class Jwk {
public:
    // Reads one key. Private members are left behind. `kid`, if given, obeys is_key_id; `alg` fits
    // the key (absent: it follows from the key); `use` is "sig" or absent. Other members do not
    // matter.
    static Result<Jwk> parse(std::string_view json);
    static Result<Jwk> from_pem(std::string_view pem, std::string kid);
    Jwk(crypto::PublicKey key, std::string kid);  // `kid` empty or obeying is_key_id (asserted)

    const std::string& kid() const { return kid_; }  // empty if it has none
    const crypto::PublicKey& key() const { return key_; }
    JwsAlgorithm algorithm() const;

    // SHA-256 of the key's required members (RFC 7638), base64url.
    std::string thumbprint() const;

    // {"alg":…,"crv":…,"kid":…,"kty":…,"use":"sig","x":…}: compact, members sorted.
    std::string to_json() const;

private:
    crypto::PublicKey key_;
    std::string kid_;
};

// An Ed25519 key that signs. It has a kid, always.
class PrivateJwk {
public:
    // Refused: what has no `d`, no `kid`, or an `x` that is not d's.
    static Result<PrivateJwk> parse(std::string_view json);
    PrivateJwk(crypto::SigningKey key, std::string kid);  // `kid` obeys is_key_id (asserted)

    const std::string& kid() const { return public_.kid(); }
    const Jwk& public_jwk() const { return public_; }
    const crypto::SigningKey& key() const { return key_; }

    // For a key file that its owner alone can read: the public members and `d`.
    crypto::Secret to_json() const;

private:
    crypto::SigningKey key_;
    Jwk public_;
};

class KeySet {
public:
    // A JWK Set or one JWK. Keys of kinds that we do not know, for encryption, or without a kid are
    // skipped and counted; a known kind with wrong members, or a kid twice, refuses the whole.
    static Result<KeySet> parse(std::string_view json);

    // Code::conflict if there is a key of that kid; Code::invalid if it has no kid.
    Result<void> add(const Jwk& key);

    // nullptr if there is none. Valid while the set lives unchanged.
    const Jwk* find(std::string_view kid) const;
    std::size_t size() const { return keys_.size(); }
    std::size_t skipped() const { return skipped_; }
    auto begin() const { return keys_.begin(); }  // pairs of kid and key, by kid
    auto end() const { return keys_.end(); }

private:
    std::map<std::string, Jwk, std::less<>> keys_;
    std::size_t skipped_ = 0;
};

// The key in a file of a key directory: "KID.jwk" holds JSON, "KID.pem" a SubjectPublicKeyInfo. The
// name gives the kid; a `kid` inside must be the same. Other endings are Code::not_found.
Result<Jwk> key_from_file(std::string_view file_name, std::string_view content);

}  // namespace tapir::jose
