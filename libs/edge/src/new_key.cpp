#include "tapir/edge/new_key.hpp"

#include <utility>

#include <fmt/format.h>

#include "live_keys.hpp"
#include "tapir/crypto/secret.hpp"
#include "tapir/crypto/signature.hpp"
#include "tapir/jose/jwk.hpp"

namespace tapir::edge {
namespace {

constexpr std::size_t kid_octets = 6;
constexpr world::FileMode mode_public = 0644;

}  // namespace

Result<std::string> new_signing_key(world::Files& files, world::Chance& chance, std::string kid,
                                    const std::string& path) {
    if (kid.empty()) {
        kid = "edge-" + to_hex(chance.bytes<kid_octets>());
    }
    if (!jose::is_key_id(kid)) {
        return fail(Code::invalid,
                    fmt::format("--kid: expected 1 to {} of A-Z a-z 0-9 . _ -, got '{}'",
                                jose::key_id_size_max, kid));
    }
    constexpr std::string_view ending = ".jwk";
    const std::string stem =
        path.ends_with(ending) ? path.substr(0, path.size() - ending.size()) : path;
    const std::string public_path = stem + ".public.jwk";
    for (const std::string& there : {path, public_path}) {
        if (files.exists(there)) {
            return fail(Code::conflict, fmt::format("{}: is there already, and is kept", there));
        }
    }
    auto seed = chance.bytes<crypto::ed25519_size>();
    crypto::Secret secret = crypto::Secret::copy_of(seed);
    crypto::wipe(seed);
    const jose::PrivateJwk key(TRY(crypto::SigningKey::from_seed(std::move(secret))), kid);
    const crypto::Secret text = key.to_json();
    TRY(files.write_atomically(path, text.bytes(), world::mode_private));
    TRY(files.write_atomically(public_path, as_bytes(key.public_jwk().to_json()), mode_public));
    return kid;
}

Result<void> new_group_key(world::Files& files, world::Chance& chance, UtcTime now,
                           const std::string& path) {
    if (files.exists(path)) {
        return fail(Code::conflict, fmt::format("{}: is there already, and is kept", path));
    }
    TRY(open_day_keys(files, path, now, chance));
    return {};
}

}  // namespace tapir::edge
