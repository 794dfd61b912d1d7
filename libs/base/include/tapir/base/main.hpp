// What every program's main() puts around its work.
//
//     int main(int argc, char** argv) { return tapir::run_main("tapir-edge", work, argc, argv); }
#pragma once

namespace tapir {

// The exit status of `work`; an exception that a library let out becomes a sentence on standard
// error, and 1.
int run_main(const char* program, int (*work)(int, char**), int argc, char** argv) noexcept;

}  // namespace tapir
