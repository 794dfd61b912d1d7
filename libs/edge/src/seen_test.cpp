// The store of released names: bounded, lasting, and filled from lists.
#include "seen.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "seen_import.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/names/dawg.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t day_s = 86'400;
constexpr std::int64_t first_day = 20'717;

UtcTime at(std::int64_t day, std::int64_t second = 0) {
    return UtcTime::from_seconds(day * day_s + second);
}

class SeenTest : public ::testing::Test {
protected:
    Seen open() { return {*store_, settings_, log_, counters_}; }
    // Whole walks: more seconds than they take.
    static void tidy(Seen& seen, std::int64_t day) {
        for (std::int64_t second = 0; second < 60; ++second) {
            seen.tidy(at(day, second));
        }
    }
    void release(Seen& seen, std::int64_t day, const std::vector<std::string>& names) {
        seen.tidy(at(day));
        for (const std::string& name : names) {
            EXPECT_TRUE(seen.add(name)) << name;
        }
        seen.settle(names, Seen::Settle::kept);
    }
    std::set<std::string> stored() const {
        std::set<std::string> all;
        for (auto cursor = *store_->scan(seen_family); cursor->valid(); cursor->next()) {
            all.insert(std::string(as_text(cursor->key())));
        }
        return all;
    }
    std::int64_t forgotten(const std::string& reason) {
        return counters_.value("tapir_edge_seen_forgotten_total{reason=\"" + reason + "\"}");
    }
    void put(const std::string& path, std::string_view content) {
        ASSERT_TRUE(files_.make_directories(path.substr(0, path.rfind('/'))).has_value());
        ASSERT_TRUE(files_.write_atomically(path, as_bytes(content)).has_value());
    }
    dns::PublicSuffixes suffixes() {
        return *dns::PublicSuffixes::parse(
            "// ===BEGIN ICANN DOMAINS===\nse\ncom\nco.uk\n// ===END ICANN DOMAINS===\n", "psl");
    }
    SeenReport import(Seen& seen, const std::string& path, std::size_t lines = 3) {
        const dns::PublicSuffixes list = suffixes();
        SeenImport import(files_, path, &list, seen);
        auto goes_on = import.step(lines);
        while (goes_on && *goes_on) {
            goes_on = import.step(lines);
        }
        EXPECT_TRUE(goes_on.has_value()) << goes_on.error().what();
        return import.report();
    }

    std::unique_ptr<store::Store> store_ = store::open_memory({std::string(seen_family)});
    SeenSettings settings_{.age_max = 0h, .names_max = 1'000, .steps = 7};
    std::string lines_;
    Log log_ = Log::to_string(lines_);
    Counters counters_;
    world::MemoryFiles files_;
};

TEST(SeenValue, SaysItsDay) {
    EXPECT_EQ(seen_day(seen_value(20'717)), 20'717U);
    EXPECT_EQ(to_hex(seen_value(20'717)), "01000050ed");
    EXPECT_EQ(seen_day({}), std::nullopt);
    EXPECT_EQ(seen_day(to_bytes("\x02\0\0\0\0later")), std::nullopt);
    EXPECT_EQ(seen_day(to_bytes("\x01 12")), std::nullopt);
}

TEST_F(SeenTest, RemembersForGoodUnlessToldOtherwise) {
    Seen seen = open();
    release(seen, first_day, {"a.se.", "b.se."});
    tidy(seen, first_day + 3'000);
    EXPECT_FALSE(open().add("a.se."));
    EXPECT_EQ(forgotten("age") + forgotten("names_max"), 0);
    EXPECT_EQ(counters_.value("tapir_edge_seen_names"), 2);
}

TEST_F(SeenTest, TakesNoMoreNamesThanMayBeUnderWay) {
    settings_.under_way_max = 2;
    auto seen = open();
    release(seen, first_day, {"old.se."});
    EXPECT_EQ(seen.offer("a.se."), Seen::Offered::is_new);
    EXPECT_EQ(seen.offer("b.se."), Seen::Offered::is_new);
    EXPECT_EQ(seen.offer("c.se."), Seen::Offered::no_room);
    EXPECT_EQ(seen.offer("c.se."), Seen::Offered::no_room) << "nothing of it is kept";
    EXPECT_EQ(seen.state_of("c.se."), Seen::State::unknown);
    EXPECT_EQ(seen.offer("a.se."), Seen::Offered::known) << "it is under way";
    EXPECT_EQ(seen.offer("old.se."), Seen::Offered::known) << "it takes no room";
    EXPECT_TRUE(seen.add("asked.se.")) << "what a person or a detector releases has limits there";
    const std::vector<std::string> names{"a.se.", "asked.se."};
    seen.settle(names, Seen::Settle::kept);
    EXPECT_EQ(seen.offer("c.se."), Seen::Offered::is_new);
    EXPECT_EQ(seen.offer("d.se."), Seen::Offered::no_room);
    seen.settle(std::vector<std::string>{"b.se."}, Seen::Settle::lost);
    EXPECT_EQ(seen.offer("d.se."), Seen::Offered::is_new);
    // As after a restart: what is remembered is known without being in memory.
    auto anew = open();
    EXPECT_EQ(anew.offer("x.se."), Seen::Offered::is_new);
    EXPECT_EQ(anew.offer("y.se."), Seen::Offered::is_new);
    EXPECT_EQ(anew.offer("old.se."), Seen::Offered::known);
    EXPECT_EQ(anew.offer("a.se."), Seen::Offered::known);
    EXPECT_EQ(anew.offer("z.se."), Seen::Offered::no_room);
}

// Whatever happens in whatever order, walks in the middle of it and restarts too.
RC_GTEST_PROP(Seen, TellsNewNamesFromOld, (const std::vector<std::uint8_t>& steps)) {
    const auto store = store::open_memory({std::string(seen_family)});
    std::string lines;
    const Log log = Log::to_string(lines);
    Counters counters;
    const SeenSettings settings{.steps = 2};
    auto seen = std::make_unique<Seen>(*store, settings, log, counters);
    std::set<std::string> old;
    std::int64_t second = 0;
    for (const std::uint8_t step : steps) {
        const std::string name = "n" + std::to_string(step / 8) + ".se.";
        switch (step % 8) {
            case 0:
                seen = std::make_unique<Seen>(*store, settings, log, counters);
                break;
            case 1:
                RC_ASSERT(seen->import(std::vector{name}) ==
                          Result<std::uint64_t>(old.insert(name).second ? 1U : 0U));
                break;
            case 2:
                second += 86'400;  // the next day's walk begins
                [[fallthrough]];
            case 3:
            case 4:
                seen->tidy(at(first_day, ++second));
                break;
            default:
                RC_ASSERT((seen->state_of(name) == Seen::State::unknown) == !old.contains(name));
                if (seen->add(name)) {
                    RC_ASSERT(old.insert(name).second);
                    seen->settle(std::vector{name}, Seen::Settle::kept);
                } else {
                    RC_ASSERT(old.contains(name));
                }
        }
    }
}

TEST_F(SeenTest, ForgetsANameWhenItsTimeIsOver) {
    settings_.age_max = 10 * 24h;
    Seen seen = open();
    release(seen, first_day, {"old.se.", "older.se."});
    release(seen, first_day + 1, {"young.se."});
    tidy(seen, first_day + 10);
    EXPECT_FALSE(seen.add("old.se.")) << "it is ten days old, not more";
    tidy(seen, first_day + 11);
    EXPECT_EQ(stored(), (std::set<std::string>{"young.se."}));
    EXPECT_TRUE(seen.add("old.se.")) << "not remembered in memory either";
    EXPECT_FALSE(seen.add("young.se."));
    EXPECT_EQ(forgotten("age"), 2);
}

TEST_F(SeenTest, ForgetsTheOldestWhereThereAreTooMany) {
    Seen seen = open();
    std::size_t number = 0;
    for (std::int64_t day = first_day; day < first_day + 6; ++day) {
        std::vector<std::string> names;
        for (int i = 0; i < 200; ++i) {
            names.push_back("n" + std::to_string(number++) + ".se.");
        }
        release(seen, day, names);
    }
    for (std::int64_t second = 0; second < 2'000; ++second) {
        seen.tidy(at(first_day + 6, second));
    }
    // 1 200 were too many for 1 000: 950 are left, and those that went are the oldest.
    const auto left = stored();
    EXPECT_EQ(left.size(), 950U);
    std::size_t of_the_first_day = 0;
    for (std::size_t i = 0; i < number; ++i) {
        const bool is_there = left.contains("n" + std::to_string(i) + ".se.");
        of_the_first_day += i < 200 && is_there ? 1 : 0;
        EXPECT_TRUE(i < 400 || is_there) << i;
    }
    EXPECT_EQ(of_the_first_day, 0U);
    EXPECT_EQ(forgotten("names_max"), 250);
    EXPECT_EQ(counters_.value("tapir_edge_seen_names"), 950);
}

TEST_F(SeenTest, StaysBoundedWhateverIsReleased) {
    Seen seen = open();
    std::size_t number = 0;
    std::size_t most = 0;
    for (std::int64_t second = 0; second < 3'000; ++second) {
        std::vector<std::string> names;
        for (int i = 0; i < 3; ++i) {
            names.push_back("n" + std::to_string(number++) + ".se.");
        }
        release(seen, first_day, names);
        seen.tidy(at(first_day, second));
        if (second % 50 == 0) {
            most = std::max(most, stored().size());
        }
    }
    // Two walks of 7 names a second, while 3 come each second.
    EXPECT_LE(most, 1'000U + 3U * 2U * 2'000U / 7U);
    EXPECT_GT(forgotten("names_max"), 5'000);
}

TEST_F(SeenTest, TakesOverWhatAnEarlierVersionWrote) {
    settings_.age_max = 10 * 24h;
    ASSERT_TRUE(
        store_
            ->put(seen_family, as_bytes(std::string_view("a.se.")), {}, store::Durability::buffered)
            .has_value());
    const Bytes later = to_bytes("\x02 of a later version");
    ASSERT_TRUE(store_
                    ->put(seen_family, as_bytes(std::string_view("z.se.")), later,
                          store::Durability::buffered)
                    .has_value());
    Seen seen = open();
    EXPECT_FALSE(seen.add("a.se."));
    tidy(seen, first_day);
    EXPECT_EQ(seen_day(**store_->get(seen_family, as_bytes(std::string_view("a.se.")))), first_day)
        << "it ages from now on";
    tidy(seen, first_day + 11);
    EXPECT_EQ(stored(), (std::set<std::string>{"z.se."})) << "what is not understood stays";
    EXPECT_EQ(**store_->get(seen_family, as_bytes(std::string_view("z.se."))), later);
    EXPECT_FALSE(open().add("z.se."));
}

TEST_F(SeenTest, TidiesAsMuchAfterARestart) {
    settings_.age_max = 24h;
    Seen first = open();
    release(first, first_day, {"a.se."});
    Seen second = open();
    tidy(second, first_day + 2);
    EXPECT_TRUE(stored().empty());
}

// --- lists

TEST_F(SeenTest, ImportsNamesAsTheyAreAndInTheFormsThatTheGateReleases) {
    put("/l/names.txt",
        "# what is known\n"
        "WWW.Example.SE\r\n"
        "\n"
        "  a.b.shop.co.uk.  \n"
        ".suffix.com\n"
        "localhost\n"
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301.cdn.se\n"
        "x..y\n"
        "last.se");
    Seen seen = open();
    const SeenReport report = import(seen, "/l/names.txt");
    EXPECT_EQ(stored(), (std::set<std::string>{"www.example.se.", "example.se.", "a.b.shop.co.uk.",
                                               "shop.co.uk.", "suffix.com.", "localhost.",
                                               "cdn.se.", "id--uuid.cdn.se.", "last.se.",
                                               "3f2504e0-4f89-41d3-9a0c-0305e82c3301.cdn.se."}));
    EXPECT_EQ(report.names, 6U);
    EXPECT_EQ(report.marked, stored().size());
    EXPECT_EQ(report.malformed, 1U);
    EXPECT_NE(report.first_malformed.find("/l/names.txt:8: expected a name, got x..y"),
              std::string::npos)
        << report.first_malformed;
    EXPECT_FALSE(seen.add("example.se."));
    EXPECT_TRUE(seen.add("new.se."));
}

TEST_F(SeenTest, MarksNothingTwice) {
    put("/l/names.txt", "a.se\nb.se\na.se\nwww.a.se\n");
    Seen seen = open();
    release(seen, first_day, {"b.se."});
    tidy(seen, first_day + 1);
    EXPECT_EQ(import(seen, "/l/names.txt").marked, 2U);
    EXPECT_EQ(import(seen, "/l/names.txt").marked, 0U);
    EXPECT_EQ(counters_.value("tapir_edge_seen_imported_total"), 2);
    EXPECT_EQ(seen_day(**store_->get(seen_family, as_bytes(std::string_view("b.se.")))), first_day)
        << "it keeps its day";
}

TEST_F(SeenTest, ReadsRankedAndCompiledLists) {
    put("/l/top.csv", "rank,domain\n1,Google.com\n2,\"apple.com\"\n3\n4,,\n5,a.se,more\n");
    Seen seen = open();
    const SeenReport ranked = import(seen, "/l/top.csv");
    EXPECT_EQ(ranked.names, 3U);
    EXPECT_EQ(ranked.malformed, 2U);
    EXPECT_NE(ranked.first_malformed.find(":4: expected RANK,NAME"), std::string::npos);
    // The example of a compiled file: one word, slaskzonen.se.
    const auto dawg = crypto::parse_hex("0000001b0708010f0e79bb1c2f375be9deee72bb95cf372aba0040");
    put("/l/known.dawg", as_text(*dawg));
    EXPECT_EQ(import(seen, "/l/known.dawg").names, 1U);
    EXPECT_EQ(stored(),
              (std::set<std::string>{"google.com.", "apple.com.", "a.se.", "slaskzonen.se."}));
}

TEST_F(SeenTest, ReadsListsOfAnySizePieceByPiece) {
    std::string text;
    for (int i = 0; i < 100'000; ++i) {
        text += "name-" + std::to_string(i) + ".se\n";
    }
    text += std::string(70'000, '#') + "\n";  // a comment longer than any name
    ASSERT_GT(text.size(), 1U << 20U);
    put("/l/many.txt", text);
    Seen seen = open();
    EXPECT_EQ(import(seen, "/l/many.txt", 10'000).names, 100'000U);
    put("/l/endless.txt", std::string(3U << 20U, 'a'));
    const dns::PublicSuffixes list = suffixes();
    SeenImport endless(files_, "/l/endless.txt", &list, seen);
    const auto refused = endless.step(10);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), Code::invalid);
}

TEST_F(SeenTest, PicksUpListsFromItsFolder) {
    Seen seen = open();
    SeenFolder folder(
        files_, "/state/import", [this]() -> Result<dns::PublicSuffixes> { return suffixes(); },
        seen, log_);
    folder.tick(at(first_day));
    put("/state/import/a.txt", "a.se\nno..name\n");
    put("/state/import/b.dawg", "no compiled file");
    put("/state/import/.hidden", "h.se\n");
    put("/state/import/c.txt.part", "c.se\n");
    folder.tick(at(first_day, 5));
    EXPECT_TRUE(stored().empty()) << "it looks every ten seconds";
    for (std::int64_t second = 10; second < 60; ++second) {
        folder.tick(at(first_day, second));
    }
    EXPECT_EQ(stored(), (std::set<std::string>{"a.se."}));
    std::vector<std::string> names;
    for (const auto& entry : *files_.list("/state/import")) {
        names.push_back(entry.name);
    }
    EXPECT_EQ(names, (std::vector<std::string>{".hidden", "a.txt.imported", "b.dawg.refused",
                                               "c.txt.part"}));
    EXPECT_NE(lines_.find("1 names, 1 new marks, 1 malformed lines; the first: "),
              std::string::npos)
        << lines_;
}

// A store in which something happens while it writes.
class SlowStore final : public store::Store {
public:
    Result<std::optional<Bytes>> get(std::string_view family, ByteView key) const override {
        return store_->get(family, key);
    }
    Result<std::unique_ptr<store::Cursor>> scan(std::string_view family, ByteView prefix,
                                                ByteView from) const override {
        return store_->scan(family, prefix, from);
    }
    std::unique_ptr<store::Reader> snapshot() const override { return store_->snapshot(); }
    Result<void> write(const store::Batch& batch, store::Durability durability) override {
        meanwhile();
        return store_->write(batch, durability);
    }
    std::function<void()> meanwhile = [] {};

private:
    std::unique_ptr<store::Store> store_ = store::open_memory({std::string(seen_family)});
};

TEST(Seen, IsAskedWhileTheStoreTakesItsTime) {
    const Log log = Log::to_nowhere();
    Counters counters;
    SlowStore store;
    Seen seen(store, {}, log, counters);
    const std::vector<std::string> names{"a.se."};
    EXPECT_TRUE(seen.add("a.se."));
    store.meanwhile = [&seen] {
        std::thread([&seen] {
            EXPECT_EQ(seen.state_of("a.se."), Seen::State::under_way);
            EXPECT_FALSE(seen.add("a.se."));
            EXPECT_TRUE(seen.add("b.se."));
        }).join();
    };
    seen.settle(names, Seen::Settle::kept);
    EXPECT_EQ(seen.state_of("a.se."), Seen::State::kept);
    EXPECT_EQ(seen.state_of("b.se."), Seen::State::under_way);
}

}  // namespace
}  // namespace tapir::edge
