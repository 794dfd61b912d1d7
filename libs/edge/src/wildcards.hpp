// Parents that were found to be wildcards (R4), remembered for 30 days over restarts.
//
//     auto wildcards = TRY(Wildcards::open(store, chance, log, counters));
//     wildcards.start_day(day);                    // UTC days since 1970; what is older goes
//     privacy::NameGate gate(settings, &wildcards);
//
// The store holds no name: 16 octets of an HMAC of it, under a key that never leaves the store and
// is made anew if it is lost or damaged (then all parents are found again, which costs nothing but
// their first children). At most wildcard_count_max; more are not remembered, counted. When the
// store fails a parent is no wildcard until its children say so again: nothing is released that the
// threshold would not release. One thread at a time.
#pragma once

#include <cstdint>
#include <string_view>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/crypto/secret.hpp"
#include "tapir/privacy/gate.hpp"
#include "tapir/store/store.hpp"
#include "tapir/world/chance.hpp"

namespace tapir::edge {

inline constexpr std::string_view wildcard_family = "wildcards";
inline constexpr std::size_t wildcard_count_max = 1U << 18U;
inline constexpr std::uint64_t wildcard_days = 30;

class Wildcards final : public privacy::WildcardMemory {
public:
    static Result<Wildcards> open(store::Store& store, world::Chance& chance, const Log& log,
                                  Counters& counters);
    // With a key of the caller's: for what has no chance.
    Wildcards(store::Store& store, crypto::Secret key, const Log& log, Counters& counters);

    void start_day(std::uint64_t day);
    bool was_wildcard(std::string_view name) override;
    void became_wildcard(std::string_view name) override;

    std::size_t size() const { return count_; }

private:
    Bytes key_of(std::string_view name) const;
    void failed(const Error& error);
    Result<void> tidy();

    store::Store* store_;
    crypto::Secret key_;
    const Log* log_;
    Counter* errors_;
    Counter* forgotten_;
    std::uint64_t day_ = 0;
    std::size_t count_ = 0;
};

}  // namespace tapir::edge
