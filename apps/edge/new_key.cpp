#include "tapir/edge/new_key.hpp"

#include <fmt/format.h>

#include "commands.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge_app {

Result<int> new_key(const NewKeyWords& words) {
    world::SystemFiles files;
    world::SystemChance chance;
    fmt::print("{}\n", TRY(edge::new_signing_key(files, chance, words.kid, words.path)));
    return 0;
}

Result<int> new_group_key(const std::string& path) {
    world::SystemFiles files;
    world::SystemChance chance;
    TRY(edge::new_group_key(files, chance, world::SystemClock().now(), path));
    return 0;
}

}  // namespace tapir::edge_app
