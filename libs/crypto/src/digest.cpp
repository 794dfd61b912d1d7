#include "tapir/crypto/digest.hpp"

#include <openssl/hmac.h>

#include "library.hpp"
#include "tapir/base/assert.hpp"

namespace tapir::crypto {

namespace {

// Looked up once: EVP_sha256() is looked up in OpenSSL's tables again at every start of a digest,
// which for short messages takes longer than the digest. Never freed, as the process has one.
const EVP_MD* sha256_method() {
    static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
    TAPIR_ASSERT(method != nullptr);
    return method;
}

const EVP_MD* sha512_method() {
    static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA2-512", nullptr);
    TAPIR_ASSERT(method != nullptr);
    return method;
}

}  // namespace

Sha256Digest sha256(ByteView message) {
    Sha256Digest digest;
    TAPIR_ASSERT(EVP_Digest(message.data(), message.size(), out(digest.data()), nullptr,
                            sha256_method(), nullptr) == 1);
    return digest;
}

Sha512Digest sha512(ByteView message) {
    Sha512Digest digest;
    TAPIR_ASSERT(EVP_Digest(message.data(), message.size(), out(digest.data()), nullptr,
                            sha512_method(), nullptr) == 1);
    return digest;
}

Sha256Digest hmac_sha256(ByteView key, ByteView message) {
    Sha256Digest digest;
    unsigned size = sha256_size;
    // An empty view may have no address, which HMAC would take for "the key of before".
    const std::byte none{};
    const std::byte* const key_data = key.empty() ? &none : key.data();
    TAPIR_ASSERT(HMAC(EVP_sha256(), key_data, static_cast<int>(key.size()), in(message.data()),
                      message.size(), out(digest.data()), &size) != nullptr);
    return digest;
}

Secret hkdf_sha256(ByteView key, ByteView salt, ByteView info, std::size_t size) {
    TAPIR_ASSERT(size <= hkdf_size_max);
    const Sha256Digest zeros{};
    Sha256Digest extracted = hmac_sha256(salt.empty() ? ByteView(zeros) : salt, key);
    Bytes octets;
    octets.reserve(size + sha256_size);  // never grown: a grown buffer leaves octets behind
    Bytes message;
    message.reserve(sha256_size + info.size() + 1);
    Sha256Digest block{};
    for (std::uint8_t counter = 1; octets.size() < size; ++counter) {
        message.clear();
        if (counter > 1) {
            append(message, block);
        }
        append(message, info);
        append_u8(message, counter);
        block = hmac_sha256(extracted, message);
        append(octets, block);
    }
    wipe(std::span(octets).subspan(size));
    octets.resize(size);
    wipe(message);
    wipe(block);
    wipe(extracted);
    return Secret::taken_from(std::move(octets));
}

// Started with the first part, so that the last finish() starts none in vain.
struct Sha256::Impl {
    EvpDigestContext context{EVP_MD_CTX_new()};
    bool is_started = false;

    void start() {
        if (!is_started) {
            TAPIR_ASSERT(EVP_DigestInit_ex(context.get(), sha256_method(), nullptr) == 1);
            is_started = true;
        }
    }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::add(ByteView part) {
    impl_->start();
    TAPIR_ASSERT(EVP_DigestUpdate(impl_->context.get(), part.data(), part.size()) == 1);
}

Sha256Digest Sha256::finish() {
    impl_->start();
    Sha256Digest digest;
    TAPIR_ASSERT(EVP_DigestFinal_ex(impl_->context.get(), out(digest.data()), nullptr) == 1);
    impl_->is_started = false;
    return digest;
}

}  // namespace tapir::crypto
