// Whoever owns all clients of a name but one, against the noise of R3: how much better than
// guessing does he tell whether the one asked? Measured through the gate itself, not from the
// formula.
#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tapir/privacy/gate.hpp"
#include "tapir/privacy/threshold.hpp"

namespace tapir::privacy {
namespace {

constexpr unsigned names = 20'000;

GateKey key_of(std::mt19937_64& random) {
    std::array<std::byte, gate_key_size> octets;
    for (std::byte& octet : octets) {
        octet = static_cast<std::byte>(random());
    }
    return GateKey(octets);
}

// Of so many names: at which client the gate released each. Who owns m clients and sees a name
// released only when one more asks has the advantage of the share at m + 1.
std::array<double, 100> shares_by_client(Profile profile) {
    std::mt19937_64 random(20);
    const GateKey key = key_of(random);
    NameGate gate({.profile = profile, .single_site = false, .pending = {}});
    gate.turn(UtcTime::from_seconds(600), key);
    std::array<double, 100> shares{};
    for (unsigned n = 0; n < names; ++n) {
        NameCandidate candidate;
        const std::string name = fmt::format("victim-{}.se.", n);
        candidate.name = name;
        candidate.sighting.name = key.fingerprint(name);
        for (std::size_t clients = 1; clients < shares.size(); ++clients) {
            // Tags of one client under different names are unrelated, as the tagger makes them.
            candidate.sighting.client = random();
            candidate.sighting.network = clients % 5 + 77;
            candidate.sighting.client_day = random();
            if (!gate.offer(candidate, key).released.empty()) {
                shares.at(clients) += 1.0 / names;
                break;
            }
        }
    }
    return shares;
}

TEST(Sybil, LearnsNoMoreThanTheBoundFromOneNameAndDay) {
    for (const Profile profile : {Profile::standard, Profile::strict}) {
        const Threshold& threshold = rule_for(Product::new_qname, profile).threshold;
        const double bound = advantage_max(threshold);
        const auto shares = shares_by_client(profile);
        double best = 0;
        double all = 0;
        for (const double share : shares) {
            best = std::max(best, share);
            all += share;
        }
        const double error = 3 * std::sqrt(bound * (1 - bound) / names);
        std::printf("%s: advantage of one client less than the threshold %.3f, bound %.3f\n",
                    std::string(to_string(profile)).c_str(), best, bound);
        EXPECT_LE(best, bound + error);
        EXPECT_GT(best, bound / 2) << "a bound that far away says nothing";
        EXPECT_NEAR(all, 1.0, 1e-9) << "each was released in the end";
        // Without noise he would know: all names would be released at the same client.
        EXPECT_LT(best, 0.3);
    }
}

}  // namespace
}  // namespace tapir::privacy
