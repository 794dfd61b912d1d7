// All settings of tapir-edge, in one table.
//
//     const auto settings = TRY(text::Settings::parse(toml, "edge.toml", settings_table(), sets));
//
// The parser, `--help`, the example file and the man page come from it.
#pragma once

#include <functional>
#include <string>

#include "tapir/base/result.hpp"
#include "tapir/text/settings.hpp"

namespace tapir::edge {

text::SettingTable settings_table();

// Where settings come from, for reading them again when they have changed.
struct SettingsSource {
    std::string path{};                              // the file, to be watched; empty: none
    std::function<Result<text::Settings>()> read{};  // empty: they never change
};

}  // namespace tapir::edge
