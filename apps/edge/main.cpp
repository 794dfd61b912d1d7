// tapir-edge: takes dnstap from a resolver, keeps what is its users', and sends what may leave.
#include "tapir/base/main.hpp"

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "tapir/base/log.hpp"
#include "tapir/edge/edge.hpp"
#include "tapir/edge/process.hpp"
#include "tapir/edge/settings.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"
#include "tapir/world/process.hpp"

namespace {

using tapir::text::Settings;

struct Words {
    std::string config;
    std::vector<std::string> sets;
    tapir::edge::ProcessOptions process;
    std::string well_known;
    std::string ignored_clients;
    std::string ignored_names;
    std::string profile;
};

tapir::Result<Settings> read_settings(const Words& words) {
    tapir::world::SystemFiles files;
    tapir::Bytes text;
    if (!words.config.empty()) {
        text = TRY(files.read(words.config, tapir::text::settings_size_max));
    }
    // Options of their own are settings too, and count last.
    std::vector<std::string> overrides = words.sets;
    const std::pair<const char*, const std::string*> options[] = {
        {"lists.well_known", &words.well_known},
        {"lists.ignored_clients", &words.ignored_clients},
        {"lists.ignored_names", &words.ignored_names},
        {"release.profile", &words.profile}};
    for (const auto& [key, value] : options) {
        if (!value->empty()) {
            overrides.push_back(std::string(key) + "=" + *value);
        }
    }
    const std::string file = words.config.empty() ? "settings" : words.config;
    return Settings::parse(tapir::as_text(text), file, tapir::edge::settings_table(), overrides);
}

tapir::Result<void> process(const Words& words) {
    const Settings settings = TRY(read_settings(words));
    tapir::world::SystemFiles files;
    const auto log =
        tapir::Log::to_stderr("tapir-edge", tapir::Level::info, tapir::world::system_now);
    return tapir::edge::process(words.process, settings, files, log);
}

tapir::Result<void> run(const Words& words) {
    tapir::world::restrict_umask();
    const auto stop = TRY(tapir::world::Stop::on_signals());
    const Settings settings = TRY(read_settings(words));
    const auto log =
        tapir::Log::to_stderr("tapir-edge", tapir::Level::info, tapir::world::system_now);
    return tapir::edge::run(
        settings, TAPIR_VERSION, *stop, log,
        {.path = words.config, .read = [&words] { return read_settings(words); }});
}

void add_settings(CLI::App& command, Words& words, bool is_required) {
    auto* config = command.add_option("--config", words.config, "Settings file (TOML).");
    if (is_required) {
        config->required();
    }
    command.add_option("--set", words.sets, "KEY=VALUE instead of what the file says.")
        ->take_all()
        ->allow_extra_args(false);
}

tapir::Result<int> work(int argc, char** argv) {
    CLI::App app("Takes dnstap from a resolver and sends what may leave.", "tapir-edge");
    app.set_version_flag("--version", "tapir-edge " TAPIR_VERSION);
    app.require_subcommand(1);
    Words words;
    words.process.version = TAPIR_VERSION;
    auto* run_daemon = app.add_subcommand("run", "Run until SIGTERM.");
    add_settings(*run_daemon, words, true);
    auto* twin = app.add_subcommand("process", "The same over capture files, by their own clock.");
    add_settings(*twin, words, false);
    twin->add_option("captures", words.process.captures, "Frame Streams files.")->required();
    twin->add_option("--out", words.process.out, "Folder for what is made.")->required();
    twin->add_option("--well-known", words.well_known, "Names that are counted.");
    twin->add_option("--ignored-clients", words.ignored_clients, "Clients not looked at.");
    twin->add_option("--ignored-names", words.ignored_names, "Names not looked at.");
    twin->add_option("--profile", words.profile, "standard, strict or compatible.");
    twin->add_flag("--single-interval", words.process.single_interval,
                   "Everything into one interval.");
    auto* help = app.add_subcommand("help-settings", "Print all settings.");
    auto* example = app.add_subcommand("example-settings", "Print a settings file to begin with.");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 1;
    }
    if (help->parsed() || example->parsed()) {
        const auto table = tapir::edge::settings_table();
        const std::string text =
            help->parsed() ? tapir::text::help_text(table) : tapir::text::example_file(table);
        std::fputs(text.c_str(), stdout);
        return 0;
    }
    TRY(run_daemon->parsed() ? run(words) : process(words));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return tapir::run_main("tapir-edge", work, argc, argv);
}
