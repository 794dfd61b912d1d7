// A key from what a person wrote: Argon2id (RFC 9106, version 1.3), slow and memory-hungry by
// design, so that words cannot be tried out cheaply.
//
//     const Secret key = TRY(argon2id(words, salt, {.passes = 1, .memory_kib = 65'536, .lanes = 4},
//                                     32));
//
// Pure; takes `memory_kib` while it runs, which is wiped. One thread works, whatever `lanes` says:
// the lanes are a part of the result.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/crypto/secret.hpp"

namespace tapir::crypto {

inline constexpr std::size_t argon2_salt_size_min = 8;  // octets, RFC 9106 §3.1
inline constexpr std::size_t argon2_input_size_max = 1U << 20U;

struct Argon2Cost {
    std::uint32_t passes = 1;
    std::uint32_t memory_kib = 65'536;
    std::uint32_t lanes = 4;
};

// `size` octets: 4 to 1 024. Code::invalid where password, salt or costs are out of range,
// Code::exhausted where there is no memory.
Result<Secret> argon2id(ByteView password, ByteView salt, const Argon2Cost& cost, std::size_t size);

}  // namespace tapir::crypto
