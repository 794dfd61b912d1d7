#include "tapir/sketch/hyperloglog.hpp"

#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/sketch/murmur.hpp"

namespace tapir::sketch {
namespace {

using nlohmann::json;

std::vector<json> vectors() {
    std::ifstream in(TAPIR_GOLDEN "/vectors.jsonl");
    std::vector<json> all;
    for (std::string line; std::getline(in, line);) {
        all.push_back(json::parse(line));
    }
    return all;
}

Bytes from_hex(const std::string& hex) {
    Bytes out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        out.push_back(static_cast<std::byte>(std::stoul(hex.substr(i, 2), nullptr, 16)));
    }
    return out;
}

// The hash of 10.0.0.0 + index.
std::uint64_t address_hash(std::uint32_t index) {
    Bytes address;
    append_u32(address, 0x0A000000U + index);
    return murmur3_x64_128(address).h1;
}

HyperLogLog sketch_of(std::uint32_t from, std::uint32_t to, const HllSettings& settings = {}) {
    HyperLogLog sketch(settings);
    for (std::uint32_t i = from; i < to; ++i) {
        sketch.add(address_hash(i));
    }
    return sketch;
}

TEST(Murmur, AgreesWithTheReferenceOnAllAddresses) {
    int count = 0;
    for (const json& v : vectors()) {
        if (v.contains("octets")) {
            const Bytes octets = from_hex(v["octets"].get<std::string>());
            Bytes h1;
            append_u64(h1, murmur3_x64_128(octets).h1);
            EXPECT_EQ(to_hex(h1), v["murmur3_x64_128_h1_seed0"].get<std::string>()) << v["address"];
            ++count;
        }
    }
    EXPECT_EQ(count, 14);
}

TEST(Murmur, AgreesWithTheReferenceOnLongerTextAndBothHalves) {
    // Published test value of the reference implementation's 128-bit variant for this sentence.
    const Hash128 hash = murmur3_x64_128(as_bytes("The quick brown fox jumps over the lazy dog"));
    EXPECT_EQ(hash, (Hash128{0xe34bbc7bbc071b6cU, 0x7a433ca9c49a9347U}));
}

TEST(HyperLogLog, WritesTheReferenceOctetsInEverySetting) {
    int count = 0;
    for (const json& v : vectors()) {
        if (!v.contains("count")) {
            continue;
        }
        HllSettings settings;
        settings.log2m = v["log2m"];
        settings.register_width = v["regwidth"];
        settings.explicit_threshold = v["expthresh"];
        settings.sparse = v["sparse"];
        const HyperLogLog sketch = sketch_of(0, v["count"], settings);
        EXPECT_EQ(to_hex(sketch.serialise()), v["bytes"].get<std::string>()) << v["count"];
        EXPECT_EQ(sketch.estimate(), v["cardinality"].get<std::uint64_t>()) << v["count"];
        const auto parsed = HyperLogLog::parse(from_hex(v["bytes"].get<std::string>()));
        ASSERT_TRUE(parsed) << v["bytes"];
        EXPECT_EQ(to_hex(parsed->serialise()), v["bytes"].get<std::string>());
        EXPECT_EQ(parsed->estimate(), v["cardinality"].get<std::uint64_t>());
        ++count;
    }
    EXPECT_EQ(count, 76);
}

TEST(HyperLogLog, WritesTheReferenceOctetsOfUnions) {
    int count = 0;
    for (const json& v : vectors()) {
        if (!v.contains("union")) {
            continue;
        }
        HyperLogLog a = sketch_of(v["a_from"], v["a_to"]);
        const HyperLogLog b = sketch_of(v["b_from"], v["b_to"]);
        EXPECT_EQ(to_hex(a.serialise()), v["a"].get<std::string>());
        EXPECT_EQ(to_hex(b.serialise()), v["b"].get<std::string>());
        a.merge(b);
        EXPECT_EQ(to_hex(a.serialise()), v["result"].get<std::string>());
        EXPECT_EQ(a.estimate(), v["cardinality"].get<std::uint64_t>());
        ++count;
    }
    EXPECT_EQ(count, 6);
}

TEST(HyperLogLog, KeepsOneHashWithoutTheHeapAndStaysSmall) {
    HyperLogLog sketch;
    EXPECT_EQ(sizeof(sketch), 40U);
    sketch.add(7);
    EXPECT_EQ(sketch.heap_size(), 0U);
    sketch.add(8);
    EXPECT_EQ(sketch.heap_size(), 32U);
}

TEST(HyperLogLog, NeverCountsTheHashZero) {
    HyperLogLog sketch;
    sketch.add(0);
    EXPECT_TRUE(sketch.is_empty());
    EXPECT_EQ(sketch.estimate(), 0U);
}

TEST(HyperLogLog, IsNullUntilItLeavesTheExplicitForm) {
    EXPECT_FALSE(sketch_of(0, 0).serialise_or_null());
    EXPECT_FALSE(sketch_of(0, 20).serialise_or_null());
    EXPECT_TRUE(sketch_of(0, 21).serialise_or_null());
}

TEST(HyperLogLog, IsEmptyAfterItWasMovedFrom) {
    HyperLogLog a = sketch_of(0, 50);
    const HyperLogLog b = std::move(a);
    EXPECT_TRUE(a.is_empty());  // NOLINT(bugprone-use-after-move): the state is promised
    a.add(5);
    EXPECT_EQ(a.estimate(), 1U);
    EXPECT_EQ(b.estimate(), 52U);
}

TEST(HyperLogLog, CountsManyWithinFifteenPercent) {
    const auto estimate = static_cast<double>(sketch_of(0, 300'000).estimate());
    EXPECT_NEAR(estimate, 300'000, 45'000);
}

TEST(HyperLogLog, RefusesWhatIsNoSketch) {
    const auto error = [](const std::string& hex) {
        return HyperLogLog::parse(from_hex(hex)).error();
    };
    EXPECT_EQ(error("116a"), SketchError::truncated);
    EXPECT_EQ(error("216a44"), SketchError::bad_version);
    EXPECT_EQ(error("156a44"), SketchError::bad_type);
    EXPECT_EQ(error("116344"), SketchError::bad_settings);  // log2m 3
    EXPECT_EQ(error("11ea44"), SketchError::bad_settings);  // register width 8
    EXPECT_EQ(error("116a44ff"), SketchError::truncated);   // an empty one with a body
    EXPECT_EQ(error("126a4401"), SketchError::truncated);
    EXPECT_EQ(error("146a4401"), SketchError::truncated);
    EXPECT_EQ(error("126a440000000000000002"
                    "0000000000000001"),
              SketchError::not_canonical);
    EXPECT_EQ(error("126a440000000000000000"), SketchError::not_canonical);
    EXPECT_EQ(error("136a440000"), SketchError::not_canonical);  // a register of value 0
    EXPECT_EQ(error("136a44148f"), SketchError::not_canonical);  // filled up with ones
}

RC_GTEST_PROP(HyperLogLog, IgnoresOrderAndRepetition, (std::vector<std::uint64_t> hashes)) {
    HyperLogLog a;
    HyperLogLog b;
    for (const auto hash : hashes) {
        a.add(hash);
    }
    for (auto it = hashes.rbegin(); it != hashes.rend(); ++it) {
        b.add(*it);
        b.add(*it);
    }
    RC_ASSERT(a.serialise() == b.serialise());
}

RC_GTEST_PROP(HyperLogLog, MergesAsIfAllWereAddedToOne, ()) {
    const auto n = [] { return *rc::gen::inRange<std::uint32_t>(0, 600); };
    const std::uint32_t x = n();
    const std::uint32_t y = n();
    const std::uint32_t z = n();
    HllSettings settings;
    settings.explicit_threshold = *rc::gen::element(0, 1, 20, 128, -1);
    settings.sparse = *rc::gen::arbitrary<bool>();
    const HyperLogLog a = sketch_of(0, x, settings);
    const HyperLogLog b = sketch_of(x / 2, x / 2 + y, settings);
    const HyperLogLog c = sketch_of(1000, 1000 + z, settings);
    const auto merged = [](HyperLogLog left, const HyperLogLog& right) {
        left.merge(right);
        return left;
    };
    RC_ASSERT(merged(a, b).serialise() == merged(b, a).serialise());
    RC_ASSERT(merged(merged(a, b), c).serialise() == merged(a, merged(b, c)).serialise());
    RC_ASSERT(merged(a, a).serialise() == a.serialise());
    HyperLogLog all = a;
    for (std::uint32_t i = x / 2; i < x / 2 + y; ++i) {
        all.add(address_hash(i));
    }
    RC_ASSERT(merged(a, b).serialise() == all.serialise());
    RC_ASSERT(merged(a, b).estimate() == all.estimate());
}

}  // namespace
}  // namespace tapir::sketch
