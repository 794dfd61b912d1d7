// The settings of the existing minimiser as it would see them: file, environment, command line.
//
//     const OldSettings old = OldSettings::read(configuration);
//     old.faults()                          // each with its place
//     old.string("mqtt-server")             // in force
//
// Its syntax is Go's: -flag, --flag, --flag=value, --flag value; booleans take a value only
// after `=`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/edge/migrate.hpp"
#include "tapir/text/settings.hpp"

namespace tapir::edge {

// Every key of it, with its type, range and default.
const text::SettingTable& old_settings_table();

class OldSettings {
public:
    static OldSettings read(const OldConfiguration& old);

    const std::vector<std::string>& faults() const { return faults_; }
    const std::string& string(std::string_view key) const;
    std::int64_t integer(std::string_view key) const;
    bool boolean(std::string_view key) const;
    bool is_given(std::string_view key) const;
    // "edm.toml:14", "environment DNSTAPIR_EDM_DEBUG", "--debug", or "default".
    std::string place(std::string_view key) const;

private:
    struct Given {
        text::Settings settings;
        std::string place;
    };
    OldSettings();

    void read_environment(const OldConfiguration& old);
    void read_arguments(const OldConfiguration& old);
    void override_with(std::string_view key, std::string value, std::string place);
    const text::Settings& of(std::string_view key) const;

    text::Settings file_;
    std::map<std::string, Given, std::less<>> overrides_;  // by key; the last counts
    std::vector<std::string> faults_;
};

}  // namespace tapir::edge
