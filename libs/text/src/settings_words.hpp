// How settings are put into words, for errors, help, example and manual alike.
#pragma once

#include <string>

#include "tapir/text/settings.hpp"

namespace tapir::text {

// As TOML.
std::string print_value(SettingType type, const SettingValue& value);
// What a setting takes: "2 to 1000 clients".
std::string expectation(const Setting& setting);

}  // namespace tapir::text
