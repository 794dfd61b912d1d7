#include "tapir/edge/migrate.hpp"

#include <cstdio>

#include <fmt/format.h>

#include "commands.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/files.hpp"
#include "tapir/world/host.hpp"

namespace tapir::edge_app {

Result<int> migrate(const MigrateWords& words) {
    world::SystemFiles files;
    const Bytes text = TRY(files.read(words.config, text::settings_size_max));
    const edge::Migration migration =
        edge::migrate({.toml = as_text(text),
                       .file = words.config,
                       .environment = world::environment(edge::old_environment_prefix),
                       .arguments = words.flags});
    for (const std::string& fault : migration.faults) {
        fmt::print(stderr, "{}\n", fault);
    }
    if (!migration.is_understood()) {
        return 1;
    }
    auto remarks = migration.remarks;
    for (edge::Remark& more : edge::look_at_files(migration.files, files, words.with_state)) {
        remarks.push_back(std::move(more));
    }
    for (const edge::Remark& remark : remarks) {
        fmt::print(stderr, "{}: {}{}{}\n", edge::to_string(remark.kind), remark.place,
                   remark.place.empty() ? "" : ": ", remark.what);
    }
    if (words.out.empty()) {
        fmt::print("{}", migration.settings);
    } else {
        TRY(files.write_atomically(words.out, as_bytes(migration.settings)));
    }
    return 0;
}

}  // namespace tapir::edge_app
