// Lists that change while frames come: every frame is counted once, by the lists of its minute; a
// reload is all or nothing.
#include "reload.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "live_keys.hpp"
#include "pipeline.hpp"
#include "setup.hpp"
#include "tapir/edge/station.hpp"
#include "tapir/names/list.hpp"
#include "testing_frames.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;
using testing::client_of;
using testing::frame_of;

// Rows by name and lists; what did not become a row, by fate.
class RowConsumer final : public Consumer {
public:
    struct Ended {
        std::shared_ptr<const Lists> lists;
        std::map<std::string, std::uint64_t> rows;
    };
    void on_batch(BatchResult&& result) override {
        fates.add(result.fates);
        others += result.names.size();
    }
    void on_minute_begin(Minute minute, const std::shared_ptr<const Day>& /*day*/) override {
        begun = minute;
    }
    void on_minute_end(Minute minute, std::vector<MinuteTable>&& tables) override {
        for (const MinuteTable& table : tables) {
            Ended& ended = minutes[minute];
            ended.lists = table.lists;
            for (std::size_t i = 0; i < table.rows.size(); ++i) {
                const auto id = names::EntryId{table.rows[i].index};
                ended.rows[to_text(table.lists->well_known.entry(id))] +=
                    table.rows[i].counter(RowCounter::a);
            }
        }
    }
    void on_cut(UtcTime /*time*/) override {}
    void on_lists(const std::shared_ptr<const Lists>& lists) override {
        changes.emplace_back(begun, lists);
    }

    FateCounts fates;
    std::uint64_t others = 0;
    std::optional<Minute> begun;
    std::map<Minute, Ended> minutes;
    std::vector<std::pair<std::optional<Minute>, std::weak_ptr<const Lists>>> changes;
};

std::shared_ptr<const Lists> lists_with(std::string_view names) {
    auto lists = std::make_shared<Lists>();
    names::ListReport report;
    lists->well_known = names::compile_list(names, "list", names::ListFormat::text, report).value();
    lists->client_networks =
        std::make_shared<const client::NetworkSet>(client::NetworkSet::everything());
    return lists;
}

class ChangeUnderTraffic : public ::testing::TestWithParam<std::size_t> {};

TEST_P(ChangeUnderTraffic, CountsEveryFrameOnceByTheListsOfItsMinute) {
    constexpr Minute first = testing::t0 / 60;
    constexpr unsigned rounds = 3000;
    RowConsumer consumer;
    PipelineSettings settings;
    settings.workers = GetParam();
    auto before = lists_with("one.se\nboth.se\n");
    auto after = lists_with("both.se\ntwo.se\n");
    Pipeline pipeline(settings, before, DayKeys(public_test_day_key()),
                      DataClock::live(UtcTime::from_seconds(testing::t0)), consumer);
    std::uint64_t frames = 0;
    const auto add = [&](Minute minute) {
        for (const char* name : {"one.se.", "both.se.", "two.se."}) {
            pipeline.add(frame_of({.name = name,
                                   .client = client_of(static_cast<unsigned>(frames) % 90),
                                   .time = minute * 60 + 30}));
            ++frames;
        }
    };
    const auto tick = [&](Minute minute, std::int64_t second) {
        pipeline.tick(UtcTime::from_seconds(minute * 60 + second));
    };
    tick(first, 40);
    for (unsigned i = 0; i < rounds; ++i) {
        if (i == rounds / 2) {
            pipeline.change_lists(after);  // waits for the turn
        }
        add(first);
    }
    tick(first + 1, 1);
    tick(first + 1, 29);
    for (unsigned i = 0; i < rounds; ++i) {
        add(first);  // late, in the midst of others
        add(first + 1);
    }
    const std::weak_ptr<const Lists> old = before;
    before.reset();
    tick(first + 2, 1);
    tick(first + 3, 1);
    pipeline.finish();

    EXPECT_EQ(consumer.fates.sum() + consumer.others, frames);
    EXPECT_EQ(consumer.fates.of(Fate::dropped_overload), 0U);
    EXPECT_EQ(pipeline.take_dispatcher_fates().sum(), 0U);
    using Rows = std::map<std::string, std::uint64_t>;
    ASSERT_EQ(consumer.minutes.size(), 2U);
    EXPECT_EQ(consumer.minutes[first].rows,
              (Rows{{"one.se.", 2 * rounds}, {"both.se.", 2 * rounds}}));
    EXPECT_EQ(consumer.minutes[first + 1].rows, (Rows{{"both.se.", rounds}, {"two.se.", rounds}}));
    EXPECT_EQ(consumer.minutes[first + 1].lists, after);
    ASSERT_EQ(consumer.changes.size(), 1U);
    EXPECT_EQ(consumer.changes.front().first, first) << "before the next minute begins";
    EXPECT_FALSE(old.expired()) << "the table that was told of has it";
    consumer.minutes.clear();
    EXPECT_TRUE(old.expired()) << "nobody else";
}

INSTANTIATE_TEST_SUITE_P(Workers, ChangeUnderTraffic, ::testing::Values(0, 1, 3));

TEST(Pipeline, TakesTheLatestOfTwoChangesInOneMinute) {
    constexpr Minute first = testing::t0 / 60;
    RowConsumer consumer;
    PipelineSettings settings;
    settings.workers = 0;
    const auto last = lists_with("two.se\n");
    Pipeline pipeline(settings, lists_with("one.se\n"), DayKeys(public_test_day_key()),
                      DataClock::live(UtcTime::from_seconds(testing::t0)), consumer);
    pipeline.change_lists(lists_with("never.se\n"));
    pipeline.change_lists(last);
    pipeline.tick(UtcTime::from_seconds(testing::t0 + 60));
    pipeline.add(frame_of({.name = "two.se.", .client = client_of(1), .time = testing::t0 + 60}));
    pipeline.finish();
    EXPECT_EQ(consumer.changes.size(), 1U);
    EXPECT_EQ(consumer.minutes[first + 1].lists, last);
}

constexpr const char* settings_text = R"(
client_networks = ["10.0.0.0/8"]
lists.public_suffixes = "/lists/suffixes.dat"
lists.well_known = "/lists/names.txt"
lists.ignored_clients = "/lists/clients.txt"
lists.ignored_names = "/lists/ignored.txt"
keys.signing = "/keys/edge.jwk"
state.dir = "/state"
workers = 0
)";

class ReloadTest : public ::testing::Test {
protected:
    ReloadTest() {
        put("/lists/suffixes.dat", "// ===BEGIN ICANN DOMAINS===\nse\n");
        put("/lists/names.txt", "one.se\n");
        put("/lists/clients.txt", "192.0.2.0/24\n");
        put("/lists/ignored.txt", "ignored.se\n");
        put("/edge.toml", settings_text);
        const crypto::Secret key = public_test_signing_key().to_json();
        put("/keys/edge.jwk", as_text(key.bytes()));
        EXPECT_TRUE(files_.make_directories("/state").has_value());
        settings_ = read().take();
        auto station =
            Station::open(*settings_, "test",
                          {.clock = clock_,
                           .files = files_,
                           .chance = chance_,
                           .store = *store_,
                           .log = log_,
                           .counters = counters_},
                          {.source = {.path = "/edge.toml", .read = [this] { return read(); }}});
        EXPECT_TRUE(station.has_value()) << station.error().what();
        station_ = std::move(station).take();
        EXPECT_TRUE(station_->begin().has_value());
    }

    Result<text::Settings> read() {
        const Bytes octets = TRY(files_.read("/edge.toml", text::settings_size_max));
        return text::Settings::parse(as_text(octets), "edge.toml", settings_table(), {});
    }
    void put(const std::string& path, std::string_view content) {
        ASSERT_TRUE(files_.make_directories(path.substr(0, path.rfind('/'))).has_value());
        ASSERT_TRUE(
            files_.write_atomically(path, as_bytes(content), world::mode_private).has_value());
    }
    void pass(int seconds) {
        for (int i = 0; i < seconds; ++i) {
            clock_.advance(1s);
            EXPECT_TRUE(station_->tick());
        }
    }
    // What becomes of a frame now.
    std::string fate_of(const std::string& name, const Bytes& client) {
        const auto counts = [this] {
            std::map<std::string, std::int64_t> out;
            for (std::size_t i = 0; i < fate_count; ++i) {
                const auto fate = static_cast<Fate>(i);
                const std::string label =
                    std::string(group_of(fate)) + " " + std::string(to_string(fate));
                out[label] = counters_.value("tapir_edge_frames_total{fate=\"" +
                                             std::string(group_of(fate)) + "\",reason=\"" +
                                             std::string(to_string(fate)) + "\"}");
            }
            return out;
        };
        const auto before = counts();
        station_->add(frame_of({.name = name, .client = client, .time = clock_.now().seconds()}));
        station_->flush();
        for (const auto& [label, count] : counts()) {
            if (count != before.at(label)) {
                return label;
            }
        }
        return "none";
    }
    std::int64_t reloads(const std::string& outcome) const {
        return counters_.value("tapir_edge_reloads_total{outcome=\"" + outcome + "\"}");
    }
    std::int64_t entries(const std::string& list) const {
        return counters_.value("tapir_edge_list_entries{list=\"" + list + "\"}");
    }

    world::MemoryFiles files_;
    world::ManualClock clock_{UtcTime::from_seconds(testing::t0)};
    world::SeededChance chance_{5};
    std::unique_ptr<store::Store> store_ = store::open_memory(store_families());
    std::string lines_;
    Log log_ = Log::to_string(lines_);
    Counters counters_;
    std::optional<text::Settings> settings_;
    std::unique_ptr<Station> station_;
};

TEST_F(ReloadTest, TakesAFileInThePlaceOfAnotherWithTheNextMinute) {
    EXPECT_EQ(entries("well_known"), 1);
    const Bytes client = client_of(1);
    EXPECT_EQ(fate_of("one.se.", client), "counted well_known");
    put("/lists/names.txt", "two.se\nthree.se\n");
    pass(3);
    EXPECT_EQ(reloads("done"), 1);
    EXPECT_THAT(lines_, ::testing::HasSubstr("\"added\":2,\"removed\":1,\"kept\":0"));
    EXPECT_EQ(fate_of("one.se.", client), "counted well_known") << "the minute is not over";
    pass(60);
    EXPECT_EQ(fate_of("one.se.", client), "pending first_client");
    EXPECT_EQ(fate_of("two.se.", client), "counted well_known");
    EXPECT_EQ(entries("well_known"), 2);
    const std::string page = counters_.to_prometheus();
    EXPECT_THAT(page, ::testing::HasSubstr("tapir_edge_list_info{list=\"well_known\",version=\""));
    EXPECT_EQ(counters_.value("tapir_edge_lists_loaded_seconds"), testing::t0 + 2);
    EXPECT_EQ(reloads("done") + reloads("unchanged") + reloads("refused"), 1) << "once";
}

TEST_F(ReloadTest, WaitsForAFileThatIsBeingWritten) {
    for (int i = 0; i < 8; ++i) {
        ASSERT_TRUE(files_.append("/lists/names.txt", as_bytes("x.se\n")).has_value());
        pass(2);
        EXPECT_EQ(reloads("done"), 0) << i;
    }
    pass(4);
    EXPECT_EQ(reloads("done"), 1);
    ASSERT_TRUE(files_.remove("/lists/names.txt").has_value());
    pass(2);
    EXPECT_EQ(reloads("refused"), 0) << "it may come back";
    pass(10);
    EXPECT_EQ(reloads("refused"), 1) << "once";
    EXPECT_THAT(lines_, ::testing::HasSubstr("lists.well_known: expected a readable file"));
}

TEST_F(ReloadTest, IsAllOrNothing) {
    put("/lists/names.txt", "two.se\n");
    put("/lists/ignored.txt", "one.se\n");
    put("/lists/clients.txt", "10.0.0.1\n10.0.0.0/99\n");
    station_->reload();
    pass(61);
    EXPECT_EQ(reloads("refused"), 1);
    EXPECT_THAT(lines_, ::testing::HasSubstr("/lists/clients.txt:2: expected an address"));
    EXPECT_EQ(fate_of("one.se.", client_of(1)), "counted well_known");
    EXPECT_EQ(fate_of("ignored.se.", client_of(1)), "ignored name");
    put("/lists/clients.txt", "10.0.0.1\n");
    pass(62);
    EXPECT_EQ(reloads("done"), 1);
    EXPECT_EQ(fate_of("two.se.", testing::v4(10, 0, 0, 1)), "ignored client");
    EXPECT_EQ(fate_of("two.se.", testing::v4(10, 0, 0, 2)), "counted well_known");
    EXPECT_EQ(fate_of("one.se.", testing::v4(10, 0, 0, 2)), "ignored name");
}

TEST_F(ReloadTest, TakesSettingsThatCanChangeAndNamesTheOthers) {
    std::string changed = settings_text;
    changed.replace(changed.find("10.0.0.0/8"), 10, "10.9.0.0/16");
    changed.replace(changed.find("/lists/names.txt"), 16, "/lists/more.txt");
    put("/lists/more.txt", "more.se\n");
    put("/edge.toml", changed + "outbox.age_max = \"2h\"\n");
    pass(62);
    EXPECT_EQ(reloads("done"), 1);
    EXPECT_THAT(lines_, ::testing::HasSubstr("\"setting\":\"outbox.age_max\""));
    EXPECT_EQ(lines_.find("client_networks"), std::string::npos);
    EXPECT_EQ(fate_of("more.se.", testing::v4(10, 9, 0, 1)), "counted well_known");
    EXPECT_EQ(fate_of("more.se.", testing::v4(10, 8, 0, 1)), "withheld client_outside");
    put("/lists/more.txt", "");  // watched from now on
    pass(62);
    EXPECT_EQ(reloads("done"), 2);
    put("/edge.toml", changed + "no.such = 1\n");
    pass(62);
    EXPECT_EQ(reloads("refused"), 1);
    EXPECT_THAT(lines_, ::testing::HasSubstr("edge.toml:10: no: expected a known setting"));
}

TEST_F(ReloadTest, OfWhatHasNotChangedChangesNothing) {
    station_->reload();
    pass(2);
    EXPECT_EQ(reloads("unchanged"), 1);
    put("/lists/names.txt", "one.se\n");
    pass(3);
    EXPECT_EQ(reloads("unchanged"), 2);
}

TEST_F(ReloadTest, TakesNoOtherListThanThePinnedOne) {
    const std::string pinned = "two.se\n";
    put("/edge.toml", std::string(settings_text) + "lists.pin = \"" +
                          to_hex(crypto::sha256(as_bytes(pinned))) + "\"\n");
    pass(3);
    EXPECT_EQ(reloads("refused"), 1);
    EXPECT_THAT(lines_, ::testing::HasSubstr("lists.pin: expected lists.well_known of SHA-256"));
    EXPECT_EQ(fate_of("one.se.", client_of(1)), "counted well_known");
    put("/lists/names.txt", pinned);
    pass(62);
    EXPECT_EQ(reloads("done"), 1);
    EXPECT_EQ(fate_of("two.se.", client_of(1)), "counted well_known");
    put("/lists/names.txt", "other.se\n");
    pass(62);
    EXPECT_EQ(reloads("refused"), 2);
    EXPECT_EQ(fate_of("two.se.", client_of(1)), "counted well_known");
}

TEST_F(ReloadTest, TakesACompiledIndexAndRefusesADamagedOne) {
    names::ListReport report;
    const auto index =
        names::compile_list("two.se\n.three.se\n", "list", names::ListFormat::text, report);
    put("/lists/names.txt", as_text(index->bytes()));
    pass(62);
    EXPECT_EQ(reloads("done"), 1);
    EXPECT_EQ(entries("well_known"), 2);
    EXPECT_EQ(fate_of("a.three.se.", client_of(1)), "counted well_known");
    Bytes damaged = to_bytes(index->bytes());
    damaged.back() ^= std::byte{1};
    put("/lists/names.txt", as_text(damaged));
    pass(62);
    EXPECT_EQ(reloads("refused"), 1);
    EXPECT_THAT(lines_, ::testing::HasSubstr("/lists/names.txt: name index: damaged"));
    EXPECT_EQ(fate_of("a.three.se.", client_of(1)), "counted well_known");
}

TEST(Lists, ThatHaveTheSameOctetsAreShared) {
    world::MemoryFiles files;
    ASSERT_TRUE(files.make_directories("/lists").has_value());
    for (const auto& [path, text] : std::map<std::string, std::string>{
             {"/lists/names.txt", "one.se\n"}, {"/lists/ignored.txt", "two.se\n"}}) {
        ASSERT_TRUE(files.write_atomically(path, as_bytes(text)).has_value());
    }
    const auto settings = text::Settings::parse(
        "lists.well_known = \"/lists/names.txt\"\nlists.ignored_names = \"/lists/ignored.txt\"\n",
        "edge.toml", settings_table(), {});
    const auto before = load_lists(files, *settings, privacy::Profile::compatible);
    ASSERT_TRUE(files.write_atomically("/lists/ignored.txt", as_bytes("three.se\n")).has_value());
    const auto after = load_lists(files, *settings, privacy::Profile::compatible, before->get());
    EXPECT_EQ((*after)->well_known.bytes().data(), (*before)->well_known.bytes().data());
    EXPECT_NE((*after)->ignored_names.bytes().data(), (*before)->ignored_names.bytes().data());
    EXPECT_EQ((*after)->file("well_known")->entries, 1U);
}

}  // namespace
}  // namespace tapir::edge
