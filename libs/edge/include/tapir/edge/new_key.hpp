// A signing key for a new edge, for `tapir-edge new-key` and the package that installs it; and the
// day's key of a group of sites, for `tapir-edge new-group-key`.
//
//     const std::string kid = TRY(new_signing_key(files, chance, "", "/etc/tapir/keys/edge.jwk"));
#pragma once

#include <string>

#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

// Writes `path` (a private JWK, 0600) and beside it the public one, for the core: "edge.jwk" and
// "edge.public.jwk". Nothing is overwritten. `kid` empty: "edge-" and twelve digits by chance. The
// kid.
Result<std::string> new_signing_key(world::Files& files, world::Chance& chance, std::string kid,
                                    const std::string& path);

// Writes `path` (0600): the date and a key by chance, K(0) of a group (R1, R10). Each site gets the
// file as it is on that day; nothing is overwritten.
Result<void> new_group_key(world::Files& files, world::Chance& chance, UtcTime now,
                           const std::string& path);

}  // namespace tapir::edge
