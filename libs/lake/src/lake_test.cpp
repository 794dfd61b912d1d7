#include "tapir/lake/lake.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include "duck.hpp"
#include "gate.hpp"
#include "tapir/lake/child.hpp"
#include "tapir/world/process.hpp"
#include "tapir/world/testing.hpp"

// Sanitizers reserve terabytes: with them no child's memory can be limited.
#if defined(__has_feature)
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define CHILDS_MEMORY_IS_LIMITED
#endif
#elif !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CHILDS_MEMORY_IS_LIMITED
#endif

namespace tapir::lake {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

Bytes read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    return to_bytes(text);
}

Bytes edm_histogram() {
    Bytes upload = read_file(std::string(TAPIR_GOLDEN) + "/edm-histogram.parquet");
    EXPECT_FALSE(upload.empty());
    return upload;
}

// A Parquet file of what `select` yields.
Bytes parquet_of(const std::string& select) {
    const world::TemporaryFolder folder;
    auto duck = Duck::open(fmt::format("SET allowed_directories = ['{}/'];", folder.path()));
    EXPECT_TRUE(duck);
    const std::string path = folder.path() + "/made.parquet";
    const auto copied = duck->run(fmt::format("COPY ({}) TO '{}' (FORMAT parquet)", select, path));
    EXPECT_TRUE(copied) << copied.error().what();
    return read_file(path);
}

// One histogram row, or several from a table `t` with column `i`.
std::string row(const std::string& replace, const std::string& rest = "") {
    std::string columns = "make_timestamptz(1780000000123456) AS start_time";
    const char* labels[] = {"'com'", "'Example'"};
    for (std::size_t i = 0; i < 10; ++i) {
        columns += fmt::format(", {} AS label{}", i < 2 ? labels[i] : "NULL::VARCHAR", i);
    }
    for (const char* name :
         {"a_count", "aaaa_count", "mx_count", "ns_count", "other_type_count", "non_in_count",
          "ok_count", "nx_count", "fail_count", "other_rcode_count"}) {
        columns += fmt::format(", 57::UBIGINT AS {}", name);
    }
    columns +=
        ", 1::UBIGINT AS edm_status_bits, 23::UBIGINT AS v4client_count, "
        "9::UBIGINT AS v6client_count, 'x'::BLOB AS v4client_count_hll, "
        "NULL::BLOB AS v6client_count_hll";
    std::string out = "SELECT ";
    out += replace.empty() ? "*" : "* REPLACE (" + replace + ")";
    return out + " FROM (SELECT " + columns + " " + rest + ")";
}

UploadInfo info() {
    return {.edge = "edge-1.example",
            .start = *UtcTime::parse("2026-05-28T12:13:00Z"),
            .length_s = 60,
            .digest = std::string(64, 'a')};
}

std::optional<Refusal> refusal_of(ByteView upload) {
    const auto gated = gate(upload, "e", 60);
    EXPECT_TRUE(gated);
    EXPECT_TRUE(!gated->refusal || gated->file.empty());
    return gated->refusal;
}

// What the gate made of `upload`, asked with SQL.
Table asked(ByteView upload, const std::string& sql) {
    const auto gated = gate(upload, "edge-1.example", 60);
    EXPECT_TRUE(gated);
    EXPECT_FALSE(gated->refusal) << gated->detail;
    const world::TemporaryFolder folder;
    const std::string place = folder.path() + "/product=histogram/date=2026-05-28/hour=12";
    std::filesystem::create_directories(place);
    std::ofstream(place + "/x.parquet", std::ios::binary) << as_text(gated->file);
    auto table = query_here(folder.path(), sql);
    EXPECT_TRUE(table) << table.error().what();
    return *table;
}

TEST(Gate, TakesTheHistogramThatEdmWroteAndCoarsensIt) {
    const Bytes upload = edm_histogram();
    const auto gated = gate(upload, "e", 60);
    ASSERT_TRUE(gated);
    ASSERT_FALSE(gated->refusal) << gated->detail;
    EXPECT_EQ(gated->rows, (Rows{.read = 4, .kept = 3, .below_threshold = 1, .sketches = 4}));
    const Table table = asked(
        upload,
        "SELECT concat_ws('.', label2, label1, label0) AS n, v4client_count, v6client_count, "
        "a_count, "
        "nx_count, v4client_count_hll IS NULL AND v6client_count_hll IS NULL, edge, interval_s, "
        "epoch_us(start_time) % 60000000 FROM histogram ORDER BY n");
    using Row = std::vector<std::optional<std::string>>;
    EXPECT_EQ(
        table.rows,
        (std::vector<Row>{
            {"example.net", "20", "0", "120", "20", "true", "edge-1.example", "60", "0"},
            {"example.org", "20", "20", "180", "30", "true", "edge-1.example", "60", "0"},
            {"www.example.com", "200", "200", "240", "40", "true", "edge-1.example", "60", "0"}}));
}

TEST(Gate, GivesTheSameFileForTheSameUpload) {
    EXPECT_EQ(gate(edm_histogram(), "e", 60)->file, gate(edm_histogram(), "e", 60)->file);
}

TEST(Gate, JudgesManyUploadsAsItJudgesOne) {
    Gate many = *Gate::open(Gate::Uploads::many);
    const std::string kept = row("");
    const std::string two = kept + " UNION ALL " + kept;
    for (const Bytes& upload : {parquet_of(kept), edm_histogram(), parquet_of(two), Bytes(20),
                                parquet_of("SELECT 1"), parquet_of(kept)}) {
        const auto alone = gate(upload, "e", 60);
        const auto passed = many.pass(upload, "e", 60);
        ASSERT_TRUE(alone && passed);
        EXPECT_EQ(encode(*passed), encode(*alone));
        if (passed->rows.kept > 0) {
            EXPECT_EQ(many.query_kept("count(*)")->rows[0][0], std::to_string(passed->rows.kept));
        }
    }
    EXPECT_TRUE(many.is_alive());
}

TEST(Gate, TakesItsOwnColumnsButNotItsOwnFiles) {
    // A file of the lake has two columns more: it is not an upload.
    const Bytes out = gate(parquet_of(row("")), "e", 60)->file;
    ASSERT_FALSE(out.empty());
    EXPECT_EQ(refusal_of(out), Refusal::schema);
}

TEST(Gate, FloorsNamesCountsAndTimes) {
    const Table table = asked(parquet_of(row("")),
                              "SELECT label1, a_count, v4client_count, v6client_count, "
                              "start_time::VARCHAR, date, hour FROM histogram");
    EXPECT_THAT(table.rows,
                testing::ElementsAre(testing::ElementsAre(
                    "example", "50", "20", "0", "2026-05-28 20:26:00", "2026-05-28", "12")));
}

TEST(Gate, DropsAndCountsRowsByReason) {
    const std::string rows =
        row("") + " UNION ALL " + row("9::UBIGINT AS v4client_count") + " UNION ALL " +
        row("NULL AS label0") + " UNION ALL " + row("'a b' AS label1") + " UNION ALL " +
        row("'' AS label1, 'c' AS label2") + " UNION ALL " + row("repeat('a', 2000) AS label1") +
        " UNION ALL " + row("18446744073709551615::UBIGINT AS ok_count") + " UNION ALL " +
        row("make_timestamptz(-62135596800000000) AS start_time") + " UNION ALL " +
        row("'' AS label2, 10::UBIGINT AS v6client_count, 0::UBIGINT AS v4client_count");
    const auto gated = gate(parquet_of(rows), "e", 60);
    ASSERT_TRUE(gated);
    EXPECT_EQ(gated->refusal, std::nullopt) << gated->detail;
    EXPECT_EQ(gated->rows, (Rows{.read = 9,
                                 .kept = 2,
                                 .below_threshold = 1,
                                 .bad_name = 4,
                                 .bad_value = 2,
                                 .sketches = 9}));
}

TEST(Gate, WritesNoFileIfNoRowIsKept) {
    const auto gated = gate(parquet_of(row("0::UBIGINT AS v4client_count")), "e", 60);
    ASSERT_TRUE(gated);
    EXPECT_FALSE(gated->refusal);
    EXPECT_THAT(gated->file, IsEmpty());
    EXPECT_EQ(gated->rows.below_threshold, 1U);
}

TEST(Gate, RefusesWhatIsNoHistogram) {
    EXPECT_EQ(refusal_of({}), Refusal::not_parquet);
    EXPECT_EQ(refusal_of(as_bytes("hello, this is text")), Refusal::not_parquet);
    EXPECT_EQ(refusal_of(parquet_of("SELECT 1 AS a")), Refusal::schema);
    EXPECT_EQ(refusal_of(parquet_of(row("57::BIGINT AS a_count"))), Refusal::schema);
    EXPECT_EQ(refusal_of(parquet_of(row("NULL::UBIGINT AS a_count"))), Refusal::null_value);
    const std::string without = "SELECT * EXCLUDE (v6client_count_hll) FROM (" + row("") + ")";
    EXPECT_EQ(refusal_of(parquet_of(without)), Refusal::schema);
}

TEST(Gate, RefusesAFileWithOneRowTooMany) {
    EXPECT_EQ(refusal_of(parquet_of(fmt::format("SELECT 1 FROM range({})", upload_rows_max + 1))),
              Refusal::too_many_rows);
}

TEST(Gate, NeverReadsARowThatWasDamagedUnseen) {
    // Any single octet changed: refused, or still a whole file. Never a crash, never an Error.
    const Bytes good = edm_histogram();
    for (std::size_t at = 4; at < good.size(); at += 397) {
        Bytes bad = good;
        bad[at] ^= std::byte{0x55};
        const auto gated = gate(bad, "e", 60);
        ASSERT_TRUE(gated) << at;
        EXPECT_TRUE(gated->refusal || gated->rows.read == 4) << at;
    }
}

std::uint64_t floored(std::uint64_t count) {
    std::uint64_t floor = 10;
    for (std::uint64_t ten = 10; ten <= count; ten *= 10) {
        for (const std::uint64_t step : {1U, 2U, 5U}) {
            floor = ten * step <= count ? ten * step : floor;
        }
    }
    return floor;
}

TEST(Gate, FloorsClientCountsAsTheReleaseTableSays) {
    std::string counts = "10";
    for (std::uint64_t ten = 10; ten < 1'000'000'000'000'000; ten *= 10) {
        for (const std::uint64_t step : {2U, 5U, 10U}) {
            const std::uint64_t turn = ten * step;
            counts += fmt::format(", {}, {}, {}", turn - 1, turn, turn * 3 / 2);
        }
    }
    counts.erase(counts.rfind(','));  // one over 10^15
    const std::string rows = row("n::UBIGINT AS v4client_count, n::UBIGINT AS a_count",
                                 fmt::format(", n FROM (SELECT unnest([{}]) AS n)", counts));
    const Table table = asked(parquet_of("SELECT * EXCLUDE (n) FROM (" + rows + ")"),
                              "SELECT a_count, v4client_count FROM histogram");
    EXPECT_GT(table.rows.size(), 100U);
    for (const auto& values : table.rows) {
        EXPECT_EQ(values.at(1), std::to_string(floored(std::stoull(*values.at(0))))) << *values[0];
    }
}

TEST(Query, OpensNothingOutsideTheLake) {
    const world::TemporaryFolder folder;
    const auto empty = query_here(folder.path(), "SELECT count(*) FROM histogram");
    ASSERT_TRUE(empty) << empty.error().what();
    EXPECT_EQ(empty->rows.at(0).at(0), "0");
    const auto outside = query_here(folder.path(), "SELECT * FROM read_text('/etc/passwd')");
    ASSERT_FALSE(outside);
    EXPECT_EQ(outside.error().code(), Code::invalid);
    EXPECT_THAT(outside.error().what(), HasSubstr("disabled by configuration"));
    EXPECT_FALSE(query_here(folder.path(), "SET enable_external_access = true"));
    EXPECT_FALSE(query_here(folder.path(), "LOAD httpfs"));
}

TEST(Answer, SurvivesTheWayBetweenTheProcesses) {
    Gated gated;
    gated.rows = {.read = 5, .kept = 2, .below_threshold = 3};
    gated.file = to_bytes(std::string_view("PAR1...PAR1"));
    const auto back = decode_gated(encode(gated));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->rows, gated.rows);
    EXPECT_EQ(back->file, gated.file);
    gated.rows.kept = 3;
    EXPECT_FALSE(decode_gated(encode(gated)));
    const Table table{{"a", "b"}, {{"1", std::nullopt}, {"", "x"}}};
    EXPECT_EQ(*decode_table(encode(Result<Table>(table))), table);
    const auto failed = decode_table(encode(Result<Table>(fail(Code::invalid, "no such column"))));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().what(), "no such column");
}

TEST(Path, IsHiveLikeAndRefusesNamesThatCouldClimb) {
    EXPECT_EQ(*path_of(info()),
              "product=histogram/date=2026-05-28/hour=12/"
              "edge-1.example-20260528T121300Z-60s-aaaaaaaaaaaaaaaa.parquet");
    for (const char* name : {"", "..", ".hidden", "a/b", "a b", "a'b"}) {
        UploadInfo bad = info();
        bad.edge = name;
        EXPECT_FALSE(path_of(bad)) << name;
    }
    UploadInfo bad = info();
    bad.digest = "../../../x";
    EXPECT_FALSE(path_of(bad));
}

// The real thing: this test program is its own child.
class RealLake : public testing::Test {
protected:
    world::TemporaryFolder folder;
    world::SystemFiles files;
    world::SystemChildren children;
    DirectoryLake lake{files, children, {folder.path(), *world::own_program()}};
};

TEST_F(RealLake, AdmitsThroughAChildAndAnswersQueries) {
    for (int round = 0; round < 2; ++round) {
        const auto verdict = lake.admit(edm_histogram(), info());
        ASSERT_TRUE(verdict) << verdict.error().what();
        ASSERT_FALSE(verdict->refusal) << verdict->detail;
        EXPECT_EQ(verdict->rows.kept, 3U);
        EXPECT_EQ(verdict->path, *path_of(info()));
        EXPECT_TRUE(std::filesystem::exists(folder.path() + "/" + verdict->path));
    }
    const auto table = lake.query("SELECT sum(v4client_count), min(hour) FROM histogram");
    ASSERT_TRUE(table) << table.error().what();
    EXPECT_THAT(table->rows, testing::ElementsAre(testing::ElementsAre("240", "12")));
    const auto wrong = lake.query("SELECT nonsense FROM histogram");
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code(), Code::invalid);
}

TEST_F(RealLake, RefusesTextAndKeepsGoing) {
    const auto verdict = lake.admit(as_bytes("no parquet at all"), info());
    ASSERT_TRUE(verdict) << verdict.error().what();
    EXPECT_EQ(verdict->refusal, Refusal::not_parquet);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// Its footer says that no value is missing, and four are.
TEST(Gate, LooksAtValuesAndNotAtWhatTheFooterSaysOfThem) {
    const Bytes upload =
        read_file(std::string(TAPIR_SOURCE) + "/libs/lake/corpus/gate/lying-statistics.parquet");
    ASSERT_FALSE(upload.empty());
    const auto gated = gate(upload, "edge", 60);
    ASSERT_TRUE(gated) << gated.error().what();
    EXPECT_EQ(gated->refusal, Refusal::null_value) << gated->detail;
    EXPECT_TRUE(decode_gated(encode(*gated)));
}

#ifdef CHILDS_MEMORY_IS_LIMITED
TEST_F(RealLake, GivesAFooterThatSpeaksOfTwoHundredMillionNamesNoMemory) {
    const Bytes upload = read_file(std::string(TAPIR_SOURCE) +
                                   "/libs/lake/corpus/gate/list-of-two-hundred-million.parquet");
    ASSERT_FALSE(upload.empty());
    const auto verdict = lake.admit(upload, info());
    ASSERT_TRUE(verdict) << verdict.error().what();
    EXPECT_EQ(verdict->refusal, Refusal::resources) << verdict->detail;
}
#endif

TEST_F(RealLake, SaysWhenThereIsNoProgramToRun) {
    DirectoryLake none(files, children, {folder.path(), "/nonexistent/tapir"});
    EXPECT_FALSE(none.admit(edm_histogram(), info()));
}

TEST(SimulatedChild, IsNotBelieved) {
    world::MemoryFiles files;
    world::ChildOutcome outcome;
    world::MemoryChildren children([&](const world::ChildCommand&) { return outcome; });
    DirectoryLake lake(files, children, {"/lake", "/bin/x"});
    const Bytes upload = to_bytes(std::string_view("x"));
    outcome.output = to_bytes(std::string_view("rubbish"));
    EXPECT_EQ(lake.admit(upload, info())->refusal, Refusal::resources);
    outcome.output.clear();
    outcome.signal = 9;
    EXPECT_EQ(lake.admit(upload, info())->refusal, Refusal::resources);
    EXPECT_FALSE(files.exists("/lake/product=histogram"));
    outcome.signal = SIGTERM;  // of a daemon that is stopped with all its children
    EXPECT_EQ(lake.admit(upload, info()).error().code(), Code::internal);
    Gated gated;
    gated.rows = {.read = 1, .kept = 1};
    gated.file = to_bytes(std::string_view("PAR1"));
    outcome.signal = 0;
    outcome.output = encode(gated);
    EXPECT_FALSE(lake.admit(upload, info())->path.empty());
    files.fail_changes(Error(Code::exhausted, "No space left on device"));
    const auto full = lake.admit(upload, info());
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code(), Code::exhausted);
}

}  // namespace
}  // namespace tapir::lake

int main(int argc, char** argv) {
    if (tapir::lake::is_child(argc, argv)) {
        return tapir::lake::child_main(argc, argv);
    }
    testing::InitGoogleMock(&argc, argv);
    return RUN_ALL_TESTS();
}
