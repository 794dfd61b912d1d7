#include "tapir/feeds/feeds.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.hpp"
#include "shelf.hpp"
#include "tapir/jose/jws.hpp"

namespace tapir::feeds {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class FeedsTest : public FeedsFixture {
protected:
    // "last_id: names", verified with the core's key.
    std::string snapshot() {
        const auto answer = feeds->snapshot({});
        const auto json = *text::Json::parse(as_text(answer.body));
        std::string out = *json.string("last_id") + ":";
        const auto messages = *json.array_of("observations");
        for (const auto& message : messages) {
            const auto jws = *jose::UnverifiedJws::parse(message.to_string());
            const auto verified = jws.verify(test_key().public_jwk());
            EXPECT_TRUE(verified);
            const auto observation = *products::Observation::parse(verified->payload_text());
            for (const auto& item : observation.added) {
                out += " " + item.name;
            }
        }
        return out;
    }
};

TEST_F(FeedsTest, SendsToWhoIsThereFromNowOn) {
    const auto early = subscribe();
    publish(1, {"a.example"});
    const auto late = subscribe();
    publish(2, {"b.example"});
    EXPECT_THAT(early->sent, ElementsAre("1", "2"));
    EXPECT_THAT(late->sent, ElementsAre("2"));
    const auto jws = *jose::UnverifiedJws::parse(early->last);
    const auto verified = jws.verify(test_key().public_jwk());
    ASSERT_TRUE(verified);
    EXPECT_EQ(products::Observation::parse(verified->payload_text())->added[0].name, "b.example");
}

TEST_F(FeedsTest, LetsOneGoOnAfterTheLastIdAlsoAfterARestart) {
    for (std::uint64_t id = 1; id <= 4; ++id) {
        publish(id, {fmt::format("n{}.example", id)});
    }
    EXPECT_THAT(subscribe("2")->sent, ElementsAre("3", "4"));
    EXPECT_THAT(subscribe("4")->sent, IsEmpty());
    EXPECT_THAT(subscribe("0")->sent, ElementsAre("1", "2", "3", "4"));
    restart();
    const auto stream = subscribe("3");
    publish(4, {"n4.example"});  // the analysis, too, begins again
    publish(5, {"n5.example"});
    EXPECT_THAT(stream->sent, ElementsAre("4", "5"));
}

TEST_F(FeedsTest, TellsWhoCannotGoOn) {
    publish(1, {"a.example"});
    clock.advance(23h);
    publish(2, {"b.example"});
    clock.advance(2h);
    publish(3, {"c.example"});
    EXPECT_THAT(subscribe("2")->sent, ElementsAre("3"));
    EXPECT_THAT(subscribe("1")->sent, ElementsAre("2", "3"));  // away since 2 came, at most
    for (const char* had : {"0", "4", "", "x", "-1", "99999999999999999999"}) {
        const auto stream = subscribe(had);
        EXPECT_THAT(stream->sent, ElementsAre("3 reset 3")) << had;
    }
    const auto stream = subscribe("0");
    publish(4, {"d.example"});
    EXPECT_THAT(stream->sent, ElementsAre("3 reset 3", "4"));
    clock.advance(100h);
    feeds->work(Duration(0));
    EXPECT_THAT(subscribe("4")->sent, IsEmpty());
}

// feed.keep is 24 h, to the nanosecond, from when the first message that one misses came.
TEST_F(FeedsTest, KeepsAPlaceForADayAndNoLonger) {
    publish(1, {"a.example"});
    publish(2, {"b.example"});
    publish(3, {"c.example"});
    clock.advance(24h);
    feeds->work(Duration(0));
    EXPECT_THAT(subscribe("1")->sent, ElementsAre("2", "3"));
    restart();
    feeds->work(Duration(0));
    EXPECT_THAT(subscribe("1")->sent, ElementsAre("2", "3"));
    EXPECT_THAT(subscribe("0")->sent, ElementsAre("1", "2", "3"));
    clock.advance(1ns);
    feeds->work(Duration(0));
    for (int i = 0; i < 2; ++i) {
        EXPECT_THAT(subscribe("0")->sent, ElementsAre("3 reset 3"));
        EXPECT_THAT(subscribe("1")->sent, ElementsAre("3 reset 3"));
        EXPECT_THAT(subscribe("2")->sent, ElementsAre("3"));
        EXPECT_THAT(subscribe("3")->sent, IsEmpty());
        restart();
    }
    EXPECT_EQ(counters.value("tapir_core_feed_resets_total"), 4);
}

// Nothing comes for days, and then one message while somebody is away for a moment.
TEST_F(FeedsTest, AQuietFeedMakesNobodyTooOld) {
    publish(1, {"a.example"});
    clock.advance(100h);
    feeds->work(Duration(0));
    publish(2, {"b.example"});
    EXPECT_THAT(subscribe("1")->sent, ElementsAre("2"));
}

// Who is told to reset takes the snapshot and goes on after its id: nothing is missed in between.
TEST_F(FeedsTest, ASnapshotAfterAResetClosesTheGap) {
    publish(1, {"a.example"});
    clock.advance(24h + 1s);
    publish(2, {"b.example"});
    publish(3, {"c.example"});
    EXPECT_THAT(subscribe("0")->sent, ElementsAre("3 reset 3"));
    publish(4, {"d.example"});
    EXPECT_EQ(snapshot(), "4: b.example c.example d.example");
    publish(5, {"e.example"});
    EXPECT_THAT(subscribe("4")->sent, ElementsAre("5"));
}

TEST_F(FeedsTest, ShowsInTheSnapshotWhatIsObservedNow) {
    EXPECT_EQ(snapshot(), "0:");
    publish(1, {"a.example"});
    clock.advance(1800s);
    publish(2, {"B.example."});
    publish(3, {"c.example"});
    publish(4, {}, {"c.example."});
    EXPECT_EQ(snapshot(), "4: a.example B.example.");
    clock.advance(1800s);
    EXPECT_EQ(snapshot(), "4: B.example.");
    publish(5, {"b.example"});
    EXPECT_EQ(snapshot(), "5: b.example");
    clock.advance(3600s);
    feeds->work(Duration(0));
    EXPECT_EQ(snapshot(), "5:");
    restart();
    EXPECT_EQ(snapshot(), "5:");
}

TEST_F(FeedsTest, LetsGoOfWhoHasLeft) {
    const auto stream = subscribe();
    EXPECT_EQ(counters.value("tapir_core_feed_subscribers"), 1);
    stream->open = false;
    publish(1, {"a.example"});
    EXPECT_EQ(counters.value("tapir_core_feed_subscribers"), 0);
    EXPECT_EQ(stream.use_count(), 1);
}

TEST_F(FeedsTest, TellsTheAnalysisWhatIsOnTheDisk) {
    const auto done = *bus.subscribe(observations_done_subject);
    publish(1, {"a.example"});
    const auto message = done->next(Duration(0));
    ASSERT_TRUE(message);
    EXPECT_EQ(as_text(*message->body), R"({"id":1})");
}

TEST_F(FeedsTest, CountsWhatItCannotReadAndGoesOn) {
    ASSERT_TRUE(bus.publish(observations_subject, to_bytes(std::string_view("rubbish"))));
    publish(1, {"a.example"});
    EXPECT_EQ(counters.value("tapir_core_bus_messages_bad_total"), 1);
    EXPECT_EQ(snapshot(), "1: a.example");
}

TEST_F(FeedsTest, RefusesSubscribersWhenItEnds) {
    const auto stream = subscribe();
    feeds->close();
    EXPECT_FALSE(stream->open);
    const auto refused = feeds->subscribe({}, std::make_shared<RecordedStream>());
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->status, 503);
}

TEST(ShelfTest, SendsNobodyMoreThanItWouldTake) {
    const auto store = store::open_memory(Shelf::families());
    Shelf shelf(*store);
    ASSERT_TRUE(shelf.open());
    const auto observation = products::Observation::of_core("c", {});
    ASSERT_TRUE(shelf.add(1, observation, "0123456789", {}));
    ASSERT_TRUE(shelf.add(2, observation, "0123456789", {}));
    EXPECT_TRUE(*shelf.after(0, 20));
    EXPECT_FALSE(*shelf.after(0, 19));
    EXPECT_TRUE(*shelf.after(1, 19));
}

TEST(ShelfTest, CallsADamagedStoreCorrupt) {
    using store::Durability;
    using store::number;
    const auto is_corrupt = [](const auto& result) {
        return !result && result.error().code() == Code::corrupt;
    };
    const Bytes cut = to_bytes("1234567");
    const UtcTime now = UtcTime::from_seconds(1'780'000'000);
    const auto store = store::open_memory(Shelf::families());
    ASSERT_TRUE(store->put("feeds_meta", as_bytes("last_id"), number(9), Durability::buffered));
    Shelf shelf(*store);
    ASSERT_TRUE(shelf.open());
    ASSERT_TRUE(store->put("feeds_log", number(1), cut, Durability::buffered));
    EXPECT_TRUE(is_corrupt(shelf.owed(9, 999)));
    EXPECT_TRUE(is_corrupt(shelf.after(0, 999)));
    EXPECT_TRUE(is_corrupt(shelf.forget(now, now, 9)));
    ASSERT_TRUE(store->erase("feeds_log", number(1), Durability::buffered));
    ASSERT_TRUE(store->put("feeds_log", cut, number(0), Durability::buffered));
    EXPECT_TRUE(is_corrupt(shelf.after(0, 999)));
    ASSERT_TRUE(store->erase("feeds_log", cut, Durability::buffered));
    ASSERT_TRUE(store->put("feeds_live", as_bytes("a.example"), cut, Durability::buffered));
    EXPECT_TRUE(is_corrupt(shelf.live(now, 999)));
    auto observation = products::Observation::of_core("c", now);
    observation.removed.emplace_back();
    observation.removed.back().name = "a.example";
    EXPECT_TRUE(is_corrupt(shelf.add(10, observation, "text", now)));
    ASSERT_TRUE(store->put("feeds_ends", cut, {}, Durability::buffered));
    EXPECT_TRUE(is_corrupt(shelf.forget(now, now, 9)));
    for (const Bytes& damaged : {cut, number(1ULL << 63U), Bytes(9)}) {
        ASSERT_TRUE(store->put("feeds_meta", as_bytes("last_id"), damaged, Durability::buffered));
        EXPECT_TRUE(is_corrupt(shelf.open()));
        EXPECT_TRUE(is_corrupt(shelf.live(now, 999)));
    }
}

}  // namespace
}  // namespace tapir::feeds
