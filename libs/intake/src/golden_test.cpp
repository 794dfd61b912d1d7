// Every upload that the existing receiver was sent, and its answer against ours; every event that
// the existing bridge was sent by MQTT, and whether it came through there and here.
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.hpp"

namespace tapir::intake {
namespace {

using testing::ContainsRegex;

// Where our answer is another one, and why.
const std::map<std::string, std::pair<int, const char*>> differences = {
    {"052-alg-missing", {400, "theirs fails (500)"}},
    {"053-alg-unknown", {400, "theirs fails (500)"}},
    {"056-ed448", {400, "theirs fails (500); we read no Ed448"}},
    {"057-p384", {400, "theirs fails (500); we read no P-384"}},
    {"066-digest-malformed", {400, "theirs fails (500)"}},
    {"072-signature-input-malformed", {400, "theirs fails (500)"}},
    {"113-s3-down", {201, "its store was down, ours is not"}},
};

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

struct Exchange {
    std::string name;
    int status = 0;  // theirs
    net::HttpRequest request;
    UtcTime at;
};

// Lines up to the empty one: the first, and the fields.
std::string take_head(std::string& text, net::HttpFields& fields) {
    const auto end = text.find("\r\n\r\n");
    std::istringstream head(text.substr(0, end));
    text.erase(0, end + 4);
    std::string first;
    std::getline(head, first);
    for (std::string line; std::getline(head, line);) {
        if (line.ends_with('\r')) {
            line.pop_back();
        }
        const auto colon = line.find(':');
        const auto value = line.find_first_not_of(" \t", colon + 1);
        fields.add(line.substr(0, colon), value == std::string::npos ? "" : line.substr(value));
    }
    return first;
}

// "Mon, 23 Nov 2026 15:18:52 GMT"
UtcTime http_date(std::string_view text) {
    EXPECT_EQ(text.substr(7, 10), " Nov 2026 ");
    return *UtcTime::parse(fmt::format("2026-11-{}T{}Z", text.substr(5, 2), text.substr(17, 8)));
}

std::vector<Exchange> recorded() {
    const std::string folder = std::string(TAPIR_GOLDEN) + "/aggrec/";
    std::ifstream index(folder + "INDEX.tsv");
    std::vector<Exchange> all;
    std::string line;
    std::getline(index, line);
    while (std::getline(index, line)) {
        Exchange exchange;
        exchange.name = line.substr(0, line.find('\t'));
        std::string text = read_file(folder + exchange.name + ".request");
        std::istringstream first(take_head(text, exchange.request.fields));
        std::string target;
        first >> exchange.request.method >> target;
        net::set_target(exchange.request, target);
        exchange.request.body = to_bytes(text);
        net::HttpFields answered;
        std::string answer = read_file(folder + exchange.name + ".response");
        exchange.status = std::stoi(take_head(answer, answered).substr(9, 3));
        exchange.at = http_date(answered.find("date").value_or(""));
        all.push_back(std::move(exchange));
    }
    return all;
}

TEST(Golden, EveryUploadIsAnsweredAsTheExistingReceiverDid) {
    Bench bench;
    const std::string clients = std::string(TAPIR_GOLDEN) + "/aggrec/clients";
    for (const auto& file : std::filesystem::directory_iterator(clients)) {
        const std::string pem = read_file(file.path());
        ASSERT_TRUE(bench.files.write_atomically("edges/" + file.path().filename().string(),
                                                 as_bytes(pem)));
    }
    ASSERT_TRUE(bench.keys.refresh());
    ASSERT_EQ(bench.keys.current()->size(), 3U);  // Ed448 and P-384 are none of ours
    bench.restart();
    const auto exchanges = recorded();
    ASSERT_EQ(exchanges.size(), 87U);
    std::size_t differing = 0;
    for (const auto& exchange : exchanges) {
        bench.clock.step_to(exchange.at);
        const auto answer = bench.intake->aggregate(exchange.request);
        const auto differs = differences.find(exchange.name);
        const bool is_known = differs != differences.end();
        differing += is_known ? 1 : 0;
        EXPECT_EQ(answer.status, is_known ? differs->second.first : exchange.status)
            << exchange.name << ": " << as_text(answer.body);
        if (answer.status == 201) {
            EXPECT_THAT(std::string(answer.fields.find("Location").value_or("")),
                        ContainsRegex("^/api/v1/aggregates/[0-9a-f]{24}$"));
        }
    }
    EXPECT_EQ(differing, differences.size());
}

// What became of an event: "forwarded", or why not.
const std::map<std::string, std::pair<std::string, const char*>> event_differences = {
    {"003-general-two-signatures", {"duplicate", "the payload of 002: one event of one edge"}},
    {"008-no-alg", {"forwarded", "a JWK without alg: it follows from the key"}},
    {"009-other-nodes-topic",
     {"sender_mismatch", "an edge speaks for itself only, whatever the broker lets through"}},
    {"016-path-kid-own-key",
     {"key_id_malformed", "theirs puts the kid into a path and is led to another key"}},
    {"023-bad-timestamp", {"bad_timestamp", "the schema asks for RFC 3339, and we check it"}},
    {"027-old-timestamp", {"too_old", "older than what duplicates are remembered for"}},
    {"028-replay-1", {"duplicate", "the payload of 002: one event of one edge"}},
    {"029-replay-2", {"duplicate", "the same octets twice are one event"}},
};

// What we have of it on the bus afterwards, as text; the last reason or outcome otherwise.
std::string fate_of(Bench& bench, const mqtt::Message& message, std::string& event) {
    const auto subscription = *bench.bus.subscribe(events_subject);
    const auto before = bench.events("outcome=\"duplicate\"");
    bench.logged.clear();
    EXPECT_TRUE(bench.intake->take({&message, 1}));
    bench.intake->publish();
    if (const auto forwarded = subscription->next(Duration(0))) {
        event = *text::Json::parse(as_text(*forwarded->body))->string("event");
        return "forwarded";
    }
    if (bench.events("outcome=\"duplicate\"") > before) {
        return "duplicate";
    }
    const std::string key = "\"reason\":\"";
    const auto at = bench.logged.find(key);
    EXPECT_NE(at, std::string::npos) << bench.logged;
    const auto begin = at + key.size();
    return bench.logged.substr(begin, bench.logged.find('"', begin) - begin);
}

TEST(Golden, EveryEventOnTheBrokerIsTakenAsTheExistingBridgeDid) {
    Bench bench;
    const std::string folder = std::string(TAPIR_GOLDEN) + "/up/";
    for (const auto& file : std::filesystem::directory_iterator(folder + "keys")) {
        const std::string jwk = read_file(file.path());
        ASSERT_TRUE(bench.files.write_atomically("edges/" + file.path().filename().string(),
                                                 as_bytes(jwk)));
    }
    ASSERT_TRUE(bench.keys.refresh());
    ASSERT_EQ(bench.keys.current()->size(), 4U);
    bench.clock.step_to(*UtcTime::parse("2026-11-23T15:25:00Z"));
    bench.restart();
    std::ifstream index(folder + "INDEX.tsv");
    std::string line;
    std::getline(index, line);
    std::size_t count = 0;
    std::set<std::string> differing;
    for (; std::getline(index, line); ++count) {
        std::istringstream columns(line);
        std::string name;
        std::string theirs;
        columns >> name >> theirs;
        SCOPED_TRACE(name);
        std::string event;
        const std::string ours = fate_of(bench,
                                         {.topic = read_file(folder + name + ".topic"),
                                          .payload = to_bytes(read_file(folder + name + ".mqtt"))},
                                         event);
        const auto differs = event_differences.find(name);
        if (differs != event_differences.end()) {
            differing.insert(name);
            EXPECT_EQ(ours, differs->second.first);
        } else {
            EXPECT_EQ(ours == "forwarded", theirs == "forwarded") << ours;
        }
        if (ours == "forwarded" && theirs == "forwarded") {
            EXPECT_TRUE(read_file(folder + name + ".nats").ends_with("\r\n" + event + "\r\n"));
        }
    }
    EXPECT_EQ(count, 31U);
    EXPECT_EQ(differing.size(), event_differences.size());
}

}  // namespace
}  // namespace tapir::intake
