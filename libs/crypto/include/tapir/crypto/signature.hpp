// Signatures: Ed25519 signs (RFC 8032); Ed25519, ECDSA P-256 and RSA are verified.
//
//     const SigningKey key = TRY(SigningKey::from_seed(std::move(seed)));
//     const Ed25519Signature signature = key.sign(message);
//     key.public_key().verify(SignatureAlgorithm::ed25519, message, signature);
//
// Ed25519 is repeatable: the same key and message give the same octets. Keys never change, so
// threads may share them; copies of a PublicKey share one object of the library behind.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/crypto/secret.hpp"

namespace tapir::crypto {

inline constexpr std::size_t ed25519_size = 32;            // octets of a seed and of a public key
inline constexpr std::size_t ed25519_signature_size = 64;  // octets
inline constexpr std::size_t p256_coordinate_size = 32;    // octets
inline constexpr std::size_t p256_signature_size = 64;     // r and s, each 32 octets
inline constexpr std::size_t rsa_bits_min = 2048;
inline constexpr std::size_t rsa_bits_max = 4096;
inline constexpr std::size_t rsa_exponent_size_max = 4;  // octets
inline constexpr std::size_t pem_size_max = 8192;        // octets of text

using Ed25519Signature = std::array<std::byte, ed25519_signature_size>;

enum class KeyType : std::uint8_t { ed25519, p256, rsa };

enum class SignatureAlgorithm : std::uint8_t {
    ed25519,            // RFC 8032
    ecdsa_p256_sha256,  // r and s as 64 octets, not DER
    rsa_v1_5_sha256,    // RFC 8017 §8.2
    rsa_pss_sha512,     // RFC 8017 §8.1, MGF1 with SHA-512, salt of any length
};

// The kind of key that the algorithm wants.
KeyType key_type_of(SignatureAlgorithm algorithm);

class PublicKey {
public:
    static Result<PublicKey> ed25519(ByteView x);
    // A point on the curve, each coordinate of 32 octets.
    static Result<PublicKey> p256(ByteView x, ByteView y);
    // Big-endian without leading zeros; modulus of rsa_bits_min to rsa_bits_max, exponent odd and
    // at least 3.
    static Result<PublicKey> rsa(ByteView n, ByteView e);
    // The first "PUBLIC KEY" block (SubjectPublicKeyInfo) of the text; other kinds of key are
    // invalid.
    static Result<PublicKey> from_pem(std::string_view pem);

    KeyType type() const;

    // The numbers as JWK writes them: Ed25519 x; P-256 x, y; RSA n, e. Asserts that the key has
    // such. Valid while any copy of this key lives.
    ByteView x() const;
    ByteView y() const;
    ByteView n() const;
    ByteView e() const;

    // Whether `signature` is this key's over `message`. An algorithm that does not fit the key, or
    // a signature of the wrong size: false.
    bool verify(SignatureAlgorithm algorithm, ByteView message, ByteView signature) const;

    // SubjectPublicKeyInfo as PEM text.
    std::string to_pem() const;

    // The same key.
    friend bool operator==(const PublicKey& a, const PublicKey& b);

private:
    friend class SigningKey;
    struct Impl;
    explicit PublicKey(std::shared_ptr<const Impl> impl);
    static Result<PublicKey> from_library(void* library_key);  // an EVP_PKEY*, taken over
    std::shared_ptr<const Impl> impl_;
};

// An Ed25519 private key.
class SigningKey {
public:
    // `seed` is of 32 octets.
    static Result<SigningKey> from_seed(Secret seed);

    SigningKey(SigningKey&&) noexcept;
    SigningKey& operator=(SigningKey&&) noexcept;
    ~SigningKey();

    Ed25519Signature sign(ByteView message) const;
    const PublicKey& public_key() const;
    // What from_seed was given, for writing a key file.
    const Secret& seed() const;

private:
    struct Impl;
    explicit SigningKey(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::crypto
