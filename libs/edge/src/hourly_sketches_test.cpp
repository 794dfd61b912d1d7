// The opt-in of R5, over the whole twin: sketches in the hour's histogram.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "setup.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/privacy/gate.hpp"
#include "tapir/privacy/threshold.hpp"
#include "tapir/sketch/hyperloglog.hpp"
#include "testing_frames.hpp"
#include "testing_tools.hpp"

namespace tapir::edge {
namespace {

using namespace testing;

constexpr std::int64_t hour_s = 3600;
constexpr std::int64_t three_o_clock = t0 + 46 * 60;
// Clients. Their numbers by the minute are estimates, and no step of the floors is near.
constexpr unsigned many = 90'000;  // more than a sketch needs
constexpr unsigned fewer = 45'000;
const std::string list = "many.se\nfewer.se\n";
const std::string on = "histogram.sketch=hourly";

struct Asked {
    std::string name;
    unsigned clients;
};
// Each client once, a sixtieth of them in each minute.
std::vector<Bytes> hour_of(std::int64_t start, const std::vector<Asked>& asked) {
    std::vector<Bytes> frames;
    for (unsigned minute = 0; minute < 60; ++minute) {
        for (const Asked& what : asked) {
            for (unsigned i = what.clients * minute / 60; i < what.clients * (minute + 1) / 60;
                 ++i) {
                frames.push_back(frame_of({.name = what.name,
                                           .client = v4(10, i >> 16U, i >> 8U & 0xFFU, i & 0xFFU),
                                           .time = start + minute * 60}));
            }
        }
    }
    return frames;
}

using Files = std::map<std::string, std::string>;

// The histograms that one run over frames wrote: their paths, by name.
Files twin(const std::vector<Bytes>& frames, const std::vector<std::string>& sets,
           const TemporaryFolder& folder, bool single_interval = false) {
    const std::string in = folder / "in.fstrm";
    const std::string out = folder / (sets.empty() ? "usual" : "with-settings");
    write_text(in, fstrm_of(frames));
    write_text(folder / "list.txt", list);
    std::vector<std::string> all = sets;
    all.push_back("lists.well_known=" + folder / "list.txt");
    run_twin({.captures = {in}, .out = out, .single_interval = single_interval, .version = "test"},
             all);
    Files files;
    for (const std::string& path : histograms_of(out)) {
        files.emplace(std::filesystem::path(path).filename().string(), path);
    }
    return files;
}

struct Told {
    std::string name;
    std::uint64_t clients = 0;
    std::uint64_t queries = 0;
    std::optional<sketch::HyperLogLog> sketch;
};
std::vector<Told> rows_of(const std::string& path) {
    Duck duck;
    std::vector<Told> rows;
    for (const auto& row :
         duck.query("SELECT label1, v4client_count, a_count + ok_count, hex(v4client_count_hll), "
                    "v6client_count_hll IS NULL FROM '" +
                    path + "'")) {
        Told told{.name = row[0],
                  .clients = std::stoull(row[1]),
                  .queries = std::stoull(row[2]),
                  .sketch = std::nullopt};
        EXPECT_EQ(row[4], "true");
        if (row[3] != "NULL") {
            std::string hex = row[3];
            std::ranges::transform(hex, hex.begin(),
                                   [](unsigned char c) { return std::tolower(c); });
            told.sketch = *sketch::HyperLogLog::parse(*crypto::parse_hex(hex));
        }
        rows.push_back(std::move(told));
    }
    return rows;
}

std::string hour_file(int hour) {
    return "dns_histogram-2026-09-21T" + std::to_string(hour) + "-00-00Z_2026-09-21T" +
           std::to_string(hour + 1) + "-00-00Z.parquet";
}

TEST(HourlySketches, LeaveOfAWholeHourWithVeryManyClients) {
    const TemporaryFolder folder;
    std::vector<Bytes> frames = hour_of(three_o_clock, {{"many.se.", many}, {"fewer.se.", fewer}});
    // The hour after, the same clients.
    const auto again = hour_of(three_o_clock + hour_s, {{"many.se.", many}});
    frames.insert(frames.end(), again.begin(), again.end());
    Files with = twin(frames, {on, "workers=2"}, folder);
    Files without = twin(frames, {}, folder);

    const auto three = rows_of(with.at(hour_file(15)));
    const auto four = rows_of(with.at(hour_file(16)));
    ASSERT_EQ(three.size(), 1U) << "what has left by the minute leaves no row here";
    ASSERT_EQ(four.size(), 1U);
    EXPECT_EQ(three.front().name, "many");
    EXPECT_EQ(three.front().clients, privacy::floor_clients(many));
    EXPECT_EQ(three.front().queries, 0U) << "told by the minute";
    ASSERT_TRUE(three.front().sketch && four.front().sketch);
    sketch::HyperLogLog both = *three.front().sketch;
    EXPECT_NEAR(static_cast<double>(both.estimate()), many, many * 0.1);
    both.merge(*four.front().sketch);
    EXPECT_NEAR(static_cast<double>(both.estimate()), 2 * many, 2 * many * 0.1)
        << "the same clients are others in another hour";

    // Nothing else has changed, to the octet.
    EXPECT_TRUE(rows_of(without.at(hour_file(15))).empty());
    for (const int hour : {15, 16}) {
        with.erase(hour_file(hour));
        without.erase(hour_file(hour));
    }
    ASSERT_EQ(with.size(), without.size());
    ASSERT_GT(with.size(), 120U);
    for (const auto& [name, path] : with) {
        EXPECT_TRUE(read_text(path) == read_text(without.at(name))) << name;
    }
}

TEST(HourlySketches, DoNotLeaveOfAnHourThatIsNotWhole) {
    const TemporaryFolder folder;
    // The first minute is not there, and the last is of the next hour.
    const auto late = hour_of(three_o_clock + 60, {{"many.se.", many}});
    const Files files = twin(late, {on}, folder);
    EXPECT_EQ(files.count(hour_file(15)), 0U);
    bool is_some = false;
    for (const auto& [name, path] : files) {
        for (const Told& told : rows_of(path)) {
            EXPECT_FALSE(told.sketch) << name;
            is_some = true;
        }
    }
    EXPECT_TRUE(is_some);
}

TEST(HourlySketches, ChangeNothingOfASingleInterval) {
    const TemporaryFolder folder;
    const auto frames = hour_of(three_o_clock, {{"many.se.", 1'000}});
    const Files with = twin(frames, {on}, folder, true);
    const Files without = twin(frames, {}, folder, true);
    ASSERT_EQ(with.size(), 1U);
    EXPECT_EQ(rows_of(with.begin()->second).size(), 1U);
    EXPECT_TRUE(read_text(with.begin()->second) == read_text(without.begin()->second));
}

TEST(HourlySketches, LeaveUnderStandardAlone) {
    EXPECT_FALSE(has_hourly_sketches(settings_of({}), privacy::Profile::standard));
    EXPECT_TRUE(has_hourly_sketches(settings_of({on}), privacy::Profile::standard));
    EXPECT_FALSE(has_hourly_sketches(settings_of({on}), privacy::Profile::strict));
    EXPECT_FALSE(has_hourly_sketches(settings_of({on}), privacy::Profile::compatible));
}

// Frames of before the clock has started are put into the first minute. Its hour is not known when
// their clients get their tags.
TEST(HourlySketches, DoNotCountAClientTwiceBecauseItCameBeforeTheClock) {
    const Day day(0, public_test_day_key());
    const privacy::Rule& rule =
        privacy::rule_for(privacy::Product::histogram, privacy::Profile::standard);
    const unsigned t = privacy::draw_threshold(
        rule.threshold, day.gate->draw(privacy::Product::histogram, "many.se."));
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < t - 1; ++i) {
        frames.push_back(
            frame_of({.name = "many.se.", .client = client_of(i), .time = std::nullopt}));
    }
    for (unsigned i = 0; i < t - 1; ++i) {
        frames.push_back(
            frame_of({.name = "many.se.", .client = client_of(i), .time = three_o_clock}));
    }
    for (const std::vector<std::string>& sets : {std::vector<std::string>{on}, {}}) {
        const TemporaryFolder folder;
        for (const auto& [name, path] : twin(frames, sets, folder)) {
            EXPECT_TRUE(rows_of(path).empty()) << name;
        }
    }
    // One client more is enough, so those above nearly were.
    frames.push_back(
        frame_of({.name = "many.se.", .client = client_of(t - 1), .time = three_o_clock}));
    const TemporaryFolder folder;
    std::size_t rows = 0;
    for (const auto& [name, path] : twin(frames, {on}, folder)) {
        rows += rows_of(path).size();
    }
    EXPECT_EQ(rows, 1U);
}

}  // namespace
}  // namespace tapir::edge
