#include "tapir/crypto/secret.hpp"

#include <utility>

#include <openssl/crypto.h>

namespace tapir::crypto {

void wipe(std::span<std::byte> octets) {
    OPENSSL_cleanse(octets.data(), octets.size());
}

bool ct_equal(ByteView a, ByteView b) {
    return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

Secret Secret::copy_of(ByteView octets) {
    return taken_from(to_bytes(octets));
}

Secret Secret::taken_from(Bytes&& octets) {
    Secret secret;
    secret.octets_ = std::move(octets);
    return secret;
}

Secret::Secret(Secret&& other) noexcept : octets_(std::exchange(other.octets_, {})) {}

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this != &other) {
        wipe(octets_);
        octets_ = std::exchange(other.octets_, {});
    }
    return *this;
}

Secret::~Secret() {
    wipe(octets_);
}

}  // namespace tapir::crypto
