// What the operator is shown: the status of a moment, and the screen made of it.
#include "status.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "gauges.hpp"
#include "metrics.hpp"
#include "tapir/edge/top.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using text::Json;

const UtcTime noon = UtcTime::from_seconds(1'790'000'000);

struct Shown {
    Counters counters;
    std::string lines;
    Log log = Log::to_string(lines);
    EdgeMetrics metrics{counters};
    Gauges gauges{counters, "9.8.7"};
    StatusBoard board{"9.8.7", noon};

    Json publish(UtcTime now) {
        board.publish({.profile = "standard",
                       .counters = counters,
                       .log = log,
                       .delay = gauges.delay(),
                       .loads = {{.batches_waiting = 3, .rows = 4}},
                       .lists = {{.kind = "well_known", .sha256 = "abcd", .entries = 7}},
                       .checkpoint = "origin\n12\nroot=\n"},
                      now);
        auto status = Json::parse(board.text());
        EXPECT_TRUE(status.has_value());
        return std::move(*status);
    }
    static std::int64_t number(const Json& json, std::initializer_list<const char*> path) {
        const Json* at = &json;
        for (const char* key : path) {
            at = at == nullptr ? nullptr : at->find(key);
        }
        return at == nullptr ? -1 : at->if_integer().value_or(-1);
    }
};

TEST(Status, HasTotalsAndRatesSinceTheLastOne) {
    Shown shown;
    FateCounts fates;
    fates.add(Fate::well_known, 10);
    shown.metrics.add(fates);
    EXPECT_EQ(shown.publish(noon).find("frames")->find("per_s")->if_number(), 0.0);
    fates = {};
    fates.add(Fate::well_known, 30);
    fates.add(Fate::dropped_overload, 10);
    shown.metrics.add(fates);
    const Json status = shown.publish(noon + 10s);
    EXPECT_EQ(Shown::number(status, {"frames", "total"}), 50);
    EXPECT_EQ(status.find("frames")->find("per_s")->if_number(), 4.0);
    EXPECT_EQ(Shown::number(status, {"uptime_s"}), 10);
    std::int64_t sum = 0;
    for (const Json& fate : *status.find("frames")->find("fates")->if_array()) {
        sum += fate.integer("total").value();
    }
    EXPECT_EQ(sum, 50) << "every frame is in one fate";
}

TEST(Status, HasListsLedgerOutboxAndTheLastTroubles) {
    Shown shown;
    shown.counters.gauge("tapir_edge_outbox_batches", "").set(2);
    shown.gauges.show_ledger(12);
    shown.log.error("outbox", "a batch cannot be written", {{"reason", "disk"}});
    const Json status = shown.publish(noon);
    EXPECT_EQ(Shown::number(status, {"outbox", "batches"}), 2);
    EXPECT_EQ(Shown::number(status, {"ledger", "leaves"}), 12);
    EXPECT_EQ(status.find("ledger")->string("root"), Result<std::string>("root="));
    EXPECT_EQ(status.find("lists")->if_array()->front().integer("entries"),
              Result<std::int64_t>(7));
    EXPECT_EQ(status.find("log")->find("troubles")->if_array()->front().string("msg"),
              Result<std::string>("a batch cannot be written"));
}

TEST(Status, SaysWhatBecomesOfTheGroupWhereThereIsOne) {
    Shown shown;
    EXPECT_EQ(shown.publish(noon).find("group"), nullptr);
    EXPECT_THAT(*top_screen(shown.board.text(), {.columns = 80, .rows = 24}),
                Not(HasSubstr("group:")));
    shown.counters.counter("tapir_edge_group_posts_total", "", {{"outcome", "accepted"}}).add(4);
    shown.counters.counter("tapir_edge_group_sightings_total", "", {{"outcome", "told"}}).add(90);
    shown.counters.counter("tapir_edge_group_released_total", "").add(2);
    shown.counters.gauge("tapir_edge_group_waiting", "").set(7);
    const Json status = shown.publish(noon + 1s);
    EXPECT_EQ(Shown::number(status, {"group", "posts", "accepted"}), 4);
    EXPECT_EQ(Shown::number(status, {"group", "sightings", "told"}), 90);
    EXPECT_EQ(Shown::number(status, {"group", "released"}), 2);
    EXPECT_THAT(
        *top_screen(shown.board.text(), {.columns = 80, .rows = 24}),
        HasSubstr("group: posts accepted 4; sightings told 90, 7 wait; released together 2"));
}

TEST(Status, RemembersTheLastReleasesAndNoMore) {
    Shown shown;
    for (std::size_t i = 0; i < releases_remembered_max + 5; ++i) {
        shown.board.released(i < 10 ? "old.example" : i % 2 == 0 ? "a.example" : "b.example");
    }
    shown.board.released("a.example.");
    const Json status = shown.publish(noon);
    const auto& domains = *status.find("domains")->if_array();
    ASSERT_EQ(domains.size(), 3U);
    EXPECT_EQ(domains[0].string("domain"), Result<std::string>("a.example"));
    std::int64_t names = 0;
    for (const Json& one : domains) {
        names += one.integer("names").value();
    }
    EXPECT_EQ(names, static_cast<std::int64_t>(releases_remembered_max));
}

TEST(Top, ShowsRatesReleasesQueueAndTroublesWithinTheScreen) {
    Shown shown;
    FateCounts fates;
    shown.publish(noon);
    fates.add(Fate::well_known, 1234);
    shown.metrics.add(fates);
    shown.board.released("shop.example");
    shown.counters.gauge("tapir_edge_outbox_batches", "").set(2);
    shown.log.warn("sender", std::string("the core \x1b[2J does not answer"));
    shown.publish(noon + 1s);
    const auto screen = top_screen(shown.board.text(), {.columns = 80, .rows = 24});
    ASSERT_TRUE(screen.has_value()) << screen.error().what();
    EXPECT_THAT(*screen, HasSubstr("tapir-edge 9.8.7  standard  up 0m 1s"));
    EXPECT_THAT(*screen, HasSubstr("frames 1234/s, 1234 in all"));
    EXPECT_THAT(*screen, HasSubstr("counted well_known         1234      1234"));
    EXPECT_THAT(*screen, HasSubstr("    1  shop.example"));
    EXPECT_THAT(*screen, HasSubstr("outbox 2 batches"));
    EXPECT_THAT(*screen, HasSubstr("3 batches wait for 1 workers"));
    EXPECT_THAT(*screen, HasSubstr("the core ?[2J does not answer"));
    EXPECT_THAT(*screen, Not(HasSubstr("\x1b")));
}

RC_GTEST_PROP(Top, FitsAnyScreen, (std::uint8_t columns, std::uint8_t rows)) {
    Shown shown;
    FateCounts fates;
    for (std::size_t i = 0; i < fate_count; ++i) {
        fates.add(static_cast<Fate>(i), i + 1);
        shown.board.released("domain-" + std::to_string(i) + ".example");
        shown.log.error("a", std::string(i, 'x'));
    }
    shown.metrics.add(fates);
    shown.publish(noon);
    const auto screen = top_screen(shown.board.text(), {.columns = columns, .rows = rows});
    RC_ASSERT(screen.has_value());
    std::size_t lines = 0;
    for (std::size_t at = 0; rows > 0 && at <= screen->size(); ++lines) {
        const std::size_t end = std::min(screen->find('\n', at), screen->size());
        RC_ASSERT(end - at <= columns);
        at = end + 1;
    }
    RC_ASSERT(lines <= rows);
}

TEST(Top, RefusesWhatIsNoStatusAndShowsAnEmptyOne) {
    EXPECT_FALSE(top_screen("no json", {}).has_value());
    EXPECT_TRUE(top_screen("{}", {}).has_value());
    EXPECT_TRUE(top_screen("[1,2]", {}).has_value());
}

TEST(Gauges, OneProfileIsInForce) {
    Counters counters;
    Gauges gauges(counters, "1");
    gauges.show_profile(privacy::Profile::compatible);
    gauges.show_profile(privacy::Profile::standard);
    EXPECT_EQ(counters.value("tapir_edge_profile{profile=\"compatible\"}"), 0);
    EXPECT_EQ(counters.value("tapir_edge_profile{profile=\"standard\"}"), 1);
}

}  // namespace
}  // namespace tapir::edge
