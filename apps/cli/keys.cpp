#include <fmt/format.h>

#include "commands.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/files.hpp"

namespace tapir::cli {

Result<std::string> new_key(const std::string& kid, const std::string& folder) {
    if (!jose::is_key_id(kid)) {
        return fail(Code::invalid,
                    fmt::format("--kid: expected 1 to {} of A-Z a-z 0-9 . _ -, got '{}'",
                                jose::key_id_size_max, kid));
    }
    world::SystemFiles files;
    world::SystemChance chance;
    const std::string secret_path = fmt::format("{}/{}.jwk", folder, kid);
    const std::string public_path = fmt::format("{}/{}.public.jwk", folder, kid);
    for (const std::string& path : {secret_path, public_path}) {
        if (files.exists(path)) {
            return fail(Code::conflict, fmt::format("{}: is there already, and is kept", path));
        }
    }
    auto seed = chance.bytes<crypto::ed25519_size>();
    crypto::Secret secret = crypto::Secret::copy_of(seed);
    crypto::wipe(seed);
    const jose::PrivateJwk key(TRY(crypto::SigningKey::from_seed(std::move(secret))), kid);
    const crypto::Secret text = key.to_json();
    TRY(files.make_directories(folder, 0700));
    TRY(files.write_atomically(secret_path, text.bytes(), world::mode_private));
    TRY(files.write_atomically(public_path, as_bytes(key.public_jwk().to_json()), 0644));
    return fmt::format("{}  keep it secret\n{}  give it to the core\n", secret_path, public_path);
}

Result<std::string> show_key(const std::string& path) {
    world::SystemFiles files;
    const Bytes octets = TRY(files.read(path, jose::jwk_size_max));
    const std::string_view text = as_text(octets);
    const auto key =
        text.starts_with("-----") ? jose::Jwk::from_pem(text, "") : jose::Jwk::parse(text);
    if (!key) {
        return fail(Error(key.error()).at(path));
    }
    return fmt::format("{}\nthumbprint {}\n", key->to_json(), key->thumbprint());
}

}  // namespace tapir::cli
