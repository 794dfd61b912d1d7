#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "aes.hpp"
#include "tapir/client/address.hpp"
#include "tapir/client/day_key.hpp"
#include "tapir/client/network_set.hpp"
#include "tapir/client/tagger.hpp"
#include "tapir/sketch/murmur.hpp"

namespace tapir::client {
namespace {

using dnstap::ClientAddress;

// An address from its text, with the octets that the view points to.
class Address {
public:
    explicit Address(const char* text) : octets_(16) {
        if (inet_pton(AF_INET, text, octets_.data()) == 1) {
            octets_.resize(4);
        } else {
            EXPECT_EQ(inet_pton(AF_INET6, text, octets_.data()), 1) << text;
        }
    }
    explicit Address(Bytes octets) : octets_(std::move(octets)) {}
    operator ClientAddress() const {
        return ClientAddress(octets_);
    }  // NOLINT(google-explicit-constructor)
    const Bytes& octets() const { return octets_; }

private:
    Bytes octets_;
};

Bytes from_hex(std::string_view hex) {
    Bytes out;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        out.push_back(
            static_cast<std::byte>(std::stoul(std::string(hex.substr(i, 2)), nullptr, 16)));
    }
    return out;
}

DayKey test_key(std::uint8_t first = 0) {
    std::array<std::byte, day_key_size> octets{};
    for (std::size_t i = 0; i < octets.size(); ++i) {
        octets[i] = static_cast<std::byte>(first + i);
    }
    return DayKey::from(octets);
}

NetworkSet list(std::string_view text) {
    auto set = NetworkSet::parse(text, "list");
    EXPECT_TRUE(set) << text;
    return *std::move(set);
}

bool in_v4(const NetworkSet& set, const char* address) {
    return set.contains(Address(address), Mapped::as_ipv4);
}
bool in_v6(const NetworkSet& set, const char* address) {
    return set.contains(Address(address), Mapped::as_ipv6);
}

TEST(ClientAddress, HasAFormAndAFamilyAndNothingElseToTell) {
    EXPECT_EQ(form_of(ClientAddress()), AddressForm::absent);
    EXPECT_EQ(form_of(Address(Bytes(5))), AddressForm::malformed);
    EXPECT_EQ(form_of(Address("192.0.2.1")), AddressForm::ipv4);
    EXPECT_EQ(form_of(Address("2001:db8::1")), AddressForm::ipv6);
    EXPECT_EQ(form_of(Address("::ffff:192.0.2.1")), AddressForm::ipv4_mapped);
    EXPECT_EQ(form_of(Address("::fffe:192.0.2.1")), AddressForm::ipv6);
    EXPECT_EQ(family_of(Address("::ffff:192.0.2.1")), Family::ipv4);
    EXPECT_EQ(family_of(Address("::1")), Family::ipv6);
    EXPECT_FALSE(family_of(ClientAddress()));
    EXPECT_FALSE(family_of(Address(Bytes(15))));
}

TEST(ClientAddress, IsHashedAsTheReferenceHashesIt) {
    EXPECT_EQ(murmur_of(Address("192.0.2.1")), 0x596a50a5a9831dffU);
    EXPECT_EQ(murmur_of(Address("2001:db8::20")), 0x8d2fbf75b678d034U);
    EXPECT_EQ(murmur_of(Address("::ffff:10.0.0.1")), 0x07fb4de54ecfd1e4U);
    EXPECT_FALSE(murmur_of(ClientAddress()));
    EXPECT_FALSE(murmur_of(Address(Bytes(3))));
}

TEST(ClientAddress, IsTheSameInACopyOfItsFrame) {
    Bytes frame(40, std::byte{7});
    const Address address("2001:db8::20");
    std::ranges::copy(address.octets(), frame.begin() + 9);
    const ClientAddress there(ByteView(frame).subspan(9, 16));
    Bytes copy = frame;
    const ClientAddress here = there.in_copy(frame, copy);
    std::ranges::fill(frame, std::byte{0});
    EXPECT_EQ(murmur_of(here), murmur_of(address));
    EXPECT_TRUE(ClientAddress().in_copy(frame, copy).is_absent());
}

TEST(NetworkSet, ReadsNetworksBareAddressesCommentsAndEmptyLines) {
    const NetworkSet set =
        list("# ours\n192.0.2.77/24\n\n198.51.100.7\r\n2001:db8::/32\n#2001:db9::/32\n::1");
    EXPECT_EQ(set.size(), 4U);
    EXPECT_TRUE(in_v4(set, "192.0.2.0"));
    EXPECT_TRUE(in_v4(set, "192.0.2.255"));
    EXPECT_FALSE(in_v4(set, "192.0.3.0"));
    EXPECT_FALSE(in_v4(set, "192.0.1.255"));
    EXPECT_TRUE(in_v4(set, "198.51.100.7"));
    EXPECT_FALSE(in_v4(set, "198.51.100.8"));
    EXPECT_TRUE(in_v4(set, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"));
    EXPECT_FALSE(in_v4(set, "2001:db9::"));
    EXPECT_TRUE(in_v4(set, "::1"));
    EXPECT_FALSE(in_v4(set, "::2"));
}

TEST(NetworkSet, ReadsAMappedClientAsTheProfileWants) {
    const NetworkSet set = list("192.0.2.0/24\n");
    EXPECT_FALSE(in_v6(set, "::ffff:192.0.2.1"));
    EXPECT_TRUE(in_v4(set, "::ffff:192.0.2.1"));
    const NetworkSet mapped = list("::ffff:192.0.2.0/120\n");
    EXPECT_TRUE(in_v6(mapped, "::ffff:192.0.2.1"));
    EXPECT_TRUE(in_v4(mapped, "::ffff:192.0.2.1"));
    EXPECT_FALSE(in_v6(mapped, "192.0.2.1"));
    EXPECT_TRUE(in_v4(mapped, "192.0.2.1"));
    EXPECT_FALSE(in_v4(mapped, "192.0.3.1"));
    EXPECT_TRUE(in_v6(list("::/0"), "::ffff:192.0.2.1"));
    EXPECT_FALSE(in_v4(list("::/0"), "::ffff:192.0.2.1"));
}

TEST(NetworkSet, RefusesTheWholeListForOneBadLineAndSaysWhere) {
    for (const char* line :
         {"192.0.2.0/33", "2001:db8::/129", "192.0.2", " 192.0.2.0/24", "192.0.2.0/24 ",
          "192.0.2.0/24 # us", "192.0.2.0/", "192.0.2.0/+8", "192.0.2.0/08", "192.0.2.0/-1", "/8",
          "fe80::1%eth0", "localhost", "192.000.2.0/24", "192.0.2.0/24/24", "2001:db8::g"}) {
        const auto set =
            NetworkSet::parse(std::string("10.0.0.0/8\n\n") + line + "\n", "ignored.txt");
        ASSERT_FALSE(set) << line;
        EXPECT_EQ(set.error().code(), Code::invalid);
        EXPECT_EQ(set.error().what().find("ignored.txt:3: expected "), 0U) << set.error().what();
    }
    EXPECT_FALSE(NetworkSet::parse(std::string_view("10.0.0.0\0/8", 11), "l"));
    EXPECT_FALSE(NetworkSet::parse(std::string(100'000, '1'), "l"));
}

TEST(NetworkSet, HoldsNobodyByDefaultAndEverybodyIfAsked) {
    EXPECT_FALSE(in_v4(NetworkSet(), "192.0.2.1"));
    const NetworkSet all = NetworkSet::everything();
    for (const char* address : {"0.0.0.0", "255.255.255.255", "::", "2001:db8::1", "::ffff:1.2.3.4",
                                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}) {
        EXPECT_TRUE(in_v4(all, address)) << address;
    }
    EXPECT_FALSE(all.contains(ClientAddress(), Mapped::as_ipv4));
    EXPECT_FALSE(all.contains(Address(Bytes(7)), Mapped::as_ipv4));
}

TEST(NetworkSet, IsMadeFromTheWordsOfASettingToo) {
    const std::vector<std::string> words = {"10.0.0.0/8", "fd00::/8"};
    EXPECT_TRUE(in_v4(*NetworkSet::from_words(words), "10.1.2.3"));
    const std::vector<std::string> bad = {"10.0.0.0/8", "#"};
    EXPECT_NE(NetworkSet::from_words(bad).error().what().find("got \"#\""), std::string::npos);
}

RC_GTEST_PROP(NetworkSet, AgreesWithALookAtEachNetwork, ()) {
    const auto networks = *rc::gen::container<std::vector<std::pair<std::uint32_t, unsigned>>>(
        rc::gen::pair(rc::gen::inRange<std::uint32_t>(0, 4096), rc::gen::inRange(20U, 33U)));
    std::string text;
    const auto shown = [](std::uint32_t v) {
        return "10.0." + std::to_string(v >> 8U) + "." + std::to_string(v & 255U);
    };
    for (const auto& [address, bits] : networks) {
        text += shown(address) + "/" + std::to_string(bits) + "\n";
    }
    const NetworkSet set = list(text);
    for (int i = 0; i < 50; ++i) {
        const auto v = *rc::gen::inRange<std::uint32_t>(0, 8192);
        const bool expected = std::any_of(networks.begin(), networks.end(), [v](const auto& n) {
            return n.first >> (32 - n.second) == v >> (32 - n.second);
        });
        RC_ASSERT(in_v4(set, shown(v).c_str()) == expected);
    }
}

TEST(DayKey, RatchetsForwardByHkdf) {
    // HKDF-SHA256 of 00 … 1f without salt and with this library's info, by Python's hmac.
    const DayKey key = test_key();
    const DayKey next = key.next();
    EXPECT_EQ(to_hex(next.reveal()),
              "e567b6a71fd8bdba1cfa5e278078ecc4e3552e2635a3a59934a8f22be5ddcdca");
    std::array<std::byte, 16> derived{};
    key.derive("client tags", derived);
    EXPECT_EQ(to_hex(derived), "c74872c9fe82d9e9b4c6e223c4f54491");
    DayKey moved = test_key();
    moved = moved.next();
    EXPECT_EQ(to_hex(moved.reveal()), to_hex(next.reveal()));
}

TEST(DayKey, GivesUnrelatedKeysForDifferentPurposes) {
    const DayKey key = test_key();
    std::array<std::byte, 32> a{};
    std::array<std::byte, 32> b{};
    key.derive("a", a);
    key.derive("b", b);
    EXPECT_NE(to_hex(a), to_hex(b));
    key.next().derive("a", b);
    EXPECT_NE(to_hex(a), to_hex(b));
    static_assert(!std::is_copy_constructible_v<DayKey>);
}

TEST(Aes128, GivesTheBlockOfFips197ByEitherEngine) {
    const Bytes key = from_hex("000102030405060708090a0b0c0d0e0f");
    for (const bool use_instructions : {true, false}) {
        Aes128 aes(std::span<const std::byte, 16>(key.data(), 16), use_instructions);
        std::vector<AesBlock> blocks(19);
        for (AesBlock& block : blocks) {
            const Bytes plain = from_hex("00112233445566778899aabbccddeeff");
            std::copy(plain.begin(), plain.end(), block.begin());
        }
        aes.encrypt(blocks);
        for (const AesBlock& block : blocks) {
            EXPECT_EQ(to_hex(block), "69c4e0d86a7b0430d8cdb78070b4c55a");
        }
        aes.encrypt({});
    }
}

class TaggerTest : public ::testing::TestWithParam<Tagger::Engine> {
protected:
    Tagger tagger(const DayKey& key, NetworkSet networks = NetworkSet::everything()) {
        return {key, std::make_shared<const NetworkSet>(std::move(networks)), GetParam()};
    }
    Tags tag(const char* address, std::uint64_t fingerprint = 7) {
        return tagger(test_key()).tag({fingerprint, Address(address)});
    }
};
INSTANTIATE_TEST_SUITE_P(Engines, TaggerTest,
                         ::testing::Values(Tagger::Engine::best, Tagger::Engine::openssl));

TEST_P(TaggerTest, IsOneAesBlockOverFingerprintKindAndAddress) {
    const DayKey key = test_key();
    std::array<std::byte, 16> aes_key{};
    key.derive("client tags", aes_key);
    const auto expected = [&aes_key](const char* block) {
        const Bytes plain = from_hex(block);
        std::array<AesBlock, 1> blocks{};
        std::copy(plain.begin(), plain.end(), blocks[0].begin());
        Aes128(aes_key, false).encrypt(blocks);
        return ByteReader(blocks[0]).u64();
    };
    const Tags v4 = tagger(key).tag({0x1122334455667788U, Address("192.0.2.1")});
    EXPECT_EQ(v4.fate, TagFate::counted);
    EXPECT_EQ(v4.family, Family::ipv4);
    EXPECT_EQ(v4.client, ClientTag{expected("112233445566778801c0000201000000")});
    EXPECT_EQ(v4.network, NetworkTag{expected("112233445566778803c0000200000000")});
    EXPECT_EQ(v4.client_day, ClientDayTag{expected("000000000000000005c0000201000000")});
    const Tags v6 = tagger(key).tag({0x1122334455667788U, Address("2001:db8:1:2345::9")});
    EXPECT_EQ(v6.family, Family::ipv6);
    EXPECT_EQ(v6.client, ClientTag{expected("11223344556677880220010db8000123")});
    EXPECT_EQ(v6.network, NetworkTag{expected("11223344556677880420010db8000000")});
    EXPECT_EQ(v6.client_day, ClientDayTag{expected("00000000000000000620010db8000123")});
}

TEST_P(TaggerTest, TakesAnIpv6SlashFiftySixForOneClient) {
    EXPECT_EQ(tag("2001:db8:1:2300::1").client, tag("2001:db8:1:23ff:ffff::").client);
    EXPECT_NE(tag("2001:db8:1:2300::1").client, tag("2001:db8:1:2400::1").client);
    EXPECT_EQ(tag("2001:db8:0:2300::1").network, tag("2001:db8:ff:2400::1").network);
    EXPECT_NE(tag("2001:db8:0:2300::1").network, tag("2001:db8:100:2300::1").network);
    EXPECT_NE(tag("192.0.2.1").client, tag("192.0.2.2").client);
    EXPECT_EQ(tag("192.0.2.1").network, tag("192.0.2.2").network);
    EXPECT_NE(tag("192.0.2.1").network, tag("192.0.3.1").network);
}

TEST_P(TaggerTest, TakesAMappedClientForTheIpv4ClientThatItIs) {
    EXPECT_EQ(tag("::ffff:192.0.2.1").client, tag("192.0.2.1").client);
    EXPECT_EQ(tag("::ffff:192.0.2.1").family, Family::ipv4);
}

TEST_P(TaggerTest, GivesUnrelatedTagsForOtherNamesAndDays) {
    EXPECT_NE(tag("192.0.2.1", 7).client, tag("192.0.2.1", 8).client);
    EXPECT_EQ(tag("192.0.2.1", 7).client_day, tag("192.0.2.1", 8).client_day);
    const DayKey key = test_key();
    const Address address("192.0.2.1");
    const Tags today = tagger(key).tag({7, address});
    const Tags tomorrow = tagger(key.next()).tag({7, address});
    EXPECT_NE(today.client, tomorrow.client);
    EXPECT_NE(today.client_day, tomorrow.client_day);
}

TEST_P(TaggerTest, CountsNobodyOutsideTheClientNetworksOrWithoutAddress) {
    Tagger only_ten = tagger(test_key(), list("10.0.0.0/8\n"));
    EXPECT_EQ(only_ten.tag({7, Address("10.1.2.3")}).fate, TagFate::counted);
    EXPECT_EQ(only_ten.tag({7, Address("::ffff:10.1.2.3")}).fate, TagFate::counted);
    const Tags outside = only_ten.tag({7, Address("11.1.2.3")});
    EXPECT_EQ(outside.fate, TagFate::outside);
    EXPECT_EQ(outside.client, ClientTag{});
    EXPECT_EQ(outside.client_day, ClientDayTag{});
    EXPECT_EQ(only_ten.tag({7, ClientAddress()}).fate, TagFate::absent);
    EXPECT_EQ(only_ten.tag({7, Address(Bytes(6))}).fate, TagFate::malformed);
}

TEST_P(TaggerTest, GivesInABatchWhatItGivesOneByOne) {
    Tagger tagger_ = tagger(test_key(), list("10.0.0.0/9\n2001:db8::/32\n"));
    std::vector<Address> addresses;
    for (unsigned i = 0; i < 1'000; ++i) {
        Bytes octets;
        append_u32(octets, 0x0A000000U + i * 20'000U);
        if (i % 3 == 0) {
            octets = from_hex("20010db8");
            append_u32(octets, i);
            octets.resize(16);
        } else if (i % 7 == 0) {
            octets.resize(i % 2);
        }
        addresses.emplace_back(octets);
    }
    std::vector<TagRequest> requests;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        requests.push_back({.name_fingerprint = i * 0x9E3779B97F4A7C15U,
                            .address = addresses[i],
                            .with_day = i % 5 != 0});
    }
    std::vector<Tags> tags(requests.size());
    tagger_.tag(requests, tags);
    std::set<ClientTag> distinct;
    std::size_t counted = 0;
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const Tags one = tagger_.tag(requests[i]);
        EXPECT_EQ(tags[i].client, one.client);
        EXPECT_EQ(tags[i].network, one.network);
        EXPECT_EQ(tags[i].client_day, one.client_day);
        EXPECT_EQ(one.client_day != ClientDayTag{}, i % 5 != 0 && one.fate == TagFate::counted);
        EXPECT_EQ(tags[i].fate, one.fate);
        EXPECT_EQ(tags[i].family, one.family);
        counted += one.fate == TagFate::counted ? 1 : 0;
        distinct.insert(one.client);
    }
    EXPECT_GT(counted, 400U);
    EXPECT_EQ(distinct.size(), counted + 1);  // and the 0 of those that are not counted
}

}  // namespace
}  // namespace tapir::client
