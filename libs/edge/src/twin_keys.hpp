// What the offline runs have in place of chance: keys that are configured, or public ones.
#pragma once

#include "batch_leaf.hpp"
#include "setup.hpp"
#include "tapir/client/day_key.hpp"
#include "tapir/crypto/secret.hpp"

namespace tapir::edge {

struct TwinKeys {
    jose::PrivateJwk signing = public_test_signing_key();
    client::DayKey day = public_test_day_key();
    bool is_test_signing = true;
    bool is_test_day = true;
};

Result<TwinKeys> twin_keys(world::Files& files, const text::Settings& settings, const Log& log);

// Both from the day's key.
SaltSource twin_salts(const client::DayKey& day);
crypto::Secret twin_wildcard_key(const client::DayKey& day);

}  // namespace tapir::edge
