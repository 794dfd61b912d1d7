// Suspects of a live edge: written down, bounded, through restarts, reloads and a full disk.
#include "suspect_journal.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "batch_leaf.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/text/json.hpp"
#include "testing_frames.hpp"
#include "testing_station.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;
using testing::client_of;
using testing::frame_of;

constexpr const char* day_file = "/state/suspects/2026-05-29.jsonl";  // StationRig's day

Suspect suspect_of(const std::string& domain, std::int64_t time, std::uint64_t exception = 0) {
    return {.domain = domain,
            .score = 100,
            .reasons = {"because"},
            .hour = UtcTime::from_seconds(time),
            .exception = exception};
}

class SuspectJournalTest : public ::testing::Test, protected testing::StationRig {
protected:
    SuspectJournal open_journal(const SuspectJournalLimits& limits = {}) {
        return {files, "/state/suspects", limits, log, counters};
    }
    std::int64_t now() const { return clock.now().seconds(); }
    std::uint64_t dropped(const char* reason) {
        return counters
            .counter("tapir_edge_suspects_dropped_total",
                     "Suspects that were not written down, by reason.", {{"reason", reason}})
            .value();
    }
    std::size_t lines_in(const std::string& path) {
        const std::string text = read(path);
        return static_cast<std::size_t>(std::ranges::count(text, '\n'));
    }
};

TEST_F(SuspectJournalTest, KeepsADayInAFileForItsUserAlone) {
    SuspectJournal journal = open_journal();
    journal.write(clock.now());
    EXPECT_FALSE(files.exists("/state/suspects")) << "nothing to say";
    journal.suspect(suspect_of("a.se.", now()));
    journal.suspect(suspect_of("b.se.", now() + 86'400));
    journal.write(clock.now());
    EXPECT_EQ(lines_in(day_file), 1U);
    EXPECT_EQ(lines_in("/state/suspects/2026-05-30.jsonl"), 1U);
    EXPECT_EQ(*files.mode(day_file), 0600U);
    EXPECT_EQ(*files.mode("/state/suspects"), 0700U);
}

TEST_F(SuspectJournalTest, SaysOnceAMinuteThatThereAreSome) {
    SuspectJournal journal = open_journal();
    for (int second = 0; second < 61; ++second) {
        journal.suspect(suspect_of("evil.se.", now()));
        journal.write(clock.now());
        clock.advance(1s);
    }
    const auto count = [this](const std::string& what) {
        std::size_t n = 0;
        for (std::size_t at = lines.find(what); at != std::string::npos;
             at = lines.find(what, at + 1)) {
            ++n;
        }
        return n;
    };
    EXPECT_EQ(count("see tapir suspects"), 2U) << lines;
    EXPECT_EQ(count(R"("suspects":60)"), 1U) << lines;
    EXPECT_EQ(count("evil"), 0U);
}

TEST_F(SuspectJournalTest, WritesBeyondADaysSizeOnlyWhatLeaves) {
    const std::size_t size = suspect_of("a.se.", now()).to_json().size() + 1;
    SuspectJournal journal = open_journal({.day_size_max = 2 * size});
    for (int i = 0; i < 3; ++i) {
        journal.suspect(suspect_of("a.se.", now()));
        journal.write(clock.now());
    }
    journal.suspect(suspect_of("b.se.", now(), 1));
    journal.write(clock.now());
    EXPECT_EQ(lines_in(day_file), 3U);
    EXPECT_EQ(dropped("journal_full"), 1U);
    EXPECT_EQ(journal.written(), 1U);
    SuspectJournal again = open_journal({.day_size_max = 2 * size});
    again.suspect(suspect_of("a.se.", now()));
    again.write(clock.now());
    EXPECT_EQ(lines_in(day_file), 3U) << "after a restart too";
}

TEST_F(SuspectJournalTest, HandsOverOnlySoMany) {
    SuspectJournal journal = open_journal({.waiting_max = 2});
    for (int i = 0; i < 3; ++i) {
        journal.suspect(suspect_of("a.se.", now()));
    }
    journal.suspect(suspect_of("b.se.", now(), 1));
    journal.write(clock.now());
    EXPECT_EQ(lines_in(day_file), 3U);
    EXPECT_EQ(dropped("journal_behind"), 1U);
}

TEST_F(SuspectJournalTest, WaitsForADiskThatRefuses) {
    SuspectJournal journal = open_journal();
    files.fail_changes(Error(Code::exhausted, "No space left on device"));
    journal.suspect(suspect_of("a.se.", now(), 1));
    journal.write(clock.now());
    journal.suspect(suspect_of("b.se.", now(), 2));
    journal.write(clock.now());
    EXPECT_EQ(journal.written(), 0U);
    files.fail_changes(std::nullopt);
    journal.write(clock.now());
    EXPECT_EQ(journal.written(), 2U);
    EXPECT_EQ(lines_in(day_file), 2U);
    EXPECT_LT(read(day_file).find("a.se."), read(day_file).find("b.se.")) << "in order";
}

TEST_F(SuspectJournalTest, GoesOnAfterATornLine) {
    put(day_file, suspect_of("a.se.", now(), 1).to_json() + "\n" + R"({"domain":"tor)");
    SuspectJournal journal = open_journal();
    EXPECT_EQ(journal.granted_on(clock.now()).granted, 1U);
    journal.suspect(suspect_of("b.se.", now(), 1));
    journal.write(clock.now());
    EXPECT_EQ(journal.granted_on(clock.now()).granted, 2U) << read(day_file);
    EXPECT_EQ(journal.granted_on(clock.now() + 24h).granted, 0U);
}

TEST_F(SuspectJournalTest, RemovesWhatIsOlderThanAMonth) {
    for (const char* day : {"2026-04-28", "2026-04-29", "2026-05-28"}) {
        put(fmt::format("/state/suspects/{}.jsonl", day), "{}\n");
    }
    put("/state/suspects/notes.txt", "the operator's\n");
    open_journal().write(clock.now());
    EXPECT_FALSE(files.exists("/state/suspects/2026-04-28.jsonl"));
    EXPECT_TRUE(files.exists("/state/suspects/2026-04-29.jsonl")) << "30 days";
    EXPECT_TRUE(files.exists("/state/suspects/2026-05-28.jsonl"));
    EXPECT_TRUE(files.exists("/state/suspects/notes.txt"));
}

struct LiveRig : testing::StationRig {
    void start(const std::string& more, const std::string& threats = "evil.se\n") {
        put("/lists/threats.txt", threats);
        put("/lists/listed.txt", "listed.se\n");
        settings = text::Settings::parse(fmt::format(R"(
{}
lists.public_suffixes = "/lists/public_suffixes.dat"
lists.well_known = "/lists/listed.txt"
threats.lists = "/lists/threats.txt"
keys.signing = "/keys/edge.jwk"
core.url = "http://core.invalid"
state.dir = "/state"
workers = 0
)",
                                                     more),
                                         "edge.toml", settings_table(), {})
                       .take();
        clock.advance(50min);  // of the hour
        restart();
    }
    void restart() {
        station_.reset();
        station_ = open();
        ASSERT_TRUE(station_->begin().has_value());
    }
    static std::string pinned(const std::string& threats) {
        return fmt::format("threat_exception = true\nthreats.pin = \"{}\"",
                           to_hex(crypto::sha256(as_bytes(threats))));
    }

    void ask(const std::string& name, unsigned number = 0) {
        station_->add(
            frame_of({.name = name, .client = client_of(number), .time = clock.now().seconds()}));
        station_->flush();
    }
    void pass(int seconds) {
        const int step = seconds % 20 == 0 ? 20 : 1;
        for (int second = 0; second < seconds; second += step) {
            clock.advance(step * 1s);
            ASSERT_TRUE(station_->tick());
        }
    }
    // By batch's time.
    std::map<std::string, std::string> left() {
        std::map<std::string, std::string> names;
        for (std::uint64_t i = 0;; ++i) {
            const std::string folder = "/state/" + batch_folder(i);
            const std::string batch = read(folder + "/new_qname.json");
            if (batch.empty()) {
                return names;
            }
            const auto leaf = ledger::Leaf::parse(as_bytes(read(folder + "/leaf.json")));
            for (const std::string_view message : *jose::split_batch(batch)) {
                const auto jws = jose::UnverifiedJws::parse(message);
                const auto verified = jws->verify(public_test_signing_key().public_jwk());
                names[products::NewQname::parse(verified->payload_text())->qname] =
                    leaf->time.to_string();
            }
        }
    }
    // Every payload by its batch.
    std::map<std::string, std::string> payloads() {
        std::map<std::string, std::string> all;
        for (std::uint64_t i = 0; files.exists("/state/" + batch_folder(i)); ++i) {
            const std::string folder = "/state/" + batch_folder(i);
            for (const auto& entry : files.list(folder).take()) {
                if (entry.name.ends_with(".parquet") || entry.name.starts_with("new_qname")) {
                    all[folder + "/" + entry.name] = read(folder + "/" + entry.name);
                }
            }
        }
        return all;
    }

    std::unique_ptr<Station> station_;
};

class LiveSuspectsTest : public ::testing::Test, protected LiveRig {};

TEST_F(LiveSuspectsTest, AreWrittenDownWithinASecondAndNothingLeaves) {
    start("");
    ask("www.evil.se.");
    pass(1);
    EXPECT_NE(read(day_file).find(R"("domain":"evil.se.")"), std::string::npos);
    EXPECT_EQ(read(day_file).find("www"), std::string::npos);
    pass(1200);
    EXPECT_TRUE(left().empty());
}

TEST_F(LiveSuspectsTest, LeaveWithTheFirstBatchOfTheNextHour) {
    start(pinned("evil.se\n"));
    pass(540);
    ask("evil.se.");
    pass(59);
    EXPECT_TRUE(left().empty());
    pass(61);
    EXPECT_EQ(left(), (std::map<std::string, std::string>{{"evil.se.", "2026-05-29T13:00:00Z"}}));
}

TEST_F(LiveSuspectsTest, DoNotLeaveWhileItCannotBeWrittenDownThatTheyDo) {
    start(pinned("evil.se\n"));
    files.refuse_appends_to = "/state/suspects";
    ask("evil.se.");
    pass(1200);
    EXPECT_TRUE(left().empty());
    files.refuse_appends_to.clear();
    pass(120);
    EXPECT_EQ(left().size(), 1U);
}

TEST_F(LiveSuspectsTest, CountTheDayThroughARestart) {
    std::string threats;
    for (int i = 0; i < 102; ++i) {
        threats += fmt::format("evil-{}.se\n", i);
    }
    start(pinned(threats), threats);
    for (int i = 0; i < 99; ++i) {
        ask(fmt::format("evil-{}.se.", i));
    }
    pass(600 + 60);
    EXPECT_EQ(left().size(), 99U);
    clock.advance(55min);
    restart();
    pass(1);
    ask("evil-99.se.");
    ask("evil-100.se.");
    pass(360);
    EXPECT_EQ(left().size(), 100U);
    EXPECT_TRUE(left().contains("evil-99.se."));
}

TEST_F(LiveSuspectsTest, ComeFromAnotherListFromTheTurnOfTheMinuteOn) {
    start("");
    put("/lists/threats.txt", "other.se\n");
    pass(10);
    ask("other.se.");
    pass(1);
    EXPECT_TRUE(read(day_file).empty());
    pass(60);
    ask("other.se.");
    ask("evil.se.");
    pass(1);
    EXPECT_NE(read(day_file).find("other.se."), std::string::npos);
    EXPECT_EQ(read(day_file).find("evil.se."), std::string::npos);
}

TEST_F(LiveSuspectsTest, KeepTheListWhereTheNewOneIsBadOrNotThePinnedOne) {
    start(pinned("evil.se\n"));
    for (const char* bad : {"..\n", "evil.se\nother.se\n"}) {
        put("/lists/threats.txt", bad);
        pass(120);
    }
    ask("other.se.");
    ask("evil.se.");
    pass(1);
    EXPECT_EQ(read(day_file).find("other.se."), std::string::npos);
    EXPECT_NE(read(day_file).find("evil.se."), std::string::npos);
    EXPECT_NE(lines.find("refused: all settings and lists stay"), std::string::npos);
}

// A row that waits for the ten minutes goes on waiting when only threats change.
TEST_F(LiveSuspectsTest, ChangeNothingOfWhatLeavesWhenTheirListChanges) {
    const auto run = [](const std::string& changed) {
        LiveRig rig;
        rig.start("");
        for (unsigned i = 0; i < 60; ++i) {
            rig.ask("listed.se.", i);
            rig.ask("evil.se.", i % 2);
            if (i == 25 && !changed.empty()) {
                rig.put("/lists/threats.txt", changed);
            }
            rig.pass(10);
        }
        rig.pass(120);
        return rig.payloads();
    };
    const auto as_ever = run("");
    EXPECT_TRUE(as_ever == run("other.se\n"));
    EXPECT_GT(as_ever.size(), 20U);
}

}  // namespace
}  // namespace tapir::edge
