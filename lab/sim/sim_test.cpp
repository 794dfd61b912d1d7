// The simulator's own tests: it finds what is planted, and what it injects really happens.
#include <gtest/gtest.h>

#include "away.hpp"
#include "run.hpp"

namespace tapir::sim {
namespace {

std::string lines(const std::vector<std::string>& all) {
    std::string out;
    for (const std::string& line : all) {
        out += "\n    " + line;
    }
    return out;
}

TEST(Simulator, BreaksNothingWithoutFaults) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const RunOptions options{
            .seed = seed, .faults = false, .lie = Lie::none, .brief = true, .logs = false};
        const Report report = run(options);
        EXPECT_TRUE(report.broken.empty()) << command_of(options) << lines(report.broken);
        EXPECT_GT(report.figures.batches, 4U);
        EXPECT_GT(report.figures.events, 2U);
        EXPECT_GT(report.figures.histograms, 2U);
        EXPECT_GT(report.figures.rows, 2U);
        EXPECT_GT(report.figures.observations, 2U);
        EXPECT_GT(report.figures.serials, 2U);
        EXPECT_EQ(report.figures.edges_alone, report.saw_midnight ? 0U : 1U);
        EXPECT_EQ(report.batches_not_written, 0U);
    }
}

TEST(Simulator, SaysHowToRepeatARun) {
    EXPECT_EQ(command_of({.seed = 17}), "build/release/bin/tapir-sim --seed 17");
    EXPECT_EQ(command_of({.seed = 5, .lie = Lie::second_door, .brief = true}),
              "build/release/bin/tapir-sim --seed 5 --brief --lie second_door");
    EXPECT_EQ(command_of({.seed = 2, .faults = false}),
              "build/release/bin/tapir-sim --seed 2 --no-faults");
}

TEST(Simulator, RepeatsItself) {
    const RunOptions options{
        .seed = 4, .faults = true, .lie = Lie::none, .brief = true, .logs = true};
    const Report one = run(options);
    const Report two = run(options);
    EXPECT_EQ(one.log, two.log);
    EXPECT_EQ(one.figures.messages, two.figures.messages);
    EXPECT_EQ(one.virtual_s, two.virtual_s);
}

// Away for longer than the edge keeps things: what is lost is the oldest, and counted.
TEST(Simulator, LosesNothingWhileTheCoreIsAwayForHours) {
    const AwayReport all = run_away({.frames_per_second = 2, .hours = 2});
    EXPECT_TRUE(all.broken.empty()) << lines(all.broken);
    EXPECT_EQ(all.sent, all.accepted);
    EXPECT_GT(all.waiting_most, 110U);
    EXPECT_GT(all.histograms, 170U);
}

TEST(Simulator, CountsWhatGetsTooOldWhileTheCoreIsAway) {
    const AwayReport some = run_away(
        {.frames_per_second = 2, .hours = 2, .settings = {"outbox.age_max=1h"}, .may_lose = true});
    EXPECT_TRUE(some.broken.empty()) << lines(some.broken);
    EXPECT_GT(some.lost_too_old, 50U);
    EXPECT_EQ(some.lost_no_room, 0U);
    EXPECT_GT(some.sent, 0U);
}

TEST(Simulator, CountsWhatHasNoRoomWhileTheCoreIsAway) {
    const AwayReport room = run_away({.frames_per_second = 2,
                                      .hours = 3,
                                      .settings = {"outbox.size_max=1MiB"},
                                      .may_lose = true});
    EXPECT_TRUE(room.broken.empty()) << lines(room.broken);
    EXPECT_GT(room.lost_no_room, 10U);
    EXPECT_EQ(room.lost_too_old, 0U);
}

struct Sum {
    Tally faults;
    Figures figures;
};

Sum expect_nothing_broken(std::uint64_t first, std::uint64_t count) {
    Sum sum;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        const RunOptions options{
            .seed = seed, .faults = true, .lie = Lie::none, .brief = true, .logs = false};
        const Report report = run(options);
        EXPECT_TRUE(report.broken.empty()) << command_of(options) << lines(report.broken);
        sum.faults += report.faults;
        sum.figures += report.figures;
    }
    EXPECT_GT(sum.figures.batches, 3 * count);
    EXPECT_GT(sum.figures.events, count);
    return sum;
}

// And each kind of fault really happens.
TEST(Simulator, BreaksNothingWithFaults) {
    const Sum sum = expect_nothing_broken(1, 60);
    EXPECT_GT(sum.figures.edges_alone, 0U);
    for (std::size_t i = 0; i < fault_count; ++i) {
        EXPECT_GT(sum.faults[static_cast<Fault>(i)], 0U) << to_string(static_cast<Fault>(i));
    }
}

TEST(Simulator, BreaksNothingWithOtherFaults) {
    expect_nothing_broken(1001, 30);
}

struct Planted {
    Lie lie;
    int invariant;       // that it breaks
    bool faults = true;  // besides
};

class Liar : public testing::TestWithParam<Planted> {};

constexpr std::uint64_t seeds_max = 40;  // within which a lie is found

TEST_P(Liar, IsFound) {
    const std::string wanted = "invariant " + std::to_string(GetParam().invariant);
    for (std::uint64_t seed = 1; seed <= seeds_max; ++seed) {
        const Report report = run({.seed = seed,
                                   .faults = GetParam().faults,
                                   .lie = GetParam().lie,
                                   .brief = true,
                                   .logs = false});
        for (const std::string& line : report.broken) {
            if (line.starts_with(wanted)) {
                return;
            }
        }
    }
    FAIL() << to_string(GetParam().lie) << " was not found in " << seeds_max << " seeds";
}

INSTANTIATE_TEST_SUITE_P(
    Simulator, Liar,
    testing::Values(
        Planted{Lie::edge_disk_keeps_nothing, 1}, Planted{Lie::edge_disk_refuses, 1},
        Planted{Lie::edge_store_knows_names, 1, false}, Planted{Lie::core_store_not_synced, 1},
        Planted{Lie::core_skips_acknowledged, 1}, Planted{Lie::core_skips_aggregates, 1},
        Planted{Lie::mqtt_acknowledges_first, 1}, Planted{Lie::core_forgets_duplicates, 2},
        Planted{Lie::core_journals_twice, 2}, Planted{Lie::feed_issues_twice, 2},
        Planted{Lie::second_door, 3}, Planted{Lie::altered_after_ledger, 3},
        Planted{Lie::part_of_payload, 3}, Planted{Lie::part_of_event, 3},
        Planted{Lie::name_in_field, 3}, Planted{Lie::name_in_topic, 3},
        Planted{Lie::rare_name_leaks, 3}, Planted{Lie::listed_name_leaks, 3, false},
        Planted{Lie::policy_store_not_synced, 4}, Planted{Lie::policy_changes_no_serial, 4},
        Planted{Lie::ledger_altered, 5}, Planted{Lie::policy_drops_rule, 6},
        Planted{Lie::policy_weakens_rule, 6}, Planted{Lie::mqtt_acknowledges_first, 6}),
    [](const auto& planted) {
        return std::string(to_string(planted.param.lie)) + "_breaks_" +
               std::to_string(planted.param.invariant);
    });

}  // namespace
}  // namespace tapir::sim
