// tapir-policy: decides what the resolver is told of each name, and serves that as a zone.
#include "tapir/base/main.hpp"

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "daemon.hpp"
#include "tapir/policy/twin.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"

namespace {

using tapir::Level;
using tapir::text::Settings;

struct Words {
    std::string config;
    std::vector<std::string> overrides;
    std::string out;
    std::string now;
};

Level level_of(const std::string& word) {
    return word == "debug"   ? Level::debug
           : word == "warn"  ? Level::warn
           : word == "error" ? Level::error
                             : Level::info;
}

tapir::Result<Settings> read_settings(const Words& words) {
    tapir::world::SystemFiles files;
    const auto text = TRY(files.read(words.config, tapir::text::settings_size_max));
    return Settings::parse(tapir::as_text(text), words.config, tapir::policy::setting_table(),
                           words.overrides);
}

tapir::Result<void> run(const Words& words) {
    const Settings settings = TRY(read_settings(words));
    const auto log = tapir::Log::to_stderr("tapir-policy", level_of(settings.string("log.level")),
                                           tapir::world::system_now);
    return tapir::policy::run(settings, log);
}

tapir::Result<void> build(const Words& words) {
    const Settings settings = TRY(read_settings(words));
    const auto log = tapir::Log::to_stderr("tapir-policy", Level::warn, tapir::world::system_now);
    tapir::world::SystemFiles files;
    tapir::Counters counters;
    const auto config = TRY(tapir::policy::read_config(settings, files));
    std::optional<tapir::UtcTime> now;
    if (!words.now.empty()) {
        now = TRY(tapir::UtcTime::parse(words.now));
    }
    tapir::Bytes zone;
    const auto report =
        TRY(tapir::policy::build_zone(config, files, now, log, counters,
                                      [&](std::string_view piece) { tapir::append(zone, piece); }));
    TRY(files.write_atomically(words.out, zone, 0644));
    std::printf("%zu rules from %zu messages (%zu refused), as of %s\n", report.rules,
                report.messages, report.refused, report.now.to_string().c_str());
    return {};
}

void add_common(CLI::App& command, Words& words) {
    command.add_option("--config", words.config, "Settings file (TOML).")->required();
    command.add_option("--set", words.overrides, "KEY=VALUE instead of what the file says.")
        ->take_all()
        ->allow_extra_args(false);
}

tapir::Result<int> work(int argc, char** argv) {
    CLI::App app("Decides what the resolver is told of each name, and serves that as a zone.",
                 "tapir-policy");
    app.set_version_flag("--version", "tapir-policy " TAPIR_VERSION);
    app.require_subcommand(1);
    Words words;
    auto* run_daemon =
        app.add_subcommand("run", "Run until SIGTERM; SIGHUP reads the lists again.");
    add_common(*run_daemon, words);
    auto* twin = app.add_subcommand("build", "Write the zone to a file, from files alone.");
    add_common(*twin, words);
    twin->add_option("--out", words.out, "Zone file to write.")->required();
    twin->add_option("--now", words.now, "Time of the zone (RFC 3339); else that of the data.");
    auto* help = app.add_subcommand("help-settings", "Print all settings.");
    auto* example = app.add_subcommand("example-settings", "Print a settings file to begin with.");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 1;
    }
    if (help->parsed() || example->parsed()) {
        const auto table = tapir::policy::setting_table();
        const std::string text =
            help->parsed() ? tapir::text::help_text(table) : tapir::text::example_file(table);
        std::fputs(text.c_str(), stdout);
        return 0;
    }
    TRY(run_daemon->parsed() ? run(words) : build(words));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return tapir::run_main("tapir-policy", work, argc, argv);
}
