// tapir-edge: takes dnstap from a resolver, keeps what is its users', and sends what may leave.
#include "tapir/base/main.hpp"

#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "commands.hpp"
#include "tapir/base/log.hpp"
#include "tapir/edge/dry_run.hpp"
#include "tapir/edge/edge.hpp"
#include "tapir/edge/explain.hpp"
#include "tapir/edge/process.hpp"
#include "tapir/edge/settings.hpp"
#include "tapir/text/manual.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"
#include "tapir/world/host.hpp"
#include "tapir/world/process.hpp"

namespace {

using tapir::text::Settings;

struct Words {
    std::string config;
    std::vector<std::string> sets;
    tapir::edge::ProcessOptions process;
    bool dry_run = false;
    int days = 0;
    std::vector<std::string> explained;
    tapir::edge::ExplainOptions explain;
    std::string well_known;
    std::string ignored_clients;
    std::string ignored_names;
    std::string profile;
    std::vector<std::string> known;
    tapir::edge_app::MigrateWords migrate;
    tapir::edge_app::TopWords top;
    tapir::edge_app::NewKeyWords new_key;
    std::string group_key;
    bool is_aggregator = false;
    bool online = false;
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

tapir::Log daemon_log() {
    return tapir::Log::to_stderr(
        {.service = "tapir-edge", .version = TAPIR_VERSION, .hostname = tapir::world::host_name()},
        tapir::Level::info, tapir::world::system_now);
}

// What is no file is a name.
tapir::Result<void> explain(Words words) {
    tapir::world::SystemFiles files;
    for (std::string& what : words.explained) {
        (files.exists(what) ? words.explain.captures : words.explain.names)
            .push_back(std::move(what));
    }
    const Settings settings = TRY(read_settings(words));
    const auto log =
        tapir::Log::to_stderr("tapir-edge", tapir::Level::error, tapir::world::system_now);
    return tapir::edge::explain(words.explain, settings, files, log, [](std::string_view text) {
        std::fwrite(text.data(), 1, text.size(), stdout);
    });
}

tapir::Result<void> run(Words words) {
    tapir::world::restrict_umask();
    const auto stop = TRY(tapir::world::Stop::on_signals());
    Settings settings = TRY(read_settings(words));
    const tapir::Log log = daemon_log();
    const tapir::edge::SettingsSource source{.path = words.config,
                                             .read = [&words] { return read_settings(words); }};
    if (!words.dry_run) {
        return tapir::edge::run(settings, TAPIR_VERSION, *stop, log, source);
    }
    const auto overrides = tapir::edge::dry_run_settings(settings);
    words.sets.insert(words.sets.end(), overrides.begin(), overrides.end());
    settings = TRY(read_settings(words));
    log.warn("edge", "a dry run: everything is counted, nothing is sent",
             {{"state", settings.string("state.dir")}});
    TRY(tapir::edge::run(settings, TAPIR_VERSION, *stop, log, source,
                         std::chrono::hours(24) * words.days));
    tapir::world::SystemFiles files;
    const std::string report = TRY(tapir::edge::dry_run_report(files, settings));
    std::fputs(report.c_str(), stdout);
    return {};
}

tapir::Result<void> import_seen(const Words& words) {
    tapir::world::restrict_umask();
    const Settings settings = TRY(read_settings(words));
    const tapir::Log log = daemon_log();
    const std::string text = TRY(tapir::edge::import_seen(settings, words.known, log));
    std::fputs(text.c_str(), stdout);
    return {};
}

// Settings that cannot be read are the first finding.
tapir::Result<int> check_settings(const Words& words) {
    const auto settings = read_settings(words);
    if (!settings) {
        std::printf("FAIL  settings: %s\n", settings.error().what().c_str());
        return 1;
    }
    return tapir::edge_app::check(*settings, words.online);
}

tapir::Result<int> follow(const Words& words) {
    tapir::edge_app::TopWords top = words.top;
    if (top.socket.empty()) {
        const Settings settings = TRY(read_settings(words));
        top.socket = settings.string("metrics.socket");
        if (top.socket.empty()) {
            return settings.refuse("metrics.socket", "the socket of a running edge", "nothing");
        }
    }
    return tapir::edge_app::top(top);
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

void add_list_options(CLI::App& command, Words& words) {
    command.add_option("--well-known", words.well_known, "Names that are counted.");
    command.add_option("--ignored-clients", words.ignored_clients, "Clients not looked at.");
    command.add_option("--ignored-names", words.ignored_names, "Names not looked at.");
    command.add_option("--profile", words.profile, "standard, strict or compatible.");
}

tapir::Result<int> print_settings(const Words& words,
                                  std::string (*print)(const tapir::text::SettingTable&)) {
    const auto table = words.is_aggregator ? tapir::edge_app::aggregator_settings()
                                           : tapir::edge::settings_table();
    std::fputs(print(table).c_str(), stdout);
    return 0;
}

tapir::Result<int> print_manual() {
    const std::string page =
        tapir::text::manual_page(tapir::edge::settings_table(), {.name = "tapir-edge.toml",
                                                                 .program = "tapir-edge",
                                                                 .section = 8,
                                                                 .version = TAPIR_VERSION,
                                                                 .file = "/etc/tapir/edge.toml"});
    std::fputs(page.c_str(), stdout);
    return 0;
}

tapir::Result<void> aggregate(const Words& words) {
    return tapir::edge_app::aggregate(words.config, words.sets);
}

// What the words ask for.
using Action = std::function<tapir::Result<int>()>;

template <class Do>
Action action(const Do& work, const Words& words) {
    return [&work, &words]() -> tapir::Result<int> {
        TRY(work(words));
        return 0;
    };
}

void add_traffic_commands(CLI::App& app, Words& words, Action& asked) {
    auto* live = app.add_subcommand("run", "Run until SIGTERM.");
    add_settings(*live, words, true);
    live->add_flag("--dry-run", words.dry_run,
                   "Send nothing; at the end say what would have left.");
    live->add_option("--days", words.days, "End a dry run after so many days (0: on SIGTERM).")
        ->check(CLI::Range(0, 365));
    live->callback([&] { asked = action(run, words); });

    auto* aggregator = app.add_subcommand("aggregate", "Run the aggregator of a group of sites.");
    add_settings(*aggregator, words, true);
    aggregator->callback([&] { asked = action(aggregate, words); });

    auto* twin = app.add_subcommand("process", "The same over capture files, by their own clock.");
    add_settings(*twin, words, false);
    twin->add_option("captures", words.process.captures, "Frame Streams files.")->required();
    twin->add_option("--out", words.process.out, "Folder for what is made.")->required();
    add_list_options(*twin, words);
    twin->add_flag("--single-interval", words.process.single_interval,
                   "Everything into one interval.");
    twin->add_flag("--sessions-plain", words.process.sessions_plain,
                   "Session files as plain Parquet: for comparing them.");
    twin->callback([&] { asked = action(process, words); });

    auto* why = app.add_subcommand("explain", "What becomes of messages or names, and why.");
    add_settings(*why, words, false);
    why->add_option("what", words.explained, "Captures or names.")->required();
    add_list_options(*why, words);
    why->add_flag("--sums", words.explain.sums_only, "No line for each message.");
    why->add_flag("--octets", words.explain.octets, "Payloads in full, in hexadecimal.");
    why->callback([&] { asked = action(explain, words); });
}

void add_operator_commands(CLI::App& app, Words& words, Action& asked) {
    auto* import = app.add_subcommand("import-seen", "Names of lists count as released before.");
    add_settings(*import, words, true);
    import->add_option("lists", words.known, "Text, CSV or DAWG files.")->required();
    import->callback([&] { asked = action(import_seen, words); });

    auto* migrate = app.add_subcommand(
        "migrate", "Print our settings, made from those of the existing minimiser.");
    migrate->add_option("config", words.migrate.config, "Its settings file.")->required();
    migrate->add_option("--out", words.migrate.out, "Write them here, not to standard output.");
    migrate->add_flag("--adopt-state", words.migrate.with_state,
                      "List what is left in its data-dir.");
    migrate->add_option("flags", words.migrate.flags, "After --: the flags it is started with.");
    migrate->callback(
        [&] { asked = [&words] { return tapir::edge_app::migrate(words.migrate); }; });

    auto* check = app.add_subcommand("check", "Look whether it would run well, and say why not.");
    add_settings(*check, words, true);
    check->add_flag("--online", words.online, "Ask the core too.");
    check->callback([&] { asked = [&words] { return check_settings(words); }; });

    auto* top = app.add_subcommand("top", "Follow a running edge.");
    add_settings(*top, words, false);
    top->add_option("--socket", words.top.socket, "Its metrics.socket, where there is no file.");
    top->add_flag("--once", words.top.once, "Print once.");
    top->add_flag("--json", words.top.json, "Print what it says, as JSON.");
    top->callback([&] { asked = [&words] { return follow(words); }; });

    auto* new_key = app.add_subcommand("new-key", "Make a signing key; says its key id.");
    new_key->add_option("path", words.new_key.path, "Where: a file that is not there.")->required();
    new_key->add_option("--kid", words.new_key.kid, "Its id; else one is made up.");
    new_key->callback(
        [&] { asked = [&words] { return tapir::edge_app::new_key(words.new_key); }; });

    auto* group_key =
        app.add_subcommand("new-group-key", "Make the day's key of a group of sites.");
    group_key->add_option("path", words.group_key, "Where: a file that is not there.")->required();
    group_key->callback(
        [&] { asked = [&words] { return tapir::edge_app::new_group_key(words.group_key); }; });
}

void add_settings_commands(CLI::App& app, Words& words, Action& asked) {
    auto* help = app.add_subcommand("help-settings", "Print all settings.");
    help->callback(
        [&] { asked = [&words] { return print_settings(words, tapir::text::help_text); }; });
    auto* example = app.add_subcommand("example-settings", "Print a settings file to begin with.");
    example->callback(
        [&] { asked = [&words] { return print_settings(words, tapir::text::example_file); }; });
    for (auto* command : {help, example}) {
        command->add_flag("--aggregator", words.is_aggregator, "Those of `aggregate`.");
    }
    auto* manual = app.add_subcommand("man-settings", "Print the manual page of the settings.");
    manual->callback([&] { asked = print_manual; });
}

tapir::Result<int> work(int argc, char** argv) {
    CLI::App app("Takes dnstap from a resolver and sends what may leave.", "tapir-edge");
    app.set_version_flag("--version", "tapir-edge " TAPIR_VERSION);
    app.require_subcommand(1);
    Words words;
    words.process.version = TAPIR_VERSION;
    Action asked;
    add_traffic_commands(app, words, asked);
    add_operator_commands(app, words, asked);
    add_settings_commands(app, words, asked);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 1;
    }
    return asked();
}

}  // namespace

int main(int argc, char** argv) {
    return tapir::run_main("tapir-edge", work, argc, argv);
}
