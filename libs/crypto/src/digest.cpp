#include "tapir/crypto/digest.hpp"

#include <openssl/hmac.h>

#include "library.hpp"
#include "tapir/base/assert.hpp"

namespace tapir::crypto {

Sha256Digest sha256(ByteView message) {
    Sha256Digest digest;
    TAPIR_ASSERT(EVP_Digest(message.data(), message.size(), out(digest.data()), nullptr,
                            EVP_sha256(), nullptr) == 1);
    return digest;
}

Sha512Digest sha512(ByteView message) {
    Sha512Digest digest;
    TAPIR_ASSERT(EVP_Digest(message.data(), message.size(), out(digest.data()), nullptr,
                            EVP_sha512(), nullptr) == 1);
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

struct Sha256::Impl {
    EvpDigestContext context{EVP_MD_CTX_new()};
    void start() const {
        TAPIR_ASSERT(EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1);
    }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
    impl_->start();
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::add(ByteView part) {
    TAPIR_ASSERT(EVP_DigestUpdate(impl_->context.get(), part.data(), part.size()) == 1);
}

Sha256Digest Sha256::finish() {
    Sha256Digest digest;
    TAPIR_ASSERT(EVP_DigestFinal_ex(impl_->context.get(), out(digest.data()), nullptr) == 1);
    impl_->start();
    return digest;
}

}  // namespace tapir::crypto
