// What every program's main() puts around its work.
//
//     int main(int argc, char** argv) { return tapir::run_main("tapir-edge", work, argc, argv); }
#pragma once

#include "tapir/base/result.hpp"

namespace tapir {

// The exit status that `work` gives. Its error, or an exception that a library let out, becomes a
// sentence on standard error, and 1.
int run_main(const char* program, Result<int> (*work)(int, char**), int argc, char** argv) noexcept;

}  // namespace tapir
