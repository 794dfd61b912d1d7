#include "tapir/privacy/exceptions.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tapir/jose/jws.hpp"

namespace tapir::privacy {
namespace {

constexpr std::int64_t noon = 1'790'000'000 / 86'400 * 86'400 + 12 * 3600;
constexpr std::uint64_t all_written = UINT64_MAX;

UtcTime at(std::int64_t seconds_after_noon) {
    return UtcTime::from_seconds(noon + seconds_after_noon);
}

class ExceptionsTest : public ::testing::Test {
protected:
    ExceptionsTest() { exceptions_.turn(at(0)); }

    ExceptionOutcome offer(const std::string& domain, ExceptionGrounds grounds) {
        return exceptions_.offer(domain, grounds, suffixes_).outcome;
    }
    ExceptionOutcome offer(unsigned number) {
        return offer(fmt::format("evil-{}.se.", number), {.is_pinned = true});
    }

    dns::PublicSuffixes suffixes_ = dns::PublicSuffixes::parse(
                                        "// ===BEGIN ICANN DOMAINS===\nse\nco.uk\n"
                                        "// ===END ICANN DOMAINS===\n",
                                        "psl")
                                        .value();
    Exceptions exceptions_{Profile::standard, {}};
};

TEST_F(ExceptionsTest, WantAPinnedListOrThreeNetworks) {
    EXPECT_EQ(offer("a.se.", {.networks = 2}), ExceptionOutcome::too_few);
    EXPECT_EQ(offer("a.se.", {.networks = 3}), ExceptionOutcome::granted);
    EXPECT_EQ(offer("a.se.", {.networks = 3}), ExceptionOutcome::granted_before);
    EXPECT_EQ(offer("b.se.", {.is_pinned = true}), ExceptionOutcome::granted);
}

TEST_F(ExceptionsTest, LeaveWithABatchOfALaterHourAndSayTheirHourOnly) {
    exceptions_.turn(at(1234));
    offer("a.se.", {.is_pinned = true});
    EXPECT_TRUE(exceptions_.take(at(1234), all_written).empty());
    EXPECT_TRUE(exceptions_.take(at(3599), all_written).empty()) << "the last of the hour";
    const auto taken = exceptions_.take(at(3600), all_written);
    ASSERT_EQ(taken.size(), 1U);
    const products::NewQname& event = taken.front().name.value();
    EXPECT_EQ(event.qname, "a.se.");
    EXPECT_EQ(event.timestamp, at(0));
    EXPECT_FALSE(event.qtype);
    EXPECT_EQ(event.flags, 0x8000) << "QR alone: nothing of the answer";
    EXPECT_TRUE(exceptions_.take(at(7200), all_written).empty()) << "once";
}

TEST_F(ExceptionsTest, KeepTheirHourInTheirEvent) {
    offer("a.se.", {.is_pinned = true});
    const auto taken = exceptions_.take(at(3660), all_written);
    ASSERT_EQ(taken.size(), 1U);
    const Bytes octets(gate_key_size, std::byte{5});
    const GateKey key(std::span<const std::byte, gate_key_size>(octets.data(), gate_key_size));
    const Bytes seed(32, std::byte{7});
    const jose::PrivateJwk signer(
        crypto::SigningKey::from_seed(crypto::Secret::copy_of(seed)).take(), "test");
    const std::vector<Released<products::NewQname>> names{taken.front().name};
    const auto events = release_events(Profile::standard, names, at(3660), key, signer);
    ASSERT_TRUE(events.has_value());
    EXPECT_EQ(events->payloads.front().value().octets.size(), 4096U);
    const auto jws = jose::UnverifiedJws::parse(events->messages.front());
    const auto verified = jws->verify(signer.public_jwk());
    const auto event = products::NewQname::parse(verified->payload_text());
    EXPECT_EQ(event->timestamp, at(0)) << "not the batch's minute";
    EXPECT_TRUE(products::is_uuid(event->message_id));
}

TEST_F(ExceptionsTest, DoNotLeaveBeforeTheyAreWrittenDown) {
    offer("a.se.", {.is_pinned = true});
    offer("b.se.", {.is_pinned = true});
    EXPECT_TRUE(exceptions_.take(at(3600), 0).empty());
    EXPECT_EQ(exceptions_.take(at(3600), 1).size(), 1U);
    EXPECT_EQ(exceptions_.take(at(3600), 2).size(), 1U);
}

TEST_F(ExceptionsTest, AreAHundredADay) {
    for (unsigned i = 0; i < 100; ++i) {
        ASSERT_EQ(offer(i), ExceptionOutcome::granted) << i;
    }
    EXPECT_EQ(offer(100), ExceptionOutcome::over_the_day);
    EXPECT_EQ(exceptions_.take(at(3600), all_written).size(), 100U);
    exceptions_.turn(at(12 * 3600 - 1));
    EXPECT_EQ(offer(100), ExceptionOutcome::over_the_day) << "the day's last second";
    exceptions_.turn(at(12 * 3600));
    EXPECT_EQ(offer(100), ExceptionOutcome::granted);
    EXPECT_EQ(offer(0), ExceptionOutcome::granted) << "another day";
    exceptions_.turn(at(0));
    EXPECT_EQ(offer(0), ExceptionOutcome::granted_before) << "the clock was put back";
}

TEST_F(ExceptionsTest, CountWhatWasGrantedBeforeARestart) {
    Exceptions again(Profile::strict, {.day = noon / 86'400, .granted = 99});
    again.turn(at(0));
    const ExceptionGrounds pinned{.is_pinned = true};
    EXPECT_EQ(again.offer("a.se.", pinned, suffixes_).outcome, ExceptionOutcome::granted);
    EXPECT_EQ(again.offer("b.se.", pinned, suffixes_).outcome, ExceptionOutcome::over_the_day);
    Exceptions of_yesterday(Profile::strict, {.day = noon / 86'400 - 1, .granted = 100});
    of_yesterday.turn(at(0));
    EXPECT_EQ(of_yesterday.offer("a.se.", pinned, suffixes_).outcome, ExceptionOutcome::granted);
}

TEST_F(ExceptionsTest, AreRegisteredDomainsThatMayLeave) {
    for (const char* name : {"se.", "www.a.se.", "4.3.2.1.in-addr.arpa.", "a.local.", "x.onion.",
                             "a.no-such-suffix-here.", "co.uk.", ".", "a..se."}) {
        EXPECT_EQ(offer(name, {.is_pinned = true, .networks = 3}), ExceptionOutcome::never) << name;
    }
    EXPECT_EQ(exceptions_.waiting(), 0U);
}

TEST_F(ExceptionsTest, AreNoneUnderCompatible) {
    Exceptions none(Profile::compatible, {});
    none.turn(at(0));
    const ExceptionGrounds grounds{.is_pinned = true, .networks = 3};
    EXPECT_NE(none.offer("a.se.", grounds, suffixes_).outcome, ExceptionOutcome::granted);
    EXPECT_FALSE(release_by_exception(Profile::compatible, "a.se.", grounds, suffixes_, at(0)));
    EXPECT_TRUE(none.take(at(3600), all_written).empty());
}

TEST_F(ExceptionsTest, TheDoorItselfRefusesTooFewNetworks) {
    const auto of = [&](ExceptionGrounds grounds) {
        return release_by_exception(Profile::standard, "a.se.", grounds, suffixes_, at(5))
            .has_value();
    };
    EXPECT_FALSE(of({.networks = 2}));
    EXPECT_TRUE(of({.networks = 3}));
    EXPECT_TRUE(of({.is_pinned = true}));
}

}  // namespace
}  // namespace tapir::privacy
