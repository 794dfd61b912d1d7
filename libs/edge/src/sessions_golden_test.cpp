// Session files against what the existing minimiser wrote for the same frames.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tapir/crypto/sealed.hpp"
#include "testing_frames.hpp"
#include "testing_sessions.hpp"
#include "testing_tools.hpp"

namespace tapir::edge {
namespace {

using namespace testing;

std::vector<std::string> golden_sets(const TemporaryFolder& folder, const std::string& workers) {
    std::vector<std::string> sets = session_sets(folder, "golden-cryptopan-key");
    sets.emplace_back("sessions.cryptopan_salt=edm-kdf-salt-val");
    sets.emplace_back("sessions.message=full");
    sets.emplace_back("release.profile=compatible");
    sets.push_back("lists.well_known=" + golden("well-known.txt"));
    sets.push_back("keys.signing=" + golden("signing-key.jwk"));
    sets.push_back("workers=" + workers);
    return sets;
}

// All columns of all rows, in the order of the file.
Duck::Rows rows_of(Duck& duck, const std::string& path) {
    return duck.query("SELECT * FROM read_parquet('" + path + "', file_row_number = true)");
}

TEST(CompatibleSessions, AreRowForRowThoseOfTheExistingMinimiser) {
    for (const std::string workers : {"1", "3"}) {
        SCOPED_TRACE(workers);
        const TemporaryFolder folder;
        const std::string out = folder / "out";
        const std::string lines = run_twin({.captures = {capture(folder, "cases.fstrm.xz")},
                                            .out = out,
                                            .single_interval = true,
                                            .sessions_plain = true,
                                            .version = "test"},
                                           golden_sets(folder, workers));
        EXPECT_NE(lines.find("public default"), std::string::npos) << lines;
        const auto files = session_files_of(out);
        ASSERT_EQ(files.size(), 1U);
        EXPECT_TRUE(files.front().ends_with(
            "/dns_session_block-2026-09-21T14-14-00Z_2026-09-21T14-15-00Z.parquet"))
            << files.front();
        Duck duck;
        const std::string theirs = golden("cases/sessions.parquet");
        const auto ours = rows_of(duck, files.front());
        const auto expected = rows_of(duck, theirs);
        EXPECT_EQ(expected.size(), 97U);
        ASSERT_EQ(ours.size(), expected.size());
        for (std::size_t i = 0; i < ours.size(); ++i) {
            EXPECT_EQ(ours[i], expected[i]) << i;
        }
        const auto schema = [&duck](const std::string& path) {
            return duck.query(
                "SELECT name, type, repetition_type, converted_type, logical_type, num_children "
                "FROM parquet_schema('" +
                path + "')");
        };
        EXPECT_EQ(schema(files.front()), schema(theirs));
        EXPECT_EQ(schema(theirs).size(), 25U) << "the root and 24 columns";
    }
}

TEST(CompatibleSessions, AreTheSameWhenTheyWereSealed) {
    const TemporaryFolder folder;
    const std::string from = capture(folder, "cases.fstrm.xz");
    for (const bool is_plain : {true, false}) {
        run_twin({.captures = {from},
                  .out = folder / (is_plain ? "plain" : "sealed"),
                  .single_interval = true,
                  .sessions_plain = is_plain,
                  .version = "test"},
                 golden_sets(folder, "1"));
    }
    const auto plain = session_files_of(folder / "plain");
    const auto sealed = session_files_of(folder / "sealed");
    ASSERT_EQ(plain.size(), 1U);
    ASSERT_EQ(sealed.size(), 2U);
    EXPECT_TRUE(sealed[1].ends_with("/keys/2026-09-21.key")) << sealed[1];
    EXPECT_EQ(open_session(sealed[0], sealed[1]), read_text(plain[0]));
}

}  // namespace
}  // namespace tapir::edge
