#include <memory>
#include <string>
#include <type_traits>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/crypto/aes.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/crypto/certificate.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/crypto/secret.hpp"
#include "tapir/crypto/signature.hpp"

namespace tapir::crypto {
namespace {

Bytes hex(std::string_view text) {
    return parse_hex(text).value_or(Bytes{});
}

Bytes random_octets() {
    const auto numbers = *rc::gen::arbitrary<std::vector<std::uint8_t>>();
    Bytes octets;
    for (const std::uint8_t number : numbers) {
        append_u8(octets, number);
    }
    return octets;
}

TEST(Secret, MovesAndLeavesNothingBehind) {
    Secret a = Secret::copy_of(as_bytes("secret"));
    const Secret b = std::move(a);
    EXPECT_EQ(as_text(b.bytes()), "secret");
    EXPECT_EQ(a.size(), 0U);  // NOLINT(bugprone-use-after-move): that is the question
    EXPECT_TRUE(b == Secret::copy_of(as_bytes("secret")));
    EXPECT_FALSE(b == Secret::copy_of(as_bytes("secreT")));
    EXPECT_FALSE(b == Secret::copy_of(as_bytes("secret2")));
    static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);
    static_assert(!fmt::is_formattable<Secret>::value, "a secret must not get into a log");
}

TEST(Secret, IsComparedWhereItIsEmptyToo) {
    EXPECT_TRUE(ct_equal({}, {}));
    EXPECT_FALSE(ct_equal({}, as_bytes("x")));
    EXPECT_TRUE(Secret() == Secret());
}

TEST(Secret, WipeOverwrites) {
    Bytes octets = to_bytes("secret");
    wipe(octets);
    EXPECT_EQ(octets, Bytes(6));
}

TEST(Digest, KnowsThePublishedVectors) {
    EXPECT_EQ(to_hex(sha256(as_bytes("abc"))),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(to_hex(sha256({})),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(to_hex(sha512(as_bytes("abc"))).substr(0, 32), "ddaf35a193617abacc417349ae204131");
    // RFC 4231, test case 2
    EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(to_hex(hmac_sha256({}, {})),
              "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Digest, HkdfKnowsThePublishedVectors) {  // RFC 5869, appendix A.1 and A.3
    const Bytes key(22, std::byte{0x0b});
    const Secret with_all =
        hkdf_sha256(key, hex("000102030405060708090a0b0c"), hex("f0f1f2f3f4f5f6f7f8f9"), 42);
    EXPECT_EQ(
        to_hex(with_all.bytes()),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    const Secret bare = hkdf_sha256(key, {}, {}, 42);
    EXPECT_EQ(
        to_hex(bare.bytes()),
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    EXPECT_EQ(hkdf_sha256(key, {}, {}, 0).size(), 0U);
    EXPECT_EQ(hkdf_sha256(key, {}, {}, hkdf_size_max).size(), hkdf_size_max);
}

RC_GTEST_PROP(Digest, InPartsIsTheSameAsAtOnce, ()) {
    const Bytes first = random_octets();
    const Bytes second = random_octets();
    Bytes whole = first;
    append(whole, second);
    Sha256 running;
    running.add(first);
    running.add(second);
    RC_ASSERT(running.finish() == sha256(whole));
    running.add(second);
    RC_ASSERT(running.finish() == sha256(second));
}

TEST(Sha256, OfNothingIsThatOfNothingHoweverOften) {
    Sha256 running;
    EXPECT_EQ(running.finish(), sha256({}));
    EXPECT_EQ(running.finish(), sha256({}));
    running.add(to_bytes("part"));
    Sha256 moved = std::move(running);
    EXPECT_EQ(moved.finish(), sha256(to_bytes("part")));
    EXPECT_EQ(moved.finish(), sha256({}));
}

TEST(Aes128, KnowsThePublishedVector) {  // FIPS 197, appendix C.1
    Aes128 aes(Secret::copy_of(hex("000102030405060708090a0b0c0d0e0f")));
    AesBlock block;
    std::ranges::copy(hex("00112233445566778899aabbccddeeff"), block.begin());
    EXPECT_EQ(to_hex(aes.encrypt(block)), "69c4e0d86a7b0430d8cdb78070b4c55a");
}

TEST(Aes128, ManyBlocksAreTheSameAsOneByOne) {
    Aes128 aes(Secret::copy_of(hex("000102030405060708090a0b0c0d0e0f")));
    std::vector<AesBlock> blocks(100);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        blocks[i].fill(static_cast<std::byte>(i));
    }
    std::vector<AesBlock> many(blocks.size());
    aes.encrypt_many(blocks, many);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        EXPECT_EQ(many[i], aes.encrypt(blocks[i]));
    }
    aes.encrypt_many(blocks, blocks);  // in place
    EXPECT_EQ(blocks, many);
    aes.encrypt_many({}, {});
}

TEST(Base64, KnowsThePublishedVectors) {  // RFC 4648 §10
    EXPECT_EQ(base64(as_bytes("")), "");
    EXPECT_EQ(base64(as_bytes("f")), "Zg==");
    EXPECT_EQ(base64(as_bytes("fo")), "Zm8=");
    EXPECT_EQ(base64(as_bytes("foo")), "Zm9v");
    EXPECT_EQ(base64(as_bytes("foobar")), "Zm9vYmFy");
    EXPECT_EQ(base64url(as_bytes("f")), "Zg");
    EXPECT_EQ(base64url(hex("fbff")), "-_8");
    EXPECT_EQ(base64(hex("fbff")), "+/8=");
}

TEST(Base64, RefusesEverySecondTextOfAValue) {
    for (const char* text : {"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zg==\n",
                             " Zg==", "Z===", "====", "-_8=", "Zg==Zg==", "Zm 8", "A"}) {
        EXPECT_FALSE(parse_base64(text)) << text;
    }
    for (const char* text : {"Zg==", "Zh", "Zm9=", "Z", "+/8", "Zm9v\n", "Zm9vY"}) {
        EXPECT_FALSE(parse_base64url(text)) << text;
    }
    EXPECT_FALSE(parse_hex("abc"));
    EXPECT_FALSE(parse_hex("zz"));
    EXPECT_EQ(to_hex(parse_hex("AbcD").value_or(Bytes{})), "abcd");
}

RC_GTEST_PROP(Base64, ReadsBackWhatItWrites, ()) {
    const Bytes octets = random_octets();
    RC_ASSERT(parse_base64(base64(octets)).value_or(Bytes(1)) == octets);
    RC_ASSERT(parse_base64url(base64url(octets)).value_or(Bytes(1)) == octets);
    RC_ASSERT(parse_hex(to_hex(octets)).value_or(Bytes(1)) == octets);
}

TEST(Ed25519, KnowsThePublishedVector) {  // RFC 8032 §7.1, test 2
    const SigningKey key =
        SigningKey::from_seed(
            Secret::copy_of(
                hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")))
            .value();
    EXPECT_EQ(to_hex(key.public_key().x()),
              "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    const Bytes message = hex("72");
    EXPECT_EQ(to_hex(key.sign(message)),
              "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
              "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
    EXPECT_EQ(key.seed().size(), 32U);
}

RC_GTEST_PROP(Ed25519, VerifiesItsOwnAndNothingElse, ()) {
    const SigningKey key = SigningKey::from_seed(Secret::copy_of(sha256(random_octets()))).value();
    const Bytes message = random_octets();
    Ed25519Signature signature = key.sign(message);
    const PublicKey& verifier = key.public_key();
    RC_ASSERT(verifier.verify(SignatureAlgorithm::ed25519, message, signature));
    Bytes longer = message;
    append_u8(longer, 0);
    RC_ASSERT(!verifier.verify(SignatureAlgorithm::ed25519, longer, signature));
    const auto place = *rc::gen::inRange<std::size_t>(0, signature.size());
    signature[place] ^= std::byte{1};
    RC_ASSERT(!verifier.verify(SignatureAlgorithm::ed25519, message, signature));
}

TEST(Ed25519, RefusesWrongSizes) {
    EXPECT_FALSE(SigningKey::from_seed(Secret::copy_of(Bytes(31))));
    EXPECT_FALSE(SigningKey::from_seed(Secret()));
    EXPECT_FALSE(PublicKey::ed25519(Bytes(33)));
    const SigningKey key = SigningKey::from_seed(Secret::copy_of(Bytes(32))).value();
    const Ed25519Signature signature = key.sign({});
    const PublicKey& verifier = key.public_key();
    EXPECT_TRUE(verifier.verify(SignatureAlgorithm::ed25519, {}, signature));
    EXPECT_FALSE(verifier.verify(SignatureAlgorithm::ed25519, {}, ByteView(signature).first(63)));
    EXPECT_FALSE(verifier.verify(SignatureAlgorithm::ed25519, {}, {}));
    EXPECT_FALSE(verifier.verify(SignatureAlgorithm::ecdsa_p256_sha256, {}, signature));
}

// RFC 6979 §A.2.5
constexpr std::string_view p256_x =
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6";
constexpr std::string_view p256_y =
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";

TEST(P256, VerifiesThePublishedVector) {
    const PublicKey key = PublicKey::p256(hex(p256_x), hex(p256_y)).value();
    Bytes signature =
        hex("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
    EXPECT_EQ(to_hex(key.x()), p256_x);
    EXPECT_EQ(to_hex(key.y()), p256_y);
    EXPECT_TRUE(key.verify(SignatureAlgorithm::ecdsa_p256_sha256, as_bytes("sample"), signature));
    EXPECT_FALSE(key.verify(SignatureAlgorithm::ecdsa_p256_sha256, as_bytes("Sample"), signature));
    EXPECT_FALSE(key.verify(SignatureAlgorithm::ed25519, as_bytes("sample"), signature));
    signature[40] ^= std::byte{1};
    EXPECT_FALSE(key.verify(SignatureAlgorithm::ecdsa_p256_sha256, as_bytes("sample"), signature));
    EXPECT_FALSE(key.verify(SignatureAlgorithm::ecdsa_p256_sha256, as_bytes("sample"), Bytes(64)));
    EXPECT_FALSE(key.verify(SignatureAlgorithm::ecdsa_p256_sha256, as_bytes("sample"), Bytes(65)));
}

TEST(P256, RefusesWhatIsNoPointOfTheCurve) {
    EXPECT_FALSE(PublicKey::p256(hex(p256_y), hex(p256_x)));
    EXPECT_FALSE(PublicKey::p256(Bytes(32), Bytes(32)));
    EXPECT_FALSE(PublicKey::p256(Bytes(31), Bytes(32)));
}

TEST(Pem, ReadsBackWhatItWrites) {
    const PublicKey key = PublicKey::p256(hex(p256_x), hex(p256_y)).value();
    const std::string pem = key.to_pem();
    EXPECT_TRUE(PublicKey::from_pem(pem).value() == key);
    EXPECT_TRUE(PublicKey::from_pem("comment\n" + pem).value() == key);
    const SigningKey other = SigningKey::from_seed(Secret::copy_of(Bytes(32))).value();
    EXPECT_TRUE(PublicKey::from_pem(other.public_key().to_pem()).value() == other.public_key());
    EXPECT_FALSE(other.public_key() == key);
}

TEST(Pem, RefusesOtherBlocksAndBrokenOnes) {
    const std::string pem = PublicKey::p256(hex(p256_x), hex(p256_y)).value().to_pem();
    EXPECT_FALSE(PublicKey::from_pem(""));
    EXPECT_FALSE(PublicKey::from_pem(pem.substr(0, pem.size() / 2)));
    EXPECT_FALSE(PublicKey::from_pem(std::string(pem_size_max + 1, '\n')));
    EXPECT_FALSE(PublicKey::from_pem("-----BEGIN CERTIFICATE-----\n"));
    EXPECT_FALSE(PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"));
}

using LibraryKey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Bytes sign_rsa(EVP_PKEY* key, const EVP_MD* digest, bool is_pss, ByteView message) {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* options = nullptr;
    EVP_DigestSignInit(context, &options, digest, nullptr, key);
    if (is_pss) {
        EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(options, 64);
    }
    const auto* data = reinterpret_cast<const unsigned char*>(message.data());
    std::size_t size = 0;
    EVP_DigestSign(context, nullptr, &size, data, message.size());
    Bytes signature(size);
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size, data,
                   message.size());
    EVP_MD_CTX_free(context);
    return signature;
}

std::string pem_of(EVP_PKEY* key) {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, key);
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio, &text);
    std::string pem(text, static_cast<std::size_t>(size));
    BIO_free(bio);
    return pem;
}

TEST(Rsa, VerifiesBothSchemesAndKeepsThemApart) {
    const LibraryKey library_key(EVP_RSA_gen(2048), &EVP_PKEY_free);
    const PublicKey key = PublicKey::from_pem(pem_of(library_key.get())).value();
    const ByteView message = as_bytes("message");
    const Bytes v1_5 = sign_rsa(library_key.get(), EVP_sha256(), false, message);
    const Bytes pss = sign_rsa(library_key.get(), EVP_sha512(), true, message);
    EXPECT_TRUE(key.verify(SignatureAlgorithm::rsa_v1_5_sha256, message, v1_5));
    EXPECT_TRUE(key.verify(SignatureAlgorithm::rsa_pss_sha512, message, pss));
    EXPECT_FALSE(key.verify(SignatureAlgorithm::rsa_v1_5_sha256, message, pss));
    EXPECT_FALSE(key.verify(SignatureAlgorithm::rsa_pss_sha512, message, v1_5));
    EXPECT_FALSE(key.verify(SignatureAlgorithm::rsa_v1_5_sha256, as_bytes("other"), v1_5));
    EXPECT_FALSE(key.verify(SignatureAlgorithm::rsa_v1_5_sha256, message, {}));
    EXPECT_TRUE(PublicKey::rsa(key.n(), key.e()).value() == key);
}

TEST(Rsa, RefusesWeakAndOddKeys) {
    const LibraryKey small(EVP_RSA_gen(1024), &EVP_PKEY_free);
    EXPECT_FALSE(PublicKey::from_pem(pem_of(small.get())));
    Bytes n(256, std::byte{0xff});
    EXPECT_TRUE(PublicKey::rsa(n, hex("010001")));
    EXPECT_FALSE(PublicKey::rsa(n, hex("01")));
    EXPECT_FALSE(PublicKey::rsa(n, hex("04")));
    EXPECT_FALSE(PublicKey::rsa(n, hex("00010001")));
    EXPECT_FALSE(PublicKey::rsa(n, hex("0100000001")));
    EXPECT_FALSE(PublicKey::rsa(n, {}));
    EXPECT_FALSE(PublicKey::rsa(Bytes(513, std::byte{0xff}), hex("010001")));
    EXPECT_FALSE(PublicKey::rsa(Bytes(255, std::byte{0xff}), hex("010001")));
    n[0] = std::byte{0};
    EXPECT_FALSE(PublicKey::rsa(n, hex("010001")));
}

TEST(Certificate, TellsItsEnd) {
    // openssl req -x509 -newkey ed25519 -subj /CN=edge-1.example -days 3650, on 2026-11-26
    const std::string pem =
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBRjCB+aADAgECAhRPEMNcX50tmS9qvc4FPk5sUMayvDAFBgMrZXAwGTEXMBUG\n"
        "A1UEAwwOZWRnZS0xLmV4YW1wbGUwHhcNMjYxMTI2MTkzNTI3WhcNMzYxMTIzMTkz\n"
        "NTI3WjAZMRcwFQYDVQQDDA5lZGdlLTEuZXhhbXBsZTAqMAUGAytlcAMhAOeJU/px\n"
        "qbUdpSSNuztwMEsux4e6lYL4WebRv59p17z6o1MwUTAdBgNVHQ4EFgQU7ktE5PKk\n"
        "9bUTDnskBQkxeGeuehMwHwYDVR0jBBgwFoAU7ktE5PKk9bUTDnskBQkxeGeuehMw\n"
        "DwYDVR0TAQH/BAUwAwEB/zAFBgMrZXADQQCLjVfHRejFCnhYtq/7uXLsrgs2+9l1\n"
        "YfrTyTL6f3RQJdJ0DiDfD0JrRqWyp7JD0cWjCAHZowdE098OiS3aOCUE\n"
        "-----END CERTIFICATE-----\n";
    EXPECT_EQ(certificate_end("Subject: x\n" + pem).value().to_string(), "2036-11-23T19:35:27Z");
    EXPECT_FALSE(certificate_end(""));
    EXPECT_FALSE(certificate_end(pem.substr(0, 200)));
}

}  // namespace
}  // namespace tapir::crypto
