// Pseudonyms against the recorded ones, and the law that prefixes are kept.
#include "tapir/client/crypto_pan.hpp"

#include <array>
#include <bit>
#include <fstream>
#include <string>
#include <type_traits>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/crypto/base64.hpp"
#include "tapir/text/json.hpp"

namespace tapir::client {
namespace {

using dnstap::ClientAddress;
using Engine = CryptoPan::Engine;

static_assert(!std::is_copy_constructible_v<CryptoPanKey>);

CryptoPanKey test_key() {
    Bytes octets;
    for (unsigned i = 0; i < crypto_pan_key_size; ++i) {
        append_u8(octets, static_cast<std::uint8_t>(i * 7));
    }
    return CryptoPanKey::from(crypto::Secret::taken_from(std::move(octets))).take();
}

Bytes octets_of(const std::string& text) {
    std::array<std::byte, 16> octets{};
    const bool is_v6 = text.find(':') != std::string::npos;
    EXPECT_EQ(inet_pton(is_v6 ? AF_INET6 : AF_INET, text.c_str(), octets.data()), 1) << text;
    return to_bytes(ByteView(octets).first(is_v6 ? 16 : 4));
}

Bytes octets_of(const Pseudonym& pseudonym) {
    Bytes out;
    if (pseudonym.kind() == Pseudonym::Kind::ipv4) {
        append_u32(out, pseudonym.ipv4());
    } else if (pseudonym.kind() == Pseudonym::Kind::ipv6) {
        append_u64(out, pseudonym.network());
        append_u64(out, pseudonym.host());
    }
    return out;
}

Pseudonym pseudonym_of(CryptoPan& pan, const Bytes& octets) {
    const ClientAddress address(octets);
    Pseudonym out;
    pan.pseudonymise(std::span(&address, 1), std::span(&out, 1));
    return out;
}

TEST(CryptoPan, IsBitForBitThatOfTheExistingMinimiser) {
    std::ifstream in(std::string(TAPIR_GOLDEN) + "/cryptopan/vectors.jsonl");
    std::optional<CryptoPan> best;
    std::optional<CryptoPan> openssl;
    std::size_t keys = 0;
    std::size_t addresses = 0;
    for (std::string line; std::getline(in, line);) {
        const auto json = text::Json::parse(line);
        ASSERT_TRUE(json.has_value()) << line;
        if (const auto words = json->string("key")) {
            const std::string salt = *json->string("salt");
            auto key = CryptoPanKey::derive(as_bytes(*words), as_bytes(salt));
            if (salt.empty()) {
                // Neither the existing minimiser's settings nor ours take it: only what follows
                // from the key is compared.
                EXPECT_FALSE(key.has_value());
                key = CryptoPanKey::from(
                    crypto::Secret::taken_from(*crypto::parse_hex(*json->string("derived"))));
            }
            ASSERT_TRUE(key.has_value()) << key.error().what();
            EXPECT_EQ(to_hex(key->secret().bytes()), *json->string("derived"));
            best.emplace(*key);
            openssl.emplace(*key, Engine::openssl);
            ++keys;
            continue;
        }
        const Bytes clear = octets_of(*json->string("address"));
        const Bytes expected = octets_of(*json->string("pseudonym"));
        EXPECT_EQ(octets_of(pseudonym_of(*best, clear)), expected) << line;
        EXPECT_EQ(octets_of(pseudonym_of(*openssl, clear)), expected) << line;
        ++addresses;
    }
    EXPECT_EQ(keys, 4U);
    EXPECT_EQ(addresses, 68U);
}

// Recomputed independently of the recording.
TEST(CryptoPan, KnowsTheVectorsOfItsDescription) {
    CryptoPan pan(CryptoPanKey::derive(as_bytes(std::string_view("key1")),
                                       as_bytes(std::string_view("aabbccddeeffgghh")))
                      .take());
    EXPECT_EQ(octets_of(pseudonym_of(pan, octets_of("198.51.100.20"))), octets_of("58.92.11.53"));
    EXPECT_EQ(octets_of(pseudonym_of(pan, octets_of("2001:db8:1122:3344:5566:7788:99aa:bbcc"))),
              octets_of("b780:8dc8:6ed9:cbc5:4d61:a6bb:6255:5a03"));
}

TEST(CryptoPan, ReadsAMappedAddressAsIpv4) {
    CryptoPan pan(test_key());
    const Pseudonym mapped = pseudonym_of(pan, octets_of("::ffff:192.0.2.1"));
    EXPECT_EQ(mapped, pseudonym_of(pan, octets_of("192.0.2.1")));
    EXPECT_EQ(mapped.kind(), Pseudonym::Kind::ipv4);
    EXPECT_EQ(mapped.network(), 0U);
    EXPECT_EQ(mapped.host(), 0xFFFF'0000'0000U | mapped.ipv4());
}

TEST(CryptoPan, SaysOfWhatIsNoAddressOnlyThat) {
    CryptoPan pan(test_key());
    EXPECT_EQ(pseudonym_of(pan, {}).kind(), Pseudonym::Kind::absent);
    for (const std::size_t size : {1U, 3U, 5U, 15U, 17U, 300U}) {
        const Pseudonym pseudonym = pseudonym_of(pan, Bytes(size, std::byte{7}));
        EXPECT_EQ(pseudonym.kind(), Pseudonym::Kind::malformed);
        EXPECT_EQ(pseudonym.host(), 0U);
    }
}

TEST(CryptoPanKey, RefusesWhatCannotBeUsed) {
    const auto salt = as_bytes(std::string_view("eight-or-more"));
    const auto words = as_bytes(std::string_view("words"));
    EXPECT_EQ(CryptoPanKey::derive(words, salt.first(7)).error().code(), Code::invalid);
    EXPECT_TRUE(CryptoPanKey::derive(words, salt.first(8)).has_value());
    EXPECT_FALSE(CryptoPanKey::from(crypto::Secret::taken_from(Bytes(31))).has_value());
}

TEST(CryptoPanKey, HasAnIdThatIsItsOwn) {
    EXPECT_EQ(test_key().id(), test_key().id());
    EXPECT_EQ(test_key().id().size(), 16U);
    EXPECT_NE(test_key().id(),
              CryptoPanKey::from(crypto::Secret::taken_from(Bytes(32))).take().id());
}

std::size_t common_prefix(const Bytes& a, const Bytes& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (const auto differs = std::to_integer<std::uint8_t>(a[i] ^ b[i]); differs != 0) {
            return 8 * i + static_cast<std::size_t>(std::countl_zero(differs));
        }
    }
    return 8 * a.size();
}

// `bits` of the second address are those of the first, the next one differs, the rest is by chance.
RC_GTEST_PROP(CryptoPan, KeepsPrefixesAndNothingMore, ()) {
    static CryptoPan pan(test_key());
    const std::size_t size = *rc::gen::element<std::size_t>(4, 16);
    const auto octet = rc::gen::map(rc::gen::inRange(0, 256),
                                    [](int value) { return static_cast<std::byte>(value); });
    Bytes first = *rc::gen::container<Bytes>(size, octet);
    Bytes second = *rc::gen::container<Bytes>(size, octet);
    const auto bits = *rc::gen::inRange<std::size_t>(0, 8 * size + 1);
    for (std::size_t i = 0; i < std::min(bits + 1, 8 * size); ++i) {
        const auto mask = std::byte{0x80} >> (i % 8);
        const auto value = (first[i / 8] & mask) ^ (i == bits ? mask : std::byte{0});
        second[i / 8] = (second[i / 8] & ~mask) | value;
    }
    const Pseudonym a = pseudonym_of(pan, first);
    const Pseudonym b = pseudonym_of(pan, second);
    RC_PRE(a.kind() == b.kind());  // not one of them IPv4-mapped
    RC_ASSERT(common_prefix(octets_of(a), octets_of(b)) == bits);
}

}  // namespace
}  // namespace tapir::client
