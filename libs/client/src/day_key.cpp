#include "tapir/client/day_key.hpp"

#include <algorithm>
#include <array>
#include <string>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "locked.hpp"

namespace tapir::client {

struct DayKey::Memory {
    std::array<std::byte, day_key_size> octets;
};

namespace {

constexpr std::string_view info_next = "tapir day key, next day";
constexpr std::string_view info_purpose = "tapir day key, for: ";

// HKDF-SHA256 without salt: the key is uniformly random.
void hkdf(std::span<const std::byte> key, std::string_view info, std::span<std::byte> out) {
    const std::unique_ptr<EVP_KDF, void (*)(EVP_KDF*)> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr),
                                                           EVP_KDF_free);
    TAPIR_ASSERT(kdf != nullptr);
    const std::unique_ptr<EVP_KDF_CTX, void (*)(EVP_KDF_CTX*)> context(EVP_KDF_CTX_new(kdf.get()),
                                                                       EVP_KDF_CTX_free);
    TAPIR_ASSERT(context != nullptr);
    // OpenSSL's parameters are not const, and only read.
    std::string digest = "SHA256";
    const std::array<OSSL_PARAM, 4> parameters = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), digest.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<std::byte*>(key.data()),
                                          key.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, const_cast<char*>(info.data()),
                                          info.size()),
        OSSL_PARAM_construct_end()};
    TAPIR_ASSERT(EVP_KDF_derive(context.get(), reinterpret_cast<unsigned char*>(out.data()),
                                out.size(), parameters.data()) == 1);
}

}  // namespace

void DayKey::Wipe::operator()(Memory* memory) const {
    LockedDeleter<Memory>()(memory);
}

DayKey DayKey::from(std::span<const std::byte, day_key_size> octets) {
    DayKey key(std::unique_ptr<Memory, Wipe>(make_locked<Memory>().release()));
    std::copy(octets.begin(), octets.end(), key.memory_->octets.begin());
    return key;
}

DayKey DayKey::next() const {
    DayKey key(std::unique_ptr<Memory, Wipe>(make_locked<Memory>().release()));
    hkdf(memory_->octets, info_next, key.memory_->octets);
    return key;
}

void DayKey::derive(std::string_view purpose, std::span<std::byte> out) const {
    TAPIR_ASSERT(!out.empty() && out.size() <= derived_key_size_max);
    hkdf(memory_->octets, std::string(info_purpose).append(purpose), out);
}

std::span<const std::byte, day_key_size> DayKey::reveal() const& {
    return memory_->octets;
}

}  // namespace tapir::client
