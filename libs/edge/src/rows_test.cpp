// Rows count what a HyperLogLog of the format counts, whatever way they take to it.
#include "rows.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace tapir::edge {
namespace {

// As the rule of the histogram has it, straight from the format's own implementation.
struct Expected {
    std::uint64_t estimate;
    std::optional<Bytes> sketch;
    unsigned networks;
    friend bool operator==(const Expected&, const Expected&) = default;
};

// Few, and each client always has the same; one of them is not known.
std::uint64_t network_of(std::uint64_t client) {
    return client % 7 < 4 ? client % 7 : 1;
}

Expected expected_of(const sketch::HllSettings& settings, const std::vector<std::uint64_t>& tags) {
    sketch::HyperLogLog sketch(settings);
    std::set<std::uint64_t> networks;
    for (const std::uint64_t tag : tags) {
        sketch.add(tag);
        if (tag != 0 && network_of(tag) != 0) {
            networks.insert(network_of(tag));
        }
    }
    return {sketch.estimate(), sketch.serialise_or_null(),
            static_cast<unsigned>(std::min<std::size_t>(networks.size(), 3))};
}

Expected found_in(const RowTable& table, const FamilyCount& family) {
    return {table.estimate(family), table.sketch(family), table.network_count(family)};
}

// Few enough different values that some come twice; also what looks alike in the lower bits.
std::vector<std::uint64_t> some_tags(std::size_t max) {
    auto tags = *rc::gen::container<std::vector<std::uint64_t>>(
        rc::gen::inRange<std::uint64_t>(0, 2 * max));
    for (std::uint64_t& tag : tags) {
        tag = tag % 3 == 0 ? tag << 32U : tag * 0x9E3779B97F4A7C15ULL;
    }
    return tags;
}

RC_GTEST_PROP(Rows, CountClientsAsTheFormatDoes, ()) {
    sketch::HllSettings settings;
    settings.explicit_threshold = *rc::gen::element(-1, 0, 1, 2, 7, 20, 128, 300);
    RowTable table(settings);
    Row& row = table.row(7);
    const auto tags = some_tags(400);
    for (const std::uint64_t tag : tags) {
        table.prefetch_clients(row.v4, tag);
        table.add(row.v4, tag, network_of(tag));
    }
    RC_ASSERT(found_in(table, row.v4) == expected_of(settings, tags));
    RC_ASSERT(table.estimate(row.v6) == 0U);
}

RC_GTEST_PROP(Rows, MergeAsIfAllHadBeenCountedInOne, ()) {
    sketch::HllSettings settings;
    settings.explicit_threshold = *rc::gen::element(0, 2, 20, 128);
    const auto pool = std::make_shared<RowPool>();
    RowTable one(settings, pool);
    RowTable other(settings, pool);
    auto tags = some_tags(300);
    const std::size_t middle = tags.empty() ? 0 : *rc::gen::inRange<std::size_t>(0, tags.size());
    for (std::size_t i = 0; i < tags.size(); ++i) {
        RowTable& table = i < middle ? one : other;
        Row& row = table.row(static_cast<std::uint32_t>(5));
        table.add(row.v6, tags[i], network_of(tags[i]));
        row.count(3, 1, 28);
    }
    other.row(6).count(0, 1, 1);
    one.merge(std::move(other));
    RC_ASSERT(one.size() == (tags.empty() ? 1U : 2U));
    RC_ASSERT(found_in(one, one.row(5).v6) == expected_of(settings, tags));
    RC_ASSERT(one.row(5).counter(RowCounter::aaaa) == tags.size());
    RC_ASSERT(one.row(5).counter(RowCounter::nx) == tags.size());
    RC_ASSERT(one.row(6).counter(RowCounter::ok) == 1U);
}

TEST(Rows, KeepTheirPlaceWhileOthersCome) {
    RowTable table(sketch::HllSettings{});
    Row& first = table.row(1);
    for (std::uint32_t index = 2; index < 10'000; ++index) {
        table.row(index).count(0, 1, 1);
    }
    EXPECT_EQ(&table.row(1), &first);
    EXPECT_EQ(table.size(), 9'999U);
    EXPECT_EQ(table[0].index, 1U);
    EXPECT_EQ(table[9'998].index, 9'999U);
}

TEST(Rows, BeginEmptyInMemoryThatWasUsedBefore) {
    const auto pool = std::make_shared<RowPool>();
    for (int minute = 0; minute < 3; ++minute) {
        RowTable table(sketch::HllSettings{}, pool);
        EXPECT_TRUE(table.is_empty());
        for (std::uint32_t index = 0; index < 3'000; ++index) {
            Row& row = table.row(index);
            EXPECT_EQ(row.counter(RowCounter::ok), 0U);
            EXPECT_EQ(table.estimate(row.v4), 0U);
            EXPECT_EQ(table.network_count(row.v4), 0U);
            row.count(0, 1, 1);
            for (std::uint64_t client = 1; client < 40; ++client) {
                table.add(row.v4, client * 977, client);
            }
            EXPECT_EQ(table.network_count(row.v4), 3U);
        }
    }
}

TEST(Rows, GiveBackWhatOneHeavyMinuteNeeded) {
    const auto pool = std::make_shared<RowPool>();
    const auto use = [&pool](std::uint32_t rows) {
        RowTable table(sketch::HllSettings{}, pool);
        for (std::uint32_t index = 0; index < rows; ++index) {
            table.row(index);
        }
    };
    use(100'000);
    for (unsigned minute = 0; minute < RowPool::sparse_uses_max; ++minute) {
        use(10);
        EXPECT_EQ(pool->store_count(), 1U) << "one quiet minute is no reason";
    }
    use(100'000);
    for (unsigned minute = 0; minute < RowPool::sparse_uses_max; ++minute) {
        use(10);
        EXPECT_EQ(pool->store_count(), 1U) << "it was needed in between";
    }
    use(10);
    EXPECT_EQ(pool->store_count(), 0U);
}

TEST(Rows, StopCountingAtTheHighestValueRatherThanBeginAnew) {
    RowTable one(sketch::HllSettings{});
    RowTable other(sketch::HllSettings{});
    // By doubling: 2^31 frames in each.
    for (RowTable* table : {&one, &other}) {
        table->row(1).count(3, 1, 1);
        for (int i = 0; i < 31; ++i) {
            const Row so_far = table->row(1);
            table->row(1).merge_counters(so_far);
        }
        EXPECT_EQ(table->row(1).counter(RowCounter::nx), 0x8000'0000U);
    }
    one.merge(std::move(other));
    EXPECT_EQ(one.row(1).counter(RowCounter::nx), 0xFFFF'FFFFU);
    EXPECT_EQ(one.row(1).counter(RowCounter::a), 0xFFFF'FFFFU);
    one.row(1).count(3, 1, 1);
    EXPECT_EQ(one.row(1).counter(RowCounter::nx), 0xFFFF'FFFFU);
    EXPECT_EQ(one.row(1).counter(RowCounter::ok), 0U);
}

RC_GTEST_PROP(Rows, CountEachFrameInOneTypeAndOneRcode, ()) {
    RowTable table(sketch::HllSettings{});
    Row& row = table.row(1);
    std::map<RowCounter, std::uint32_t> expected;
    const auto frames = *rc::gen::container<std::vector<std::tuple<unsigned, unsigned, unsigned>>>(
        rc::gen::tuple(rc::gen::element(0U, 1U, 2U, 3U, 5U, 16U), rc::gen::element(1U, 1U, 3U),
                       rc::gen::element(1U, 2U, 15U, 28U, 65U)));
    for (const auto& [rcode, qclass, qtype] : frames) {
        row.count(rcode, qclass, qtype);
        ++expected[rcode == 0   ? RowCounter::ok
                   : rcode == 3 ? RowCounter::nx
                   : rcode == 2 ? RowCounter::fail
                                : RowCounter::other_rcode];
        ++expected[qclass != 1   ? RowCounter::non_in
                   : qtype == 1  ? RowCounter::a
                   : qtype == 2  ? RowCounter::ns
                   : qtype == 15 ? RowCounter::mx
                   : qtype == 28 ? RowCounter::aaaa
                                 : RowCounter::other_type];
    }
    for (std::size_t i = 0; i < row_counter_count; ++i) {
        const auto which = static_cast<RowCounter>(i);
        RC_ASSERT(row.counter(which) == expected[which]);
    }
}

// The limit is for all tables at once, each has its share.
TEST(Rows, StayWithinTheirMemoryAndSayWhatTheyLeftOut) {
    constexpr std::size_t limit = 1'000'000;
    const auto pool = std::make_shared<RowPool>(RowPool::tables_at_once * limit);
    RowTable table(sketch::HllSettings{}, pool);
    std::uint32_t made = 0;
    while (Row* row = table.row_within_limit(made)) {
        ++made;
        for (std::uint64_t client = 1; client <= made % 40; ++client) {
            table.add(row->v4, client * 0x9E37'79B9'7F4A'7C15U, client);
        }
        ASSERT_LE(table.memory(), limit);
        ASSERT_LT(made, 20'000U);
    }
    EXPECT_GT(made, 1'000U);
    EXPECT_GT(table.memory(), limit / 4);
    // Those that are there still count, and clients as far as there is room.
    for (std::uint32_t index = 0; index < made && table.clients_left_out() == 0; ++index) {
        Row* row = table.row_within_limit(index);
        ASSERT_NE(row, nullptr);
        EXPECT_EQ(table.estimate(row->v4), (index + 1) % 40);
        for (std::uint64_t client = 1; client < 300; ++client) {
            table.add(row->v6, client, client);
            ASSERT_LE(table.memory(), limit);
        }
    }
    EXPECT_GT(table.clients_left_out(), 0U);
    // Merging is not counting: nothing is left out.
    RowTable other(sketch::HllSettings{}, pool);
    other.row(1'000'000).count(0, 1, 1);
    const std::uint64_t left_out = table.clients_left_out();
    other.merge(std::move(table));
    EXPECT_EQ(other.size(), made + 1);
    EXPECT_EQ(other.clients_left_out(), left_out);
    // One table more than there should be counts nothing.
    const RowTable third(sketch::HllSettings{}, pool);
    const RowTable fourth(sketch::HllSettings{}, pool);
    RowTable fifth(sketch::HllSettings{}, pool);
    EXPECT_EQ(fifth.row_within_limit(1), nullptr);
}

TEST(Networks, AreThreeWhateverTheOrder) {
    NetworkSample sample;
    sample.add(0);
    EXPECT_EQ(sample.count(), 0U);
    sample.add(7);
    sample.add(7);
    NetworkSample other;
    other.add(8);
    other.add(7);
    sample.merge(other);
    EXPECT_EQ(sample.count(), 2U);
    other.merge(sample);
    EXPECT_EQ(other.count(), 2U);
    sample.add(9);
    sample.add(10);
    EXPECT_EQ(sample.count(), 3U);
}

}  // namespace
}  // namespace tapir::edge
