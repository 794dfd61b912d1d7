// A name that a person asks to release: leaves once, or is refused, and either is said.
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "batch_leaf.hpp"
#include "tapir/jose/jws.hpp"
#include "testing_station.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

class PersonReleasesTest : public ::testing::Test, protected testing::StationRig {
protected:
    PersonReleasesTest() { start(); }

    void start() {
        station_ = open();
        ASSERT_TRUE(station_->begin().has_value());
    }

    void ask(const std::string& id, const std::string& name) {
        put("/state/requests/" + id + ".json",
            R"({"by":"anna","name":")" + name + R"(","why":"found by hand"})");
    }
    void pass_a_minute() {
        for (int second = 0; second < 60; ++second) {
            clock.advance(1s);
            ASSERT_TRUE(station_->tick());
        }
    }

    // Names in all batches.
    std::vector<std::string> left() {
        std::vector<std::string> names;
        for (std::uint64_t i = 0;; ++i) {
            const std::string batch = read("/state/" + batch_folder(i) + "/new_qname.json");
            if (batch.empty()) {
                return names;
            }
            const auto messages = jose::split_batch(batch);
            for (const std::string_view message : *messages) {
                const auto jws = jose::UnverifiedJws::parse(message);
                const auto verified = jws->verify(public_test_signing_key().public_jwk());
                const auto event = products::NewQname::parse(verified->payload_text());
                names.push_back(event->qname);
            }
        }
    }

    std::unique_ptr<Station> station_;
};

TEST_F(PersonReleasesTest, LeaveOnceWithTheNextBatchAndTheLedgerHasWhy) {
    ask("1", "Evil.SE");
    pass_a_minute();
    pass_a_minute();
    EXPECT_EQ(left(), std::vector<std::string>{"evil.se."});
    EXPECT_FALSE(files.exists("/state/requests/1.json"));
    EXPECT_NE(read("/state/requests/done/1.json").find("it left"), std::string::npos);

    const std::string text = read("/state/" + batch_folder(0) + "/leaf.json");
    const auto leaf = ledger::Leaf::parse(as_bytes(text));
    ASSERT_TRUE(leaf.has_value());
    const text::Json* commitments = leaf->members.find("commitments");
    ASSERT_NE(commitments, nullptr);
    const std::string account = R"({"by":"anna","name":"evil.se.","why":"found by hand"})"
                                "\n";
    bool is_opened = false;
    const std::string openings = read("/state/" + batch_folder(0) + "/openings.jsonl");
    for (std::size_t at = 0; at < openings.size(); at = openings.find('\n', at) + 1) {
        const auto opening =
            ledger::Opening::parse(openings.substr(at, openings.find('\n', at) - at));
        is_opened |=
            opening->name == "by_person" &&
            to_hex(opening->commitment) == *commitments->string("by_person") &&
            ledger::verify_commitment(opening->commitment, opening->salt, as_bytes(account));
    }
    EXPECT_TRUE(is_opened);
    EXPECT_NE(text.find(R"("names":{"by_person":1})"), std::string::npos) << text;
    EXPECT_EQ(text.find("evil"), std::string::npos);

    ask("2", "evil.se");
    pass_a_minute();
    EXPECT_EQ(left().size(), 1U);
    EXPECT_NE(read("/state/requests/done/2.json").find("it had left before"), std::string::npos);
}

TEST_F(PersonReleasesTest, AreNotForgottenByACrash) {
    ask("1", "evil.se");
    for (int second = 0; second < 5; ++second) {
        clock.advance(1s);
        ASSERT_TRUE(station_->tick());
    }
    // Nothing was cut: the request is still there, and a new process finds it.
    EXPECT_TRUE(files.exists("/state/requests/1.json"));
    auto station = std::move(station_);
    files.fail_changes(Error(Code::exhausted, "killed"));
    station.reset();
    files.fail_changes(std::nullopt);
    start();
    pass_a_minute();
    pass_a_minute();
    EXPECT_EQ(left(), std::vector<std::string>{"evil.se."});
    EXPECT_TRUE(files.exists("/state/requests/done/1.json"));
}

TEST_F(PersonReleasesTest, AreRefusedWhereTheGateHasNoForm) {
    ask("identifier", "annas-iphone.evil.se");
    ask("suffix", "se");
    ask("reverse", "1.0.0.10.in-addr.arpa");
    ask("no-name", "a..b");
    put("/state/requests/no-json.json", "{");
    put("/state/requests/no-why.json", R"({"by":"anna","name":"evil.se","why":""})");
    put("/state/requests/large.json", std::string(person_request_size_max + 1, ' '));
    pass_a_minute();
    pass_a_minute();
    EXPECT_TRUE(left().empty());
    for (const auto& [id, why] : std::vector<std::pair<std::string, std::string>>{
             {"identifier", "id--device.evil.se."},
             {"suffix", "never released"},
             {"reverse", "never released"},
             {"no-name", "expected a domain name"},
             {"no-json", "outcome"},
             {"no-why", "expected the members by, name and why"},
             {"large", "outcome"}}) {
        const std::string answer = read("/state/requests/refused/" + id + ".json");
        EXPECT_NE(answer.find(why), std::string::npos) << id << ": " << answer;
        EXPECT_FALSE(files.exists("/state/requests/" + id + ".json"));
    }
}

TEST_F(PersonReleasesTest, AreAnsweredOnceAlsoWhereTheyCannotBePutAside) {
    ask("1", "annas-iphone.evil.se");
    files.refused = "/state/requests/";
    pass_a_minute();
    const std::string said = "cannot be put aside";
    EXPECT_NE(lines.find(said), std::string::npos);
    EXPECT_EQ(lines.find(said), lines.rfind(said)) << "once";
    EXPECT_EQ(counters.value("tapir_edge_person_releases_total{outcome=\"refused\"}"), 1);
    files.refused.clear();
    pass_a_minute();
    EXPECT_FALSE(files.exists("/state/requests/1.json"));
    EXPECT_EQ(counters.value("tapir_edge_person_releases_total{outcome=\"refused\"}"), 1);
}

}  // namespace
}  // namespace tapir::edge
