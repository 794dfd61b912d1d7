#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tapir/privacy/gate.hpp"
#include "testing_rig.hpp"

namespace tapir::aggregation {
namespace {

using namespace std::chrono_literals;
using products::Releases;
using products::ReleaseState;
using products::SightingKind;
using products::SightingRecord;
using products::Sightings;

constexpr std::int64_t noon = 20'784 * 86'400LL + 43'200;

struct Rig : testing::AggregatorRig {
    explicit Rig(const AggregatorSettings& settings = with_small_tables())
        : AggregatorRig(settings, noon) {}

    static AggregatorSettings with_small_tables() {
        AggregatorSettings settings;
        settings.limits = {.name_count = 4096, .released_count_max = 256};
        settings.records_a_minute_max = 50;
        return settings;
    }
    // What the aggregator answers to a post that it takes.
    Releases tell(const std::string& site, Sightings post) {
        const auto response = send(site, post.to_octets());
        EXPECT_EQ(response.status, 200);
        const auto answer = Releases::parse(response.body);
        EXPECT_TRUE(answer.has_value());
        return answer ? *answer : Releases{};
    }
    std::int64_t posts(std::string_view outcome) {
        return static_cast<std::int64_t>(
            counters
                .counter("tapir_aggregator_posts_total", "", {{"outcome", std::string(outcome)}})
                .value());
    }
};

SightingRecord record(std::uint64_t name, unsigned client) {
    return {.name = name,
            .kind = SightingKind::ipv4,
            .threshold = 10,
            .client = static_cast<std::uint16_t>(client),
            .network = client % 4};
}

Sightings post(std::vector<SightingRecord> records, std::uint32_t day = 20'784) {
    return {.day = day, .records = std::move(records)};
}

TEST(Aggregator, AddsUpWhatSeveralSitesTell) {
    Rig rig;
    for (unsigned client = 0; client < 9; ++client) {
        const auto answer =
            rig.tell("site-" + std::to_string(client % 3), post({record(7, client)}));
        EXPECT_TRUE(answer.records.empty());
    }
    const auto answer = rig.tell("site-0", post({record(7, 9), record(8, 1)}));
    ASSERT_EQ(answer.records.size(), 1U);
    EXPECT_EQ(answer.records.front().name, 7U);
    EXPECT_EQ(answer.records.front().state, ReleaseState::released);

    // Every site is told, from where it was on; and that one has taken it.
    Sightings next = post({{.name = 7, .kind = SightingKind::taken}});
    next.epoch = answer.epoch;
    next.cursor = answer.cursor;
    const auto after = rig.tell("site-0", next);
    ASSERT_EQ(after.records.size(), 1U);
    EXPECT_EQ(after.records.front().state, ReleaseState::taken);
    const auto all = rig.tell("site-1", post({}));
    ASSERT_EQ(all.records.size(), 1U);
    EXPECT_EQ(all.records.front().state, ReleaseState::taken) << "of both, the later";
    rig.aggregator.tick();
    EXPECT_NE(rig.counters.to_prometheus().find("tapir_aggregator_released_names 1\n"),
              std::string::npos);
}

TEST(Aggregator, CountsAClientOnceWhicheverSiteSawIt) {
    Rig rig;
    for (unsigned i = 0; i < 40; ++i) {
        EXPECT_TRUE(
            rig.tell("site-" + std::to_string(i % 4), post({record(7, i % 9)})).records.empty());
    }
}

TEST(Aggregator, ASitesNameIsNoPartOfWhatIsCounted) {
    Rig rig;
    for (unsigned i = 0; i < 40; ++i) {
        EXPECT_TRUE(rig.tell("site-" + std::to_string(i), post({record(7, 1)})).records.empty());
    }
}

TEST(Aggregator, TurnsTheDay) {
    Rig rig;
    for (unsigned client = 0; client < 10; ++client) {
        rig.tell("site-1", post({record(7, client), record(8, client % 5)}));
    }
    const auto before = rig.tell("site-1", post({}));
    EXPECT_EQ(before.records.size(), 1U);
    rig.clock.advance(12h - 1s);
    EXPECT_EQ(rig.send("site-1", post({}).to_octets()).status, 200) << "the last second";
    rig.clock.advance(1s);
    EXPECT_EQ(rig.send("site-1", post({record(7, 1)}).to_octets()).status, 409);
    EXPECT_EQ(rig.posts("day"), 1);
    EXPECT_EQ(rig.send("site-1", post({}, 20'786).to_octets()).status, 409) << "a day to come";
    const auto after = rig.tell("site-1", post({}, 20'785));
    EXPECT_TRUE(after.records.empty()) << "nothing of the day before";
    EXPECT_NE(after.epoch, before.epoch);
    // What was pending counts for nothing any more.
    for (unsigned client = 5; client < 10; ++client) {
        EXPECT_TRUE(rig.tell("site-1", post({record(8, client)}, 20'785)).records.empty());
    }
    rig.clock.step_to(UtcTime::from_seconds(noon));
    EXPECT_EQ(rig.send("site-1", post({}).to_octets()).status, 409)
        << "a clock that is set back brings no day again";
}

TEST(Aggregator, RefusesWithAReasonThatIsCounted) {
    Rig rig;
    const Bytes good = post({record(7, 1)}).to_octets();
    EXPECT_EQ(rig.send("", good).status, 403);
    EXPECT_EQ(rig.posts("no_name"), 1);
    EXPECT_EQ(rig.send("site-1", good, "application/json").status, 415);
    EXPECT_EQ(rig.posts("wrong_type"), 1);
    EXPECT_EQ(rig.send("site-1", to_bytes(std::string_view("GET / HTTP/1.1"))).status, 400);
    EXPECT_EQ(rig.send("site-1", Bytes(4096)).status, 400);
    EXPECT_EQ(rig.posts("malformed"), 2);
    EXPECT_EQ(rig.send("site-1", Bytes(products::sightings_size_max + 1)).status, 413);
    Sightings strict = post({});
    strict.profile = static_cast<std::uint8_t>(privacy::Profile::strict);
    EXPECT_EQ(rig.send("site-1", strict.to_octets()).status, 409);
    EXPECT_EQ(rig.posts("profile"), 1);
    SightingRecord low = record(7, 1);
    low.threshold = 2;
    EXPECT_EQ(rig.send("site-1", post({record(5, 1), low}).to_octets()).status, 400)
        << "two clients would be enough";
    EXPECT_EQ(rig.posts("threshold"), 1);
    EXPECT_EQ(rig.posts("counted"), 0);
    EXPECT_NE(rig.counters.to_prometheus().find(
                  "tapir_aggregator_malformed_total{reason=\"not_ours\"} 1\n"),
              std::string::npos);
}

TEST(Aggregator, LimitsWhatOneSiteMayTellInAMinute) {
    Rig rig;
    std::vector<SightingRecord> many;
    for (unsigned i = 1; i <= 30; ++i) {
        many.push_back(record(i, 1));
    }
    EXPECT_EQ(rig.send("site-1", post(many).to_octets()).status, 200);
    const auto refused = rig.send("site-1", post(many).to_octets());
    EXPECT_EQ(refused.status, 429);
    EXPECT_EQ(refused.fields.find("Retry-After"), "60");
    EXPECT_EQ(rig.posts("too_many"), 1);
    EXPECT_EQ(rig.send("site-2", post(many).to_octets()).status, 200) << "another site may";
    rig.clock.advance(1min);
    EXPECT_EQ(rig.send("site-1", post(many).to_octets()).status, 200);
    for (std::size_t i = 0; i < sites_max - 1; ++i) {
        ASSERT_EQ(rig.send("s" + std::to_string(i), post({}).to_octets()).status, 200) << i;
    }
    EXPECT_EQ(rig.send("one-too-many", post({}).to_octets()).status, 503);
    EXPECT_EQ(rig.posts("sites"), 1);
}

TEST(Aggregator, ThatBeginsAnewTellsAnotherEpoch) {
    Rig one;
    const auto told = one.tell("site-1", post({{.name = 7, .kind = SightingKind::taken}}));
    Sightings again = post({});
    again.epoch = told.epoch + 1;  // of an aggregator before
    again.cursor = 1;
    EXPECT_EQ(one.tell("site-1", again).records.size(), 1U) << "is told from the beginning";
    again.epoch = told.epoch;
    EXPECT_TRUE(one.tell("site-1", again).records.empty());
}

TEST(Aggregator, TellsNoMoreThanFitsAndTheRestNextTime) {
    AggregatorSettings settings = Rig::with_small_tables();
    settings.limits.released_count_max = 20'000;
    settings.records_a_minute_max = 100'000;
    Rig rig(settings);
    std::vector<SightingRecord> taken;
    for (std::uint64_t name = 1; name <= products::sightings_max; ++name) {
        taken.push_back({.name = name, .kind = SightingKind::taken});
    }
    rig.tell("site-1", post(taken));
    for (SightingRecord& each : taken) {
        each.name += products::sightings_max;
    }
    rig.tell("site-1", post(taken));
    const auto first = rig.tell("site-2", post({}));
    EXPECT_EQ(first.records.size(), products::releases_max);
    Sightings next = post({});
    next.epoch = first.epoch;
    next.cursor = first.cursor;
    EXPECT_EQ(rig.tell("site-2", next).records.size(), 20'000 - products::releases_max);
}

}  // namespace
}  // namespace tapir::aggregation
