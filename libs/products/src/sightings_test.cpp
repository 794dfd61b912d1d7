#include "tapir/products/sightings.hpp"

#include <algorithm>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace tapir::products {
namespace {

Sightings post() {
    return {.profile = 1,
            .day = 20'784,
            .epoch = 0x1122334455667788,
            .cursor = 5,
            .records = {{.name = 9, .kind = SightingKind::taken},
                        {.name = 7,
                         .kind = SightingKind::ipv6,
                         .threshold = 20,
                         .client = 0xABCD,
                         .network = 0xDEADBEEF}}};
}

Releases answer() {
    return {.day = 20'784,
            .epoch = 3,
            .cursor = 6,
            .records = {{.name = 9, .state = ReleaseState::taken}, {.name = 7}}};
}

// The post above with one octet changed.
SightingsError refusal(std::size_t at, std::uint8_t octet) {
    Bytes octets = post().to_octets();
    octets.at(at) = std::byte{octet};
    const auto read = Sightings::parse(octets);
    EXPECT_FALSE(read.has_value()) << at;
    return read ? SightingsError{} : read.error();
}

TEST(Sightings, AreLaidOutAsTheFormatSays) {
    const Bytes octets = post().to_octets();
    EXPECT_EQ(octets.size(), sightings_step);
    EXPECT_EQ(to_hex(ByteView(octets).first(64)),
              "54415053"
              "01"
              "01"
              "0000"
              "00005130"
              "00000005"
              "1122334455667788"
              "00000002"
              "00000000"
              "0000000000000007"
              "0614abcddeadbeef"
              "0000000000000009"
              "0100000000000000");
    EXPECT_EQ(to_hex(ByteView(answer().to_octets()).first(50)),
              "54415052"
              "01"
              "00"
              "0000"
              "00005130"
              "00000006"
              "0000000000000003"
              "00000002"
              "00000000"
              "0000000000000007"
              "01"
              "0000000000000009"
              "02");
}

TEST(Sightings, ThatAreNotAsWeWriteThemAreRefused) {
    EXPECT_EQ(refusal(0, 'X'), SightingsError::not_ours);
    EXPECT_EQ(refusal(4, 2), SightingsError::not_ours);
    EXPECT_EQ(refusal(7, 1), SightingsError::bad_field);
    EXPECT_EQ(refusal(31, 1), SightingsError::bad_field);
    EXPECT_EQ(refusal(24, 1), SightingsError::bad_count);
    EXPECT_EQ(refusal(26, 2), SightingsError::truncated);
    EXPECT_EQ(refusal(39, 0), SightingsError::bad_record) << "no fingerprint is 0";
    EXPECT_EQ(refusal(40, 5), SightingsError::bad_record) << "no such kind";
    EXPECT_EQ(refusal(41, 1), SightingsError::bad_record) << "a threshold of one";
    EXPECT_EQ(refusal(57, 9), SightingsError::bad_record) << "taken has no threshold";
    EXPECT_EQ(refusal(39, 10), SightingsError::unsorted);
    EXPECT_EQ(refusal(4095, 1), SightingsError::bad_padding);
    Bytes octets = post().to_octets();
    octets.resize(2 * sightings_step);
    EXPECT_EQ(Sightings::parse(octets).error(), SightingsError::bad_padding);
    octets.resize(sightings_step - 1);
    EXPECT_EQ(Sightings::parse(octets).error(), SightingsError::bad_padding);
    octets.resize(31);
    EXPECT_EQ(Sightings::parse(octets).error(), SightingsError::truncated);
    octets.resize(sightings_size_max + 1);
    EXPECT_EQ(Sightings::parse(octets).error(), SightingsError::too_large);
    EXPECT_EQ(Sightings::parse(answer().to_octets()).error(), SightingsError::not_ours);
}

TEST(Releases, ThatAreNotAsWeWriteThemAreRefused) {
    const auto refused = [](std::size_t at, std::uint8_t octet) {
        Bytes octets = answer().to_octets();
        octets.at(at) = std::byte{octet};
        const auto read = Releases::parse(octets);
        EXPECT_FALSE(read.has_value()) << at;
        return read ? SightingsError{} : read.error();
    };
    EXPECT_EQ(refused(5, 1), SightingsError::bad_field);
    EXPECT_EQ(refused(39, 0), SightingsError::bad_record);
    EXPECT_EQ(refused(40, 3), SightingsError::bad_record);
    EXPECT_EQ(refused(39, 9), SightingsError::unsorted) << "of a name one state";
    EXPECT_EQ(refused(50, 1), SightingsError::bad_padding);
    EXPECT_EQ(Releases::parse(post().to_octets()).error(), SightingsError::not_ours);
}

TEST(Releases, SayOfANameThatItWasTakenIfItWas) {
    const Releases twice{.records = {{.name = 7, .state = ReleaseState::taken},
                                     {.name = 7, .state = ReleaseState::released}}};
    const auto read = Releases::parse(twice.to_octets());
    ASSERT_TRUE(read.has_value());
    ASSERT_EQ(read->records.size(), 1U);
    EXPECT_EQ(read->records.front().state, ReleaseState::taken);
}

TEST(Sightings, OfTheGreatestNumberFit) {
    Sightings full;
    for (std::uint64_t i = 1; i <= sightings_max; ++i) {
        full.records.push_back({.name = i, .kind = SightingKind::ipv4, .threshold = 20});
    }
    EXPECT_EQ(Sightings::parse(full.to_octets()), full);
    Releases all;
    for (std::uint64_t i = 1; i <= releases_max; ++i) {
        all.records.push_back({.name = i});
    }
    EXPECT_EQ(Releases::parse(all.to_octets()), all);
}

RC_GTEST_PROP(Sightings, AreReadBackAndTheirOrderSaysNothing, ()) {
    Sightings one{.profile = *rc::gen::arbitrary<std::uint8_t>(),
                  .day = *rc::gen::arbitrary<std::uint32_t>(),
                  .epoch = *rc::gen::arbitrary<std::uint64_t>(),
                  .cursor = *rc::gen::arbitrary<std::uint32_t>()};
    const auto names =
        *rc::gen::container<std::vector<std::uint64_t>>(rc::gen::nonZero<std::uint64_t>());
    for (const std::uint64_t name : names) {
        if (*rc::gen::arbitrary<bool>()) {
            one.records.push_back({.name = name, .kind = SightingKind::taken});
        } else {
            one.records.push_back(
                {.name = name,
                 .kind = *rc::gen::element(SightingKind::ipv4, SightingKind::ipv6),
                 .threshold = *rc::gen::inRange<std::uint8_t>(2, 81),
                 .client = *rc::gen::arbitrary<std::uint16_t>(),
                 .network = *rc::gen::arbitrary<std::uint32_t>()});
        }
    }
    const Bytes octets = one.to_octets();
    Sightings other = one;
    std::ranges::reverse(other.records);
    other.records.insert(other.records.end(), one.records.begin(), one.records.end());
    if (one.records.size() * 2 <= sightings_max) {
        RC_ASSERT(other.to_octets() == octets);
    }
    const auto read = Sightings::parse(octets);
    RC_ASSERT(read.has_value());
    RC_ASSERT(read->to_octets() == octets);
    RC_ASSERT(octets.size() % sightings_step == 0U);
}

}  // namespace
}  // namespace tapir::products
