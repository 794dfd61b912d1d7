// A file encrypted under a day's key, in chunks, so that it is refused unless it is whole.
//
//     const Bytes file = seal(parquet, {.day = 20'718, .salt = salt}, day_key);
//     const SealedHeader header = TRY(SealedHeader::parse(file));      // whose key it needs
//     const Bytes parquet = TRY(open_sealed(file, day_key));           // all of it, or an error
//
// docs/formats/session-file.md has the layout and an example. Each file has a key of its own,
// derived from the day's key and the file's salt; each chunk's nonce is its number and whether it
// is the last (the STREAM construction); the header is authenticated with every chunk. So a changed
// octet, a chunk that is cut off, left out, doubled or moved, and a chunk of another file are all
// refused. Pure: the salt is an argument, and must never be used twice under one key.
#pragma once

#include <array>
#include <cstdint>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/crypto/secret.hpp"

namespace tapir::crypto {

inline constexpr std::size_t sealed_key_size = 32;          // octets, AES-256
inline constexpr std::size_t sealed_salt_size = 16;         // octets
inline constexpr std::size_t sealed_header_size = 40;       // octets
inline constexpr std::size_t sealed_tag_size = 16;          // octets behind each chunk
inline constexpr std::uint32_t sealed_chunk_size = 65'536;  // octets of content, as we write it
inline constexpr std::uint32_t sealed_chunk_size_min = 16;
inline constexpr std::uint32_t sealed_chunk_size_max = 1U << 20U;
inline constexpr std::uint64_t sealed_day_max = 2'932'896;  // 9999-12-31

using SealedSalt = std::array<std::byte, sealed_salt_size>;

struct SealedHeader {
    std::uint64_t day = 0;  // whose key it is: days since 1970-01-01
    SealedSalt salt{};
    std::uint32_t chunk_size = sealed_chunk_size;

    // Reads the front of a file. Nothing of it is authentic before open_sealed() has agreed.
    // Code::corrupt for what is no such file, Code::invalid for another version.
    static Result<SealedHeader> parse(ByteView file);
    friend bool operator==(const SealedHeader&, const SealedHeader&) = default;
};

// `day_key` is of sealed_key_size octets, day and chunk size within their limits (asserted).
Bytes seal(ByteView content, const SealedHeader& header, const Secret& day_key);
// The content, if file and key are right to the last octet; Code::corrupt otherwise.
Result<Bytes> open_sealed(ByteView file, const Secret& day_key);

// What a key's file holds: 64 hexadecimal digits and a line's end. Code::corrupt for anything else.
inline constexpr std::size_t sealed_key_file_size = 2 * sealed_key_size + 1;  // octets
Bytes print_sealed_key(const Secret& day_key);
Result<Secret> parse_sealed_key(ByteView file);

}  // namespace tapir::crypto
