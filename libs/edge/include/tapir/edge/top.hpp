// The status of a live edge as a screen of text, for `tapir-edge top`.
//
//     std::string screen = TRY(top_screen(status_json, {.columns = 80, .rows = 24}));
//
// Pure: what is shown depends on its arguments alone. Lines are cut to the width, and never hold
// anything but printable ASCII.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "tapir/base/result.hpp"

namespace tapir::edge {

struct ScreenSize {
    std::size_t columns = 80;
    std::size_t rows = 24;
};

// At most `rows` lines, joined by line feeds, without one at the end.
Result<std::string> top_screen(std::string_view status, ScreenSize size);

}  // namespace tapir::edge
