#include "settings_print.hpp"

#include <algorithm>
#include <iterator>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tapir::text {
namespace {

std::string print_with_unit(std::int64_t value, std::span<const Unit> units) {
    for (const Unit& unit : units) {
        if (value % unit.factor == 0 && (value != 0 || unit.factor == units.back().factor)) {
            return fmt::format("{}{}", value / unit.factor, unit.word);
        }
    }
    return fmt::format("{}", value);
}

std::string print_range(const Setting& setting, std::int64_t bound) {
    if (setting.type == SettingType::duration) {
        return print_with_unit(bound, duration_units);
    }
    if (setting.type == SettingType::size) {
        return print_with_unit(bound, size_units);
    }
    return fmt::format("{}", bound);
}

// A row, commented out whole: there is none by default.
void append_row_example(std::string& out, const Setting& setting) {
    fmt::format_to(std::back_inserter(out), "\n# {} As many as are needed:\n# [[{}]]\n",
                   setting.sentence, setting.key);
    for (const Setting& field : setting.fields) {
        fmt::format_to(std::back_inserter(out), "# {} = {}  # {} Takes {}.\n", field.key,
                       print_value(field.type, field.fallback), field.sentence, expectation(field));
    }
}

}  // namespace

std::string quote(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string print_value(SettingType type, const SettingValue& value) {
    switch (type) {
        case SettingType::string:
        case SettingType::path:
        case SettingType::choice:
            return quote(std::get<std::string>(value));
        case SettingType::integer:
            return fmt::format("{}", std::get<std::int64_t>(value));
        case SettingType::boolean:
            return std::get<bool>(value) ? "true" : "false";
        case SettingType::duration:
            return quote(print_with_unit(std::get<std::int64_t>(value), duration_units));
        case SettingType::size:
            return quote(print_with_unit(std::get<std::int64_t>(value), size_units));
        case SettingType::strings: {
            std::vector<std::string> quoted;
            std::ranges::transform(std::get<std::vector<std::string>>(value),
                                   std::back_inserter(quoted), quote);
            return fmt::format("[{}]", fmt::join(quoted, ", "));
        }
        case SettingType::map: {
            std::vector<std::string> pairs;
            for (const auto& [name, text] : std::get<std::map<std::string, std::string>>(value)) {
                pairs.push_back(quote(name) + " = " + quote(text));
            }
            return pairs.empty() ? "{}" : fmt::format("{{ {} }}", fmt::join(pairs, ", "));
        }
        case SettingType::tables:
            return "[]";  // its rows are no value: Settings prints them
    }
    return "";
}

std::string expectation(const Setting& setting) {
    switch (setting.type) {
        case SettingType::string:
            return "a string";
        case SettingType::path:
            return "a path";
        case SettingType::choice:
            return fmt::format("one of {}", fmt::join(setting.choices, ", "));
        case SettingType::integer:
            return fmt::format("{} to {}{}{}", setting.min, setting.max,
                               setting.unit.empty() ? "" : " ", setting.unit);
        case SettingType::boolean:
            return "true or false";
        case SettingType::duration:
        case SettingType::size:
            return fmt::format("{} to {}", print_range(setting, setting.min),
                               print_range(setting, setting.max));
        case SettingType::strings:
            return "a list of strings";
        case SettingType::map:
            return "a table of strings";
        case SettingType::tables: {
            std::vector<std::string> names;
            std::ranges::transform(setting.fields, std::back_inserter(names), &Setting::key);
            return fmt::format("tables of {}", fmt::join(names, ", "));
        }
    }
    return "";
}

std::string help_text(const SettingTable& table) {
    std::string out;
    for (const Setting& setting : table) {
        fmt::format_to(std::back_inserter(out), "  {}\n      {}\n      {}; {}{}\n", setting.key,
                       setting.sentence, expectation(setting),
                       setting.required ? "required"
                                        : "default " + print_value(setting.type, setting.fallback),
                       setting.is_reloadable ? "; reloadable" : "");
        for (const Setting& field : setting.fields) {
            fmt::format_to(
                std::back_inserter(out), "      [[{}]] {}: {} {}; {}\n", setting.key, field.key,
                field.sentence, expectation(field),
                field.required ? "required" : "default " + print_value(field.type, field.fallback));
        }
    }
    return out;
}

std::string example_file(const SettingTable& table) {
    // Keys without a dot first (TOML puts them before any table), then each table once, in the
    // order of its first row.
    std::vector<std::string> sections{""};
    const auto section_of = [](const Setting& setting) {
        const std::size_t dot = setting.key.rfind('.');
        return dot == std::string::npos ? std::string() : setting.key.substr(0, dot);
    };
    for (const Setting& setting : table) {
        if (setting.type != SettingType::tables &&
            std::ranges::find(sections, section_of(setting)) == sections.end()) {
            sections.push_back(section_of(setting));
        }
    }
    std::string out;
    for (const std::string& section : sections) {
        if (!section.empty()) {
            fmt::format_to(std::back_inserter(out), "{}[{}]\n", out.empty() ? "" : "\n", section);
        }
        for (const Setting& setting : table) {
            if (section_of(setting) != section || setting.type == SettingType::tables) {
                continue;
            }
            const auto name =
                std::string_view(setting.key).substr(section.empty() ? 0 : section.size() + 1);
            fmt::format_to(std::back_inserter(out), "# {} Takes {}.\n", setting.sentence,
                           expectation(setting));
            fmt::format_to(std::back_inserter(out), "{}{} = {}\n", setting.required ? "" : "# ",
                           name, print_value(setting.type, setting.fallback));
        }
    }
    for (const Setting& setting : table) {
        if (setting.type == SettingType::tables) {
            append_row_example(out, setting);
        }
    }
    return out;
}

}  // namespace tapir::text
