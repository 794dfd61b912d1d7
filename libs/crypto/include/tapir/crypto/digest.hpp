// SHA-2, HMAC and HKDF (FIPS 180-4, RFC 2104, RFC 5869).
//
//     const Sha256Digest digest = sha256(body);
//     Sha256 running;                       // for what does not fit into memory at once
//     running.add(part);
//     const Sha256Digest whole = running.finish();
//
// The functions are pure. A Sha256 belongs to one thread at a time.
#pragma once

#include <array>
#include <memory>

#include "tapir/base/bytes.hpp"
#include "tapir/crypto/secret.hpp"

namespace tapir::crypto {

inline constexpr std::size_t sha256_size = 32;  // octets
inline constexpr std::size_t sha512_size = 64;
inline constexpr std::size_t hkdf_size_max = 255 * sha256_size;

using Sha256Digest = std::array<std::byte, sha256_size>;
using Sha512Digest = std::array<std::byte, sha512_size>;

Sha256Digest sha256(ByteView message);
Sha512Digest sha512(ByteView message);
Sha256Digest hmac_sha256(ByteView key, ByteView message);

// Extract and expand: `size` octets, at most hkdf_size_max (asserted). An empty salt is 32 zeros.
Secret hkdf_sha256(ByteView key, ByteView salt, ByteView info, std::size_t size);

class Sha256 {
public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;

    void add(ByteView part);
    // The digest of all parts; from then on it is as new.
    Sha256Digest finish();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::crypto
