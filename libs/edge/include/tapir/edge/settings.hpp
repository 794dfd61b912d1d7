// All settings of tapir-edge, in one table.
//
//     const auto settings = TRY(text::Settings::parse(toml, "edge.toml", settings_table(), sets));
//
// The parser, `--help`, the example file and the man page come from it.
#pragma once

#include "tapir/text/settings.hpp"

namespace tapir::edge {

text::SettingTable settings_table();

}  // namespace tapir::edge
