// Whether a registered domain is new here, or old and rare (R3): asked for by too few until today.
//
//     Rarity rarity(bit_count);
//     rarity.start_day(day, key);                  // UTC days since 1970
//     rarity.saw("example.com.");                  // when somebody asks for it first, today
//     if (rarity.is_old("example.com.")) { ... }   // asked for on one of the 30 days before
//
// Bloom filters: no name, and whoever is told no is told the truth; a domain may be called old that
// is new (of 900 000 domains in a generation, at the usual size, about one in seventy: the formula
// (1 - e^(-4n/m))^4, and `Rarity.IsRightMostOfTheTime`). They lie in memory alone, under
// keys that are made from the day's key and thrown away with them after 30 days at most: so no disk
// says what few have asked for, and a restart forgets. What is_old() says is for the operator; it
// never leaves, for it would tell who sends the other clients of a name whether one more has asked
// for it before. One thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tapir/privacy/gate_key.hpp"

namespace tapir::privacy {

inline constexpr std::size_t rarity_bits_usual = 1U << 23U;
inline constexpr std::int64_t rarity_days = 30;

class Rarity {
public:
    // Rounded up to 2^n, at least 64; three filters of this size.
    explicit Rarity(std::size_t bit_count);

    // Days come in ascending order; one that is not later than the last is passed over.
    void start_day(std::int64_t day, const GateKey& key);
    void saw(std::string_view domain);
    bool is_old(std::string_view domain) const;

    std::size_t memory_size() const { return 3 * today_.size() * sizeof(std::uint64_t); }

private:
    using Bits = std::vector<std::uint64_t>;
    using Key = std::array<std::uint64_t, 2>;
    // Domains of the days of one key, but for today.
    struct Generation {
        Bits bits;
        Key key{};
        std::int64_t first_day = 0;
    };

    static void set(Bits& bits, std::uint64_t hash);
    static bool test(const Bits& bits, std::uint64_t hash);
    static std::uint64_t hash_of(const Key& key, std::string_view domain);

    Bits today_;                             // under the key of generations_[0]
    std::array<Generation, 2> generations_;  // the newer first
    std::optional<std::int64_t> day_;
};

}  // namespace tapir::privacy
