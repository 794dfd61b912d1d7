// How settings and their values are written: what the parser, its errors and the help share.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tapir/text/settings.hpp"

namespace tapir::text {

struct Unit {
    std::string_view word;
    std::int64_t factor;
};
// Largest first: printing takes the first that divides.
inline constexpr Unit duration_units[] = {{"d", 86'400'000'000'000},
                                          {"h", 3'600'000'000'000},
                                          {"m", 60'000'000'000},
                                          {"s", 1'000'000'000},
                                          {"ms", 1'000'000},
                                          {"us", 1'000},
                                          {"ns", 1}};
inline constexpr Unit size_units[] = {
    {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}};

// A TOML basic string.
std::string quote(std::string_view text);
// As TOML. Rows of an array of tables are no value: for them it says "[]".
std::string print_value(SettingType type, const SettingValue& value);
// What a setting takes, in words: for errors and for the help.
std::string expectation(const Setting& setting);

}  // namespace tapir::text
