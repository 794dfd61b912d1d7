#include "twin_keys.hpp"

#include <memory>
#include <utility>

#include "tapir/crypto/digest.hpp"
#include "tapir/ledger/leaf.hpp"

namespace tapir::edge {
namespace {

// The twin has no chance: what is to be secret comes from the day's key.
crypto::Secret secret_of(const client::DayKey& day, std::string_view purpose) {
    Bytes octets(crypto::sha256_size);
    day.derive(purpose, octets);
    return crypto::Secret::taken_from(std::move(octets));
}

}  // namespace

Result<TwinKeys> twin_keys(world::Files& files, const text::Settings& settings, const Log& log) {
    TwinKeys keys;
    if (!settings.string("keys.signing").empty()) {
        keys.signing = TRY(signing_key(files, settings, KeyFiles::as_they_are));
        keys.is_test_signing = false;
    } else {
        log.warn("process", "no signing key is configured: a fixed public test key signs",
                 {{"kid", keys.signing.kid()}});
    }
    if (!settings.string("keys.day").empty()) {
        keys.day = TRY(day_key(files, settings));
        keys.is_test_day = false;
    }
    return keys;
}

SaltSource twin_salts(const client::DayKey& day) {
    const auto key = std::make_shared<const crypto::Secret>(secret_of(day, "tapir ledger salts"));
    return [key](std::string_view batch, std::string_view name) {
        return ledger::derive_salt(*key, batch, name);
    };
}

crypto::Secret twin_wildcard_key(const client::DayKey& day) {
    return secret_of(day, "tapir wildcards");
}

}  // namespace tapir::edge
