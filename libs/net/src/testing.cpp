#include "tapir/net/testing.hpp"

#include <array>
#include <fstream>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "tapir/base/assert.hpp"
#include "tapir/net/address.hpp"

namespace tapir::net {

namespace {

template <auto Free>
struct Freer {
    template <class T>
    void operator()(T* thing) const {
        Free(thing);
    }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;

std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(size)};
}

std::string to_pem(X509* certificate) {
    const Bio bio(BIO_new(BIO_s_mem()));
    TAPIR_ASSERT(PEM_write_bio_X509(bio.get(), certificate) == 1);
    return text_of(bio.get());
}

std::string to_pem(EVP_PKEY* key) {
    const Bio bio(BIO_new(BIO_s_mem()));
    TAPIR_ASSERT(
        PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
    return text_of(bio.get());
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context{};
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    TAPIR_ASSERT(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

Certificate new_certificate(std::string_view common_name, EVP_PKEY* key, const X509_NAME* issuer) {
    constexpr long day_s = 86'400;
    Certificate out(X509_new());
    std::array<unsigned char, 8> serial{};
    TAPIR_ASSERT(RAND_bytes(serial.data(), serial.size()) == 1);
    serial[0] &= 0x7FU;
    const std::unique_ptr<BIGNUM, Freer<BN_free>> number(
        BN_bin2bn(serial.data(), serial.size(), nullptr));
    BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(out.get()));
    X509_set_version(out.get(), X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(out.get()), -day_s);
    X509_gmtime_adj(X509_getm_notAfter(out.get()), 30 * day_s);
    X509_set_pubkey(out.get(), key);
    X509_NAME* name = X509_get_subject_name(out.get());
    const std::string text(common_name);
    TAPIR_ASSERT(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                            reinterpret_cast<const unsigned char*>(text.data()),
                                            static_cast<int>(text.size()), -1, 0) == 1);
    X509_set_issuer_name(out.get(), issuer == nullptr ? name : issuer);
    return out;
}

void write_file(const std::string& path, const std::string& content, mode_t mode) {
    std::ofstream file(path, std::ios::trunc);
    TAPIR_ASSERT(file.good() && ::chmod(path.c_str(), mode) == 0);
    file << content;
    file.close();
    TAPIR_ASSERT(!file.fail());
}

}  // namespace

struct TestAuthority::Impl {
    Key key;
    Certificate certificate;
    std::string certificate_pem;
    std::string key_pem;
};

TestAuthority::TestAuthority(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TestAuthority::TestAuthority(TestAuthority&&) noexcept = default;
TestAuthority& TestAuthority::operator=(TestAuthority&&) noexcept = default;
TestAuthority::~TestAuthority() = default;

TestAuthority TestAuthority::create(std::string_view common_name) {
    auto impl = std::make_unique<Impl>();
    impl->key.reset(EVP_EC_gen("P-256"));
    impl->certificate = new_certificate(common_name, impl->key.get(), nullptr);
    X509* certificate = impl->certificate.get();
    add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(certificate, certificate, NID_subject_key_identifier, "hash");
    TAPIR_ASSERT(X509_sign(certificate, impl->key.get(), EVP_sha256()) > 0);
    impl->certificate_pem = to_pem(certificate);
    impl->key_pem = to_pem(impl->key.get());
    return TestAuthority(std::move(impl));
}

const std::string& TestAuthority::certificate_pem() const {
    return impl_->certificate_pem;
}

const std::string& TestAuthority::key_pem() const {
    return impl_->key_pem;
}

void TestAuthority::write(const std::string& certificate_file) const {
    write_file(certificate_file, impl_->certificate_pem, 0644);
}

TestCertificate TestAuthority::issue(std::string_view common_name, Use use) const {
    const Key key(EVP_EC_gen("P-256"));
    X509* issuer = impl_->certificate.get();
    const auto certificate = new_certificate(common_name, key.get(), X509_get_subject_name(issuer));
    X509* const out = certificate.get();
    add_extension(out, issuer, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(out, issuer, NID_key_usage, "critical,digitalSignature");
    add_extension(out, issuer, NID_authority_key_identifier, "keyid");
    add_extension(out, issuer, NID_ext_key_usage, use == Use::client ? "clientAuth" : "serverAuth");
    if (use != Use::client) {
        const bool is_address = PeerAddress::parse(common_name).has_value();
        add_extension(out, issuer, NID_subject_alt_name,
                      fmt::format("{}:{}{}", is_address ? "IP" : "DNS", common_name,
                                  use == Use::server ? ",DNS:localhost,IP:127.0.0.1,IP:::1" : ""));
    }
    TAPIR_ASSERT(X509_sign(out, impl_->key.get(), EVP_sha256()) > 0);
    return {to_pem(out), to_pem(key.get())};
}

void TestCertificate::write(const std::string& certificate_file,
                            const std::string& key_file) const {
    write_file(certificate_file, certificate_pem, 0644);
    write_file(key_file, key_pem, 0600);
}

}  // namespace tapir::net
