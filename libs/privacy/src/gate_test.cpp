#include "tapir/privacy/gate.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tapir/jose/jws.hpp"
#include "tapir/privacy/form.hpp"
#include "tapir/privacy/threshold.hpp"

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
            if (offer.released) {
                released.push_back(std::move(*offer.released));
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
    gate.turn(UtcTime::from_seconds(600));
    const auto released = names(gate, 5, key);
    ASSERT_EQ(released.size(), 5U);
    const products::NewQname& event = released.front().value();
    EXPECT_EQ(event.qname, "name-0.se.");
    EXPECT_FALSE(event.qtype) << "TXT is not told";
    EXPECT_EQ(event.flags, 0x8083);
    EXPECT_FALSE(event.timestamp) << "the batch's, not the frame's";
    gate.turn(UtcTime::from_seconds(86'400 + 600));
    EXPECT_EQ(names(gate, 5, key).size(), 5U) << "a new day counts anew";
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
    EXPECT_EQ(few->rows_few_clients, 2U);
    EXPECT_TRUE(few->payload.has_value()) << "sent also when empty";
    const auto narrow = release_histogram({}, minute, rows(500, 0, 2), key);
    EXPECT_EQ(narrow->rows_few_networks, 2U);
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
        EXPECT_EQ(none->rows_few_clients, 2000U);
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

TEST(Form, IsTheRegisteredDomainOrNothing) {
    const auto suffixes = dns::PublicSuffixes::parse(
        "// ===BEGIN ICANN DOMAINS===\nse\nuk\nco.uk\n// ===END ICANN DOMAINS===\n"
        "// ===BEGIN PRIVATE DOMAINS===\nhost.se\n// ===END PRIVATE DOMAINS===\n",
        "list");
    ASSERT_TRUE(suffixes.has_value());
    const auto form = [&](const char* text) {
        return registered_domain_of(dns::FoldedName(*dns::Name::from_text(text)), *suffixes);
    };
    EXPECT_EQ(*form("a.b.one.se."), 2U);
    EXPECT_EQ(*form("ONE.CO.UK."), 3U);
    EXPECT_EQ(form("my.host.se.").error(), NeverReleased::private_suffix);
    EXPECT_EQ(form("co.uk.").error(), NeverReleased::is_suffix);
    EXPECT_EQ(form("a.b.").error(), NeverReleased::unlisted_suffix);
    EXPECT_EQ(form("se.").error(), NeverReleased::single_label);
    EXPECT_EQ(form(".").error(), NeverReleased::single_label);
    EXPECT_EQ(form("1.0.ARPA.").error(), NeverReleased::reverse);
    EXPECT_EQ(form("x.local.").error(), NeverReleased::special_use);
}

}  // namespace
}  // namespace tapir::privacy
