// The manual page of a settings file, from the table that the parser works with (man(7)).
//
//     const std::string page = manual_page(settings_table(), {.name = "tapir-edge.toml",
//                                                             .program = "tapir-edge",
//                                                             .section = 8, .version = "0.1.0"});
#pragma once

#include <string>

#include "tapir/text/settings.hpp"

namespace tapir::text {

struct ManualHead {
    std::string name;     // of the page, in section 5
    std::string program;  // whose settings they are
    int section = 8;      // of the program's own page
    std::string version;
    std::string file;  // where it usually lies
};

std::string manual_page(const SettingTable& table, const ManualHead& head);

}  // namespace tapir::text
