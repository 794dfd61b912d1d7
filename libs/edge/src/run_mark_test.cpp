#include "run_mark.hpp"

#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tapir::edge {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class RunMarkTest : public testing::Test {
protected:
    RunMarkTest() { TAPIR_ASSERT(files.make_directories("state").has_value()); }

    void start() { mark.emplace(files, "state", now, log, counters); }
    // As after kill -9: nothing of the process runs any more, the disk stays as it is.
    void crash() {
        const Bytes left = *files.read("state/running", 64);
        mark.reset();
        ASSERT_TRUE(files.write_atomically("state/running", left).has_value());
    }
    std::int64_t unclean() const { return counters.value("tapir_edge_unclean_starts_total"); }

    const UtcTime now = UtcTime::from_seconds(1'790'000'000);
    world::MemoryFiles files;
    std::string lines;
    Log log = Log::to_string(lines);
    Counters counters;
    std::optional<RunMark> mark;
};

TEST_F(RunMarkTest, SaysNothingOfAFirstStartAndOfOneAfterAnOrderlyEnd) {
    start();
    mark.reset();
    start();
    EXPECT_EQ(unclean(), 0);
    EXPECT_THAT(lines, IsEmpty());
}

TEST_F(RunMarkTest, SaysThatCountsAreLostAfterACrash) {
    start();
    crash();
    start();
    EXPECT_EQ(unclean(), 1);
    EXPECT_THAT(lines, HasSubstr("is lost"));
    EXPECT_THAT(lines, HasSubstr("2026-09-21T14:13:20Z"));
    crash();
    start();
    EXPECT_EQ(unclean(), 2);
    mark.reset();
    start();
    EXPECT_EQ(unclean(), 2);
}

TEST_F(RunMarkTest, IsNoReasonNotToWork) {
    files.fail_changes(Error(Code::exhausted, "No space left on device"));
    start();
    EXPECT_THAT(lines, HasSubstr("cannot be written"));
    mark.reset();
    ASSERT_TRUE(counters.to_prometheus().find("tapir_edge_unclean_starts_total 0") !=
                std::string::npos);
}

TEST_F(RunMarkTest, TakesAMarkThatItCannotReadForOne) {
    ASSERT_TRUE(files.write_atomically("state/running", as_bytes(std::string_view("gibberish"))));
    start();
    EXPECT_EQ(unclean(), 1);
    EXPECT_THAT(lines, HasSubstr("unknown"));
}

}  // namespace
}  // namespace tapir::edge
