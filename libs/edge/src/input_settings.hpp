// The settings of the ways in: a table for the daemon's, appended to it.
#pragma once

#include "tapir/text/settings.hpp"

namespace tapir::edge {

text::SettingTable input_settings_table();

}  // namespace tapir::edge
