#include "tapir/privacy/group.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/privacy/gate.hpp"
#include "tapir/privacy/threshold.hpp"

namespace tapir::privacy {
namespace {

using products::ReleaseRecord;
using products::ReleaseState;
using products::SightingKind;
using products::SightingRecord;

std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31U);
}

SightingRecord record(std::uint64_t name, std::uint64_t client, std::uint64_t network,
                      SightingKind kind = SightingKind::ipv4) {
    return {.name = mix(name + 1),
            .kind = kind,
            .threshold = static_cast<std::uint8_t>(2 + name % 5),
            .client = static_cast<std::uint16_t>(mix(client * 1000 + name)),
            .network = static_cast<std::uint32_t>(mix(network + 77))};
}

SightingRecord taken(std::uint64_t name) {
    return {.name = mix(name + 1), .kind = SightingKind::taken};
}

std::map<std::uint64_t, ReleaseState> states_of(const GroupTable& table) {
    std::map<std::uint64_t, ReleaseState> states;
    for (const ReleaseRecord& entry : table.since(0, 1'000'000).records) {
        states[entry.name] = std::max(states[entry.name], entry.state);
    }
    return states;
}

constexpr GroupLimits small{.name_count = 1024, .released_count_max = 64};

TEST(GroupTable, ReleasesWhatReachesItsThresholdFromThreeNetworks) {
    GroupTable table(small, 3, 1);
    EXPECT_EQ(table.add(record(0, 1, 1)), GroupOutcome::counted);
    EXPECT_EQ(table.add(record(0, 2, 2)), GroupOutcome::counted) << "two clients, two networks";
    EXPECT_EQ(table.add(record(0, 2, 2)), GroupOutcome::known);
    EXPECT_EQ(table.add(record(0, 3, 2)), GroupOutcome::counted);
    EXPECT_EQ(table.add(record(0, 3, 3)), GroupOutcome::released);
    EXPECT_EQ(table.add(record(0, 4, 4)), GroupOutcome::known);
    EXPECT_EQ(states_of(table),
              (std::map<std::uint64_t, ReleaseState>{{mix(1), ReleaseState::released}}));
}

TEST(GroupTable, DoesNotAddUpFamilies) {
    GroupTable table(small, 0, 1);
    EXPECT_EQ(table.add(record(0, 1, 1)), GroupOutcome::counted);
    EXPECT_EQ(table.add(record(0, 2, 2, SightingKind::ipv6)), GroupOutcome::counted);
    EXPECT_EQ(table.add(record(0, 3, 3)), GroupOutcome::released);
}

TEST(GroupTable, TellsWhatIsNewSinceACursor) {
    GroupTable table(small, 0, 1);
    EXPECT_TRUE(table.since(0, 9).records.empty());
    EXPECT_EQ(table.add(taken(1)), GroupOutcome::taken);
    EXPECT_EQ(table.add(taken(1)), GroupOutcome::known);
    EXPECT_EQ(table.add(taken(2)), GroupOutcome::taken);
    const auto first = table.since(0, 1);
    ASSERT_EQ(first.records.size(), 1U);
    EXPECT_EQ(first.records.front().name, mix(2));
    EXPECT_EQ(first.cursor, 1U);
    EXPECT_EQ(table.since(first.cursor, 9).records.size(), 1U);
    EXPECT_TRUE(table.since(2, 9).records.empty());
    EXPECT_TRUE(table.since(0xFFFFFFFF, 9).records.empty()) << "a cursor that was never given";
    EXPECT_EQ(table.since(0xFFFFFFFF, 9).cursor, 2U);
}

TEST(GroupTable, BeginsEachDayEmptyAndReleasesNoMoreThanItsLimit) {
    GroupTable table({.name_count = 1024, .released_count_max = 3}, 0, 1);
    for (std::uint64_t name = 0; name < 3; ++name) {
        EXPECT_EQ(table.add(taken(name)), GroupOutcome::taken);
    }
    EXPECT_EQ(table.add(taken(3)), GroupOutcome::full);
    table.add(record(5, 1, 1));
    EXPECT_EQ(table.add(record(5, 2, 1)), GroupOutcome::full) << "silence";
    EXPECT_EQ(states_of(table).size(), 3U);
    table.start_day();
    EXPECT_TRUE(states_of(table).empty());
    EXPECT_EQ(table.pending_names(), 0U);
    EXPECT_EQ(table.add(record(5, 2, 1)), GroupOutcome::counted) << "what was is forgotten";
    EXPECT_EQ(table.add(taken(3)), GroupOutcome::taken);
}

TEST(GroupTable, HasFixedMemoryAndCountsWhatFallsOut) {
    GroupTable table({.name_count = 64, .released_count_max = 4}, 0, 1);
    for (std::uint64_t name = 0; name < 10'000; ++name) {
        table.add(record(name, 1, 1));
    }
    EXPECT_LE(table.pending_names(), 64U);
    EXPECT_EQ(table.evicted(), 10'000 - table.pending_names());
}

// The law of R10: it does not matter who tells what, when, and how often.
RC_GTEST_PROP(GroupTable, IsCommutativeOverOrderAndSplit, ()) {
    const auto some = [](std::uint64_t end) { return rc::gen::inRange<std::uint64_t>(0, end); };
    std::vector<SightingRecord> records;
    const auto count = *rc::gen::inRange<std::size_t>(0, 200);
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t name = *some(6);
        records.push_back(*some(20) == 0
                              ? taken(name)
                              : record(name, *some(12), *some(4),
                                       *rc::gen::element(SightingKind::ipv4, SightingKind::ipv6)));
    }
    GroupTable one(small, 3, 1);
    for (const SightingRecord& each : records) {
        one.add(each);
    }
    // To several sites, some records to more than one; each site's posts in an order of its own.
    std::vector<SightingRecord> told = records;
    for (const SightingRecord& each : records) {
        if (*some(3) == 0) {
            told.push_back(each);
        }
    }
    const auto keys = *rc::gen::container<std::vector<std::uint64_t>>(
        told.size(), rc::gen::arbitrary<std::uint64_t>());
    std::vector<std::size_t> order(told.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        order[i] = i;
    }
    std::ranges::sort(order, {}, [&](std::size_t i) { return keys[i]; });
    GroupTable other(small, 3, 2);
    for (const std::size_t i : order) {
        other.add(told[i]);
    }
    RC_ASSERT(states_of(other) == states_of(one));

    // And what is released is what the definition says.
    std::map<std::pair<std::uint64_t, SightingKind>,
             std::pair<std::set<unsigned>, std::set<std::uint32_t>>>
        seen;
    std::map<std::uint64_t, unsigned> thresholds;
    std::set<std::uint64_t> expected;
    for (const SightingRecord& each : records) {
        if (each.kind == SightingKind::taken) {
            expected.insert(each.name);
            continue;
        }
        auto& [clients, networks] = seen[{each.name, each.kind}];
        clients.insert(each.client & 511U);
        networks.insert(each.network);
        if (clients.size() >= each.threshold && networks.size() >= 3) {
            expected.insert(each.name);
        }
    }
    std::set<std::uint64_t> released;
    for (const auto& [name, state] : states_of(one)) {
        released.insert(name);
    }
    RC_ASSERT(released == expected);
}

// ---- At the site

GateKey key_of(unsigned seed = 1) {
    std::array<std::byte, gate_key_size> octets{};
    for (std::size_t i = 0; i < octets.size(); ++i) {
        octets.at(i) = static_cast<std::byte>(i * 7 + seed);
    }
    return GateKey(octets);
}

// A site that speaks with its aggregator after each frame.
class Site final : public Group {
public:
    explicit Site(GroupTable& table) : gate_(settings_of(this)), table_(table) {}

    State state_of(Fingerprint name) override {
        const auto states = states_of(table_);
        const auto found = states.find(static_cast<std::uint64_t>(name));
        return found == states.end()                     ? State::pending
               : found->second == ReleaseState::released ? State::released
                                                         : State::taken;
    }
    void saw(const SightingRecord& record) override {
        told.push_back(record);
        table_.add(record);
    }
    void took(Fingerprint name, bool by_group) override {
        by_groups += by_group ? 1 : 0;
        table_.add({.name = static_cast<std::uint64_t>(name), .kind = SightingKind::taken});
    }
    void start_day(std::int64_t day) override { day_ = day; }

    // What one client's question for a name makes this site release.
    std::vector<std::string> ask(const std::string& name, std::size_t domain_size,
                                 std::uint64_t client, const GateKey& key,
                                 Family family = Family::ipv4) {
        gate_.turn(UtcTime::from_seconds(600), key);
        NameCandidate candidate;
        candidate.name = name;
        candidate.domain_start = name.size() - domain_size;
        candidate.sighting = {.name = key.fingerprint(name.substr(candidate.domain_start)),
                              .family = family,
                              .client = mix(client + 1),
                              .network = mix(client % 5 + 77),
                              .client_day = mix(client + 5000)};
        std::vector<std::string> all;
        for (const auto& released : gate_.offer(candidate, key).released) {
            all.push_back(released.value().qname);
        }
        return all;
    }

    std::vector<SightingRecord> told;
    unsigned by_groups = 0;

private:
    static GateSettings settings_of(Group* group) {
        GateSettings settings;
        settings.pending.cell_count = 4096;
        settings.pending.name_count = 1024;
        settings.group = group;
        return settings;
    }

    NameGate gate_;
    GroupTable& table_;
    std::optional<std::int64_t> day_;
};

unsigned threshold_of(std::string_view name, const GateKey& key) {
    return draw_threshold(rule_for(Product::new_qname, Profile::standard).threshold,
                          key.draw(Product::new_qname, name));
}

TEST(Group, TheSiteThatSeesTheNameNextReleasesItAndNoOther) {
    const GateKey key = key_of();
    GroupTable table(small, 3, 1);
    std::vector<std::unique_ptr<Site>> sites;
    for (int i = 0; i < 3; ++i) {
        sites.push_back(std::make_unique<Site>(table));
    }
    // Two of some twenty clients may share one of the 512 bits: then it takes one more.
    const unsigned t = threshold_of("one.se.", key);
    std::uint64_t client = 0;
    while (states_of(table).empty() && client < 2 * t) {
        EXPECT_TRUE(sites[client % 3]->ask("one.se.", 7, client, key).empty()) << client;
        ++client;
    }
    EXPECT_GE(client, t);
    EXPECT_LE(client, t + 3);
    EXPECT_EQ(sites[1]->ask("one.se.", 7, 0, key), std::vector<std::string>{"one.se."})
        << "whoever it is, also one who has asked elsewhere";
    EXPECT_EQ(sites[1]->by_groups, 1U);
    for (const auto& site : sites) {
        EXPECT_TRUE(site->ask("one.se.", 7, 99, key).empty()) << "taken";
        for (const SightingRecord& record : site->told) {
            EXPECT_EQ(record.threshold, t);
        }
    }
}

TEST(Group, HostsAreCountedTogetherOnceTheirDomainIsReleased) {
    const GateKey key = key_of();
    GroupTable table(small, 3, 1);
    Site a(table);
    Site b(table);
    const auto ask = [&](std::uint64_t client) {
        return (client % 2 == 0 ? a : b).ask("www.one.se.", 7, client, key);
    };
    std::vector<std::string> released;
    unsigned clients = 0;
    for (; clients < 200 && released.size() < 2; ++clients) {
        for (auto& name : ask(clients)) {
            released.push_back(name);
        }
    }
    EXPECT_EQ(released, (std::vector<std::string>{"one.se.", "www.one.se."}));
    const unsigned t = threshold_of("one.se.", key) + 1 + threshold_of("www.one.se.", key) + 1;
    EXPECT_GE(clients, t);
    EXPECT_LE(clients, t + 6) << "neither site alone has as many";
}

TEST(Group, WhatIsReachedHereIsReleasedHereAndTakenElsewhere) {
    const GateKey key = key_of();
    GroupTable table(small, 3, 1);
    Site a(table);
    Site b(table);
    std::vector<std::string> released;
    for (std::uint64_t client = 0; client < 100; ++client) {
        for (auto& name : a.ask("one.se.", 7, client, key)) {
            released.push_back(name);
        }
    }
    EXPECT_EQ(released, std::vector<std::string>{"one.se."});
    EXPECT_TRUE(b.ask("one.se.", 7, 1, key).empty());
}

TEST(Group, OfTagsOnlyPartsAreToldAndUnderEachFormOthers) {
    const GateKey key = key_of();
    GroupTable table(small, 3, 1);
    Site site(table);
    for (const std::string name : {"one.se.", "www.one.se."}) {
        for (std::uint64_t client = 0; client < 45; ++client) {
            site.ask(name, 7, client, key);
        }
    }
    std::map<std::uint64_t, std::set<std::uint16_t>> clients;
    for (const SightingRecord& record : site.told) {
        clients[record.name].insert(record.client);
    }
    ASSERT_EQ(clients.size(), 2U) << "domain and host";
    // The same clients asked for both. Chance alone would make two of some 20 × 20 pairs equal
    // once in a hundred and sixty times.
    std::vector<std::uint16_t> same;
    std::ranges::set_intersection(clients.begin()->second, clients.rbegin()->second,
                                  std::back_inserter(same));
    EXPECT_LT(same.size(), 2U);
}

TEST(Group, RepeatsAreNotTold) {
    const GateKey key = key_of();
    GroupTable table(small, 3, 1);
    Site site(table);
    for (int i = 0; i < 50; ++i) {
        site.ask("one.se.", 7, 1, key);
    }
    EXPECT_EQ(site.told.size(), 1U);
}

TEST(Group, ThePostsOfTheGateAreOfItsProfile) {
    const auto post = [](std::uint8_t threshold) {
        return products::Sightings{
            .day = 1, .records = {{.name = 1, .kind = SightingKind::ipv4, .threshold = threshold}}};
    };
    EXPECT_TRUE(release_sightings(Profile::standard, post(10)).has_value());
    EXPECT_TRUE(release_sightings(Profile::standard, post(40)).has_value());
    EXPECT_FALSE(release_sightings(Profile::standard, post(9)).has_value());
    EXPECT_FALSE(release_sightings(Profile::standard, post(41)).has_value());
    EXPECT_TRUE(release_sightings(Profile::strict, post(80)).has_value());
    EXPECT_FALSE(release_sightings(Profile::compatible, post(20)).has_value());
    EXPECT_FALSE(release_releases(Profile::compatible, {}).has_value());
    const auto sent = release_sightings(Profile::strict, post(20));
    const auto read = products::Sightings::parse(sent->value().octets);
    ASSERT_TRUE(read.has_value());
    EXPECT_TRUE(is_of_profile(Profile::strict, *read));
    EXPECT_FALSE(is_of_profile(Profile::standard, *read)) << "of another profile";
}

}  // namespace
}  // namespace tapir::privacy
