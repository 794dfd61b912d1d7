#include "state_version.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tapir/base/log.hpp"

namespace tapir::edge {
namespace {

using ::testing::HasSubstr;

struct State {
    world::MemoryFiles files;
    std::string lines;
    Log log = Log::to_string(lines);
    Result<std::int64_t> enter() { return enter_state(files, "/state", log); }
    void put(std::string_view text) {
        ASSERT_TRUE(files.make_directories("/state").has_value());
        ASSERT_TRUE(files.write_atomically("/state/version", as_bytes(text)).has_value());
    }
    std::string version() { return std::string(as_text(files.read("/state/version", 64).value())); }
};

TEST(StateVersion, IsWrittenWhereThereIsNone) {
    State state;
    EXPECT_EQ(state.enter(), Result<std::int64_t>(0));
    EXPECT_EQ(state.version(), "1\n");
    EXPECT_EQ(state.enter(), Result<std::int64_t>(1));
    EXPECT_EQ(state.version(), "1\n");
}

TEST(StateVersion, ANewerOneIsRefusedAndLeftAlone) {
    State state;
    state.put("2\n");
    const auto entered = state.enter();
    ASSERT_FALSE(entered.has_value());
    EXPECT_THAT(entered.error().what(), HasSubstr("version 2, this program knows 1"));
    EXPECT_EQ(state.version(), "2\n");
}

TEST(StateVersion, RefusesWhatIsNoNumber) {
    for (const char* text : {"", "x", "-1", "0", "1x", "99999999999999999999"}) {
        State state;
        state.put(text);
        EXPECT_FALSE(state.enter().has_value()) << text;
    }
}

TEST(StateVersion, AFullDiskIsAnError) {
    State state;
    state.files.fail_changes(Error(Code::exhausted, "full"));
    EXPECT_FALSE(state.enter().has_value());
}

}  // namespace
}  // namespace tapir::edge
