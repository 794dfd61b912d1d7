#include "tapir/crypto/signature.hpp"

#include <string>

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "library.hpp"
#include "tapir/base/assert.hpp"

namespace tapir::crypto {
namespace {

using EcdsaSignature = std::unique_ptr<ECDSA_SIG, FreeWith<ECDSA_SIG_free>>;

// OpenSSL keeps a queue of errors for each thread; ours are told, so it must not fill up.
Failure<Error> refused(std::string what) {
    ERR_clear_error();
    return fail(Code::invalid, std::move(what));
}

EvpKey key_from_params(const char* kind, OSSL_PARAM* params) {
    const EvpKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr));
    EVP_PKEY* key = nullptr;
    if (context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        return nullptr;
    }
    return EvpKey(key);
}

bool is_on_curve(EVP_PKEY* key) {
    const EvpKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
    return context != nullptr && EVP_PKEY_public_check(context.get()) == 1;
}

// A big-endian number of the key, without leading zeros, or of `size` octets if that is not 0.
Bytes number_of(EVP_PKEY* key, const char* name, std::size_t size = 0) {
    BIGNUM* raw = nullptr;
    TAPIR_ASSERT(EVP_PKEY_get_bn_param(key, name, &raw) == 1);
    const BigNumber number(raw);
    Bytes octets(size != 0 ? size : static_cast<std::size_t>(BN_num_bytes(raw)));
    TAPIR_ASSERT(BN_bn2binpad(raw, out(octets.data()), static_cast<int>(octets.size())) >= 0);
    return octets;
}

// r and s as one DER sequence, which is what the library verifies.
Bytes der_of(ByteView signature) {
    const auto half = static_cast<int>(p256_coordinate_size);
    BigNumber r(BN_bin2bn(in(signature.data()), half, nullptr));
    BigNumber s(BN_bin2bn(in(signature.data()) + half, half, nullptr));
    const EcdsaSignature both(ECDSA_SIG_new());
    TAPIR_ASSERT(both != nullptr && ECDSA_SIG_set0(both.get(), r.release(), s.release()) == 1);
    const int size = i2d_ECDSA_SIG(both.get(), nullptr);
    TAPIR_ASSERT(size > 0);
    Bytes der(static_cast<std::size_t>(size));
    unsigned char* end = out(der.data());
    TAPIR_ASSERT(i2d_ECDSA_SIG(both.get(), &end) == size);
    return der;
}

bool verify_with(EVP_PKEY* key, const EVP_MD* digest, bool is_pss, ByteView message,
                 ByteView signature) {
    const EvpDigestContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* options = nullptr;  // belongs to `context`
    if (context == nullptr ||
        EVP_DigestVerifyInit(context.get(), &options, digest, nullptr, key) != 1) {
        ERR_clear_error();
        return false;
    }
    if (is_pss && (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
                   EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_AUTO) != 1)) {
        ERR_clear_error();
        return false;
    }
    const bool good = EVP_DigestVerify(context.get(), in(signature.data()), signature.size(),
                                       in(message.data()), message.size()) == 1;
    ERR_clear_error();
    return good;
}

}  // namespace

KeyType key_type_of(SignatureAlgorithm algorithm) {
    switch (algorithm) {
        case SignatureAlgorithm::ed25519:
            return KeyType::ed25519;
        case SignatureAlgorithm::ecdsa_p256_sha256:
            return KeyType::p256;
        case SignatureAlgorithm::rsa_v1_5_sha256:
        case SignatureAlgorithm::rsa_pss_sha512:
            break;
    }
    return KeyType::rsa;
}

struct PublicKey::Impl {
    EvpKey key;
    KeyType type;
    Bytes first;   // x or n
    Bytes second;  // y or e
};

PublicKey::PublicKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Result<PublicKey> PublicKey::from_library(void* library_key) {
    EvpKey key(static_cast<EVP_PKEY*>(library_key));
    if (key == nullptr) {
        return refused("not a public key");
    }
    EVP_PKEY* const raw = key.get();
    Impl impl{.key = std::move(key), .type = KeyType::ed25519, .first = {}, .second = {}};
    if (EVP_PKEY_is_a(raw, "ED25519") == 1) {
        impl.first.resize(ed25519_size);
        std::size_t size = ed25519_size;
        TAPIR_ASSERT(EVP_PKEY_get_raw_public_key(raw, out(impl.first.data()), &size) == 1);
    } else if (EVP_PKEY_is_a(raw, "EC") == 1) {
        std::array<char, 64> group{};
        std::size_t size = 0;
        if (EVP_PKEY_get_group_name(raw, group.data(), group.size(), &size) != 1 ||
            std::string_view(group.data(), size) != "prime256v1") {
            return refused("elliptic curve key: only P-256 is known");
        }
        if (!is_on_curve(raw)) {
            return refused("P-256 key: no point of the curve");
        }
        impl.type = KeyType::p256;
        impl.first = number_of(raw, OSSL_PKEY_PARAM_EC_PUB_X, p256_coordinate_size);
        impl.second = number_of(raw, OSSL_PKEY_PARAM_EC_PUB_Y, p256_coordinate_size);
    } else if (EVP_PKEY_is_a(raw, "RSA") == 1) {
        const int bits = EVP_PKEY_get_bits(raw);
        if (bits < static_cast<int>(rsa_bits_min) || bits > static_cast<int>(rsa_bits_max)) {
            return refused("RSA key: modulus of 2048 to 4096 bits expected");
        }
        impl.type = KeyType::rsa;
        impl.first = number_of(raw, OSSL_PKEY_PARAM_RSA_N);
        impl.second = number_of(raw, OSSL_PKEY_PARAM_RSA_E);
        const bool is_odd =
            !impl.second.empty() && std::to_integer<unsigned>(impl.second.back()) % 2 == 1;
        const bool is_one = impl.second.size() == 1 && impl.second[0] == std::byte{1};
        if (!is_odd || is_one || impl.second.size() > rsa_exponent_size_max) {
            return refused("RSA key: exponent must be odd, 3 to 2^32");
        }
    } else {
        return refused("a kind of key that is not known here");
    }
    return PublicKey(std::make_shared<const Impl>(std::move(impl)));
}

Result<PublicKey> PublicKey::ed25519(ByteView x) {
    if (x.size() != ed25519_size) {
        return refused("Ed25519 key: 32 octets expected");
    }
    return from_library(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, in(x.data()), x.size()));
}

Result<PublicKey> PublicKey::p256(ByteView x, ByteView y) {
    if (x.size() != p256_coordinate_size || y.size() != p256_coordinate_size) {
        return refused("P-256 key: two coordinates of 32 octets expected");
    }
    Bytes point{std::byte{4}};  // uncompressed (SEC 1 §2.3.3)
    append(point, x);
    append(point, y);
    std::string group = "prime256v1";
    std::array<OSSL_PARAM, 3> params{
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size()),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
        OSSL_PARAM_construct_end()};
    EvpKey key = key_from_params("EC", params.data());
    if (key == nullptr) {
        return refused("P-256 key: no point of the curve");
    }
    return from_library(key.release());
}

Result<PublicKey> PublicKey::rsa(ByteView n, ByteView e) {
    if (n.empty() || n.front() == std::byte{0} || n.size() > rsa_bits_max / 8 || e.empty() ||
        e.front() == std::byte{0} || e.size() > rsa_exponent_size_max) {
        return refused("RSA key: modulus or exponent of a wrong size");
    }
    const BigNumber modulus(BN_bin2bn(in(n.data()), static_cast<int>(n.size()), nullptr));
    const BigNumber exponent(BN_bin2bn(in(e.data()), static_cast<int>(e.size()), nullptr));
    const ParamBuilder builder(OSSL_PARAM_BLD_new());
    TAPIR_ASSERT(builder != nullptr &&
                 OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) == 1 &&
                 OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) == 1);
    const Params params(OSSL_PARAM_BLD_to_param(builder.get()));
    EvpKey key = key_from_params("RSA", params.get());
    if (key == nullptr) {
        return refused("RSA key: not usable");
    }
    return from_library(key.release());
}

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
    if (pem.size() > pem_size_max) {
        return refused("PEM: too large");
    }
    // Only this kind of block: the library's reader would take others too, and ask for a password.
    if (pem.find("-----BEGIN PUBLIC KEY-----") == std::string_view::npos) {
        return refused("PEM: no block 'PUBLIC KEY'");
    }
    pem.remove_prefix(pem.find("-----BEGIN PUBLIC KEY-----"));
    const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    TAPIR_ASSERT(bio != nullptr);
    return from_library(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
}

KeyType PublicKey::type() const {
    return impl_->type;
}
ByteView PublicKey::x() const {
    TAPIR_ASSERT(impl_->type != KeyType::rsa);
    return impl_->first;
}
ByteView PublicKey::y() const {
    TAPIR_ASSERT(impl_->type == KeyType::p256);
    return impl_->second;
}
ByteView PublicKey::n() const {
    TAPIR_ASSERT(impl_->type == KeyType::rsa);
    return impl_->first;
}
ByteView PublicKey::e() const {
    TAPIR_ASSERT(impl_->type == KeyType::rsa);
    return impl_->second;
}

bool PublicKey::verify(SignatureAlgorithm algorithm, ByteView message, ByteView signature) const {
    if (key_type_of(algorithm) != impl_->type) {
        return false;
    }
    EVP_PKEY* const key = impl_->key.get();
    switch (algorithm) {
        case SignatureAlgorithm::ed25519:
            return signature.size() == ed25519_signature_size &&
                   verify_with(key, nullptr, false, message, signature);
        case SignatureAlgorithm::ecdsa_p256_sha256:
            return signature.size() == p256_signature_size &&
                   verify_with(key, EVP_sha256(), false, message, der_of(signature));
        case SignatureAlgorithm::rsa_v1_5_sha256:
            return verify_with(key, EVP_sha256(), false, message, signature);
        case SignatureAlgorithm::rsa_pss_sha512:
            return verify_with(key, EVP_sha512(), true, message, signature);
    }
    return false;
}

std::string PublicKey::to_pem() const {
    const Bio bio(BIO_new(BIO_s_mem()));
    TAPIR_ASSERT(bio != nullptr && PEM_write_bio_PUBKEY(bio.get(), impl_->key.get()) == 1);
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

bool operator==(const PublicKey& a, const PublicKey& b) {
    return a.impl_ == b.impl_ ||
           (a.impl_->type == b.impl_->type && a.impl_->first == b.impl_->first &&
            a.impl_->second == b.impl_->second);
}

struct SigningKey::Impl {
    EvpKey key;
    Secret seed;
    PublicKey public_key;
};

SigningKey::SigningKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

Result<SigningKey> SigningKey::from_seed(Secret seed) {
    if (seed.size() != ed25519_size) {
        return refused("Ed25519 seed: 32 octets expected");
    }
    EvpKey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, in(seed.bytes().data()),
                                            seed.size()));
    TAPIR_ASSERT(key != nullptr);
    std::array<std::byte, ed25519_size> x{};
    std::size_t size = x.size();
    TAPIR_ASSERT(EVP_PKEY_get_raw_public_key(key.get(), out(x.data()), &size) == 1);
    PublicKey public_key = TRY(PublicKey::ed25519(x));
    return SigningKey(
        std::make_unique<Impl>(Impl{std::move(key), std::move(seed), std::move(public_key)}));
}

Ed25519Signature SigningKey::sign(ByteView message) const {
    Ed25519Signature signature;
    std::size_t size = signature.size();
    const EvpDigestContext context(EVP_MD_CTX_new());
    TAPIR_ASSERT(context != nullptr &&
                 EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, impl_->key.get()) ==
                     1 &&
                 EVP_DigestSign(context.get(), out(signature.data()), &size, in(message.data()),
                                message.size()) == 1);
    return signature;
}

const PublicKey& SigningKey::public_key() const {
    return impl_->public_key;
}
const Secret& SigningKey::seed() const {
    return impl_->seed;
}

}  // namespace tapir::crypto
