#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.hpp"
#include "tapir/products/new_qname.hpp"

namespace tapir::intake {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class IntakeTest : public testing::Test {
protected:
    IntakeTest() {
        bench.keys_are("edges", {&edge, &other});
        bench.restart();
    }

    std::string jws(const jose::PrivateJwk& key, const std::string& qname,
                    const std::string& message_id = "", std::int64_t age_s = 0) {
        const products::NewQname event{.qname = qname,
                                       .qtype = 1,
                                       .flags = 33155,
                                       .timestamp = bench.clock.now() - std::chrono::seconds(age_s),
                                       .message_id = message_id};
        const std::string json = event.to_json();
        return *jose::sign_jws(key, as_bytes(json));
    }

    net::HttpRequest batch(const std::vector<std::string>& messages) const {
        return signed_request(edge, bench.clock.now(), "/api/v1/event/new_qname",
                              "application/jose+json", jose::join_batch(messages, 4096));
    }

    net::HttpRequest upload(std::string_view body, const std::string& type = "histogram") const {
        return signed_request(edge, bench.clock.now(), "/api/v1/aggregate/" + type,
                              "application/vnd.apache.parquet", body,
                              {{"Aggregate-Interval", "2026-05-28T12:13:00Z/PT1M"}});
    }

    static text::Json json_of(const net::HttpResponse& answer) {
        return *text::Json::parse(as_text(answer.body));
    }

    // What the bus is given, by qname.
    std::vector<std::string> published() {
        std::vector<std::string> names;
        const auto subscription = *bench.bus.subscribe(events_subject);
        while (bench.intake->publish()) {
        }
        while (const auto message = subscription->next(Duration(0))) {
            const auto json = *text::Json::parse(as_text(*message->body));
            names.push_back(products::NewQname::parse(*json.string("event"))->qname);
            last_sequence = *json.integer("sequence");
        }
        return names;
    }

    Bench bench;
    jose::PrivateJwk edge = test_key("edge-1.example", 1);
    jose::PrivateJwk other = test_key("edge-2.example", 2);
    std::int64_t last_sequence = 0;
};

TEST_F(IntakeTest, TakesABatchAndPublishesEachEventOnce) {
    const auto request = batch({jws(edge, "a.example."), jws(edge, "b.example.")});
    const auto answer = bench.intake->events(request);
    EXPECT_EQ(answer.status, 202);
    EXPECT_EQ(as_text(answer.body), R"({"accepted":2,"duplicate":0,"rejected":[]})");
    EXPECT_EQ(as_text(bench.intake->events(request).body),
              R"({"accepted":0,"duplicate":2,"rejected":[]})");
    EXPECT_THAT(published(), ElementsAre("a.example.", "b.example."));
    EXPECT_THAT(published(), IsEmpty());
    EXPECT_EQ(bench.events("outcome=\"accepted\""), 2);
    EXPECT_EQ(bench.events("outcome=\"duplicate\""), 2);
}

TEST_F(IntakeTest, TakesAnEmptyBatchAndASingleMessage) {
    EXPECT_EQ(bench.intake->events(batch({})).status, 202);
    const auto single = signed_request(edge, bench.clock.now(), "/api/v1/event/new_qname",
                                       "application/jose+json", jws(edge, "a.example."));
    EXPECT_EQ(bench.intake->events(single).status, 202);
    EXPECT_THAT(published(), ElementsAre("a.example."));
}

TEST_F(IntakeTest, PublishesAgainAfterACrashUntilAcknowledged) {
    bench.intake->events(batch({jws(edge, "a.example."), jws(edge, "b.example.")}));
    EXPECT_THAT(published(), SizeIs(2));
    bench.restart();
    EXPECT_THAT(published(), SizeIs(2));
    const std::string done = fmt::format(R"({{"sequence":{}}})", last_sequence);
    ASSERT_TRUE(bench.bus.publish(events_done_subject, to_bytes(done)));
    EXPECT_THAT(published(), IsEmpty());
    bench.restart();
    EXPECT_THAT(published(), IsEmpty());
    // Sequences go on where they were, although nothing is left of them.
    bench.intake->events(batch({jws(edge, "c.example.")}));
    const auto before = last_sequence;
    EXPECT_THAT(published(), ElementsAre("c.example."));
    EXPECT_GT(last_sequence, before);
}

TEST_F(IntakeTest, KnowsADuplicateAfterARestart) {
    const std::string id = "0b6f1c1e-0000-8000-8000-000000000001";
    const auto request = batch({jws(edge, "a.example."), jws(edge, "b.example.", id)});
    bench.intake->events(request);
    EXPECT_THAT(published(), SizeIs(2));
    bench.restart();
    EXPECT_EQ(as_text(bench.intake->events(request).body),
              R"({"accepted":0,"duplicate":2,"rejected":[]})");
    EXPECT_EQ(bench.events("outcome=\"accepted\""), 2);
}

TEST_F(IntakeTest, KnowsADuplicateByMessageIdOfItsEdge) {
    const std::string id = "0b6f1c1e-0000-8000-8000-000000000001";
    bench.intake->events(batch({jws(edge, "a.example.", id), jws(edge, "b.example.", id)}));
    EXPECT_THAT(published(), ElementsAre("a.example."));
    const auto theirs = signed_request(other, bench.clock.now(), "/api/v1/event/new_qname",
                                       "application/jose+json", jws(other, "a.example.", id));
    bench.intake->events(theirs);
    EXPECT_THAT(published(), ElementsAre("a.example."));
}

TEST_F(IntakeTest, ForgetsIdentitiesOnlyWhenTheEventsAreTooOldToBeTaken) {
    const auto old = batch({jws(edge, "a.example.")});
    bench.intake->events(old);
    EXPECT_THAT(published(), SizeIs(1));
    bench.clock.advance(std::chrono::hours(24 * 7 + 1));
    bench.intake->publish();
    // The signature over the request is too old by then: the same messages, in a request of today.
    const auto again = signed_request(edge, bench.clock.now(), "/api/v1/event/new_qname",
                                      "application/jose+json", as_text(old.body));
    const auto answer = bench.intake->events(again);
    EXPECT_EQ(answer.status, 400);
    EXPECT_THAT(std::string(as_text(answer.body)), HasSubstr("too_old"));
}

TEST_F(IntakeTest, LosesNoGoodEventToABadOne) {
    std::string forged = jws(edge, "b.example.");
    const auto at = forged.find("\"signature\":\"") + 20;
    forged[at] = forged[at] == 'A' ? 'B' : 'A';
    const std::string no_name = *jose::sign_jws(edge, as_bytes(R"({"type":"new_qname"})"));
    const std::string no_json = *jose::sign_jws(edge, as_bytes("hello"));
    const auto answer = bench.intake->events(
        batch({jws(edge, "a.example."), forged, R"({"payload":1})", jws(other, "c.example."),
               no_name, no_json, jws(edge, "d..example."), jws(edge, "e.example.", "", 8 * 86400),
               jws(edge, "f.example.", "", -2 * 3600), jws(edge, "g.example.")}));
    EXPECT_EQ(answer.status, 202);
    const auto json = json_of(answer);
    EXPECT_EQ(*json.integer("accepted"), 2);
    std::vector<std::string> reasons;
    for (const auto& item : *json.array_of("rejected")) {
        reasons.push_back(fmt::format("{} {}", *item.integer("index"), *item.string("reason")));
    }
    EXPECT_THAT(reasons,
                ElementsAre("1 bad_signature", "2 malformed", "3 sender_mismatch", "4 bad_version",
                            "5 not_json", "6 bad_qname", "7 too_old", "8 in_future"));
    EXPECT_EQ(bench.events(R"(outcome="rejected",reason="bad_signature")"), 1);
    EXPECT_THAT(published(), ElementsAre("a.example.", "g.example."));
}

TEST_F(IntakeTest, TakesNoEventFromTheEndsOfTime) {
    std::vector<std::string> messages;
    for (const char* year : {"1678", "1900", "2261"}) {
        messages.push_back(*jose::sign_jws(
            edge, as_bytes(fmt::format(R"({{"type":"new_qname","version":0,"qname":"a.example.",)"
                                       R"("timestamp":"{}-06-01T00:00:00Z"}})",
                                       year))));
    }
    const auto answer = bench.intake->events(batch(messages));
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(bench.events(R"(outcome="rejected",reason="too_old")"), 2);
    EXPECT_EQ(bench.events(R"(outcome="rejected",reason="in_future")"), 1);
}

TEST_F(IntakeTest, RefusesBatchesAsAWholeWithAReason) {
    auto request = signed_request(edge, bench.clock.now(), "/api/v1/event/new_qname",
                                  "application/json", "[]");
    EXPECT_EQ(bench.intake->events(request).status, 415);
    request = signed_request(edge, bench.clock.now(), "/api/v1/event/new_qname",
                             "application/jose+json", "[{");
    EXPECT_EQ(bench.intake->events(request).status, 400);
    request = batch({jws(edge, "a.example.")});
    request.body.back() = std::byte{'\n'};
    EXPECT_EQ(bench.intake->events(request).status, 401);
    const auto stranger = test_key("edge-3.example", 3);
    request = signed_request(stranger, bench.clock.now(), "/api/v1/event/new_qname",
                             "application/jose+json", "[]");
    EXPECT_EQ(bench.intake->events(request).status, 401);
    EXPECT_EQ(bench.events(R"(outcome="rejected",reason="content_type")"), 1);
    EXPECT_EQ(bench.events(R"(outcome="rejected",reason="digest_mismatch")"), 1);
    EXPECT_EQ(bench.events(R"(outcome="rejected",reason="unknown_key")"), 1);
    EXPECT_THAT(bench.logged, HasSubstr("unknown_key"));
    EXPECT_THAT(published(), IsEmpty());
}

TEST_F(IntakeTest, WantsTheCertificateToBeOfTheSender) {
    bench.settings.certificates = true;
    bench.restart();
    auto request = batch({jws(edge, "a.example.")});
    request.client_name = "edge-2.example";
    EXPECT_EQ(bench.intake->events(request).status, 403);
    request.client_name = "";
    EXPECT_EQ(bench.intake->events(request).status, 403);
    request.client_name = "edge-1.example";
    EXPECT_EQ(bench.intake->events(request).status, 202);
    // Without a signature over the request, the certificate alone says who sends.
    net::HttpRequest plain;
    net::set_target(plain, "/api/v1/event/new_qname");
    plain.fields.add("Content-Type", "application/jose+json");
    plain.body = to_bytes(jws(edge, "b.example."));
    plain.client_name = "policy.example";
    EXPECT_EQ(bench.intake->events(plain).status, 403);
    plain.client_name = "edge-2.example";
    EXPECT_EQ(bench.intake->events(plain).status, 400);
    plain.client_name = "edge-1.example";
    EXPECT_EQ(bench.intake->events(plain).status, 202);
    auto aggregate = upload("x");
    aggregate.client_name = "edge-2.example";
    EXPECT_EQ(bench.intake->aggregate(aggregate).status, 403);
}

TEST_F(IntakeTest, BringsAHistogramIntoTheLakeAndRemovesThePayload) {
    const auto answer = bench.intake->aggregate(upload("PAR1 once PAR1"));
    ASSERT_EQ(answer.status, 201);
    const std::string location(*answer.fields.find("Location"));
    net::HttpRequest get;
    net::set_target(get, location);
    EXPECT_EQ(*json_of(bench.intake->metadata(get)).string("state"), "stored");
    EXPECT_FALSE(bench.intake->seal());
    const auto json = json_of(bench.intake->metadata(get));
    EXPECT_EQ(*json.string("state"), "sealed");
    EXPECT_EQ(*json.string("creator"), "edge-1.example");
    EXPECT_EQ(*json.integer("aggregate_interval_duration"), 60);
    EXPECT_THAT(bench.lake.admitted(), SizeIs(1));
    EXPECT_EQ(bench.lake.admitted().begin()->first, *json.string("lake_path"));
    EXPECT_THAT(*bench.files.list("state/aggregates"), IsEmpty());
    // The same again: the same place, and the lake is not asked.
    EXPECT_EQ(*bench.intake->aggregate(upload("PAR1 once PAR1")).fields.find("Location"), location);
    EXPECT_EQ(bench.aggregates("outcome=\"duplicate\""), 1);
    EXPECT_THAT(*bench.files.list("state/aggregates"), IsEmpty());
}

// One aggregate is its edge, type, interval and digest: each of them counts, also after a crash.
TEST_F(IntakeTest, KnowsAnAggregateByEdgeTypeIntervalAndDigestAfterARestart) {
    const auto send = [&](const jose::PrivateJwk& key, const std::string& type,
                          const std::string& interval, std::string_view body) {
        const auto request = signed_request(key, bench.clock.now(), "/api/v1/aggregate/" + type,
                                            "application/vnd.apache.parquet", body,
                                            {{"Aggregate-Interval", interval}});
        const auto answer = bench.intake->aggregate(request);
        EXPECT_EQ(answer.status, 201);
        return std::string(answer.fields.find("Location").value_or(""));
    };
    const std::string minute = "2026-05-28T12:13:00Z/PT1M";
    const auto all = [&] {
        return std::vector{send(edge, "histogram", minute, "PAR1 a PAR1"),
                           send(other, "histogram", minute, "PAR1 a PAR1"),
                           send(edge, "vector", minute, "PAR1 a PAR1"),
                           send(edge, "histogram", "2026-05-28T12:14:00Z/PT1M", "PAR1 a PAR1"),
                           send(edge, "histogram", minute, "PAR1 b PAR1")};
    };
    const auto first = all();
    EXPECT_THAT(std::set(first.begin(), first.end()), SizeIs(5));
    EXPECT_EQ(bench.aggregates("outcome=\"accepted\""), 5);
    bench.restart();
    EXPECT_EQ(all(), first);
    bench.intake->seal();
    bench.restart();
    EXPECT_EQ(all(), first);
    EXPECT_EQ(bench.aggregates("outcome=\"accepted\""), 5);
    EXPECT_EQ(bench.aggregates("outcome=\"duplicate\""), 10);
    bench.intake->seal();
    EXPECT_THAT(bench.lake.admitted(), SizeIs(4));
}

TEST_F(IntakeTest, QuarantinesWhatTheLakeRefuses) {
    bench.lake.refuse(lake::Refusal::not_parquet);
    EXPECT_EQ(bench.intake->aggregate(upload("no parquet")).status, 201);
    EXPECT_EQ(bench.intake->aggregate(upload("a vector", "vector")).status, 201);
    EXPECT_EQ(bench.intake->aggregate(upload("a test", "test")).status, 201);
    bench.intake->seal();
    EXPECT_THAT(*bench.files.list("state/quarantine"), SizeIs(2));
    EXPECT_THAT(*bench.files.list("state/aggregates"), IsEmpty());
    EXPECT_EQ(bench.counters.value(
                  R"(tapir_core_lake_uploads_total{outcome="quarantined",reason="not_parquet"})"),
              1);
    EXPECT_THAT(bench.logged, HasSubstr("an aggregate was quarantined"));
    for (std::size_t i = 0; i < quarantine_files_max + 20; ++i) {
        bench.intake->aggregate(upload(fmt::format("no parquet {}", i)));
        bench.clock.advance(std::chrono::seconds(1));
        bench.intake->seal();
    }
    EXPECT_THAT(*bench.files.list("state/quarantine"), SizeIs(quarantine_files_max));
}

TEST_F(IntakeTest, TriesAgainWhenTheLakeHasTrouble) {
    bench.intake->aggregate(upload("PAR1 PAR1"));
    bench.lake.fail(Error(Code::exhausted, "No space left on device"));
    EXPECT_FALSE(bench.intake->seal());
    EXPECT_EQ(bench.counters.value(R"(tapir_core_trouble_total{part="lake",code="exhausted"})") +
                  bench.counters.value(R"(tapir_core_trouble_total{code="exhausted",part="lake"})"),
              1);
    bench.lake.fail(std::nullopt);
    bench.restart();
    bench.intake->seal();
    EXPECT_THAT(bench.lake.admitted(), SizeIs(1));
}

TEST_F(IntakeTest, SaysWhenThereIsNoSpaceAndGoesOn) {
    bench.files.fail_changes(Error(Code::exhausted, "No space left on device"));
    const auto answer = bench.intake->aggregate(upload("x"));
    EXPECT_EQ(answer.status, 507);
    EXPECT_TRUE(answer.fields.find("Retry-After"));
    EXPECT_EQ(bench.aggregates(R"(outcome="rejected",reason="no_space")"), 1);
    EXPECT_THAT(bench.logged, HasSubstr("No space left on device"));
    bench.files.fail_changes(std::nullopt);
    EXPECT_EQ(bench.intake->aggregate(upload("x")).status, 201);
}

TEST_F(IntakeTest, RefusesTheCompatibleProfileUnlessItIsWanted) {
    auto request = upload("x");
    request.fields.add("Tapir-Profile", "compatible");
    auto events = batch({jws(edge, "a.example.")});
    events.fields.add("Tapir-Profile", "compatible");
    EXPECT_EQ(bench.intake->aggregate(request).status, 403);
    EXPECT_EQ(bench.intake->events(events).status, 403);
    bench.settings.accept_compatible = true;
    bench.restart();
    EXPECT_EQ(bench.intake->events(events).status, 202);
    EXPECT_EQ(bench.intake->aggregate(request).status, 201);
}

TEST_F(IntakeTest, RefusesAFieldThatIsThereTwice) {
    auto request = upload("x");
    request.fields.add("aggregate-interval", "2026-05-28T12:14:00Z/PT1M");
    EXPECT_EQ(bench.intake->aggregate(request).status, 400);
}

TEST_F(IntakeTest, ShowsAnAggregateToItsSenderOnly) {
    bench.settings.certificates = true;
    bench.restart();
    auto request = upload("x");
    request.client_name = "edge-1.example";
    net::HttpRequest get;
    net::set_target(get, *bench.intake->aggregate(request).fields.find("Location"));
    get.client_name = "edge-2.example";
    EXPECT_EQ(bench.intake->metadata(get).status, 404);
    get.client_name = "edge-1.example";
    EXPECT_EQ(bench.intake->metadata(get).status, 200);
}

TEST(KeyDirectoryTest, LeavesOutBadFilesAndSeesChanges) {
    Bench bench;
    const auto edge = test_key("edge-1.example", 1);
    const auto renewed = test_key("edge-1.example", 7);
    bench.keys_are("edges", {&edge});
    const std::string pem = test_key("x", 5).public_jwk().key().to_pem();
    for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{
             {"bad.jwk", "{}"},
             {"other.jwk", edge.public_jwk().to_json()},
             {"notes.txt", "hello"},
             {"edge-4.pem", pem}}) {
        ASSERT_TRUE(bench.files.write_atomically("edges/" + name, as_bytes(text)));
    }
    ASSERT_TRUE(bench.keys.refresh());
    EXPECT_EQ(bench.keys.current()->size(), 2U);
    EXPECT_EQ(bench.counters.value("tapir_core_key_files_bad_total"), 2);
    EXPECT_THAT(bench.logged, HasSubstr("bad.jwk"));
    ASSERT_TRUE(bench.keys.refresh());
    EXPECT_EQ(bench.counters.value("tapir_core_key_files_bad_total"), 2);  // said once
    bench.keys_are("edges", {&renewed});
    EXPECT_EQ(bench.keys.current()->find("edge-1.example")->thumbprint(),
              renewed.public_jwk().thumbprint());
}

TEST(JournalTest, CallsADamagedStoreCorrupt) {
    const auto is_corrupt = [](const auto& result) {
        return !result && result.error().code() == Code::corrupt;
    };
    const Bytes cut = to_bytes("1234567");
    const std::string id(24, 'a');
    const auto store = store::open_memory(Journal::families());
    const auto put = [&](std::string_view family, ByteView key, ByteView value) {
        ASSERT_TRUE(store->put(family, key, value, store::Durability::buffered));
    };
    world::MemoryFiles files;
    Journal journal(*store, files, "state");
    ASSERT_TRUE(journal.open());
    put("intake_outbox", cut, {});
    EXPECT_TRUE(is_corrupt(journal.outgoing(0, 9)));
    EXPECT_TRUE(is_corrupt(journal.acknowledge(9)));
    put("intake_event_times", cut, {});
    EXPECT_TRUE(is_corrupt(journal.forget(UtcTime::from_seconds(1'780'000'000), 9)));
    // An id becomes the name of a file.
    Aggregate aggregate;
    aggregate.edge = "e";
    aggregate.type = "test";
    aggregate.digest = "d";
    put("intake_unsealed", as_bytes("../../../../etc/passwd.."), {});
    EXPECT_TRUE(is_corrupt(journal.unsealed(9)));
    put("intake_digests", as_bytes("e\ntest\nd\n"), as_bytes("../a"));
    EXPECT_TRUE(is_corrupt(journal.find(aggregate, false)));
    EXPECT_TRUE(is_corrupt(journal.find(aggregate, true)));
    for (const std::string_view damaged : {"", "[]", "{"}) {
        put("intake_aggregates", as_bytes(id), as_bytes(damaged));
        EXPECT_TRUE(is_corrupt(journal.metadata(id)));
        EXPECT_TRUE(is_corrupt(journal.settle(id, AggregateState::sealed, "")));
    }
    put("intake_aggregates", as_bytes(id), as_bytes(R"({"created":"../a"})"));
    ASSERT_TRUE(files.write_atomically("state/aggregates/" + id + ".payload", cut));
    EXPECT_TRUE(is_corrupt(journal.settle(id, AggregateState::quarantined, "")));
    for (const Bytes& damaged : {cut, store::number(store::number_max)}) {
        put("intake_meta", as_bytes("next_sequence"), damaged);
        EXPECT_TRUE(is_corrupt(journal.open()));
    }
}

}  // namespace
}  // namespace tapir::intake
