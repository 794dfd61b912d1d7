#include "tapir/crypto/sealed.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "library.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/crypto/digest.hpp"

namespace tapir::crypto {
namespace {

constexpr std::string_view magic = "tapirses";
constexpr std::uint32_t version = 1;
constexpr std::string_view file_key_purpose = "tapir session file";
constexpr std::size_t nonce_size = 12;
using Nonce = std::array<std::byte, nonce_size>;

// Eleven octets of the chunk's number, and one that says whether it is the last.
Nonce nonce_of(std::uint64_t chunk, bool is_last) {
    Nonce nonce{};
    for (std::size_t i = 0; i < sizeof chunk; ++i) {
        nonce[nonce_size - 2 - i] = static_cast<std::byte>(chunk >> (8 * i));
    }
    nonce.back() = is_last ? std::byte{1} : std::byte{0};
    return nonce;
}

Bytes print(const SealedHeader& header) {
    Bytes out = to_bytes(magic);
    append_u32(out, version);
    append_u32(out, header.chunk_size);
    append_u64(out, header.day);
    append(out, header.salt);
    TAPIR_ASSERT(out.size() == sealed_header_size);
    return out;
}

Secret file_key(const SealedHeader& header, const Secret& day_key) {
    TAPIR_ASSERT(day_key.size() == sealed_key_size);
    return hkdf_sha256(day_key.bytes(), header.salt, as_bytes(file_key_purpose), sealed_key_size);
}

// AES-256-GCM under one key: chunk after chunk.
class Cipher {
public:
    explicit Cipher(const Secret& key) {
        TAPIR_ASSERT(EVP_CipherInit_ex(context_.get(), EVP_aes_256_gcm(), nullptr,
                                       in(key.bytes().data()), nullptr, 1) == 1);
    }

    // Appends the encrypted chunk and its tag.
    void seal(ByteView chunk, ByteView header, const Nonce& nonce, Bytes& to) {
        begin(header, nonce, 1);
        const std::size_t at = to.size();
        to.resize(at + chunk.size() + sealed_tag_size);
        run(chunk, to.data() + at);
        TAPIR_ASSERT(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_GCM_GET_TAG, sealed_tag_size,
                                         to.data() + at + chunk.size()) == 1);
    }
    // Appends the content of a chunk with its tag behind it; false if it is not what was sealed.
    bool open(ByteView sealed, ByteView header, const Nonce& nonce, Bytes& to) {
        const ByteView chunk = sealed.first(sealed.size() - sealed_tag_size);
        std::array<std::byte, sealed_tag_size> tag{};
        std::copy(sealed.end() - sealed_tag_size, sealed.end(), tag.begin());
        begin(header, nonce, 0);
        TAPIR_ASSERT(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_GCM_SET_TAG, sealed_tag_size,
                                         tag.data()) == 1);
        const std::size_t at = to.size();
        to.resize(at + chunk.size());
        return run(chunk, to.data() + at);
    }

private:
    void begin(ByteView header, const Nonce& nonce, int encrypts) {
        TAPIR_ASSERT(EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, in(nonce.data()),
                                       encrypts) == 1);
        int size = 0;
        TAPIR_ASSERT(EVP_CipherUpdate(context_.get(), nullptr, &size, in(header.data()),
                                      static_cast<int>(header.size())) == 1);
    }
    // Whether the tag agrees; when sealing there is none yet.
    bool run(ByteView chunk, std::byte* to) {
        int size = 0;
        if (!chunk.empty()) {
            TAPIR_ASSERT(EVP_CipherUpdate(context_.get(), out(to), &size, in(chunk.data()),
                                          static_cast<int>(chunk.size())) == 1);
        }
        std::array<std::byte, aes_block_room> rest{};
        return EVP_CipherFinal_ex(context_.get(), out(rest.data()), &size) == 1;
    }

    static constexpr std::size_t aes_block_room = 16;
    EvpCipherContext context_{EVP_CIPHER_CTX_new()};
};

Failure<Error> refused(std::uint64_t chunk) {
    return fail(Code::corrupt,
                fmt::format("chunk {}: expected what was sealed under this day's key, got "
                            "something else: another key, or the file was changed or cut",
                            chunk));
}

}  // namespace

Result<SealedHeader> SealedHeader::parse(ByteView file) {
    if (file.size() < sealed_header_size || as_text(file.first(magic.size())) != magic) {
        return fail(Code::corrupt, "expected a sealed session file");
    }
    ByteReader in(file.subspan(magic.size()));
    if (const std::uint32_t found = in.u32(); found != version) {
        return fail(Code::invalid, fmt::format("expected version {} of a sealed session file, got "
                                               "{}",
                                               version, found));
    }
    SealedHeader header;
    header.chunk_size = in.u32();
    header.day = in.u64();
    const ByteView salt = in.bytes(sealed_salt_size);
    std::copy(salt.begin(), salt.end(), header.salt.begin());
    if (header.chunk_size < sealed_chunk_size_min || header.chunk_size > sealed_chunk_size_max ||
        header.day > sealed_day_max) {
        return fail(Code::corrupt,
                    fmt::format("expected chunks of {} to {} octets and a day up to {}, got {} and "
                                "{}",
                                sealed_chunk_size_min, sealed_chunk_size_max, sealed_day_max,
                                header.chunk_size, header.day));
    }
    return header;
}

Bytes seal(ByteView content, const SealedHeader& header, const Secret& day_key) {
    TAPIR_ASSERT(header.chunk_size >= sealed_chunk_size_min &&
                 header.chunk_size <= sealed_chunk_size_max && header.day <= sealed_day_max);
    Bytes file = print(header);
    const Bytes head = file;
    file.reserve(file.size() + content.size() +
                 (content.size() / header.chunk_size + 1) * sealed_tag_size);
    Cipher cipher(file_key(header, day_key));
    std::uint64_t number = 0;
    for (;;) {
        const std::size_t size = std::min<std::size_t>(content.size(), header.chunk_size);
        const bool is_last = size == content.size();
        cipher.seal(content.first(size), head, nonce_of(number, is_last), file);
        if (is_last) {
            return file;
        }
        content = content.subspan(size);
        ++number;
    }
}

Result<Bytes> open_sealed(ByteView file, const Secret& day_key) {
    const SealedHeader header = TRY(SealedHeader::parse(file));
    const ByteView head = file.first(sealed_header_size);
    ByteView rest = file.subspan(sealed_header_size);
    Cipher cipher(file_key(header, day_key));
    const std::size_t whole = std::size_t{header.chunk_size} + sealed_tag_size;
    Bytes content;
    content.reserve(rest.size());
    for (std::uint64_t number = 0;; ++number) {
        const std::size_t size = std::min(rest.size(), whole);
        const bool is_last = size == rest.size();
        // Only what has no content at all has an empty chunk: one content, one file.
        if (size < sealed_tag_size || (number > 0 && size == sealed_tag_size) ||
            !cipher.open(rest.first(size), head, nonce_of(number, is_last), content)) {
            wipe(content);
            return refused(number);
        }
        if (is_last) {
            return content;
        }
        rest = rest.subspan(size);
    }
}

Bytes print_sealed_key(const Secret& day_key) {
    constexpr std::string_view digits = "0123456789abcdef";
    Bytes out;
    out.reserve(sealed_key_file_size);  // never grown: a grown buffer leaves octets behind
    for (const std::byte octet : day_key.bytes()) {
        out.push_back(static_cast<std::byte>(digits[std::to_integer<std::size_t>(octet >> 4U)]));
        out.push_back(
            static_cast<std::byte>(digits[std::to_integer<std::size_t>(octet & std::byte{15})]));
    }
    out.push_back(std::byte{'\n'});
    return out;
}

Result<Secret> parse_sealed_key(ByteView file) {
    if (file.size() != sealed_key_file_size || file.back() != std::byte{'\n'}) {
        return fail(Code::corrupt, "expected 64 hexadecimal digits and a line's end");
    }
    return Secret::taken_from(TRY(parse_hex(as_text(file.first(file.size() - 1)))));
}

}  // namespace tapir::crypto
