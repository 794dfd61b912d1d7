// The profile `compatible` against what the existing minimiser wrote, sent and counted.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tapir/crypto/base64.hpp"
#include "testing_tools.hpp"

namespace tapir::edge {
namespace {

using namespace testing;

struct Recording {
    std::string folder;
    std::string capture;
    std::vector<std::string> sets;
};

std::string option(const std::string& key, const std::string& path) {
    return key + "=" + golden(path);
}

std::vector<Recording> recordings() {
    const std::string signing = option("keys.signing", "signing-key.jwk");
    std::vector<Recording> all;
    for (const char* form : {"txt", "dawg"}) {
        const std::string end = form;
        all.push_back({"cases",
                       "cases.fstrm.xz",
                       {option("lists.well_known", "well-known." + end), signing}});
        all.push_back({"cases-ignoring",
                       "cases.fstrm.xz",
                       {option("lists.well_known", "well-known." + end), signing,
                        option("lists.ignored_clients", "ignored-clients.txt"),
                        option("lists.ignored_names", "ignored-names." + end),
                        "histogram.hll_explicit_threshold=5"}});
        for (const char* name :
             {"unbound-1.17.1-client-manyaddr", "kresd-5.6.0-client", "dnsdist-1.7.3-client"}) {
            const std::string folder = name;
            all.push_back({folder,
                           "captures/" + folder + ".fstrm.xz",
                           {option("lists.well_known", folder + "/well-known." + end), signing,
                            end == "txt" ? "workers=1" : "workers=3"}});
        }
    }
    return all;
}

void expect_same_rows(const std::string& ours, const std::string& theirs) {
    Duck duck;
    const auto table = [](const std::string& path) {
        return "(SELECT * EXCLUDE (start_time) FROM read_parquet('" + path + "'))";
    };
    const auto count = duck.query("SELECT count(*) FROM read_parquet('" + theirs + "')");
    EXPECT_GE(std::stoul(count.at(0).at(0)), 20U);
    EXPECT_EQ(duck.query("SELECT count(*) FROM read_parquet('" + ours + "')"), count);
    EXPECT_EQ(duck.query("FROM (" + table(ours) + " EXCEPT ALL " + table(theirs) + ")"),
              Duck::Rows());
    EXPECT_EQ(duck.query("FROM (" + table(theirs) + " EXCEPT ALL " + table(ours) + ")"),
              Duck::Rows());
    const auto schema = [&duck](const std::string& path) {
        return duck.query(
            "SELECT name, type, repetition_type, converted_type, logical_type, num_children FROM "
            "parquet_schema('" +
            path + "')");
    };
    EXPECT_EQ(schema(ours), schema(theirs));
    EXPECT_EQ(schema(ours).size(), 27U) << "the root and 26 columns";
}

std::string payload_of(const std::string& jws) {
    const auto json = text::Json::parse(jws);
    EXPECT_TRUE(json.has_value()) << jws;
    const auto octets = crypto::parse_base64url(*json->string("payload"));
    return std::string(as_text(*octets));
}

// The events that were sent: as JWS where the recording has them, else their payloads.
void expect_same_events(const std::string& out, const std::string& folder) {
    std::vector<std::string> ours = lines_of(read_text(out + "/events.jsonl"));
    std::vector<std::string> theirs;
    if (std::filesystem::exists(golden(folder + "/new_qname.jsonl"))) {
        for (const std::string& line : lines_of(read_text(golden(folder + "/new_qname.jsonl")))) {
            theirs.push_back(*text::Json::parse(line)->string("payload"));
        }
    } else {
        theirs = lines_of(unpack_xz(golden(folder + "/new_qname.payloads.jsonl.xz")));
        std::ranges::transform(ours, ours.begin(), payload_of);
    }
    std::ranges::sort(ours);
    std::ranges::sort(theirs);
    EXPECT_FALSE(theirs.empty());
    EXPECT_EQ(ours, theirs);
}

void expect_same_counters(const text::Json& report, const std::string& folder) {
    std::size_t compared = 0;
    for (const std::string& line : lines_of(read_text(golden(folder + "/metrics.txt")))) {
        const std::string name = line.substr(0, line.find(' '));
        if (name.find("_lru_") != std::string::npos) {
            continue;
        }
        EXPECT_EQ(report.find("edm")->integer(name).value_or(-1),
                  std::stoll(line.substr(name.size())))
            << name;
        ++compared;
    }
    EXPECT_EQ(compared, 10U);
}

TEST(Compatible, WritesSendsAndCountsWhatTheExistingMinimiserDid) {
    for (const Recording& recording : recordings()) {
        SCOPED_TRACE(recording.folder + " " + recording.sets.front());
        const TemporaryFolder folder;
        std::vector<std::string> sets = recording.sets;
        sets.emplace_back("release.profile=compatible");
        const std::string out = folder / "out";
        run_twin({.captures = {capture(folder, recording.capture)},
                  .out = out,
                  .single_interval = true,
                  .version = "test"},
                 sets);
        const auto histograms = histograms_of(out);
        ASSERT_EQ(histograms.size(), 1U);
        expect_same_rows(histograms.front(), golden(recording.folder + "/histogram.parquet"));
        expect_same_events(out, recording.folder);
        expect_same_counters(read_json(out + "/report.json"), recording.folder);
    }
}

// Frames of the five makes, counted by fate.
TEST(Captures, OfFiveResolversAreDecodedWhole) {
    struct Case {
        std::string name;
        std::int64_t frames;
        std::int64_t queries;
        std::int64_t other;  // responses that are not a client's
    };
    for (const Case& one : {Case{"unbound-1.17.1-client", 25'042, 12'521, 0},
                            Case{"unbound-1.17.1-client-manyaddr", 25'416, 12'708, 0},
                            Case{"unbound-1.17.1-all", 39'134, 19'567, 7'094},
                            Case{"bind-9.18.49-client", 26'010, 13'005, 0},
                            Case{"bind-9.18.49-client-manyaddr", 25'802, 12'901, 0},
                            Case{"bind-9.18.49-all", 40'070, 20'035, 7'030},
                            Case{"kresd-5.6.0-client", 26'010, 13'005, 0},
                            Case{"pdns-recursor-4.8.8-resolver", 14'050, 7'025, 7'025},
                            Case{"dnsdist-1.7.3-client", 25'992, 12'996, 0}}) {
        SCOPED_TRACE(one.name);
        const TemporaryFolder folder;
        const std::string out = folder / "out";
        run_twin({.captures = {capture(folder, "captures/" + one.name + ".fstrm.xz")},
                  .out = out,
                  .single_interval = false,
                  .version = "test"},
                 {"client_networks=127.0.0.0/8,::1/128"});
        const text::Json report = read_json(out + "/report.json");
        const text::Json& frames = *report.find("frames");
        EXPECT_EQ(*frames.integer("read"), one.frames);
        std::int64_t sum = 0;
        for (const text::JsonMember& group : *frames.find("fates")->if_object()) {
            for (const text::JsonMember& reason : *group.value.if_object()) {
                sum += *reason.value.if_integer();
                if (group.key == "frame" || group.key == "dns" || group.key == "dropped") {
                    EXPECT_EQ(*reason.value.if_integer(), 0) << group.key << "." << reason.key;
                }
            }
        }
        EXPECT_EQ(sum, one.frames);
        const text::Json& skipped = *frames.find("fates")->find("skipped");
        EXPECT_EQ(*skipped.integer("query"), one.queries);
        EXPECT_EQ(*skipped.integer("other_response"), one.other);
    }
}

}  // namespace
}  // namespace tapir::edge
