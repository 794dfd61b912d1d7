// Sites and their aggregator, on ports in memory and by one clock: what each releases, what each
// tells, and what happens when one of them is away.
#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "group_link.hpp"
#include "live_keys.hpp"
#include "tapir/aggregation/aggregator.hpp"
#include "tapir/edge/new_key.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/net/http_client.hpp"
#include "tapir/privacy/threshold.hpp"
#include "testing_frames.hpp"
#include "testing_station.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr std::int64_t noon = 1'780'056'000;

// The wire between a site and the aggregator, which can be cut, and keeps what the site sent.
class Wire final : public net::HttpClient {
public:
    Wire(const net::HttpRoutes& routes, const std::string& site)
        : to_(net::open_memory_http_client(routes, site)) {}

    Result<net::HttpResponse> send(const net::HttpCall& call, const net::Cancel* cancel) override {
        if (is_cut) {
            return fail(Code::unavailable, "no route to host");
        }
        sent.push_back(call.body);
        times += call.url + " ";
        return to_->send(call, cancel);
    }
    Result<void> subscribe(const net::HttpCall&, const net::Cancel&,
                           const std::function<void(const net::SseEvent&)>&, const StreamLimits&,
                           const std::function<void()>&) override {
        return fail(Code::unavailable, "no streams here");
    }

    bool is_cut = false;
    std::vector<Bytes> sent;
    std::string times;

private:
    std::unique_ptr<net::HttpClient> to_;
};

class Site : public testing::StationRig {
public:
    Site(const std::string& name, const net::HttpRoutes& routes, ByteView group_key,
         const std::string& more = {})
        : wire(routes, name), name_(name) {
        put("/group/group.key", as_text(group_key));
        settings = text::Settings::parse(fmt::format(R"({}
lists.public_suffixes = "/lists/public_suffixes.dat"
keys.signing = "/keys/edge.jwk"
state.dir = "/state"
workers = 0
aggregation.url = "https://aggregator.invalid/"
aggregation.ca = "/group/ca.pem"
aggregation.cert = "/group/site.pem"
aggregation.key = "/group/site.key"
aggregation.group_key = "/group/group.key"
)",
                                                     more),
                                         "edge.toml", settings_table(), {})
                       .take();
        put("/group/site.key", "-----BEGIN PRIVATE KEY-----\n");
        // What an edge alone has left behind.
        put("/state/day.key", std::string(40, 'x'));
        start();
    }

    static StationOptions with_small_tables() {
        StationOptions options;
        options.pending.cell_count = 4096;
        options.pending.name_count = 4096;
        return options;
    }

    void start() {
        auto opened = Station::open(settings, "test",
                                    {.clock = clock,
                                     .files = files,
                                     .chance = chance,
                                     .store = *store,
                                     .group_client = &wire,
                                     .log = log,
                                     .counters = counters},
                                    with_small_tables());
        ASSERT_TRUE(opened.has_value()) << opened.error().what();
        station = std::move(*opened);
        const auto begun = station->begin();
        ASSERT_TRUE(begun.has_value()) << begun.error().what();
    }

    void ask(const std::string& name, const Bytes& asker) {
        station->add(
            testing::frame_of({.name = name, .client = asker, .time = clock.now().seconds()}));
        station->flush();
    }
    // The names in the events of all batches that the outbox has.
    std::vector<std::string> released() {
        std::vector<std::string> names;
        for (const auto& folder : *files.list("/state/batches")) {
            for (const auto& file : *files.list("/state/batches/" + folder.name)) {
                if (!file.name.starts_with("new_qname")) {
                    continue;
                }
                const std::string text = read("/state/batches/" + folder.name + "/" + file.name);
                const auto messages = jose::split_batch(text);
                EXPECT_TRUE(messages.has_value());
                for (const std::string_view message : *messages) {
                    const auto jws = jose::UnverifiedJws::parse(message);
                    EXPECT_TRUE(jws.has_value());
                    const auto verified = jws->verify(public_test_signing_key().public_jwk());
                    EXPECT_TRUE(verified.has_value());
                    const auto event = products::NewQname::parse(verified->payload_text());
                    EXPECT_TRUE(event.has_value());
                    names.push_back(event->qname);
                }
            }
        }
        return names;
    }
    std::int64_t told(std::string_view outcome) {
        return static_cast<std::int64_t>(counters
                                             .counter("tapir_edge_group_sightings_total", "",
                                                      {{"outcome", std::string(outcome)}})
                                             .value());
    }
    std::vector<products::SightingRecord> records() const {
        std::vector<products::SightingRecord> all;
        for (const Bytes& body : wire.sent) {
            const auto post = products::Sightings::parse(body);
            EXPECT_TRUE(post.has_value());
            all.insert(all.end(), post->records.begin(), post->records.end());
        }
        return all;
    }

    Wire wire;
    std::unique_ptr<Station> station;

private:
    std::string name_;
};

class GroupTest : public ::testing::Test {
protected:
    explicit GroupTest(const std::string& more = {}) {
        world::MemoryFiles files;
        world::SeededChance chance(11);
        EXPECT_TRUE(files.make_directories("/k").has_value());
        EXPECT_TRUE(new_group_key(files, chance, clock_.now(), "/k/group.key").has_value());
        group_key_ = *files.read("/k/group.key", 64);
        start_aggregator();
        for (int i = 0; i < 3; ++i) {
            sites_.push_back(
                std::make_unique<Site>("site-" + std::to_string(i), routes_, group_key_, more));
        }
    }

    void start_aggregator() {
        routes_ = {};
        aggregation::AggregatorSettings settings;
        settings.limits = {.name_count = 4096, .released_count_max = 256};
        aggregator_ = std::make_unique<aggregation::Aggregator>(
            settings, aggregation::AggregatorPorts{clock_, chance_, log_, counters_});
        aggregator_->add_routes(routes_);
    }

    // Everybody's clock.
    void pass(Duration time, Duration step = 10s) {
        for (Duration at{}; at < time; at += step) {
            clock_.advance(step);
            for (const auto& site : sites_) {
                site->clock.advance(step);
                EXPECT_TRUE(site->station->tick());
                site->station->aggregate();
            }
        }
    }
    unsigned threshold_of(std::string_view name) {
        world::MemoryFiles files;
        world::SeededChance chance(1);
        EXPECT_TRUE(files.make_directories("/k").has_value());
        EXPECT_TRUE(files.write_atomically("/k/k", group_key_, world::mode_private).has_value());
        const auto keys = open_day_keys(files, "/k/k", UtcTime::from_seconds(noon), chance);
        return privacy::draw_threshold(
            privacy::rule_for(privacy::Product::new_qname, privacy::Profile::standard).threshold,
            keys->current()->gate->draw(privacy::Product::new_qname, name));
    }
    // Clients 0 … n-1, each at the next site.
    void ask_all(const std::string& name, unsigned n, unsigned first = 0) {
        for (unsigned i = first; i < first + n; ++i) {
            sites_[i % 3]->ask(name, testing::client_of(i, 5));
        }
    }

    // As many clients as are enough for a form, and a few more for those that share a bit; at no
    // site alone.
    void reach(const std::string& name, std::string_view form, unsigned first = 0) {
        ask_all(name, threshold_of(form) + 3, first);
        pass(150s);
    }
    std::vector<std::string> all_released() {
        std::vector<std::string> all;
        for (const auto& site : sites_) {
            for (std::string& name : site->released()) {
                all.push_back(std::move(name));
            }
        }
        return all;
    }

    world::ManualClock clock_{UtcTime::from_seconds(noon)};
    world::SeededChance chance_{7};
    Log log_ = Log::to_nowhere();
    Counters counters_;
    net::HttpRoutes routes_;
    Bytes group_key_;
    std::unique_ptr<aggregation::Aggregator> aggregator_;
    std::vector<std::unique_ptr<Site>> sites_;
};

TEST_F(GroupTest, TheSiteThatSeesANameNextReleasesIt) {
    const unsigned t = threshold_of("fresh-name.se.");
    ask_all("fresh-name.se.", t + 3);
    ask_all("too-few.se.", 9);
    pass(150s);
    for (const auto& site : sites_) {
        EXPECT_THAT(site->released(), IsEmpty()) << "nobody has asked since";
    }
    sites_[1]->ask("fresh-name.se.", testing::client_of(1, 5));
    sites_[1]->ask("too-few.se.", testing::client_of(1, 5));
    pass(150s);
    ask_all("fresh-name.se.", 30, 200);
    pass(150s);
    EXPECT_THAT(sites_[0]->released(), IsEmpty());
    EXPECT_THAT(sites_[1]->released(), UnorderedElementsAre("fresh-name.se."));
    EXPECT_THAT(sites_[2]->released(), IsEmpty());
    EXPECT_EQ(sites_[1]->counters.counter("tapir_edge_group_released_total", "").value(), 1U);

    // The ledger says that it was in force, and how much.
    std::string leaves;
    for (const auto& folder : *sites_[1]->files.list("/state/ledger/tile/entries")) {
        leaves += sites_[1]->read("/state/ledger/tile/entries/" + folder.name);
        if (const auto parts = sites_[1]->files.list("/state/ledger/tile/entries/" + folder.name)) {
            for (const auto& part : *parts) {
                leaves +=
                    sites_[1]->read("/state/ledger/tile/entries/" + folder.name + "/" + part.name);
            }
        }
    }
    EXPECT_THAT(leaves, HasSubstr("\"aggregation\":true"));
    EXPECT_THAT(leaves, HasSubstr("\"released\":1"));
    EXPECT_FALSE(sites_[1]->files.exists("/state/day.key")) << "of when it was alone";
}

TEST_F(GroupTest, NoNameAndNoAddressIsInWhatASiteTells) {
    ask_all("www.fresh-name.se.", 60);
    pass(150s);
    ask_all("www.fresh-name.se.", 60);
    pass(150s);
    std::set<std::uint64_t> names;
    std::set<std::uint32_t> networks;
    for (const auto& site : sites_) {
        for (const Bytes& body : site->wire.sent) {
            EXPECT_EQ(body.size() % products::sightings_step, 0U);
            const auto post = products::Sightings::parse(body);
            ASSERT_TRUE(post.has_value());
            // All that is in it is in these fields: it is written back to the same octets.
            EXPECT_EQ(post->to_octets(), body);
            EXPECT_EQ(post->day, noon / 86'400);
        }
        for (const products::SightingRecord& record : site->records()) {
            names.insert(record.name);
            networks.insert(record.network);
        }
        EXPECT_GE(site->wire.sent.size(), 4U) << "each minute, also with nothing to tell";
    }
    EXPECT_EQ(names.size(), 2U) << "domain and host";
    EXPECT_LE(networks.size(), 1U + 2 * 5) << "five networks, under each form others";
    for (unsigned i = 0; i < 60; ++i) {
        const Bytes address = testing::client_of(i, 5);
        const std::uint32_t octets = std::to_integer<std::uint32_t>(address[0]) << 24U |
                                     std::to_integer<std::uint32_t>(address[1]) << 16U |
                                     std::to_integer<std::uint32_t>(address[2]) << 8U |
                                     std::to_integer<std::uint32_t>(address[3]);
        for (const auto& site : sites_) {
            for (const products::SightingRecord& record : site->records()) {
                EXPECT_NE(record.network, octets);
                EXPECT_NE(record.network >> 8U, octets >> 8U);
                EXPECT_NE(record.name >> 32U, octets);
                EXPECT_NE(record.name & 0xFFFFFFFFU, octets);
            }
        }
    }
}

TEST_F(GroupTest, HostsAreReachedTogetherOnceTheirDomainIs) {
    reach("www.fresh-name.se.", "fresh-name.se.");
    sites_[0]->ask("www.fresh-name.se.", testing::client_of(0, 5));
    pass(150s);
    EXPECT_THAT(all_released(), UnorderedElementsAre("fresh-name.se."));
    reach("www.fresh-name.se.", "www.fresh-name.se.", 100);
    sites_[2]->ask("www.fresh-name.se.", testing::client_of(2, 5));
    pass(150s);
    EXPECT_THAT(all_released(), UnorderedElementsAre("fresh-name.se.", "www.fresh-name.se."));
    EXPECT_THAT(sites_[2]->released(), UnorderedElementsAre("www.fresh-name.se."));
}

TEST_F(GroupTest, TheSameAddressAtTwoSitesIsOneClient) {
    // Nine addresses, each at all three sites: 27 clients would be enough for most names.
    for (unsigned i = 0; i < 9; ++i) {
        for (const auto& site : sites_) {
            site->ask("fresh-name.se.", testing::client_of(i, 5));
        }
    }
    pass(150s);
    EXPECT_EQ(
        counters_.counter("tapir_aggregator_records_total", "", {{"outcome", "known"}}).value(),
        18U);
    ask_all("fresh-name.se.", 9);
    pass(150s);
    for (const auto& site : sites_) {
        EXPECT_THAT(site->released(), IsEmpty());
    }
}

TEST_F(GroupTest, ASiteCountsAloneWhileTheAggregatorIsAwayAndTellsLater) {
    for (const auto& site : sites_) {
        site->wire.is_cut = true;
    }
    const unsigned t = threshold_of("fresh-name.se.");
    ask_all("fresh-name.se.", t + 3);
    for (unsigned i = 0; i < 60; ++i) {
        sites_[0]->ask("here-alone.se.", testing::client_of(i, 5));
    }
    pass(10min);
    EXPECT_THAT(sites_[0]->released(), UnorderedElementsAre("here-alone.se."));
    EXPECT_EQ(sites_[0]->told("told"), 0);
    const auto failed =
        sites_[0]
            ->counters.counter("tapir_edge_group_posts_total", "", {{"outcome", "unavailable"}})
            .value();
    EXPECT_GE(failed, 3U);
    EXPECT_LE(failed, 6U) << "it backs off";
    for (const auto& site : sites_) {
        site->wire.is_cut = false;
    }
    pass(7min);
    sites_[2]->ask("fresh-name.se.", testing::client_of(2, 5));
    sites_[2]->ask("here-alone.se.", testing::client_of(2, 5));
    pass(150s);
    EXPECT_THAT(sites_[2]->released(), UnorderedElementsAre("fresh-name.se."))
        << "the other one was taken";
    EXPECT_EQ(sites_[0]->told("queue_full"), 0);
}

TEST_F(GroupTest, AnAggregatorThatBeganAnewHasForgottenWhatWasPendingAndNothingElseBreaks) {
    ask_all("fresh-name.se.", 9);
    reach("taken-before.se.", "taken-before.se.");
    sites_[0]->ask("taken-before.se.", testing::client_of(0, 5));
    pass(150s);
    EXPECT_THAT(sites_[0]->released(), UnorderedElementsAre("taken-before.se."));
    start_aggregator();
    pass(150s);
    for (unsigned i = 0; i < 60; ++i) {
        sites_[1]->ask("taken-before.se.", testing::client_of(i, 5));
    }
    pass(70s);
    EXPECT_THAT(sites_[1]->released(), IsEmpty()) << "the sites still know";
    ask_all("fresh-name.se.", threshold_of("fresh-name.se.") - 1, 100);
    pass(150s);
    sites_[2]->ask("fresh-name.se.", testing::client_of(101, 5));
    pass(150s);
    EXPECT_EQ(all_released().size(), 1U) << "the nine of before count for nothing";
    ask_all("fresh-name.se.", 6, 300);
    pass(150s);
    sites_[2]->ask("fresh-name.se.", testing::client_of(101, 5));
    pass(150s);
    EXPECT_THAT(sites_[2]->released(), UnorderedElementsAre("fresh-name.se."));
}

TEST_F(GroupTest, ASiteThatBeganAnewIsToldWhatTheGroupHasReleased) {
    reach("fresh-name.se.", "fresh-name.se.");
    sites_[0]->ask("fresh-name.se.", testing::client_of(0, 5));
    pass(150s);
    sites_[1]->station->end();
    sites_[1]->station.reset();
    sites_[1]->start();
    pass(150s);
    for (unsigned i = 0; i < 60; ++i) {
        sites_[1]->ask("fresh-name.se.", testing::client_of(i, 5));
    }
    pass(70s);
    EXPECT_THAT(all_released(), UnorderedElementsAre("fresh-name.se."));
}

TEST_F(GroupTest, AtMidnightAllBeginsAnewUnderTheNextKey) {
    ask_all("fresh-name.se.", 9);
    pass(150s);
    const Bytes key_before = *sites_[0]->files.read("/group/group.key", 64);
    const auto before = sites_[0]->records();
    pass(12h - 150s - 30s, 478s);  // to half a minute before
    sites_[0]->ask("late.se.", testing::client_of(0, 5));
    pass(5min);
    EXPECT_NE(*sites_[0]->files.read("/group/group.key", 64), key_before);
    EXPECT_EQ(*sites_[0]->files.read("/group/group.key", 64),
              *sites_[1]->files.read("/group/group.key", 64));
    ask_all("fresh-name.se.", 9);
    pass(150s);
    std::set<std::uint64_t> names;
    for (const products::SightingRecord& record : sites_[0]->records()) {
        names.insert(record.name);
    }
    EXPECT_GE(names.size(), 2U) << "the same name has another fingerprint";
    // Each of the two days had nine: together they would be enough for many names.
    ask_all("fresh-name.se.", 9);
    pass(150s);
    for (const auto& site : sites_) {
        EXPECT_THAT(site->released(), IsEmpty());
        EXPECT_EQ(site->told("refused"), 0) << "no post was of a wrong day";
        EXPECT_THAT(site->lines, ::testing::Not(HasSubstr("aggregator refuses")));
    }
}

TEST_F(GroupTest, ASiteOfAnotherKeyOrProfileAgreesWithNobody) {
    Bytes other = group_key_;
    other.back() ^= std::byte{1};
    Site stranger("site-9", routes_, other);
    const auto pass_with = [&](Site& site, Duration time) {
        for (Duration at{}; at < time; at += 10s) {
            site.clock.advance(10s);
            site.station->tick();
            site.station->aggregate();
        }
    };
    ask_all("fresh-name.se.", 9);
    for (unsigned i = 100; i < 109; ++i) {
        stranger.ask("fresh-name.se.", testing::client_of(i, 5));
    }
    pass(150s);
    pass_with(stranger, 150s);
    std::set<std::uint64_t> names;
    for (const auto& record : stranger.records()) {
        names.insert(record.name);
    }
    ASSERT_EQ(names.size(), 1U);
    EXPECT_NE(*names.begin(), sites_[0]->records().front().name);

    Site strict("site-8", routes_, group_key_, "release.profile = \"strict\"");
    strict.ask("fresh-name.se.", testing::client_of(1, 5));
    pass_with(strict, 150s);
    EXPECT_EQ(strict.told("refused"), 1);
    EXPECT_THAT(strict.lines, HasSubstr("the aggregator refuses what is told"));
}

TEST_F(GroupTest, AFloodOfDomainsIsBoundedAndCounted) {
    sites_[0]->wire.is_cut = true;
    // Each client may start 200 names an hour.
    for (unsigned client = 0; client < 350; ++client) {
        for (unsigned n = 0; n < 200; ++n) {
            sites_[0]->station->add(
                testing::frame_of({.name = fmt::format("x{}-{}.se.", client, n),
                                   .client = testing::v4(10, 1, client / 200, 1 + client % 200),
                                   .time = sites_[0]->clock.now().seconds()}));
        }
    }
    sites_[0]->station->flush();
    EXPECT_GT(sites_[0]->told("queue_full"), 0);
    sites_[0]->wire.is_cut = false;
    pass(10min);
    EXPECT_LE(sites_[0]->told("told"), static_cast<std::int64_t>(group_waiting_max));
    for (const Bytes& body : sites_[0]->wire.sent) {
        EXPECT_LE(body.size(), products::sightings_size_max);
    }
}

TEST(GroupSettings, ThatAreIncompleteAreRefusedWithTheirPlace) {
    const auto refusal = [](const std::string& more) {
        world::MemoryFiles files;
        EXPECT_TRUE(files.make_directories("/k").has_value());
        EXPECT_TRUE(files
                        .write_atomically("/k/key", as_bytes("-----BEGIN PRIVATE KEY-----\n"),
                                          world::mode_private)
                        .has_value());
        const std::string text = "keys.signing = \"/k\"\n" + more;
        const auto settings = text::Settings::parse(text, "edge.toml", settings_table(), {}).take();
        const auto read = read_group_settings(settings, files);
        return read ? std::string() : read.error().what();
    };
    EXPECT_THAT(refusal("aggregation.url = \"ftp://x\"\n"),
                HasSubstr("edge.toml:2: aggregation.url: expected https://HOST:PORT"));
    EXPECT_THAT(refusal("aggregation.url = \"http://x\"\n"), HasSubstr("expected https://"));
    EXPECT_THAT(refusal("aggregation.url = \"https://x\"\n"),
                HasSubstr("aggregation.ca: expected a PEM file"));
    const std::string whole =
        "aggregation.url = \"https://x\"\naggregation.ca = \"/k/ca\"\n"
        "aggregation.cert = \"/k/cert\"\naggregation.key = \"/k/key\"\n";
    EXPECT_THAT(refusal(whole), HasSubstr("aggregation.group_key: expected the key file"));
    EXPECT_THAT(refusal(whole + "aggregation.group_key = \"/no\"\n"),
                HasSubstr("edge.toml:6: aggregation.group_key: expected the key file"));
}

}  // namespace
}  // namespace tapir::edge
