// Settings: one table in code for each daemon, read from a TOML file and from KEY=VALUE words.
//
//     const SettingTable table{
//         Setting::integer("release.k", 10, 2, 1000, "clients", "Threshold of the release gate."),
//         Setting::choice("profile", "standard", {"strict", "standard"}, "What may leave."),
//         Setting::path("core.key", "", "Key file of this edge.").require(),
//     };
//     const Settings settings = TRY(Settings::parse(text, "edge.toml", table, overrides));
//     const auto k = settings.integer("release.k");
//     ...
//     return settings.refuse("lists.well_known", "a readable file", path);
//
// Unknown key, wrong type and out of range are errors that say where and what was expected:
// "edge.toml:14: release.k: expected 2 to 1000 clients, got 0"; an override's place is "--set".
// In the file a dotted key is a key in a table ([release] k = 10) or dotted TOML, as one likes.
//
// An array of tables has rows with fields of their own, and each row is read like a file:
//
//     Setting::tables("listener", {Setting::integer("port", 0, 0, 65'535, "", "...")}, "...")
//     for (const Settings& row : settings.tables("listener")) { row.integer("port"); ... }
//     "edge.toml:20: listener[1].port: expected 0 to 65535, got 70000"   // rows count from 1
//
// A getter asked for a key that is not in the table, or is of another type, is a bug (assertion).
// Settings never change, so threads may share them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"

namespace tapir::text {

inline constexpr std::size_t settings_size_max = 1 << 20;       // octets of a settings file
inline constexpr std::size_t setting_list_max = 65'536;         // entries of a list or map
inline constexpr std::size_t setting_rows_max = 1024;           // of an array of tables
inline constexpr std::size_t setting_string_size_max = 65'536;  // octets of one string

enum class SettingType : std::uint8_t {
    string,    // any text
    path,      // a file or folder, as written (relative to where the daemon was started)
    choice,    // one of a few words
    integer,   // within a range, with a unit
    boolean,   // true, false
    duration,  // "500ms" "60s" "5m" "2h" "7d", within a range
    size,      // octets: an integer, or "64KiB" "64MiB" "1GiB", within a range
    strings,   // a list of strings; a plain string is a list of one, "" an empty one
    map,       // a table of strings: [keys] name = "value"
    tables,    // rows of fields: [[listener]] port = 853
};

using SettingValue = std::variant<std::string, std::int64_t, bool, std::vector<std::string>,
                                  std::map<std::string, std::string>>;

// One row of a daemon's table. Durations are held in nanoseconds, sizes in octets.
struct Setting {  // NOLINT(misc-no-recursion): a copy is as deep as the table, which is two
    static Setting string(std::string key, std::string fallback, std::string sentence);
    static Setting path(std::string key, std::string fallback, std::string sentence);
    static Setting choice(std::string key, std::string fallback, std::vector<std::string> choices,
                          std::string sentence);
    static Setting integer(std::string key, std::int64_t fallback, std::int64_t min,
                           std::int64_t max, std::string unit, std::string sentence);
    static Setting boolean(std::string key, bool fallback, std::string sentence);
    static Setting duration(std::string key, Duration fallback, Duration min, Duration max,
                            std::string sentence);
    static Setting size(std::string key, std::int64_t fallback, std::int64_t min, std::int64_t max,
                        std::string sentence);
    static Setting strings(std::string key, std::vector<std::string> fallback,
                           std::string sentence);
    static Setting map(std::string key, std::string sentence);
    // The fields' keys are without dots, and none is itself an array of tables.
    static Setting tables(std::string key, std::vector<Setting> fields, std::string sentence);

    // The same setting, but there is no default: parse refuses a file without it.
    Setting require() &&;
    // The same setting, but a daemon that runs takes a new value of it when it reloads. For all
    // others a change needs a restart.
    Setting reloadable() &&;

    std::string key;
    SettingType type = SettingType::string;
    SettingValue fallback;
    std::string sentence;
    std::int64_t min = 0;
    std::int64_t max = 0;
    std::string unit;
    std::vector<std::string> choices;
    std::vector<Setting> fields;  // of a row
    bool required = false;
    bool is_reloadable = false;
};

using SettingTable = std::vector<Setting>;

class Settings {
public:
    // Reads `toml`, then the overrides ("KEY=VALUE") in order. `file` is only for messages.
    // An override's VALUE is plain text without quotes; a list is a,b,c and a map is k=v,k=v, and
    // both may also be written as TOML ([..] and {..}), as an array of tables must be:
    // [{..}, {..}]. A whole map, list or array is replaced, not added to.
    static Result<Settings> parse(std::string_view toml, std::string_view file,
                                  const SettingTable& table,
                                  std::span<const std::string> overrides = {});

    const std::string& string(std::string_view key) const;  // string, path, choice
    std::int64_t integer(std::string_view key) const;
    bool boolean(std::string_view key) const;
    Duration duration(std::string_view key) const;
    std::size_t size(std::string_view key) const;
    const std::vector<std::string>& strings(std::string_view key) const;
    const std::map<std::string, std::string>& map(std::string_view key) const;
    // One a row. What refuse() says of a row names the row.
    const std::vector<Settings>& tables(std::string_view key) const;

    // Whether the table has it. For code that may be older or newer than the table.
    bool is_known(std::string_view key) const { return entries_.contains(key); }
    // Whether the file or an override gave it (else the default is in force).
    bool is_given(std::string_view key) const;

    // Where it was given: "edge.toml:14", "--set", or "edge.toml" for a default.
    std::string place(std::string_view key) const;

    // An error about this setting found later, when it was used:
    // "edge.toml:14: lists.well_known: expected a readable file, got /nowhere".
    Failure<Error> refuse(std::string_view key, std::string_view expected,
                          std::string_view got) const;

    // These settings, with what is reloadable as `newer` has it. `kept` gets the keys of the others
    // that differ: they stay as they are. Both were parsed by `table`.
    Settings reloaded(const Settings& newer, const SettingTable& table,
                      std::vector<std::string>& kept) const;

    // All settings in force, defaults included, one "key = value" a line, sorted by key, values as
    // TOML. The same settings give the same text: what a configuration digest is taken over.
    std::string to_canonical() const;

private:
    struct Entry {
        SettingType type = SettingType::string;
        SettingValue value;
        std::string place;  // empty: the default
    };
    const Entry& entry(std::string_view key) const;
    const Entry& entry(std::string_view key, SettingType type) const;
    std::string print(std::string_view key, const Entry& entry) const;  // as TOML
    friend struct SettingsReader;

    std::string file_;
    std::string prefix_;  // of a row: "listener[1]."
    std::map<std::string, Entry, std::less<>> entries_;
    // Of arrays of tables. Once read they do not change, so copies share them.
    std::map<std::string, std::shared_ptr<const std::vector<Settings>>, std::less<>> rows_;
};

// What `--help` shows of the table: key, type, range, default, sentence; a few lines each.
std::string help_text(const SettingTable& table);

// A settings file in which every setting stands commented out at its default, with its sentence.
// Required ones stand there empty. Settings::parse reads it back (once the required are filled in).
std::string example_file(const SettingTable& table);

}  // namespace tapir::text
