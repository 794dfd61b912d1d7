#include "tapir/privacy/gate.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <span>
#include <string>

#include <gtest/gtest.h>

#include "tapir/jose/jws.hpp"
#include "tapir/privacy/threshold.hpp"
#include "tapir/sketch/hyperloglog.hpp"

namespace tapir::privacy {
namespace {

GateKey key_of(unsigned seed = 1) {
    std::array<std::byte, gate_key_size> octets{};
    for (std::size_t i = 0; i < octets.size(); ++i) {
        octets.at(i) = static_cast<std::byte>(i * 7 + seed);
    }
    return GateKey(octets);
}

jose::PrivateJwk signer() {
    const Bytes seed(32, std::byte{9});
    return {*crypto::SigningKey::from_seed(crypto::Secret::copy_of(seed)), "edge-1.example"};
}

std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31U);
}

// The names that `count` of 1000 candidates, each asked by 100 clients, make.
std::vector<Released<products::NewQname>> names(NameGate& gate, int count, const GateKey& key) {
    std::vector<Released<products::NewQname>> released;
    for (int n = 0; n < count; ++n) {
        const std::string name = "name-" + std::to_string(n) + ".se.";
        for (std::uint64_t i = 0; i < 100; ++i) {
            NameCandidate candidate{
                .name = name,
                .sighting = {.name = key.fingerprint(name),
                             .family = Family::ipv4,
                             .client = mix(i * 1000 + mix(static_cast<std::uint64_t>(n))),
                             .network = mix(i % 5 + 77),
                             .client_day = mix(i + 5000)},
                .qtype = 16,
                .qclass = 1,
                .flags = 0xFFF3,
                .minute = UtcTime::from_seconds(600)};
            auto offer = gate.offer(candidate, key);
            for (auto& name_released : offer.released) {
                released.push_back(std::move(name_released));
            }
        }
    }
    return released;
}

std::vector<RowCandidate> rows(std::uint64_t v4, std::uint64_t v6, unsigned networks) {
    std::vector<RowCandidate> all;
    for (const char* entry : {"zeta.se.", "alpha.se."}) {
        RowCandidate candidate;
        candidate.entry = entry;
        candidate.row.labels.at(0) = "se";
        candidate.row.a_count = 57;
        candidate.row.ok_count = 57;
        candidate.row.v4client_count = v4;
        candidate.row.v6client_count = v6;
        candidate.row.v4client_count_hll = Bytes(5, std::byte{1});
        candidate.v4_networks = networks;
        candidate.v6_networks = networks;
        all.push_back(candidate);
    }
    return all;
}

const products::Interval minute{.start = UtcTime::from_seconds(600),
                                .stop = UtcTime::from_seconds(660)};

TEST(NameGate, ReleasesANameOnceInTheFormOfItsRule) {
    const GateKey key = key_of();
    NameGate gate({});
    gate.turn(UtcTime::from_seconds(600), key);
    const auto released = names(gate, 5, key);
    ASSERT_EQ(released.size(), 5U);
    const products::NewQname& event = released.front().value();
    EXPECT_EQ(event.qname, "name-0.se.");
    EXPECT_FALSE(event.qtype) << "TXT is not told";
    EXPECT_EQ(event.flags, 0x8083);
    EXPECT_FALSE(event.timestamp) << "the batch's, not the frame's";
    gate.turn(UtcTime::from_seconds(86'400 + 600), key);
    EXPECT_EQ(names(gate, 5, key).size(), 5U) << "a new day counts anew";
}

// What leaves when so many clients ask for each of the names, all day long.
std::vector<std::string> released_of(NameGate& gate, const std::vector<std::string>& asked,
                                     std::size_t domain_size, unsigned clients,
                                     const GateKey& key) {
    std::vector<std::string> all;
    for (std::uint64_t i = 0; i < clients; ++i) {
        for (const std::string& name : asked) {
            NameCandidate candidate;
            candidate.name = name;
            candidate.domain_start = name.size() - domain_size;
            candidate.sighting = {
                .name = key.fingerprint(candidate.name.substr(candidate.domain_start)),
                .family = Family::ipv4,
                .client = mix(i + 1),
                .network = mix(i % 5 + 77),
                .client_day = mix(i + 5000)};
            candidate.qtype = 1;
            for (const auto& released : gate.offer(candidate, key).released) {
                all.push_back(released.value().qname);
            }
        }
    }
    return all;
}

using Names = std::vector<std::string>;

unsigned threshold_of(std::string_view name, const GateKey& key) {
    return draw_threshold(rule_for(Product::new_qname, Profile::standard).threshold,
                          key.draw(Product::new_qname, name));
}

TEST(NameGate, ClimbsFromTheDomainToTheHostEachFromItsThresholdOn) {
    const GateKey key = key_of();
    NameGate gate({});
    gate.turn(UtcTime::from_seconds(600), key);
    const Names asked{"anna.eu.one.se."};
    // Who came before the domain's threshold was reached does not count for what is below it.
    EXPECT_EQ(released_of(gate, asked, 7, threshold_of("one.se.", key) + 9, key), Names{"one.se."});
    const Names more = released_of(gate, asked, 7, 60, key);
    EXPECT_EQ(std::set<std::string>(more.begin(), more.end()),
              (std::set<std::string>{"*.eu.one.se.", "id--person.eu.one.se."}));
    EXPECT_TRUE(released_of(gate, asked, 7, 60, key).empty()) << "once a day";
}

TEST(NameGate, HasNoParentThatSaysNoMoreThanTheDomain) {
    const GateKey key = key_of();
    NameGate gate({});
    gate.turn(UtcTime::from_seconds(600), key);
    EXPECT_EQ(released_of(gate, {"www.one.se."}, 7, 200, key), (Names{"one.se.", "www.one.se."}));
}

TEST(NameGate, NeverReleasesAHostThatFewAskFor) {
    const GateKey key = key_of();
    NameGate gate({});
    gate.turn(UtcTime::from_seconds(600), key);
    EXPECT_EQ(released_of(gate, {"www.one.se."}, 7, threshold_of("one.se.", key) + 9, key),
              Names{"one.se."});
    NameGate other({});
    other.turn(UtcTime::from_seconds(600), key);
    const Names domain = released_of(other, {"one.se."}, 7, 100, key);
    EXPECT_EQ(domain, Names{"one.se."});
    EXPECT_TRUE(released_of(other, {"x.one.se.", "y.z.one.se."}, 7, 9, key).empty());
}

TEST(NameGate, TellsTheOperatorOfADomainThatIsOldButRare) {
    const GateKey key = key_of();
    NameGate gate({});
    const auto offer_of = [&](const std::string& name, unsigned clients) {
        std::optional<bool> is_old;
        for (std::uint64_t i = 0; i < clients; ++i) {
            NameCandidate candidate;
            candidate.name = name;
            candidate.sighting = {.name = key.fingerprint(name),
                                  .family = Family::ipv4,
                                  .client = mix(i + 1),
                                  .network = mix(i % 5 + 77),
                                  .client_day = mix(i + 5000)};
            const auto offer = gate.offer(candidate, key);
            EXPECT_EQ(offer.is_old.has_value(), !offer.released.empty());
            is_old = offer.is_old ? offer.is_old : is_old;
        }
        return is_old;
    };
    gate.turn(UtcTime::from_seconds(600), key);
    EXPECT_FALSE(offer_of("rare.se.", 5));
    gate.turn(UtcTime::from_seconds(86'400 + 600), key);
    EXPECT_EQ(offer_of("rare.se.", 100), true);
    EXPECT_EQ(offer_of("new.se.", 100), false);
}

class Wildcards final : public WildcardMemory {
public:
    bool was_wildcard(std::string_view name) override {
        asked.emplace_back(name);
        return known.contains(std::string(name));
    }
    void became_wildcard(std::string_view name) override { known.emplace(name); }
    std::set<std::string> known;
    std::vector<std::string> asked;
};

TEST(NameGate, CountsTheChildrenOfAWildcardAsOne) {
    const GateKey key = key_of();
    Wildcards memory;
    NameGate gate({}, &memory);
    gate.turn(UtcTime::from_seconds(600), key);
    released_of(gate, {"one.se."}, 7, 100, key);
    Names flood;
    for (int n = 0; n < 1000; ++n) {
        flood.push_back("x" + std::to_string(n) + ".cdn.one.se.");
    }
    EXPECT_EQ(released_of(gate, flood, 7, 1, key), Names{}) << "one client";
    EXPECT_EQ(memory.known, std::set<std::string>{"cdn.one.se."});
    // Each of them asks for a name of his own, which nobody else asks for.
    Names all;
    for (unsigned client = 0; client < 100; ++client) {
        NameCandidate candidate;
        const std::string name = "own" + std::to_string(client) + ".cdn.one.se.";
        candidate.name = name;
        candidate.domain_start = name.size() - 7;
        candidate.sighting = {.name = key.fingerprint("one.se."),
                              .family = Family::ipv4,
                              .client = mix(client + 1),
                              .network = mix(client % 5 + 77),
                              .client_day = mix(client + 9000)};
        for (const auto& released : gate.offer(candidate, key).released) {
            all.push_back(released.value().qname);
        }
    }
    EXPECT_EQ(all, Names{"*.cdn.one.se."});

    // The next day it is known before a single child has been counted.
    gate.turn(UtcTime::from_seconds(86'400 + 600), key);
    released_of(gate, {"one.se."}, 7, 100, key);
    memory.asked.clear();
    released_of(gate, {"a.cdn.one.se.", "b.cdn.one.se."}, 7, 1, key);
    EXPECT_EQ(memory.asked, (Names{"one.se.", "cdn.one.se."}));
    EXPECT_EQ(released_of(gate, {"c.cdn.one.se."}, 7, 100, key), Names{"*.cdn.one.se."});
}

TEST(NameGate, IsNotFilledByAFloodBelowADomain) {
    const GateKey key = key_of();
    GateSettings settings;
    settings.pending = {.cell_count = 4096, .name_count = 4096, .starts_an_hour_max = 200};
    NameGate gate(settings);
    gate.turn(UtcTime::from_seconds(600), key);
    released_of(gate, {"one.se."}, 7, 100, key);
    for (unsigned n = 0; n < 20'000; ++n) {
        released_of(gate, {"r" + std::to_string(n) + ".one.se."}, 7, 1, key);
        released_of(gate, {"a.r" + std::to_string(n) + ".one.se."}, 7, 1, key);
    }
    EXPECT_EQ(gate.pending().cells_evicted(), 0U);
    EXPECT_EQ(gate.children().evicted(), 0U);
}

TEST(NameGate, LetsEverythingThroughWhereTheRuleHasNoThreshold) {
    const GateKey key = key_of();
    NameGate gate({.profile = Profile::compatible, .single_site = false, .pending = {}});
    const auto released = names(gate, 1, key);
    ASSERT_EQ(released.size(), 100U);
    EXPECT_EQ(released.front().value().flags, 0xFFF3);
    EXPECT_EQ(released.front().value().qtype, 16);
    EXPECT_EQ(released.front().value().timestamp, UtcTime::from_seconds(600));
}

TEST(Events, AreSignedSortedByHashAndPadded) {
    const GateKey key = key_of();
    NameGate gate({});
    const auto released = names(gate, 40, key);
    const auto events = release_events(Profile::standard, released, minute.start, key, signer());
    ASSERT_TRUE(events.has_value());
    ASSERT_EQ(events->payloads.size(), 1U);
    const Payload& payload = events->payloads.front().value();
    EXPECT_EQ(payload.octets.size() % 4096, 0U);
    EXPECT_EQ(product_of_payload(payload.name), Product::new_qname);
    const auto messages = jose::split_batch(as_text(payload.octets));
    ASSERT_TRUE(messages.has_value());
    EXPECT_EQ(messages->size(), released.size());
    EXPECT_TRUE(std::ranges::is_sorted(
        *messages, {}, [](std::string_view m) { return crypto::sha256(as_bytes(m)); }));
    EXPECT_FALSE(std::ranges::equal(*messages, events->messages));
    std::set<std::string> ids;
    for (const std::string& message : events->messages) {
        const auto verified = jose::UnverifiedJws::parse(message)->verify(signer().public_jwk());
        ASSERT_TRUE(verified.has_value());
        const auto event = products::NewQname::parse(verified->payload_text());
        ASSERT_TRUE(event.has_value());
        EXPECT_EQ(event->timestamp, minute.start);
        ids.insert(event->message_id);
    }
    EXPECT_EQ(ids.size(), released.size());
}

TEST(Events, AreTheSameHoweverManyThreadsSignThem) {
    const GateKey key = key_of();
    NameGate gate({.profile = Profile::compatible, .single_site = false, .pending = {}});
    const auto released = names(gate, 10, key);
    ASSERT_EQ(released.size(), 1000U);
    const auto one = release_events(Profile::standard, released, minute.start, key, signer());
    ASSERT_TRUE(one.has_value());
    for (const std::size_t threads : {0U, 2U, 3U, 64U}) {
        const auto many =
            release_events(Profile::standard, released, minute.start, key, signer(), threads);
        ASSERT_TRUE(many.has_value());
        EXPECT_EQ(many->messages, one->messages) << threads;
        ASSERT_EQ(many->payloads.size(), one->payloads.size());
        EXPECT_EQ(many->payloads.front().value().octets, one->payloads.front().value().octets);
    }
}

TEST(Events, HaveTheHourOnlyUnderStrict) {
    const GateKey key = key_of();
    NameGate gate({.profile = Profile::strict, .single_site = false, .pending = {}});
    const auto released = names(gate, 3, key);
    const auto events =
        release_events(Profile::strict, released, UtcTime::from_seconds(7200 + 660), key, signer());
    ASSERT_TRUE(events.has_value());
    ASSERT_FALSE(events->messages.empty());
    const auto verified =
        jose::UnverifiedJws::parse(events->messages.front())->verify(signer().public_jwk());
    EXPECT_EQ(products::NewQname::parse(verified->payload_text())->timestamp,
              UtcTime::from_seconds(7200));
}

TEST(Events, GoOutAlsoWhenThereAreNone) {
    const GateKey key = key_of();
    const auto empty = release_events(Profile::standard, {}, minute.start, key, signer());
    ASSERT_EQ(empty->payloads.size(), 1U);
    EXPECT_EQ(empty->payloads.front().value().octets.size(), 4096U);
    EXPECT_TRUE(
        release_events(Profile::compatible, {}, minute.start, key, signer())->payloads.empty());
}

TEST(Histogram, DropsRowsShortOfTheirThresholdAndCountsThem) {
    const GateKey key = key_of();
    const auto few = release_histogram({}, minute, rows(9, 9, 3), key);
    EXPECT_EQ(few->rows_released, 0U);
    EXPECT_EQ(few->few_clients.size(), 2U);
    EXPECT_TRUE(few->payload.has_value()) << "sent also when empty";
    const auto narrow = release_histogram({}, minute, rows(500, 0, 2), key);
    EXPECT_EQ(narrow->few_networks.size(), 2U);
    const auto waived =
        release_histogram({.profile = Profile::standard, .single_site = true, .pending = {}},
                          minute, rows(500, 0, 1), key);
    EXPECT_EQ(waived->rows_released, 2U);
    const auto many = release_histogram({}, minute, rows(500, 0, 3), key);
    EXPECT_EQ(many->rows_released, 2U);
    EXPECT_EQ(many->payload->value().octets.size() % 4096, 0U);
    EXPECT_EQ(many->payload->value().name,
              "dns_histogram-1970-01-01T00-10-00Z_1970-01-01T00-11-00Z.parquet");
}

// What the edge leaves out before the gate is what the gate would have dropped and counted alike.
TEST(Histogram, NeverReleasesBelowTheFewestClientsAndSometimesAtThem) {
    const GateKey key = key_of();
    for (const Profile profile : {Profile::standard, Profile::strict}) {
        const unsigned fewest = row_clients_min(profile);
        const auto many_rows = [fewest](std::uint64_t clients) {
            std::vector<RowCandidate> all;
            for (int i = 0; i < 2000; ++i) {
                all.push_back(rows(clients, fewest - 1, 3).front());
                all.back().entry = std::to_string(i) + ".se.";
            }
            return all;
        };
        const GateSettings settings{.profile = profile, .single_site = false, .pending = {}};
        const auto none = release_histogram(settings, minute, many_rows(fewest - 1), key);
        EXPECT_EQ(none->rows_released, 0U);
        EXPECT_EQ(none->few_clients.size(), 2000U);
        const auto some = release_histogram(settings, minute, many_rows(fewest), key);
        EXPECT_GT(some->rows_released, 0U) << "the bound is no lower than it must be";
    }
    EXPECT_EQ(row_clients_min(Profile::compatible), 0U);
}

TEST(Histogram, IsNothingWithoutRowsUnderCompatible) {
    const GateSettings settings{
        .profile = Profile::compatible, .single_site = false, .pending = {}};
    EXPECT_FALSE(release_histogram(settings, minute, {}, key_of())->payload);
    EXPECT_EQ(release_histogram(settings, minute, rows(1, 0, 0), key_of())->rows_released, 2U);
}

const products::Interval hour{.start = UtcTime::from_seconds(3600),
                              .stop = UtcTime::from_seconds(7200)};

// An entry's hour: so many clients in each family, all of them sketched.
RowCandidate sketched(const std::string& entry, std::uint64_t v4, std::uint64_t v6,
                      unsigned networks = 3) {
    RowCandidate candidate = rows(v4, v6, networks).front();
    candidate.entry = entry;
    const auto sketch_of = [](std::uint64_t clients) {
        sketch::HyperLogLog sketch;
        for (std::uint64_t i = 1; i <= clients; ++i) {
            sketch.add(mix(i));
        }
        return sketch.serialise_or_null();
    };
    candidate.row.v4client_count_hll = sketch_of(v4);
    candidate.row.v6client_count_hll = sketch_of(v6);
    return candidate;
}

constexpr std::uint64_t enough = 80'000;  // 72 x 1024, and more than a sketch errs
constexpr std::uint64_t not_enough = 65'000;

std::uint64_t sketches(const GateSettings& settings, const products::Interval& interval,
                       const RowCandidate& of_hour) {
    return release_histogram(settings, interval, {}, key_of(), {of_hour})->sketches;
}

TEST(Histogram, HasSketchesOnlyOfWholeHoursWithVeryManyClientsAndOnlyIfAskedTo) {
    GateSettings on;
    on.hourly_sketches = true;
    EXPECT_EQ(sketches(on, hour, sketched("a.se.", enough, 0)), 1U);
    EXPECT_EQ(sketches(on, hour, sketched("a.se.", enough, enough)), 2U);
    EXPECT_EQ(sketches(on, hour, sketched("a.se.", not_enough, 0)), 0U);
    EXPECT_EQ(sketches(on, hour, sketched("a.se.", enough, not_enough)), 1U) << "by family";
    EXPECT_EQ(sketches(on, hour, sketched("a.se.", enough, 0, 2)), 0U) << "too few networks";
    EXPECT_EQ(sketches({}, hour, sketched("a.se.", enough, 0)), 0U) << "nobody asked for it";
    const std::int64_t start = hour.start.seconds();
    for (const std::int64_t length : {60, 600, 3540, 3660, 7200}) {
        EXPECT_EQ(sketches(on, {.start = hour.start, .stop = UtcTime::from_seconds(start + length)},
                           sketched("a.se.", enough, 0)),
                  0U)
            << length;
    }
}

TEST(Histogram, CountsASketchItselfAndTakesNobodysWord) {
    GateSettings on;
    on.hourly_sketches = true;
    RowCandidate boasts = sketched("a.se.", not_enough, 0);
    boasts.row.v4client_count = enough;
    EXPECT_EQ(sketches(on, hour, boasts), 0U);
    RowCandidate broken = sketched("a.se.", enough, 0);
    broken.row.v4client_count_hll->resize(100);
    EXPECT_EQ(sketches(on, hour, broken), 0U);
}

// The ordinary rows of an interval never have one, whatever is said for it.
TEST(Histogram, TakesSketchesFromRowsOfItsOwn) {
    GateSettings on;
    on.hourly_sketches = true;
    const auto plain =
        release_histogram(on, hour, {sketched("a.se.", enough, 0)}, key_of())->payload;
    const auto with = release_histogram(on, hour, {sketched("a.se.", 500, 0)}, key_of(),
                                        {sketched("a.se.", enough, 0)});
    const auto alone = release_histogram(on, hour, {}, key_of(), {sketched("a.se.", enough, 0)});
    EXPECT_EQ(with->rows_released, 1U);
    EXPECT_EQ(alone->rows_released, 0U) << "a row of a sketch is none of what was counted";
    const Bytes octets = *sketched("a.se.", enough, 0).row.v4client_count_hll;
    const auto holds = [&octets](const std::optional<Released<Payload>>& payload) {
        const Bytes& file = payload->value().octets;
        // Compressed or not, its middle is too random to be anywhere by chance.
        return !std::ranges::search(file, std::span(octets).subspan(100, 32)).empty();
    };
    EXPECT_FALSE(holds(plain));
    EXPECT_TRUE(holds(with->payload));
    EXPECT_TRUE(holds(alone->payload));
}

TEST(Reopen, TakesOnlyWhatAnUnsentLeafSays) {
    const GateKey key = key_of();
    const auto made = release_histogram({}, minute, rows(500, 0, 3), key);
    const Payload& payload = made->payload->value();
    const ledger::Salt salt{};
    const std::vector<ledger::LeafPayload> unsent{
        {.name = payload.name,
         .size = payload.octets.size(),
         .commitment = ledger::commit(salt, payload.octets)}};
    const auto again = reopen(payload, salt, unsent);
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->value().octets, payload.octets);

    Payload changed = payload;
    changed.octets.back() ^= std::byte{1};
    EXPECT_EQ(reopen(changed, salt, unsent).error().code(), Code::denied);
    Payload renamed = payload;
    renamed.name = "new_qname.json";
    EXPECT_FALSE(reopen(renamed, salt, unsent).has_value());
    EXPECT_FALSE(reopen(payload, salt, {}).has_value()) << "nothing waits";
    ledger::Salt other{};
    other.front() = std::byte{1};
    EXPECT_FALSE(reopen(payload, other, unsent).has_value());
}

}  // namespace
}  // namespace tapir::privacy
