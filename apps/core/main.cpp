// tapir-core: takes what edges send, analyses it, and says what it sees.
#include "tapir/base/main.hpp"

#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "core_settings.hpp"
#include "daemon.hpp"
#include "tapir/lake/child.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"

namespace {

using tapir::Level;
using tapir::text::Settings;

Level level_of(const std::string& word) {
    return word == "debug"   ? Level::debug
           : word == "warn"  ? Level::warn
           : word == "error" ? Level::error
                             : Level::info;
}

tapir::Result<Settings> read_settings(const std::string& file,
                                      const std::vector<std::string>& overrides) {
    tapir::world::SystemFiles files;
    const auto text = TRY(files.read(file, tapir::text::settings_size_max));
    return Settings::parse(tapir::as_text(text), file, tapir::core::core_settings(), overrides);
}

tapir::Result<void> run(const std::string& file, const std::vector<std::string>& overrides) {
    const Settings settings = TRY(read_settings(file, overrides));
    const auto log = tapir::Log::to_stderr("tapir-core", level_of(settings.string("log.level")),
                                           tapir::world::system_now);
    return tapir::core::run(settings, log);
}

tapir::Result<int> work(int argc, char** argv) {
    CLI::App app("Takes what edges send, analyses it, and says what it sees.", "tapir-core");
    app.set_version_flag("--version", "tapir-core " TAPIR_VERSION);
    app.require_subcommand(1);
    std::string file;
    std::vector<std::string> overrides;
    auto* run_daemon = app.add_subcommand("run", "Run until SIGTERM.");
    run_daemon->add_option("--config", file, "Settings file (TOML).")->required();
    run_daemon->add_option("--set", overrides, "KEY=VALUE instead of what the file says.")
        ->take_all()
        ->allow_extra_args(false);
    auto* help = app.add_subcommand("help-settings", "Print all settings.");
    auto* example = app.add_subcommand("example-settings", "Print a settings file to begin with.");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 1;
    }
    if (help->parsed() || example->parsed()) {
        const std::string text = help->parsed()
                                     ? tapir::text::help_text(tapir::core::core_settings())
                                     : tapir::text::example_file(tapir::core::core_settings());
        std::fputs(text.c_str(), stdout);
        return 0;
    }
    TRY(run(file, overrides));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (tapir::lake::is_child(argc, argv)) {
        return tapir::lake::child_main(argc, argv);
    }
    return tapir::run_main("tapir-core", work, argc, argv);
}
