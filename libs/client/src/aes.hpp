// AES-128 over single blocks, many at a time: by the processor's instructions or by OpenSSL.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <openssl/evp.h>

#include "locked.hpp"

namespace tapir::client {

inline constexpr std::size_t aes_key_size = 16;
using AesBlock = std::array<std::byte, 16>;

class Aes128 {
public:
    // `use_instructions`: if the processor has them; the results are the same.
    Aes128(std::span<const std::byte, aes_key_size> key, bool use_instructions);

    // Encrypts every block in place.
    void encrypt(std::span<AesBlock> blocks);

private:
    struct Schedule {
        alignas(16) std::array<AesBlock, 11> round_keys;
    };
    using Context = std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)>;

    Locked<Schedule> schedule_;                      // null: OpenSSL
    Context context_{nullptr, EVP_CIPHER_CTX_free};  // wipes its key itself
};

}  // namespace tapir::client
