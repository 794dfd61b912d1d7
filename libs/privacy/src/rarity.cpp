#include "tapir/privacy/rarity.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "tapir/base/bytes.hpp"

namespace tapir::privacy {
namespace {

constexpr std::int64_t generation_days = rarity_days / 2;
constexpr unsigned probes = 4;

}  // namespace

Rarity::Rarity(std::size_t bit_count)
    : today_(std::bit_ceil(std::max<std::size_t>(bit_count, 64)) / 64) {
    for (Generation& generation : generations_) {
        generation.bits.resize(today_.size());
    }
}

void Rarity::start_day(std::int64_t day, const GateKey& key) {
    if (day_ && day <= *day_) {
        return;
    }
    auto& [newer, older] = generations_;
    for (std::size_t i = 0; i < today_.size(); ++i) {
        newer.bits[i] |= std::exchange(today_[i], 0);
    }
    const bool is_first = !std::exchange(day_, day);
    if (is_first || day - newer.first_day >= generation_days) {
        std::swap(newer, older);
        std::ranges::fill(newer.bits, 0);
        newer.first_day = day;
        // No names: they have no final dot.
        newer.key = {key.draw(Product::new_qname, "rarity, first half"),
                     key.draw(Product::new_qname, "rarity, second half")};
    }
    if (day - older.first_day >= rarity_days) {
        std::ranges::fill(older.bits, 0);
    }
}

void Rarity::saw(std::string_view domain) {
    set(today_, hash_of(generations_[0].key, domain));
}

bool Rarity::is_old(std::string_view domain) const {
    return std::ranges::any_of(generations_, [domain](const Generation& generation) {
        return test(generation.bits, hash_of(generation.key, domain));
    });
}

std::uint64_t Rarity::hash_of(const Key& key, std::string_view domain) {
    return siphash_2_4(key[0], key[1], as_bytes(domain));
}

// Four places from one hash (Kirsch and Mitzenmacher 2006).
void Rarity::set(Bits& bits, std::uint64_t hash) {
    const std::uint64_t step = (hash >> 32U) | 1U;
    for (unsigned i = 0; i < probes; ++i, hash += step) {
        const std::uint64_t bit = hash % (bits.size() * 64);
        bits[bit / 64] |= std::uint64_t{1} << (bit % 64);
    }
}

bool Rarity::test(const Bits& bits, std::uint64_t hash) {
    const std::uint64_t step = (hash >> 32U) | 1U;
    for (unsigned i = 0; i < probes; ++i, hash += step) {
        const std::uint64_t bit = hash % (bits.size() * 64);
        if ((bits[bit / 64] >> (bit % 64) & 1U) == 0) {
            return false;
        }
    }
    return true;
}

}  // namespace tapir::privacy
