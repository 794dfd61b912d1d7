// A name that a person asks to release: leaves once, or is refused, and either is said.
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "setup.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/edge/settings.hpp"
#include "tapir/edge/station.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/ledger/leaf.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

constexpr const char* settings_text = R"(
lists.public_suffixes = "/lists/public_suffixes.dat"
keys.signing = "/keys/edge.jwk"
state.dir = "/state"
workers = 0
)";

class PersonReleasesTest : public ::testing::Test {
protected:
    PersonReleasesTest() {
        put("/lists/public_suffixes.dat", "// ===BEGIN ICANN DOMAINS===\nse\n");
        const crypto::Secret key = public_test_signing_key().to_json();
        put("/keys/edge.jwk", as_text(key.bytes()));
        EXPECT_TRUE(files_.make_directories("/state").has_value());
        settings_ = text::Settings::parse(settings_text, "edge.toml", settings_table(), {}).take();
        start();
    }

    void start() {
        station_.reset();
        auto station = Station::open(*settings_, "test",
                                     {.clock = clock_,
                                      .files = files_,
                                      .chance = chance_,
                                      .store = *store_,
                                      .http_client = nullptr,
                                      .log = log_,
                                      .counters = counters_},
                                     {});
        ASSERT_TRUE(station.has_value()) << station.error().what();
        station_ = std::move(station).take();
        ASSERT_TRUE(station_->begin().has_value());
    }

    void put(const std::string& path, std::string_view content) {
        ASSERT_TRUE(files_.make_directories(path.substr(0, path.rfind('/'))).has_value());
        ASSERT_TRUE(
            files_.write_atomically(path, as_bytes(content), world::mode_private).has_value());
    }
    void ask(const std::string& id, const std::string& name) {
        put("/state/requests/" + id + ".json",
            R"({"by":"anna","name":")" + name + R"(","why":"found by hand"})");
    }
    std::string read(const std::string& path) {
        const auto octets = files_.read(path, 1U << 20U);
        return octets ? std::string(as_text(*octets)) : std::string();
    }
    void pass_a_minute() {
        for (int second = 0; second < 60; ++second) {
            clock_.advance(1s);
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

    world::MemoryFiles files_;
    world::ManualClock clock_{UtcTime::from_seconds(1'780'056'000)};
    world::SeededChance chance_{5};
    std::unique_ptr<store::Store> store_ = store::open_memory(store_families());
    std::string lines_;
    Log log_ = Log::to_string(lines_);
    Counters counters_;
    std::optional<text::Settings> settings_;
    std::unique_ptr<Station> station_;
};

TEST_F(PersonReleasesTest, LeaveOnceWithTheNextBatchAndTheLedgerHasWhy) {
    ask("1", "Evil.SE");
    pass_a_minute();
    pass_a_minute();
    EXPECT_EQ(left(), std::vector<std::string>{"evil.se."});
    EXPECT_FALSE(files_.exists("/state/requests/1.json"));
    EXPECT_NE(read("/state/requests/done/1.json").find("it left"), std::string::npos);

    const std::string text = read("/state/" + batch_folder(0) + "/leaf.json");
    const auto leaf = ledger::Leaf::parse(as_bytes(text));
    ASSERT_TRUE(leaf.has_value());
    const text::Json* commitments = leaf->members.find("commitments");
    ASSERT_NE(commitments, nullptr);
    const std::string account = R"({"by":"anna","name":"evil.se.","why":"found by hand"})"
                                "\n";
    bool is_opened = false;
    std::string lines = read("/state/" + batch_folder(0) + "/openings.jsonl");
    for (std::size_t at = 0; at < lines.size(); at = lines.find('\n', at) + 1) {
        const auto opening = ledger::Opening::parse(lines.substr(at, lines.find('\n', at) - at));
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
        clock_.advance(1s);
        ASSERT_TRUE(station_->tick());
    }
    // Nothing was cut: the request is still there, and a new process finds it.
    EXPECT_TRUE(files_.exists("/state/requests/1.json"));
    auto station = std::move(station_);
    files_.fail_changes(Error(Code::exhausted, "killed"));
    station.reset();
    files_.fail_changes(std::nullopt);
    start();
    pass_a_minute();
    pass_a_minute();
    EXPECT_EQ(left(), std::vector<std::string>{"evil.se."});
    EXPECT_TRUE(files_.exists("/state/requests/done/1.json"));
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
        EXPECT_FALSE(files_.exists("/state/requests/" + id + ".json"));
    }
}

}  // namespace
}  // namespace tapir::edge
