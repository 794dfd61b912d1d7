// The measuring itself: the truth is what was asked, what leaves is what the gate's law says, and
// the shares that are reported are those of the edge.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "figures.hpp"
#include "mixes.hpp"
#include "run.hpp"
#include "traffic.hpp"
#include "zeek.hpp"

namespace tapir::utility {
namespace {

constexpr std::string_view suffixes =
    "// ===BEGIN ICANN DOMAINS===\ncom\nnet\norg\nse\n// ===END ICANN DOMAINS===\n"
    "// ===BEGIN PRIVATE DOMAINS===\n// ===END PRIVATE DOMAINS===\n";

// Small, and heavier in the tail than a day: so that there is something on each side of each
// threshold, though an hour is short.
const DayPlan small = {.seed = 3,
                       .clients = 600,
                       .queries_a_s = 10,
                       .new_domains = 250,
                       .exponent_tenths = 10,
                       .reach_max = 250,
                       .seconds = 3600};

const std::string& small_list() {
    static const std::string list = [] {
        std::string text;
        bench::write_names({.count = 400, .seed = 1},
                           [&text](ByteView piece) { text += as_text(piece); });
        return text;
    }();
    return list;
}

// Clients by their addresses: counted once more, and in another way.
using Addresses = std::set<std::string>;

struct SmallDay {
    std::vector<std::string_view> entries = bench::lines_of(small_list());
    Site site = Site::open(small_list(), suffixes, false).value();
    Truth truth;
    std::vector<Query> queries;

    SmallDay() {
        DayTraffic source(small, entries);
        Query query;
        while (source.next(query)) {
            queries.push_back(query);
        }
        GivenTraffic given(queries);
        truth = Truth::of(site, given).value();
    }
    Released run(const Gate& gate, std::size_t workers = 0) const {
        GivenTraffic source(queries);
        auto released = run_edge(site, gate, source, workers);
        EXPECT_TRUE(released.has_value()) << released.error().what();
        return *std::move(released);
    }
};

const SmallDay& small_day() {
    static const SmallDay day;
    return day;
}

std::vector<Gate> centres() {
    return {gate_with_centre(10), gate_with_centre(20), gate_with_centre(40)};
}

TEST(Centre, TakesThePlaceOfTheOneThatIsShippedForAsLongAsItIsInForce) {
    using privacy::Product;
    using privacy::Profile;
    const auto centre_of = [](Product product, Profile profile) {
        return privacy::rule_for(product, profile).threshold.centre;
    };
    {
        const GateInForce in_force(gate_with_centre(10));
        for (const Product product : {Product::histogram, Product::new_qname}) {
            const privacy::Threshold& t = privacy::rule_for(product, Profile::standard).threshold;
            EXPECT_EQ(std::tuple(t.centre, t.min, t.max, t.networks_min),
                      std::tuple(10U, 5U, 20U, 3U));
            EXPECT_EQ(t.epsilon, 0.5);
            EXPECT_EQ(centre_of(product, Profile::strict), 40U);
        }
    }
    EXPECT_EQ(centre_of(Product::histogram, Profile::standard), 20U);
    EXPECT_EQ(centre_of(Product::new_qname, Profile::standard), 20U);
    // What is measured as the centre of 20 is what is shipped.
    const privacy::Threshold twenty = gate_with_centre(20).in_force();
    const privacy::Threshold shipped =
        privacy::rule_for(Product::new_qname, Profile::standard).threshold;
    EXPECT_EQ(std::tuple(twenty.centre, twenty.min, twenty.max, twenty.epsilon),
              std::tuple(shipped.centre, shipped.min, shipped.max, shipped.epsilon));
}

TEST(Utility, ReleasesNoDomainThatFewerThanHalfTheCentreAskedFor) {
    std::map<std::string, std::vector<const Query*>> asked;
    for (const Query& query : small_day().queries) {
        const std::string_view name = query.name;
        asked[std::string(name.substr(name.starts_with("www.") ? 4 : 0)) + "."].push_back(&query);
    }
    for (const Gate& gate : centres()) {
        const Released released = small_day().run(gate);
        std::size_t domains = 0;
        for (const auto& [name, left] : released.names) {
            if (!small_day().truth.domains.contains(name)) {
                continue;  // a host: its domain left before it
            }
            std::array<Addresses, 2> families;
            for (const Query* query : asked.at(name)) {
                if (query->time < left) {
                    families.at(query->client.is_v6 ? 1 : 0)
                        .insert(std::string(as_text(query->client.address())));
                }
            }
            EXPECT_GE(std::max(families[0].size(), families[1].size()), gate.in_force().min)
                << gate.name << " " << name;
            ++domains;
        }
        EXPECT_GT(domains, 10U) << gate.name;
        EXPECT_TRUE(domain_figures(small_day().truth, released, gate, false).wrong.empty());
    }
}

TEST(Utility, ReleasesEveryDomainThatWellOverTwiceTheCentreOfOneFamilyAskedFor) {
    for (const Gate& gate : centres()) {
        const Released released = small_day().run(gate);
        std::size_t many = 0;
        for (const auto& [name, domain] : small_day().truth.domains) {
            // The bitmap may take two clients for one: a tenth more of them than the highest
            // threshold is enough (512 bits, at most 88 clients).
            if (domain.has(gate.in_force().max * 11 / 10, 3)) {
                ++many;
                EXPECT_TRUE(released.names.contains(name)) << gate.name << " " << name;
            }
        }
        EXPECT_GT(many, 5U) << gate.name;
    }
}

TEST(Utility, ReleasesLessTheHigherTheCentre) {
    std::vector<DomainFigures> domains;
    std::vector<RowFigures> rows;
    for (const Gate& gate : centres()) {
        const Released released = small_day().run(gate);
        domains.push_back(domain_figures(small_day().truth, released, gate, false));
        rows.push_back(row_figures(small_day().truth, released));
    }
    const auto kept = [](const RowFigures& figures) {
        return figures.queries[0] + figures.queries[1] + figures.queries[2];
    };
    for (std::size_t i = 1; i < domains.size(); ++i) {
        EXPECT_LT(domains[i].domains.released, domains[i - 1].domains.released);
        EXPECT_LT(domains[i].clients_after, domains[i - 1].clients_after);
        EXPECT_LT(kept(rows[i]), kept(rows[i - 1]));
        EXPECT_EQ(domains[i].domains.all, domains[0].domains.all);
    }
    EXPECT_GT(domains.back().domains.released, 0U);
    EXPECT_GT(kept(rows.back()), 0U);
}

// Distinct clients of each entry in each interval of so many minutes, in both families.
std::map<std::pair<std::int64_t, std::uint32_t>, std::array<Addresses, 2>> clients_of_rows(
    std::int64_t minutes) {
    std::map<std::pair<std::int64_t, std::uint32_t>, std::array<Addresses, 2>> rows;
    for (const Query& query : small_day().queries) {
        const dns::FoldedName name(dns::Name::from_text(query.name).value());
        if (const auto match = small_day().site.lists->well_known.find(name)) {
            const std::int64_t interval = query.time.seconds() / 60 / minutes * minutes;
            rows[{interval, static_cast<std::uint32_t>(match->id)}]
                .at(query.client.is_v6 ? 1 : 0)
                .insert(std::string(as_text(query.client.address())));
        }
    }
    return rows;
}

TEST(Utility, KeepsNoRowOfFewerThanHalfTheCentreAndInItsMinuteEachOfMoreThanTwiceTheCentre) {
    std::map<std::int64_t, std::size_t> checked;
    for (const Gate& gate : centres()) {
        const Released released = small_day().run(gate);
        for (const std::int64_t minutes : {1, 10, 60}) {
            const auto rows = clients_of_rows(minutes);
            for (const auto& [minute, files] : released.by_minute) {
                for (const auto& file : files) {
                    if (file->minutes != minutes || minute % minutes != 0) {
                        continue;
                    }
                    for (const std::uint32_t entry : file->entries) {
                        const auto& [v4, v6] = rows.at({minute, entry});
                        EXPECT_GE(std::max(v4.size(), v6.size()), gate.in_force().min);
                        ++checked[minutes];
                    }
                }
            }
        }
        for (const auto& [key, clients] : clients_of_rows(1)) {
            if (clients[0].size() > gate.in_force().max) {
                const auto& files = released.by_minute.at(key.first);
                EXPECT_TRUE(std::ranges::any_of(files, [&key](const auto& file) {
                    return file->minutes == 1 &&
                           std::ranges::binary_search(file->entries, key.second);
                }));
            }
        }
    }
    EXPECT_GT(checked[1], 50U);
    EXPECT_GT(checked[10], 50U);
    EXPECT_GT(checked[60], 50U);
}

TEST(Utility, IsTheSameWhateverTheNumberOfWorkers) {
    const Released one = small_day().run(gate_with_centre(20), 0);
    const Released two = small_day().run(gate_with_centre(20), 2);
    EXPECT_EQ(one.names, two.names);
    EXPECT_EQ(one.rows, two.rows);
}

TEST(Utility, FindsRowsAndQueriesInTheFileInWhichTheyLeft) {
    Truth truth;
    truth.by_minute[20] = {{.entry = 1, .queries = 100}, {.entry = 2, .queries = 10}};
    truth.by_minute[21] = {{.entry = 1, .queries = 3}, {.entry = 3, .queries = 1}};
    Released released;
    const auto file = [](std::int64_t minutes, std::vector<std::uint32_t> entries) {
        return std::make_shared<const ReleasedRows>(
            ReleasedRows{.minutes = minutes, .entries = std::move(entries)});
    };
    const auto ten = file(10, {1});
    const auto hour = file(60, {1, 2});
    released.by_minute[20] = {hour, file(1, {1}), ten};
    released.by_minute[21] = {ten, hour};
    released.rows = 4;
    const RowFigures figures = row_figures(truth, released);
    EXPECT_EQ(figures.rows, (std::array<std::uint64_t, 4>{1, 1, 1, 1}));
    EXPECT_EQ(figures.queries, (std::array<std::uint64_t, 4>{100, 3, 10, 1}));
    EXPECT_EQ(figures.sent, 4U);
}

TEST(Utility, SaysWhenADomainLeftAndWhoCameAfter) {
    Truth truth;
    const UtcTime start = UtcTime::from_seconds(day_start_s);
    Domain& domain = truth.domains["new.se."];
    domain.first = start;
    for (int i = 0; i < 30; ++i) {
        domain.clients[fmt::format("client {}", i)] = start + std::chrono::seconds(10 * i);
    }
    domain.v4 = {.networks = {"a", "b", "c"}, .clients = 30};
    truth.domains["few.se."] = domain;
    truth.domains["few.se."].v4.networks = {"a", "b"};
    Released released;
    released.names["new.se."] = start + std::chrono::seconds(240);
    const Gate gate = gate_with_centre(20);
    const DomainFigures figures = domain_figures(truth, released, gate, false);
    ASSERT_EQ(figures.delays.size(), 1U);
    EXPECT_EQ(figures.delays[0].seconds, 240.0);
    EXPECT_EQ(figures.delays[0].clients, 24U);
    EXPECT_EQ(figures.clients_after, 6U);
    EXPECT_EQ(figures.possible.all, 1U);
    EXPECT_EQ(figures.possible.released, 1U);
    EXPECT_EQ(figures.of_centre.all, 2U);
    EXPECT_EQ(figures.by_band[3].released, 1U);
    EXPECT_TRUE(figures.wrong.empty());
    released.names["few.se."] = start + std::chrono::seconds(240);
    EXPECT_EQ(domain_figures(truth, released, gate, false).wrong,
              std::vector<std::string>{"few.se."});
    EXPECT_TRUE(domain_figures(truth, released, gate, true).wrong.empty());
}

TEST(Utility, TakesTheNearestRank) {
    EXPECT_EQ(percentile({3, 1, 2}, 50), 2);
    EXPECT_EQ(percentile({5}, 90), 5);
    EXPECT_EQ(percentile({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 90), 9);
}

TEST(Truth, CountsClientsOnceAndKnowsAPrefixForAClient) {
    const Site site = Site::open(".listed.se\n", suffixes, false).value();
    std::vector<Query> queries;
    const auto ask = [&queries](std::string_view client, const std::string& name,
                                std::int64_t second) {
        Query query;
        query.time = UtcTime::from_seconds(day_start_s + second);
        query.client = client_from_text(client).value();
        query.name = name;
        queries.push_back(query);
    };
    ask("10.0.0.1", "a.NEW.se", 1);
    ask("10.0.0.1", "new.se.", 2);
    ask("10.0.1.1", "b.new.se", 3);
    ask("fd00::1", "new.se", 4);
    ask("fd00:0:0:ff::2", "new.se", 5);   // the same /56
    ask("fd00:0:0:100::2", "new.se", 6);  // the next one
    ask("10.0.0.1", "www.listed.se", 7);
    ask("10.0.0.2", "www.listed.se", 61);
    ask("10.0.0.2", "x.listed.se", 62);
    ask("10.0.0.2", "nowhere.lan", 63);
    ask("10.0.0.2", "a..b", 64);
    GivenTraffic source(queries);
    const Truth truth = Truth::of(site, source).value();
    ASSERT_EQ(truth.domains.size(), 1U);
    const Domain& domain = truth.domains.at("new.se.");
    EXPECT_EQ(domain.v4.clients, 2U);
    EXPECT_EQ(domain.v6.clients, 2U);
    EXPECT_EQ(domain.v4.networks.size(), 2U);
    EXPECT_EQ(domain.v6.networks.size(), 1U);
    EXPECT_EQ(domain.first.seconds(), day_start_s + 1);
    EXPECT_EQ(domain.clients_at(UtcTime::from_seconds(day_start_s + 4)), 2U);
    EXPECT_TRUE(domain.has(2, 2));
    EXPECT_FALSE(domain.has(2, 3));
    EXPECT_FALSE(domain.has(3, 1));
    ASSERT_EQ(truth.by_minute.size(), 2U);
    EXPECT_EQ(truth.by_minute.at(day_start_s / 60)[0].queries, 1U);
    EXPECT_EQ(truth.by_minute.at(day_start_s / 60 + 1)[0].queries, 2U);
    EXPECT_EQ(truth.never_released, 1U);
    EXPECT_EQ(truth.no_name, 1U);
    std::swap(queries.front(), queries.back());
    GivenTraffic disordered(queries);
    EXPECT_FALSE(Truth::of(site, disordered).has_value());
}

TEST(DayTraffic, IsTheSameForTheSameSeedAndInOrder) {
    const SmallDay& day = small_day();
    DayTraffic again(small, day.entries);
    DayPlan other = small;
    other.seed = 4;
    DayTraffic different(other, day.entries);
    Query query;
    Query theirs;
    std::size_t equal = 0;
    UtcTime before;
    for (const Query& known : day.queries) {
        ASSERT_TRUE(again.next(query));
        EXPECT_EQ(query.name, known.name);
        EXPECT_EQ(query.time, known.time);
        EXPECT_GE(query.time, before);
        before = query.time;
        equal += different.next(theirs) && theirs.name == known.name ? 1 : 0;
    }
    EXPECT_FALSE(again.next(query));
    EXPECT_LT(equal, day.queries.size() / 4);
}

TEST(DayTraffic, ReachesAsManyAsTheLawSays) {
    DayPlan plan;
    plan.queries_a_s = 0;
    plan.new_domains = 4000;
    plan.clients = 4000;
    plan.reach_max = 1000;
    const std::vector<std::string_view> none;
    const Site site = Site::open("", suffixes, false).value();
    DayTraffic source(plan, none);
    const Truth truth = Truth::of(site, source).value();
    // Sums of k^-1.9, of which those from 20 on are 3.7 of a hundred; midnight cuts some off.
    std::size_t one = 0;
    std::size_t twenty = 0;
    for (const auto& [name, domain] : truth.domains) {
        one += domain.clients.size() == 1 ? 1 : 0;
        twenty += domain.clients.size() >= 20 ? 1 : 0;
    }
    EXPECT_GT(truth.domains.size(), 3600U);
    EXPECT_NEAR(static_cast<double>(one) / 4000, 0.56, 0.05);
    EXPECT_NEAR(static_cast<double>(twenty) / 4000, 0.035, 0.012);
}

constexpr std::string_view columns =
    "#fields\tts\tuid\tid.orig_h\tid.resp_p\trtt\tquery\tqtype\trcode\n";

TEST(Zeek, ReadsWhatWasAnsweredOnPort53) {
    const std::string text = std::string("#separator \\x09\n") + std::string(columns) +
                             "1521911721.5\tb\t10.1.0.2\t53\t0.25\twww.two.se\t28\t3\n"
                             "1521911720.865716\ta\t10.1.0.1\t53\t-\tone.se\t1\t0\n"
                             "1521911720.0\tc\t10.1.0.1\t53\t-\tlost.se\t1\t-\n"
                             "1521911720.0\td\t10.1.0.1\t137\t0.1\tPRINTER\t32\t0\n"
                             "1521911720.0\te\t10.1.0.1\t53\t0.1\t-\t-\t0\n"
                             "#close\t2024-04-12\n";
    const ZeekLog log = read_zeek(text, "dns.log").value();
    EXPECT_EQ(log.records, 5U);
    EXPECT_EQ(log.unanswered, 1U);
    EXPECT_EQ(log.other_ports, 1U);
    EXPECT_EQ(log.without_name, 1U);
    ASSERT_EQ(log.queries.size(), 2U);
    EXPECT_EQ(log.queries[0].name, "one.se");
    EXPECT_EQ(log.queries[0].time.ns(), 1'521'911'720'865'716'000);
    EXPECT_EQ(log.queries[1].time.ns(), 1'521'911'721'750'000'000);
    EXPECT_EQ(log.queries[1].rcode, 3);
    EXPECT_EQ(log.queries[1].type, dns::RrType::aaaa);
    EXPECT_EQ(to_hex(log.queries[1].client.address()), "0a010002");
}

TEST(Zeek, SaysWhatItCannotRead) {
    const auto error_of = [](const std::string& record) {
        const auto log = read_zeek(std::string(columns) + record + "\n", "dns.log");
        return log ? std::string("none") : log.error().what();
    };
    EXPECT_EQ(error_of("later\ta\t10.1.0.1\t53\t-\tone.se\t1\t0"),
              "dns.log:2: ts: expected seconds since 1970, got 'later'");
    EXPECT_EQ(error_of("1.0\ta\tjohn\t53\t-\tone.se\t1\t0"),
              "dns.log:2: id.orig_h: expected an address, got 'another text'");
    EXPECT_EQ(error_of("1.0\ta\t10.1.0.1\t53\t99\tone.se\t1\t0"),
              "dns.log:2: rtt: expected seconds, at most 60, got '99'");
    EXPECT_EQ(error_of("1.0\ta\t10.1.0.1\t53\t-\tone.se\tA\t0"),
              "dns.log:2: qtype: expected a number, got 'A'");
    EXPECT_EQ(error_of("1.0\ta\t10.1.0.1\t53\t-\tone.se\t1\t16"),
              "dns.log:2: rcode: expected 0 to 15, got '16'");
    EXPECT_EQ(error_of("1.0\ta"), "dns.log:2: expected 8 fields, got 2");
    EXPECT_EQ(read_zeek("1.0\t2\n", "dns.log").error().what(),
              "dns.log:1: expected a line '#fields' before the first record");
    EXPECT_EQ(read_zeek("#fields\tts\n", "dns.log").error().what(),
              "dns.log:1: id.orig_h: expected a column of this name, got 'none'");
}

}  // namespace
}  // namespace tapir::utility
