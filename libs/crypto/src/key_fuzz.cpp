// Keys and texts of octets: nothing crashes, and what is read is written back the same.
#include <cstdint>
#include <span>

#include "tapir/base/assert.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/crypto/signature.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tapir;
    using namespace tapir::crypto;
    const ByteView octets = std::as_bytes(std::span(data, size));
    const std::string_view text = as_text(octets);
    if (const auto value = parse_base64(text)) {
        TAPIR_ASSERT(base64(*value) == text);
    }
    if (const auto value = parse_base64url(text)) {
        TAPIR_ASSERT(base64url(*value) == text);
    }
    if (const auto key = PublicKey::from_pem(text)) {
        const auto again = PublicKey::from_pem(key->to_pem());
        TAPIR_ASSERT(again && *again == *key);
    }
    if (size >= 64) {
        const ByteView first = octets.first(32);
        const ByteView second = octets.subspan(32, 32);
        if (const auto key = PublicKey::p256(first, second)) {
            static_cast<void>(
                key->verify(SignatureAlgorithm::ecdsa_p256_sha256, octets, octets.first(64)));
        }
        const auto key = PublicKey::ed25519(first);
        static_cast<void>(key &&
                          key->verify(SignatureAlgorithm::ed25519, octets, octets.first(64)));
        if (const auto rsa = PublicKey::rsa(octets.subspan(4), octets.first(4))) {
            static_cast<void>(rsa->verify(SignatureAlgorithm::rsa_pss_sha512, octets, octets));
        }
    }
    return 0;
}
