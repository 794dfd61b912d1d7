// From the settings of the existing minimiser to ours.
//
//     const Migration migration = migrate({.toml = text, .file = "dnstapir-edm.toml"});
//     files.write_atomically("edge.toml", as_bytes(migration.settings));
//     for (const auto& remark : migration.remarks) { ... }      // what a person must know
//     if (!migration.is_understood()) { ... migration.faults }  // "dnstapir-edm.toml:14: key: …"
//
// Every key, environment name and flag of it is known. In the text that comes out each has its
// comment: carried over, superseded (by what and why), or to be decided; its secrets are never in
// it. It always reads back by settings_table(); a setting that this version does not have stands in
// it as a comment. migrate() is a pure function; look_at_files() looks where the old settings
// point, and changes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tapir/world/files.hpp"

namespace tapir::edge {

inline constexpr std::string_view old_environment_prefix = "DNSTAPIR_EDM_";

// As the existing minimiser is started. The command line counts before the environment, and that
// before the file.
struct OldConfiguration {
    std::string_view toml;
    std::string file;                                                // for messages
    std::vector<std::pair<std::string, std::string>> environment{};  // names with the prefix
    std::vector<std::string> arguments{};  // after the program's name; "run" may stand in front
};

enum class RemarkKind : std::uint8_t {
    note,      // good to know
    warning,   // it was worse than it looked, or here it is otherwise
    decision,  // a person must choose before the new edge runs
};
std::string_view to_string(RemarkKind kind);

struct Remark {
    RemarkKind kind{};
    std::string place;  // "dnstapir-edm.toml:14", "environment", "--flag", a file; or empty
    std::string what;
};

// Files that the old settings name, for look_at_files().
struct OldFiles {
    std::string signing_key{};
    std::string other_signing_key{};  // where there are two
    std::string well_known{};
    std::string ignored_clients{};
    std::string ignored_names{};
    std::string data_dir{};
};

struct Migration {
    std::string settings;  // TOML; empty if there are faults
    std::vector<Remark> remarks;
    std::vector<std::string> faults;
    OldFiles files;

    bool is_understood() const { return faults.empty(); }
};

Migration migrate(const OldConfiguration& old);

// Whether keys and lists can be used as they are, and what state is left behind in data-dir: files
// that were not sent, events in the queue, session files, names seen. Only if `with_state`.
std::vector<Remark> look_at_files(const OldFiles& old, world::Files& files, bool with_state);

}  // namespace tapir::edge
