#include "tapir/analysis/analysis.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tapir/products/new_qname.hpp"
#include "tapir/products/observation.hpp"
#include "tapir/text/json.hpp"
#include "verdicts.hpp"

namespace tapir::analysis {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class AnalysisTest : public testing::Test {
protected:
    AnalysisTest() { restart(); }

    // Begins anew on what is in the store, as after kill -9.
    void restart() {
        analysis.reset();
        observations.reset();
        std::vector<std::unique_ptr<Analyser>> analysers;
        analysers.push_back(*globally_new({".ignored.example"}));
        analysers.push_back(*looptest("from-edge.looptest.dnstapir.se."));
        analysis = std::make_unique<Analysis>(AnalysisSettings{.ttl = 3600s}, std::move(analysers),
                                              AnalysisParts{*store, clock, bus, log, counters});
        ASSERT_TRUE(analysis->open());
        observations = *bus.subscribe(observations_subject);
    }

    void event(const std::string& qname) { event(qname, ++sequence); }
    void event(const std::string& qname, std::uint64_t number) {
        products::NewQname event;
        event.qname = qname;
        const auto json = text::Json::object(
            {{"sequence", number}, {"edge", "edge-1"}, {"event", event.to_json()}});
        ASSERT_TRUE(bus.publish(events_subject, to_bytes(json.to_string())));
    }

    // What is issued after the work at hand: "1 +name mask ttl", "2 -name".
    std::vector<std::string> issued() {
        analysis->work(Duration(0));
        std::vector<std::string> found;
        while (const auto message = observations->next(Duration(0))) {
            const auto json = *text::Json::parse(as_text(*message->body));
            const auto observation = *products::Observation::parse(*json.string("observation"));
            last_id = *json.integer("id");
            for (const auto& item : observation.added) {
                EXPECT_EQ(item.time_added, clock.now());
                found.push_back(
                    fmt::format("{} +{} {} {}", last_id, item.name, item.tag_mask, item.ttl_s));
            }
            for (const auto& item : observation.removed) {
                found.push_back(fmt::format("{} -{}", last_id, item.name));
            }
        }
        return found;
    }

    std::uint64_t acknowledged_event() {
        std::uint64_t last = 0;
        while (const auto message = done->next(Duration(0))) {
            last = static_cast<std::uint64_t>(
                *text::Json::parse(as_text(*message->body))->integer("sequence"));
        }
        return last;
    }

    world::ManualClock clock{UtcTime::from_seconds(1'780'000'000)};
    std::unique_ptr<store::Store> store = store::open_memory(store_families());
    Counters counters;
    std::string logged;
    Log log = Log::to_string(logged);
    bus::MemoryBus bus{counters};
    std::unique_ptr<bus::Subscription> done = *bus.subscribe(events_done_subject);
    std::unique_ptr<bus::Subscription> observations;
    std::unique_ptr<Analysis> analysis;
    std::uint64_t sequence = 0;
    std::int64_t last_id = 0;
};

TEST_F(AnalysisTest, CallsANameNewOnceInWhateverFormItComes) {
    event("New.Example.");
    EXPECT_THAT(issued(), ElementsAre("1 +new.example 1 3600"));
    event("new.example");
    event("NEW.EXAMPLE.");
    event("\\110ew.example.");
    EXPECT_THAT(issued(), IsEmpty());
    EXPECT_EQ(acknowledged_event(), 4U);
}

TEST_F(AnalysisTest, NeitherFlagsNorRemembersWhatIsIgnored) {
    event("a.ignored.example.");
    event("ignored.example.");
    event(".");
    event("notignored.example.");
    EXPECT_THAT(issued(), ElementsAre("1 +notignored.example 1 3600"));
}

TEST_F(AnalysisTest, JoinsTheFlagsOfOneSightingInOneObservation) {
    event("x.FROM-edge.looptest.dnstapir.se.");
    event("xfrom-edge.looptest.dnstapir.se.");
    EXPECT_THAT(issued(), ElementsAre("1 +x.from-edge.looptest.dnstapir.se 1025 3600",
                                      "2 +xfrom-edge.looptest.dnstapir.se 1 3600"));
}

TEST_F(AnalysisTest, LetsTheOtherFlagsFollowWhenOneEnds) {
    const std::string name = "x.from-edge.looptest.dnstapir.se";
    event(name);
    EXPECT_THAT(issued(), ElementsAre("1 +" + name + " 1025 3600"));
    clock.advance(1000s);
    event(name);  // refreshes the loop test only: the name is new no more
    EXPECT_THAT(issued(), ElementsAre("2 +" + name + " 1025 2600"));
    clock.advance(2599s);
    EXPECT_THAT(issued(), IsEmpty());
    clock.advance(1s);
    EXPECT_THAT(issued(), ElementsAre("3 +" + name + " 1024 1000"));
    clock.advance(1000s);
    EXPECT_THAT(issued(), IsEmpty());
    EXPECT_FALSE(analysis->withdraw(name, "it is over already"));
    event(name);
    EXPECT_THAT(issued(), ElementsAre("4 +" + name + " 1024 3600"));
}

TEST_F(AnalysisTest, TakesANameBackAtOnce) {
    event("bad.example.");
    EXPECT_THAT(issued(), ElementsAre("1 +bad.example 1 3600"));
    ASSERT_TRUE(analysis->withdraw("Bad.example.", "by mistake"));
    EXPECT_THAT(issued(), ElementsAre("2 -bad.example"));
    const auto again = analysis->withdraw("bad.example", "by mistake");
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code(), Code::not_found);
    clock.advance(3600s);
    EXPECT_THAT(issued(), IsEmpty());
}

TEST_F(AnalysisTest, IssuesAgainUnderTheSameIdAfterACrashUntilAcknowledged) {
    event("a.example.");
    event("b.example.");
    EXPECT_THAT(issued(), ElementsAre("1 +a.example 1 3600", "2 +b.example 1 3600"));
    restart();
    event("a.example.", 1);  // the bus, too, begins again
    event("b.example.", 2);
    EXPECT_THAT(issued(), ElementsAre("1 +a.example 1 3600", "2 +b.example 1 3600"));
    ASSERT_TRUE(bus.publish(observations_done_subject, to_bytes(std::string_view(R"({"id":2})"))));
    EXPECT_THAT(issued(), IsEmpty());
    restart();
    EXPECT_THAT(issued(), IsEmpty());
    event("c.example.");
    EXPECT_THAT(issued(), ElementsAre("3 +c.example 1 3600"));
}

TEST_F(AnalysisTest, LosesNothingWhenNobodyTakesObservations) {
    auto full =
        *bus.subscribe(observations_subject, {.queue_max = 1, .when_full = bus::WhenFull::refuse});
    event("a.example.");
    event("b.example.");
    EXPECT_THAT(issued(), ElementsAre("1 +a.example 1 3600"));
    EXPECT_EQ(acknowledged_event(), 2U);  // they are on the disk
    full.reset();
    EXPECT_THAT(issued(), ElementsAre("2 +b.example 1 3600"));
}

TEST_F(AnalysisTest, CountsWhatItCannotReadAndGoesOn) {
    ASSERT_TRUE(bus.publish(events_subject, to_bytes(std::string_view("rubbish"))));
    products::NewQname b;
    b.qname = "b.example.";
    const std::string below_zero =
        text::Json::object({{"sequence", -1}, {"edge", "e"}, {"event", b.to_json()}}).to_string();
    ASSERT_TRUE(bus.publish(events_subject, to_bytes(below_zero)));
    event("a.example.");
    EXPECT_THAT(issued(), ElementsAre("1 +a.example 1 3600"));
    EXPECT_EQ(counters.value("tapir_core_bus_messages_bad_total"), 2);
}

TEST(Analysers, RefuseASuffixThatEveryNameHas) {
    EXPECT_FALSE(looptest("."));
    EXPECT_FALSE(globally_new({"ok.example", ""}));
    EXPECT_FALSE(globally_new({"a..b"}));
}

TEST(Analysers, MatchNothingWithAnEmptyLooptestSuffix) {
    const auto analyser = *looptest("");
    const auto store = store::open_memory(store_families());
    store::Batch batch;
    const auto name = *dns::Name::from_text("x.from-edge.looptest.dnstapir.se");
    EXPECT_EQ(*analyser->look({.name = name, .text = "", .edge = "", .now = {}}, *store, batch),
              0U);
}

class DamagedVerdicts : public testing::Test {
protected:
    void put(std::string_view family, ByteView key, ByteView value) {
        ASSERT_TRUE(store->put(family, key, value, store::Durability::buffered));
    }
    static bool is_corrupt(const auto& result) {
        return !result && result.error().code() == Code::corrupt;
    }
    static Bytes flag(std::uint32_t bit, std::uint64_t end) {
        Bytes out;
        append_u32(out, bit);
        append_u64(out, end);
        return out;
    }

    const UtcTime now = UtcTime::from_seconds(1'780'000'000);
    std::unique_ptr<store::Store> store = store::open_memory(store_families());
    Verdicts verdicts{*store, std::chrono::hours(1), "c"};
};

TEST_F(DamagedVerdicts, AreCalledCorrupt) {
    const Bytes cut = to_bytes("1234567");
    put("analysis_ends", cut, {});
    EXPECT_TRUE(is_corrupt(verdicts.expire(now, 9)));
    put("analysis_outbox", cut, {});
    EXPECT_TRUE(is_corrupt(verdicts.outgoing(0, 9)));
    EXPECT_TRUE(is_corrupt(verdicts.acknowledge(9)));
    // No flag, two at once, an end before 1970, one that cannot be rounded up.
    for (const Bytes& flags :
         {Bytes(), flag(0, 1), flag(3, 1), flag(1, 1ULL << 63U), flag(1, store::number_max)}) {
        put("analysis_names", as_bytes("a.example"), flags);
        EXPECT_TRUE(is_corrupt(verdicts.withdraw("a.example", "", now)));
    }
    for (const Bytes& damaged : {cut, store::number(store::number_max)}) {
        put("analysis_meta", as_bytes("next_id"), damaged);
        EXPECT_TRUE(is_corrupt(verdicts.open()));
    }
}

TEST_F(DamagedVerdicts, EndOfANameWithoutFlagsComesUpOnce) {
    Bytes end = store::number(1);
    append(end, std::string_view("a.example"));
    put("analysis_ends", end, {});
    EXPECT_EQ(*verdicts.expire(now, 9), 1U);
    EXPECT_EQ(*verdicts.expire(now, 9), 0U);
}

}  // namespace
}  // namespace tapir::analysis
