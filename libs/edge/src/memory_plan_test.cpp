#include "memory_plan.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tapir/edge/settings.hpp"

namespace tapir::edge {
namespace {

Result<MemoryPlan> plan_of(const std::vector<std::string>& sets, const Lists& lists) {
    const auto settings = text::Settings::parse("", "edge.toml", settings_table(), sets);
    EXPECT_TRUE(settings.has_value());
    return plan_memory(*settings, lists);
}

Lists lists_of(std::uint32_t names) {
    names::NameIndexBuilder builder;
    for (std::uint32_t i = 0; i < names; ++i) {
        const auto name = dns::Name::from_text("name-" + std::to_string(i) + ".example");
        EXPECT_TRUE(builder.add({.name = *name, .kind = names::EntryKind::exact}).has_value());
    }
    Lists lists;
    lists.well_known = *std::move(builder).build();
    return lists;
}

TEST(MemoryPlan, GivesTheRowsWhatTheRestLeavesAndNoMore) {
    const auto plan = plan_of({}, Lists());
    ASSERT_TRUE(plan.has_value());
    EXPECT_EQ(plan->all(), std::size_t{512} << 20U);
    EXPECT_EQ(plan->rows_of_worker(), plan->rows);
    const Lists lists = lists_of(1'000);
    const auto smaller = plan_of({"workers=4"}, lists);
    ASSERT_TRUE(smaller.has_value());
    EXPECT_EQ(smaller->all(), plan->all());
    EXPECT_EQ(smaller->lists, lists.well_known.bytes().size() + lists.ignored_names.bytes().size());
    EXPECT_EQ(smaller->batches, 4 * plan->batches);
    EXPECT_LE(4 * smaller->rows_of_worker(), smaller->rows);
}

TEST(MemoryPlan, GivesAThirdToRowsThatWaitButNeverWhatTheMinuteNeeds) {
    for (const char* size : {"208MiB", "216MiB", "512MiB", "4GiB"}) {
        const auto plan = plan_of({std::string("memory.size_max=") + size}, Lists());
        ASSERT_TRUE(plan.has_value()) << size;
        EXPECT_GE(plan->rows, rows_memory_min) << size;
        EXPECT_GE(plan->rows, plan->wide) << size;
        EXPECT_GE(plan->wide, std::size_t{9} << 20U) << size;
        EXPECT_LE(plan->wide, std::size_t{192} << 20U) << size;
        EXPECT_LE(3 * plan->rows_of_wide(), plan->wide) << size;
    }
}

TEST(MemoryPlan, HasATableMoreWhereSketchesLeave) {
    const auto usual = plan_of({}, Lists());
    const auto hourly = plan_of({"histogram.sketch=hourly"}, Lists());
    ASSERT_TRUE(usual.has_value() && hourly.has_value());
    EXPECT_EQ(hourly->all(), usual->all());
    EXPECT_LE(4 * hourly->rows_of_wide(), hourly->wide);
}

TEST(MemoryPlan, LimitsTheNamesThatLeaveByWhatTheyTakeWhereEachNewOneDoes) {
    const auto usual = plan_of({}, Lists());
    const auto compatible = plan_of({"release.profile=compatible"}, Lists());
    ASSERT_TRUE(usual.has_value() && compatible.has_value());
    EXPECT_GE(usual->names_under_way_max, 30'000U);
    EXPECT_LE(compatible->names_under_way_max * 1'500, compatible->wide);
    EXPECT_GE(compatible->names_under_way_max * 1'600, compatible->wide);
    EXPECT_EQ(usual->all(), compatible->all());
}

TEST(MemoryPlan, RefusesTooLittleAndSaysWhatItIsFor) {
    const auto plan = plan_of({"memory.size_max=128MiB"}, Lists());
    ASSERT_FALSE(plan.has_value());
    EXPECT_EQ(plan.error().code(), Code::exhausted);
    EXPECT_NE(plan.error().what().find("memory.size_max: expected at least"), std::string::npos)
        << plan.error().what();
    EXPECT_NE(plan.error().what().find("MiB, got 128:"), std::string::npos) << plan.error().what();
}

}  // namespace
}  // namespace tapir::edge
