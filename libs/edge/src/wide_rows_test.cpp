// Rows that wait: nothing of them is lost or doubled, and there are never too many.
#include "wide_rows.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace tapir::edge {
namespace {

std::shared_ptr<const privacy::GateKey> key() {
    static constexpr std::array<std::byte, privacy::gate_key_size> octets{};
    return std::make_shared<const privacy::GateKey>(octets);
}

struct Asked {
    std::uint32_t index;
    std::uint64_t client;
};

RowTable table_of(const std::vector<Asked>& asked) {
    RowTable table(sketch::HllSettings{});
    for (const Asked& one : asked) {
        Row& row = table.row(one.index);
        row.count(0, 1, 1);
        table.add(row.v4, one.client, one.client);
    }
    return table;
}

std::vector<std::uint32_t> all_of(const RowTable& table) {
    std::vector<std::uint32_t> numbers(table.size());
    std::iota(numbers.begin(), numbers.end(), 0U);
    return numbers;
}

// Of each row: how often it was asked for, and by how many.
std::map<std::uint32_t, std::pair<std::uint32_t, std::uint64_t>> content_of(const RowTable& table) {
    std::map<std::uint32_t, std::pair<std::uint32_t, std::uint64_t>> content;
    for (std::size_t i = 0; i < table.size(); ++i) {
        const Row& row = table[i];
        content[row.index] = {row.counter(RowCounter::a), table.estimate(row.v4)};
    }
    return content;
}

std::vector<Asked> some_asked() {
    std::vector<Asked> asked(*rc::gen::inRange<std::size_t>(0, 40));
    for (Asked& one : asked) {
        one = {*rc::gen::inRange<std::uint32_t>(0, 12), *rc::gen::inRange<std::uint64_t>(1, 9)};
    }
    return asked;
}

RC_GTEST_PROP(WideRows, HoldWhatAllTheirMinutesHave, ()) {
    WideRows wide(10, 1, {.rows = 1000}, {});
    std::vector<Asked> all;
    for (Minute minute = 20; minute < 30; ++minute) {
        const auto asked = some_asked();
        const RowTable table = table_of(asked);
        RC_ASSERT(!wide.begin(minute, key()));
        wide.add(table, all_of(table));
        all.insert(all.end(), asked.begin(), asked.end());
        const auto over = wide.end(minute);
        RC_ASSERT(over.has_value() == (minute == 29));
        if (over) {
            RC_ASSERT(content_of(over->rows) == content_of(table_of(all)));
            RC_ASSERT(over->interval.start == start_of(20));
            RC_ASSERT(over->interval.stop == start_of(30));
            RC_ASSERT(over->is_wider);
        }
    }
    RC_ASSERT(wide.size() == 0U);
    RC_ASSERT(wide.evicted() == 0U);
}

// However the rows of a minute lie: which rows stay is the same.
RC_GTEST_PROP(WideRows, KeepThoseWithTheMostClientsWhateverTheOrder, ()) {
    // With two clients or more a row takes 64 octets more, or 128: one of each family.
    const WideLimits limits{.rows = *rc::gen::inRange<std::size_t>(1, 10),
                            .memory = *rc::gen::inRange<std::size_t>(0, 2000)};
    auto first = some_asked();
    auto second = some_asked();
    const auto run = [&] {
        WideRows wide(10, 1, limits, {});
        std::uint64_t distinct = 0;
        for (const auto* asked : {&first, &second}) {
            const RowTable table = table_of(*asked);
            wide.begin(3, key());
            wide.add(table, all_of(table));
            RC_ASSERT(wide.size() <= limits.rows);
            distinct += table.size();
        }
        RC_ASSERT(wide.size() + wide.evicted() <= distinct);
        const auto over = wide.close();
        std::size_t memory = 0;
        for (std::size_t i = 0; i < over->rows.size(); ++i) {
            memory += over->rows.memory_of(over->rows[i]);
        }
        RC_ASSERT(memory <= limits.memory);
        return content_of(over->rows);
    };
    const auto before = run();
    std::reverse(first.begin(), first.end());
    std::sort(second.begin(), second.end(),
              [](const Asked& a, const Asked& b) { return a.index > b.index; });
    RC_ASSERT(run() == before);
}

TEST(WideRows, DropTheRowsWithTheFewestClients) {
    WideRows wide(10, 1, {.rows = 2}, {});
    const RowTable table = table_of({{1, 1}, {1, 2}, {2, 1}, {3, 1}, {3, 2}, {3, 3}, {4, 1}});
    wide.begin(0, key());
    wide.add(table, all_of(table));
    EXPECT_EQ(wide.evicted(), 2U);
    const auto content = content_of(wide.close()->rows);
    EXPECT_TRUE(content.contains(1));
    EXPECT_TRUE(content.contains(3));
    EXPECT_EQ(content.size(), 2U);
}

TEST(WideRows, DropThemForWantOfMemoryToo) {
    const RowTable table = table_of({{1, 1}, {1, 2}, {2, 1}, {3, 1}, {3, 2}, {3, 3}, {4, 1}});
    std::size_t all = 0;
    for (std::size_t i = 0; i < table.size(); ++i) {
        all += table.memory_of(table[i]);
    }
    for (const auto& [memory, rows] : {std::pair{all, 4U}, {all - 1, 3U}, {std::size_t{0}, 0U}}) {
        WideRows wide(10, 1, {.rows = 10, .memory = memory}, {});
        wide.begin(0, key());
        wide.add(table, all_of(table));
        EXPECT_EQ(wide.size(), rows) << memory;
        EXPECT_EQ(wide.evicted(), 4 - rows) << memory;
    }
}

// That a table takes no more than its rows say, but for chunks and places that are not full.
TEST(WideRows, TakeTheMemoryThatTheirRowsSay) {
    std::vector<Asked> asked;
    for (std::uint32_t index = 0; index < 20'000; ++index) {
        for (std::uint64_t client = 0; client < 1 + index % 30; ++client) {
            asked.push_back({index, client + 1});
        }
    }
    const RowTable table = table_of(asked);
    std::size_t said = 0;
    for (std::size_t i = 0; i < table.size(); ++i) {
        said += table.memory_of(table[i]);
    }
    EXPECT_LE(table.memory(), said + said / 2);
    EXPECT_GE(table.memory(), said / 2);
}

TEST(WideRows, AreOverWhenTheClockIsInALaterInterval) {
    WideRows wide(10, 1, {.rows = 10}, {});
    const RowTable table = table_of({{1, 1}});
    EXPECT_FALSE(wide.begin(13, key()));
    wide.add(table, all_of(table));
    EXPECT_FALSE(wide.end(13));
    EXPECT_FALSE(wide.begin(16, key()));
    const auto over = wide.begin(31, key());
    ASSERT_TRUE(over);
    EXPECT_EQ(over->interval.start, start_of(13)) << "the first minute that was counted";
    EXPECT_EQ(over->interval.stop, start_of(20)) << "it is over: nothing came after minute 16";
    EXPECT_TRUE(over->is_wider);
    EXPECT_EQ(over->rows.size(), 1U);
    const auto rest = wide.close();
    ASSERT_TRUE(rest);
    EXPECT_EQ(rest->rows.size(), 0U);
    EXPECT_EQ(rest->interval.start, start_of(30)) << "nothing came before minute 31";
    EXPECT_EQ(rest->interval.stop, start_of(32)) << "it may not be over";
    EXPECT_FALSE(rest->is_wider) << "the rows of one minute, that were short there";
    EXPECT_FALSE(wide.close());
}

TEST(WideRows, OfOneNarrowerIntervalAreNotWider) {
    WideRows hour(60, 10, {.rows = 10}, {});
    for (Minute minute = 50; minute < 60; ++minute) {
        hour.begin(minute, key());
        if (const auto over = hour.end(minute)) {
            EXPECT_EQ(minute, 59);
            EXPECT_FALSE(over->is_wider);
        }
    }
    hour.begin(69, key());
    hour.begin(70, key());
    EXPECT_TRUE(hour.close()->is_wider);
}

}  // namespace
}  // namespace tapir::edge
