// AES-128, the bare permutation of 16 octets (FIPS 197): a pseudo-random function of one block, not
// a way to encrypt data. Equal blocks give equal results.
//
//     Aes128 aes(key);                                  // 16 octets
//     const AesBlock tag = aes.encrypt(block);
//     aes.encrypt_many(blocks, tags);                   // many in one call: much faster per block
//
// One thread at a time; each worker makes its own. The key is wiped with the object.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "tapir/base/bytes.hpp"
#include "tapir/crypto/secret.hpp"

namespace tapir::crypto {

inline constexpr std::size_t aes128_key_size = 16;  // octets
inline constexpr std::size_t aes_block_size = 16;
inline constexpr std::size_t aes_blocks_max = 1U << 24U;  // in one call

using AesBlock = std::array<std::byte, aes_block_size>;

class Aes128 {
public:
    // `key` is of 16 octets (asserted).
    explicit Aes128(const Secret& key);
    ~Aes128();
    Aes128(Aes128&&) noexcept;
    Aes128& operator=(Aes128&&) noexcept;

    AesBlock encrypt(const AesBlock& block);
    // out[i] = encrypt(in[i]). Sizes are equal and at most aes_blocks_max (asserted); `out` may be
    // `in`.
    void encrypt_many(std::span<const AesBlock> in, std::span<AesBlock> out);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::crypto
