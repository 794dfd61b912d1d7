#include "commands.hpp"
#include "tapir/aggregation/daemon.hpp"
#include "tapir/base/log.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"
#include "tapir/world/host.hpp"
#include "tapir/world/process.hpp"

namespace tapir::edge_app {

text::SettingTable aggregator_settings() {
    return aggregation::settings_table();
}

Result<void> aggregate(const std::string& config, const std::vector<std::string>& sets) {
    world::restrict_umask();
    const auto stop = TRY(world::Stop::on_signals());
    world::SystemFiles files;
    const Bytes text = TRY(files.read(config, text::settings_size_max));
    const auto settings =
        TRY(text::Settings::parse(as_text(text), config, aggregation::settings_table(), sets));
    const Log log = Log::to_stderr({.service = "tapir-edge aggregate",
                                    .version = TAPIR_VERSION,
                                    .hostname = world::host_name()},
                                   Level::info, world::system_now);
    return aggregation::run(settings, TAPIR_VERSION, *stop, log);
}

}  // namespace tapir::edge_app
