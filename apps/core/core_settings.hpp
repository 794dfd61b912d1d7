// The settings of tapir-core: one table. `tapir-core help-settings` prints it.
#pragma once

#include "tapir/text/settings.hpp"

namespace tapir::core {

const text::SettingTable& core_settings();

}  // namespace tapir::core
