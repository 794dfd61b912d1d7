#include "tapir/privacy/gate_key.hpp"

#include <array>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace tapir::privacy {
namespace {

std::array<std::byte, gate_key_size> octets(unsigned seed) {
    std::array<std::byte, gate_key_size> all{};
    for (std::size_t i = 0; i < all.size(); ++i) {
        all.at(i) = static_cast<std::byte>(i * 31 + seed);
    }
    return all;
}

// The vectors of the reference implementation: key 00…0f, message 00, 01, … of growing length.
TEST(SipHash, AgreesWithItsAuthors) {
    const std::array<std::uint64_t, 4> expected{0x726FDB47DD0E0E31ULL, 0x74F839C593DC67FDULL,
                                                0x0D6C8009D9A94F5AULL, 0x85676696D7FB7E2DULL};
    Bytes message;
    for (std::size_t n = 0; n < expected.size(); ++n) {
        EXPECT_EQ(siphash_2_4(0x0706050403020100ULL, 0x0F0E0D0C0B0A0908ULL, message),
                  expected.at(n));
        message.push_back(static_cast<std::byte>(n));
    }
    while (message.size() < 15) {
        message.push_back(static_cast<std::byte>(message.size()));
    }
    EXPECT_EQ(siphash_2_4(0x0706050403020100ULL, 0x0F0E0D0C0B0A0908ULL, message),
              0xA129CA6149BE45E5ULL);
}

TEST(GateKey, KeepsItsPurposesApart) {
    const GateKey key(octets(1));
    EXPECT_NE(static_cast<std::uint64_t>(key.fingerprint("new_qname")),
              key.draw(Product::new_qname, ""));
    EXPECT_NE(key.draw(Product::histogram, "example.com."),
              key.draw(Product::new_qname, "example.com."));
    EXPECT_LT(key.batch_second(), 60U);
}

TEST(GateKey, OfAnotherDaySaysSomethingElse) {
    const GateKey today(octets(1));
    const GateKey tomorrow(octets(2));
    EXPECT_NE(today.fingerprint("example.com."), tomorrow.fingerprint("example.com."));
    EXPECT_NE(today.draw(Product::histogram, "a."), tomorrow.draw(Product::histogram, "a."));
    EXPECT_NE(today.message_id("x"), tomorrow.message_id("x"));
}

RC_GTEST_PROP(GateKey, RepeatsItself, (const std::string& name)) {
    const GateKey a(octets(1));
    GateKey moved(octets(1));
    const GateKey b = std::move(moved);
    RC_ASSERT(a.fingerprint(name) == b.fingerprint(name));
    RC_ASSERT(a.draw(Product::new_qname, name) == b.draw(Product::new_qname, name));
    RC_ASSERT(a.message_id(name) == b.message_id(name));
}

}  // namespace
}  // namespace tapir::privacy
