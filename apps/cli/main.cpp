// tapir: the operator's command line.
#include "tapir/base/main.hpp"

#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "commands.hpp"
#include "tapir/lake/child.hpp"

namespace {

struct Words {
    std::string kid, folder, file, other, out, name;
    tapir::cli::ListOptions list;
    std::vector<std::string> names;
    std::uint64_t rows = 50;
    tapir::cli::ReplayOptions replay;
    tapir::cli::VerifyOptions verify;
    tapir::cli::ReleaseOptions release;
    tapir::cli::SuspectOptions suspects;
    tapir::cli::DecryptOptions decrypt;
    std::string url = "http://127.0.0.1:2113";
    tapir::Result<std::string> result = std::string();
};

void add_keys(CLI::App& app, Words& words) {
    auto* keys = app.add_subcommand("keys", "Make and show keys")->require_subcommand(1);
    auto* make = keys->add_subcommand("new", "Make an Ed25519 key: KID.jwk and KID.public.jwk");
    make->add_option("--kid", words.kid, "Key id: the edge's name")->required();
    make->add_option("--out", words.folder, "Folder")->required();
    make->callback([&] { words.result = tapir::cli::new_key(words.kid, words.folder); });
    auto* show = keys->add_subcommand("show", "Show a key file without its secret");
    show->add_option("FILE", words.file, "A .jwk or .pem file")->required();
    show->callback([&] { words.result = tapir::cli::show_key(words.file); });
}

constexpr const char* list_formats =
    "text, csv (rank,name), edm or edm-csv (as the existing compiler reads them), dawg, index; "
    "default: what the file says of itself, else its name";

void add_list(CLI::App& app, Words& words) {
    auto* list = app.add_subcommand("list", "Compile, compare and ask lists of names")
                     ->require_subcommand(1);
    const auto reads = [&](const char* name, const char* what) {
        auto* command = list->add_subcommand(name, what);
        command->add_option("--format", words.list.format, list_formats);
        return command;
    };
    const auto writes = [&](const char* name, const char* what, const char* to) {
        auto* command = reads(name, what);
        command->add_option("LIST", words.file, "A list in any form")->required();
        command->add_option("--out", words.out, "File to write or replace")->required();
        command->add_option("--to", words.list.to, to);
        command->callback(
            [&] { words.result = tapir::cli::make_list(words.list, words.file, words.out); });
    };
    writes("compile", "Compile a list for an edge: an index to be mapped, or a DAWG file",
           "index or dawg; default: by the end of --out (.dawg), else index");
    writes("convert", "Write a list in another form",
           "text, csv, dawg or index; default: by the end of --out (.txt, .csv, .dawg)");
    auto* diff = reads("diff", "Which entries are in one of two lists only: + added, - removed");
    diff->add_option("OLD", words.file, "A list in any form")->required();
    diff->add_option("NEW", words.other, "A list in any form")->required();
    diff->add_flag("--summary", words.list.is_summary, "Only how many");
    diff->callback(
        [&] { words.result = tapir::cli::diff_lists(words.list, words.file, words.other); });
    auto* stat = reads("stat", "What is in a list, and its version");
    stat->add_option("LIST", words.file, "A list in any form")->required();
    stat->callback([&] { words.result = tapir::cli::stat_list(words.list, words.file); });
    auto* lookup = reads("lookup", "Which entry does a name fall under, and where is it?");
    lookup->add_option("LIST", words.file, "A list in any form")->required();
    lookup->add_option("NAME", words.names, "Names")->required();
    lookup->callback(
        [&] { words.result = tapir::cli::lookup(words.list, words.file, words.names); });
}

void add_replay(CLI::App& app, Words& words) {
    auto* replay = app.add_subcommand("replay", "Send a .fstrm file to a dnstap socket");
    replay->add_option("FILE", words.file, "A .fstrm file")->required();
    replay->add_option("--to", words.replay.to, "unix:PATH or ADDRESS:PORT")->required();
    replay->add_option("--rate", words.replay.rate, "Frames a second (0: as fast as it goes)");
    replay->add_option("--times", words.replay.times, "How often the file is sent");
    replay->callback([&] { words.result = tapir::cli::replay(words.file, words.replay); });
}

void add_reading(CLI::App& app, Words& words) {
    auto* show = app.add_subcommand("show", "Show a histogram, JWS messages or a ledger file");
    show->add_option("FILE", words.names, "Files")->required();
    show->add_option("--rows", words.rows, "Rows of a histogram, at most");
    show->callback([&] {
        std::string all;
        for (const std::string& file : words.names) {
            auto shown = tapir::cli::show(file, words.rows);
            if (!shown) {
                words.result = tapir::fail(shown.error());
                return;
            }
            all += (words.names.size() > 1 ? "== " + file + "\n" : "") + *shown;
        }
        words.result = all;
    });
    auto* ledger = app.add_subcommand("ledger", "Check a ledger")->require_subcommand(1);
    auto* verify =
        ledger->add_subcommand("verify", "Verify leaves, tiles, checkpoint and sent files");
    verify->add_option("FOLDER", words.folder, "The ledger's folder")->required();
    verify->add_option("--verifier", words.verify.verifier,
                       "ORIGIN+ID+KEY as published (default: the file 'verifier' beside the log)");
    verify->add_option("--sent", words.verify.sent,
                       "Folder with the files that were sent (default: as the ledger lies)");
    verify->callback([&] { words.result = tapir::cli::verify_ledger(words.folder, words.verify); });
    auto* explain = app.add_subcommand("explain", "What the policy says of a name, and why");
    explain->add_option("NAME", words.name, "A domain name")->required();
    explain->add_option("--url", words.url, "Metrics address of tapir-policy");
    explain->callback([&] { words.result = tapir::cli::explain(words.url, words.name); });
}

void add_release(CLI::App& app, Words& words) {
    auto* release =
        app.add_subcommand("release", "Tell the core of a name, by a person's decision");
    release->add_option("NAME", words.name, "A registered domain, or a host in it")->required();
    release->add_option("--why", words.release.why, "The reason: the ledger keeps it")->required();
    release->add_option("--state", words.release.state, "state.dir of tapir-edge");
    release->add_option("--wait", words.release.wait_s, "Seconds to wait for the edge's answer");
    release->callback([&] { words.result = tapir::cli::release(words.name, words.release); });
}

void add_suspects(CLI::App& app, Words& words) {
    auto* suspects =
        app.add_subcommand("suspects", "What a detector of the edge holds for threats");
    suspects->add_option("--state", words.suspects.state, "state.dir of tapir-edge");
    suspects->add_option("--day", words.suspects.day, "One day's: 2026-11-26");
    suspects->add_flag("--json", words.suspects.is_json, "A line of JSON each");
    suspects->callback([&] { words.result = tapir::cli::suspects(words.suspects); });
}

void add_session(CLI::App& app, Words& words) {
    auto* session = app.add_subcommand("session", "Read session files")->require_subcommand(1);
    auto* list = session->add_subcommand("list", "Which days are there, and can they be read?");
    list->add_option("FOLDER", words.folder, "The edge's folder of sessions")->required();
    list->callback([&] { words.result = tapir::cli::list_sessions(words.folder); });
    auto* decrypt = session->add_subcommand("decrypt", "A sealed file as Parquet, mode 0600");
    decrypt->add_option("FILE", words.file, "A .parquet.sealed file")->required();
    decrypt->add_option("--key", words.decrypt.key, "Key file (default: ../keys/DAY.key)");
    decrypt->add_option("--out", words.decrypt.out, "File (default: without .sealed)");
    decrypt->callback(
        [&] { words.result = tapir::cli::decrypt_session(words.file, words.decrypt); });
}

tapir::Result<int> work(int argc, char** argv) {
    CLI::App app("tapir: keys, lists, captures and ledgers of Tapir");
    app.set_version_flag("--version", "tapir " TAPIR_VERSION);
    app.require_subcommand(1);
    Words words;
    add_keys(app, words);
    add_list(app, words);
    add_replay(app, words);
    add_reading(app, words);
    add_release(app, words);
    add_suspects(app, words);
    add_session(app, words);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 1;
    }
    fmt::print("{}", TRY(std::move(words.result)));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (tapir::lake::is_child(argc, argv)) {
        return tapir::lake::child_main(argc, argv);
    }
    return tapir::run_main("tapir", work, argc, argv);
}
