#include "migrate_source.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace tapir::edge {
namespace {

using text::Setting;

constexpr std::int64_t any_min = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t any_max = std::numeric_limits<std::int64_t>::max();
constexpr std::string_view toml_only = "mqtt-sign-workers";  // has neither flag nor variable
constexpr std::string_view shown_max = "…";

const Setting* find_row(std::string_view key) {
    const auto& table = old_settings_table();
    const auto found = std::ranges::find(table, key, &Setting::key);
    return found == table.end() ? nullptr : &*found;
}

std::string variable_of(std::string_view key) {
    std::string name(old_environment_prefix);
    for (const char c : key) {
        name += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    return name;
}

// What Go takes for a boolean, in our words.
std::optional<std::string_view> boolean_word(std::string_view word) {
    constexpr std::array<std::string_view, 6> yes{"1", "t", "T", "true", "TRUE", "True"};
    constexpr std::array<std::string_view, 6> no{"0", "f", "F", "false", "FALSE", "False"};
    if (std::ranges::find(yes, word) != yes.end()) {
        return "true";
    }
    return std::ranges::find(no, word) != no.end() ? std::optional<std::string_view>("false")
                                                   : std::nullopt;
}

std::string shortened(std::string_view word) {
    constexpr std::size_t size_max = 60;
    return word.size() <= size_max ? std::string(word)
                                   : fmt::format("{}{}", word.substr(0, size_max), shown_max);
}

text::SettingTable make_old_table() {
    constexpr const char* no = "";  // sentences are ours to write where they are shown
    return {
        Setting::string("config-file", "", no),
        Setting::boolean("disable-session-files", false, no),
        Setting::boolean("disable-histogram-sender", false, no),
        Setting::boolean("disable-mqtt", false, no),
        Setting::boolean("disable-mqtt-filequeue", false, no),
        Setting::boolean("enable-manual-parquet-rotation", false, no),
        Setting::boolean("pebble-sync", false, no),
        Setting::string("input-unix", "", no),
        Setting::string("input-tcp", "", no),
        Setting::string("input-tls", "", no),
        Setting::string("input-tls-cert-file", "", no),
        Setting::string("input-tls-key-file", "", no),
        Setting::string("input-tls-client-ca-file", "", no),
        Setting::string("cryptopan-key", "", no),
        Setting::string("cryptopan-key-salt", "edm-kdf-salt-val", no),
        Setting::string("well-known-domains-file", "well-known-domains.dawg", no),
        Setting::string("ignored-client-ips-file", "", no),
        Setting::string("ignored-question-names-file", "", no),
        Setting::string("data-dir", "/var/lib/dnstapir/edm", no),
        Setting::integer("minimiser-workers", 1, any_min, any_max, "", no),
        Setting::string("mqtt-signing-key-file", "edm-mqtt-signer-key.pem", no),
        Setting::string("mqtt-client-key-file", "edm-mqtt-client-key.pem", no),
        Setting::string("mqtt-client-cert-file", "edm-mqtt-client.pem", no),
        Setting::string("mqtt-server", "127.0.0.1:8883", no),
        Setting::string("mqtt-ca-file", "", no),
        Setting::integer("mqtt-keepalive", 30, 0, 65'535, "seconds", no),
        Setting::integer("mqtt-sign-workers", 0, any_min, any_max, "", no),
        Setting::integer("qname-seen-entries", 10'000'000, 1, any_max, "", no),
        Setting::integer("cryptopan-address-entries", 10'000'000, 0, any_max, "", no),
        Setting::integer("newqname-buffer", 1000, 0, any_max, "", no),
        Setting::integer("histogram-hll-explicit-threshold", 20, 1, 131'072, "", no),
        Setting::string("http-ca-file", "", no),
        Setting::string("http-signing-key-file", "edm-http-signer-key.pem", no),
        Setting::string("http-client-key-file", "edm-http-client-key.pem", no),
        Setting::string("http-client-cert-file", "edm-http-client.pem", no),
        Setting::string("http-url", "https://127.0.0.1:8443", no),
        Setting::boolean("debug", false, no),
        Setting::string("debug-dnstap-filename", "", no),
        Setting::boolean("debug-enable-blockprofiling", false, no),
        Setting::boolean("debug-enable-mutexprofiling", false, no),
    };
}

text::Settings defaults() {
    auto none = text::Settings::parse("", "", old_settings_table());
    TAPIR_ASSERT(none.has_value());
    return std::move(*none);
}

}  // namespace

const text::SettingTable& old_settings_table() {
    static const text::SettingTable table = make_old_table();
    return table;
}

OldSettings::OldSettings() : file_(defaults()) {}

OldSettings OldSettings::read(const OldConfiguration& old) {
    OldSettings settings;
    auto file = text::Settings::parse(old.toml, old.file, old_settings_table());
    if (file) {
        settings.file_ = std::move(*file);
    } else {
        settings.faults_.push_back(file.error().what());
    }
    settings.read_environment(old);
    settings.read_arguments(old);
    return settings;
}

void OldSettings::override_with(std::string_view key, std::string value, std::string place) {
    const Setting* row = find_row(key);
    TAPIR_ASSERT(row != nullptr);
    if (row->type == text::SettingType::boolean) {
        const auto word = boolean_word(value);
        if (!word) {
            faults_.push_back(fmt::format("{}: {}: expected true or false, got '{}'", place, key,
                                          shortened(value)));
            return;
        }
        value = *word;
    }
    const std::vector<std::string> words{fmt::format("{}={}", key, value)};
    auto settings = text::Settings::parse("", "", {*row}, words);
    if (!settings) {
        constexpr std::string_view front = "--set: ";
        const std::string& what = settings.error().what();
        faults_.push_back(fmt::format(
            "{}: {}", place,
            what.starts_with(front) ? std::string_view(what).substr(front.size()) : what));
        return;
    }
    overrides_.insert_or_assign(std::string(key), Given{std::move(*settings), std::move(place)});
}

void OldSettings::read_environment(const OldConfiguration& old) {
    const auto& table = old_settings_table();
    for (const auto& variable : old.environment) {
        const std::string& name = variable.first;
        const auto row = std::ranges::find_if(
            table, [&name](const Setting& s) { return variable_of(s.key) == name; });
        const std::string place = fmt::format("environment {}", shortened(name));
        if (row == table.end() || row->key == toml_only || row->key == "config-file") {
            faults_.push_back(
                fmt::format("{}: expected a variable of the existing minimiser", place));
            continue;
        }
        override_with(row->key, variable.second, place);
    }
}

void OldSettings::read_arguments(const OldConfiguration& old) {
    bool has_run = false;
    for (std::size_t i = 0; i < old.arguments.size(); ++i) {
        std::string_view word = old.arguments[i];
        if (word == "run" && !std::exchange(has_run, true)) {
            continue;
        }
        const std::string place = shortened(word.substr(0, word.find('=')));
        if (!word.starts_with('-')) {
            faults_.push_back(fmt::format("{}: expected a flag, as in --debug", place));
            continue;
        }
        word.remove_prefix(word.starts_with("--") ? 2 : 1);
        const std::size_t equals = word.find('=');
        const std::string_view key = word.substr(0, equals);
        const Setting* row = find_row(key);
        if (row == nullptr || key == toml_only) {
            faults_.push_back(fmt::format("{}: expected a flag of the existing minimiser", place));
            continue;
        }
        if (equals != std::string_view::npos) {
            override_with(key, std::string(word.substr(equals + 1)), place);
        } else if (row->type == text::SettingType::boolean) {
            override_with(key, "true", place);
        } else if (i + 1 < old.arguments.size()) {
            override_with(key, old.arguments[++i], place);
        } else {
            faults_.push_back(fmt::format("{}: expected a value after it", place));
        }
    }
}

const text::Settings& OldSettings::of(std::string_view key) const {
    const auto found = overrides_.find(key);
    return found == overrides_.end() ? file_ : found->second.settings;
}

const std::string& OldSettings::string(std::string_view key) const {
    return of(key).string(key);
}

std::int64_t OldSettings::integer(std::string_view key) const {
    return of(key).integer(key);
}

bool OldSettings::boolean(std::string_view key) const {
    return of(key).boolean(key);
}

bool OldSettings::is_given(std::string_view key) const {
    return overrides_.contains(key) || file_.is_given(key);
}

std::string OldSettings::place(std::string_view key) const {
    if (const auto found = overrides_.find(key); found != overrides_.end()) {
        return found->second.place;
    }
    return file_.is_given(key) ? file_.place(key) : "default";
}

}  // namespace tapir::edge
