#include "tapir/text/settings.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#define TOML_HEADER_ONLY 0
#define TOML_SHARED_LIB 1
#include <toml++/toml.h>

#include "utf8.hpp"

namespace tapir::text {
namespace {

constexpr std::string_view override_place = "--set";

struct Unit {
    std::string_view word;
    std::int64_t factor;
};
// Largest first: printing takes the first that divides.
constexpr Unit duration_units[] = {{"d", 86'400'000'000'000},
                                   {"h", 3'600'000'000'000},
                                   {"m", 60'000'000'000},
                                   {"s", 1'000'000'000},
                                   {"ms", 1'000'000},
                                   {"us", 1'000},
                                   {"ns", 1}};
constexpr Unit size_units[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}};

std::string print_with_unit(std::int64_t value, std::span<const Unit> units) {
    for (const Unit& unit : units) {
        if (value % unit.factor == 0 && (value != 0 || unit.factor == units.back().factor)) {
            return fmt::format("{}{}", value / unit.factor, unit.word);
        }
    }
    return fmt::format("{}", value);
}

std::optional<std::int64_t> read_with_unit(std::string_view text, std::span<const Unit> units) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0) {
        return std::nullopt;
    }
    std::string_view word = text.substr(static_cast<std::size_t>(end - text.data()));
    while (word.starts_with(' ')) {
        word.remove_prefix(1);
    }
    const auto unit = std::ranges::find(units, word, &Unit::word);
    std::int64_t value = 0;
    if (unit == units.end() || __builtin_mul_overflow(number, unit->factor, &value)) {
        return std::nullopt;
    }
    return value;
}

// A TOML basic string.
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
    }
    return "";
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

// What a setting takes, in words: for errors and for the help.
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
    }
    return "";
}

Failure<Error> refuse_at(std::string_view place, std::string_view key, std::string_view expected,
                         std::string_view got) {
    return fail(Code::invalid,
                fmt::format("{}: {}: expected {}, got {}", place, key, expected, got));
}

Failure<Error> refuse_at(std::string_view place, const Setting& setting, std::string_view got) {
    return refuse_at(place, setting.key, expectation(setting), got);
}

// Changes to turn `a` into `b`: to guess what was meant.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t swap = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, swap}));
        }
    }
    return row.back();
}

Failure<Error> refuse_unknown(std::string_view place, std::string_view key,
                              const SettingTable& table) {
    constexpr std::size_t key_size_max = 128;  // longer ones are no typing mistake
    std::string expected = "a known setting";
    std::size_t nearest = std::max<std::size_t>(3, key.size() / 3);
    for (const Setting& setting : table) {
        if (key.size() <= key_size_max && edit_distance(key, setting.key) < nearest) {
            nearest = edit_distance(key, setting.key);
            expected = fmt::format("a known setting (perhaps {})", setting.key);
        }
    }
    return refuse_at(place, key.substr(0, key_size_max), expected, "an unknown one");
}

std::string describe(const toml::node& node) {
    if (const auto* text = node.as_string()) {
        return text->get().size() > 60 ? "a string" : quote(text->get());
    }
    if (const auto* integer = node.as_integer()) {
        return fmt::format("{}", integer->get());
    }
    if (const auto* boolean = node.as_boolean()) {
        return boolean->get() ? "true" : "false";
    }
    if (node.is_array()) {
        return "a list";
    }
    return node.is_table() ? "a table" : node.is_floating_point() ? "a fraction" : "a date or time";
}

Result<std::string> read_string(std::string_view place, const Setting& setting,
                                const toml::node& node) {
    const auto* text = node.as_string();
    if (text == nullptr) {
        return refuse_at(place, setting, describe(node));
    }
    if (text->get().size() > setting_string_size_max) {
        return refuse_at(place, setting.key,
                         fmt::format("at most {} octets", setting_string_size_max),
                         fmt::format("{}", text->get().size()));
    }
    return text->get();
}

Result<SettingValue> read_number(std::string_view place, const Setting& setting,
                                 const toml::node& node) {
    std::optional<std::int64_t> value;
    if (setting.type == SettingType::duration) {
        if (const auto* text = node.as_string()) {
            value = read_with_unit(text->get(), duration_units);
        }
    } else if (const auto* integer = node.as_integer()) {
        value = integer->get();
    } else if (const auto* text = node.as_string(); text && setting.type == SettingType::size) {
        value = read_with_unit(text->get(), size_units);
    }
    if (!value || *value < setting.min || *value > setting.max) {
        return refuse_at(place, setting, describe(node));
    }
    return SettingValue(*value);
}

Result<SettingValue> read_strings(std::string_view place, const Setting& setting,
                                  const toml::node& node) {
    const auto* array = node.as_array();
    if (array == nullptr || array->size() > setting_list_max) {
        return refuse_at(place, setting, array == nullptr ? describe(node) : "a longer list");
    }
    std::vector<std::string> strings;
    for (const auto& element : *array) {
        strings.push_back(TRY(read_string(place, setting, element)));
    }
    return SettingValue(std::move(strings));
}

Result<SettingValue> read_map(std::string_view place, const Setting& setting,
                              const toml::node& node) {
    const auto* fields = node.as_table();
    if (fields == nullptr || fields->size() > setting_list_max) {
        return refuse_at(place, setting, fields == nullptr ? describe(node) : "a larger table");
    }
    std::map<std::string, std::string> map;
    for (const auto& [name, value] : *fields) {
        map.emplace(name.str(), TRY(read_string(place, setting, value)));
    }
    return SettingValue(std::move(map));
}

Result<SettingValue> read_value(std::string_view place, const Setting& setting,
                                const toml::node& node) {
    switch (setting.type) {
        case SettingType::string:
        case SettingType::path:
            return SettingValue(TRY(read_string(place, setting, node)));
        case SettingType::choice: {
            std::string text = TRY(read_string(place, setting, node));
            if (std::ranges::find(setting.choices, text) == setting.choices.end()) {
                return refuse_at(place, setting, describe(node));
            }
            return SettingValue(std::move(text));
        }
        case SettingType::boolean:
            if (const auto* boolean = node.as_boolean()) {
                return SettingValue(boolean->get());
            }
            return refuse_at(place, setting, describe(node));
        case SettingType::integer:
        case SettingType::duration:
        case SettingType::size:
            return read_number(place, setting, node);
        case SettingType::strings:
            return read_strings(place, setting, node);
        case SettingType::map:
            return read_map(place, setting, node);
    }
    return fail(Code::internal, "a setting without a type");
}

Result<toml::table> read_toml(std::string_view text, std::string_view file) {
    try {
        return toml::parse(text);
    } catch (const toml::parse_error& error) {
        return fail(Code::invalid, fmt::format("{}:{}: syntax: expected TOML, got: {}", file,
                                               error.source().begin.line, error.description()));
    }
}

// The value of an override as a node, so that one reader serves both.
Result<toml::table> read_override(const Setting& setting, std::string_view text) {
    const bool is_toml = (setting.type == SettingType::strings && text.starts_with('[')) ||
                         (setting.type == SettingType::map && text.starts_with('{'));
    if (is_toml) {
        auto table = read_toml(fmt::format("value = {}", text), override_place);
        if (!table || table->size() != 1) {  // a line break could smuggle in a second key
            return refuse_at(override_place, setting, fmt::format("\"{}\"", text.substr(0, 60)));
        }
        return table;
    }
    std::vector<std::string_view> parts;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        parts.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    toml::table table;
    std::int64_t number = 0;
    if (setting.type == SettingType::strings) {
        toml::array array;
        for (const auto part : parts) {
            array.push_back(part);
        }
        table.insert("value", std::move(array));
    } else if (setting.type == SettingType::map) {
        toml::table map;
        for (const auto part : parts) {
            const std::size_t equals = part.find('=');
            if (equals == std::string_view::npos) {
                return refuse_at(override_place, setting, fmt::format("\"{}\"", part));
            }
            map.insert_or_assign(part.substr(0, equals), std::string(part.substr(equals + 1)));
        }
        table.insert("value", std::move(map));
    } else if (setting.type == SettingType::boolean && (text == "true" || text == "false")) {
        table.insert("value", text == "true");
    } else if (const auto [end, error] =
                   std::from_chars(text.data(), text.data() + text.size(), number);
               (setting.type == SettingType::integer || setting.type == SettingType::size) &&
               error == std::errc() && end == text.data() + text.size()) {
        table.insert("value", number);
    } else {
        table.insert("value", text);
    }
    return table;
}

const Setting* find_setting(const SettingTable& table, std::string_view key) {
    const auto found = std::ranges::find(table, key, &Setting::key);
    return found == table.end() ? nullptr : &*found;
}

}  // namespace

// ------------------------------------------------------------------ rows of the table

namespace {

Setting row(std::string key, SettingType type, SettingValue fallback, std::string sentence) {
    Setting setting;
    setting.key = std::move(key);
    setting.type = type;
    setting.fallback = std::move(fallback);
    setting.sentence = std::move(sentence);
    return setting;
}

Setting ranged(Setting setting, std::int64_t min, std::int64_t max) {
    const auto fallback = std::get<std::int64_t>(setting.fallback);
    TAPIR_ASSERT(min <= fallback && fallback <= max);
    setting.min = min;
    setting.max = max;
    return setting;
}

}  // namespace

Setting Setting::string(std::string key, std::string fallback, std::string sentence) {
    return row(std::move(key), SettingType::string, std::move(fallback), std::move(sentence));
}

Setting Setting::path(std::string key, std::string fallback, std::string sentence) {
    return row(std::move(key), SettingType::path, std::move(fallback), std::move(sentence));
}

Setting Setting::choice(std::string key, std::string fallback, std::vector<std::string> choices,
                        std::string sentence) {
    TAPIR_ASSERT(std::ranges::find(choices, fallback) != choices.end());
    Setting setting =
        row(std::move(key), SettingType::choice, std::move(fallback), std::move(sentence));
    setting.choices = std::move(choices);
    return setting;
}

Setting Setting::integer(std::string key, std::int64_t fallback, std::int64_t min, std::int64_t max,
                         std::string unit, std::string sentence) {
    Setting setting =
        ranged(row(std::move(key), SettingType::integer, fallback, std::move(sentence)), min, max);
    setting.unit = std::move(unit);
    return setting;
}

Setting Setting::boolean(std::string key, bool fallback, std::string sentence) {
    return row(std::move(key), SettingType::boolean, fallback, std::move(sentence));
}

Setting Setting::duration(std::string key, Duration fallback, Duration min, Duration max,
                          std::string sentence) {
    return ranged(row(std::move(key), SettingType::duration,
                      static_cast<std::int64_t>(fallback.count()), std::move(sentence)),
                  min.count(), max.count());
}

Setting Setting::size(std::string key, std::int64_t fallback, std::int64_t min, std::int64_t max,
                      std::string sentence) {
    TAPIR_ASSERT(min >= 0);
    return ranged(row(std::move(key), SettingType::size, fallback, std::move(sentence)), min, max);
}

Setting Setting::strings(std::string key, std::vector<std::string> fallback, std::string sentence) {
    return row(std::move(key), SettingType::strings, std::move(fallback), std::move(sentence));
}

Setting Setting::map(std::string key, std::string sentence) {
    return row(std::move(key), SettingType::map, std::map<std::string, std::string>{},
               std::move(sentence));
}

Setting Setting::require() && {
    required = true;
    return std::move(*this);
}

// ------------------------------------------------------------------ parsing

namespace {

// A setting found in the file: its row, its node.
struct Found {
    const Setting* setting;
    const toml::node* node;
};

// Every leaf of `tree` is a setting, or an error. toml++ limits the nesting.
// NOLINTNEXTLINE(misc-no-recursion)
Result<void> collect(const toml::table& tree, const std::string& prefix, std::string_view file,
                     const SettingTable& table, std::vector<Found>& found) {
    for (const auto& [name, node] : tree) {
        const std::string key = prefix + std::string(name.str());
        if (const Setting* setting = find_setting(table, key)) {
            found.push_back({setting, &node});
            continue;
        }
        const std::string below = key + '.';
        const bool has_below =
            std::ranges::any_of(table, [&](const Setting& s) { return s.key.starts_with(below); });
        const auto place = fmt::format("{}:{}", file, name.source().begin.line);
        if (!has_below) {
            return refuse_unknown(place, key, table);
        }
        if (!node.is_table()) {
            return refuse_at(place, key, "a table of settings", describe(node));
        }
        TRY(collect(*node.as_table(), below, file, table, found));
    }
    return {};
}

}  // namespace

Result<Settings> Settings::parse(std::string_view toml, std::string_view file,
                                 const SettingTable& table,
                                 std::span<const std::string> overrides) {
    Settings settings;
    settings.file_ = file;
    for (const Setting& setting : table) {
        const bool is_new =
            settings.entries_.try_emplace(setting.key, Entry{setting.type, setting.fallback, {}})
                .second;
        TAPIR_ASSERT(is_new);
    }
    if (toml.size() > settings_size_max) {
        return refuse_at(file, "size", fmt::format("at most {} octets", settings_size_max),
                         fmt::format("{}", toml.size()));
    }
    const toml::table tree = TRY(read_toml(toml, file));
    std::vector<Found> found;
    TRY(collect(tree, "", file, table, found));
    for (const auto& [setting, node] : found) {
        const auto place = fmt::format("{}:{}", file, node->source().begin.line);
        Entry& entry = settings.entries_.find(setting->key)->second;
        entry.value = TRY(read_value(place, *setting, *node));
        entry.place = place;
    }
    for (const std::string& word : overrides) {
        const std::size_t equals = word.find('=');
        const std::string_view key = std::string_view(word).substr(0, equals);
        if (equals == std::string::npos) {
            return refuse_at(override_place, key, "KEY=VALUE", "no '='");
        }
        if (!is_utf8(word)) {  // a file is refused for it by the parser of TOML
            return refuse_at(override_place, "KEY=VALUE", "UTF-8", "other octets");
        }
        const Setting* setting = find_setting(table, key);
        if (setting == nullptr) {
            return refuse_unknown(override_place, key, table);
        }
        const toml::table value =
            TRY(read_override(*setting, std::string_view(word).substr(equals + 1)));
        Entry& entry = settings.entries_.find(key)->second;
        entry.value = TRY(read_value(override_place, *setting, *value.get("value")));
        entry.place = override_place;
    }
    for (const Setting& setting : table) {
        if (setting.required && !settings.is_given(setting.key)) {
            return refuse_at(file, setting, "nothing: it has no default");
        }
    }
    return settings;
}

// ------------------------------------------------------------------ reading

const Settings::Entry& Settings::entry(std::string_view key) const {
    const auto found = entries_.find(key);
    TAPIR_ASSERT(found != entries_.end());
    return found->second;
}

const Settings::Entry& Settings::entry(std::string_view key, SettingType type) const {
    const Entry& found = entry(key);
    TAPIR_ASSERT(found.type == type);
    return found;
}

const std::string& Settings::string(std::string_view key) const {
    const Entry& found = entry(key);
    TAPIR_ASSERT(std::holds_alternative<std::string>(found.value));
    return std::get<std::string>(found.value);
}

std::int64_t Settings::integer(std::string_view key) const {
    return std::get<std::int64_t>(entry(key, SettingType::integer).value);
}

bool Settings::boolean(std::string_view key) const {
    return std::get<bool>(entry(key, SettingType::boolean).value);
}

Duration Settings::duration(std::string_view key) const {
    return Duration(std::get<std::int64_t>(entry(key, SettingType::duration).value));
}

std::size_t Settings::size(std::string_view key) const {
    return static_cast<std::size_t>(std::get<std::int64_t>(entry(key, SettingType::size).value));
}

const std::vector<std::string>& Settings::strings(std::string_view key) const {
    return std::get<std::vector<std::string>>(entry(key, SettingType::strings).value);
}

const std::map<std::string, std::string>& Settings::map(std::string_view key) const {
    return std::get<std::map<std::string, std::string>>(entry(key, SettingType::map).value);
}

bool Settings::is_given(std::string_view key) const {
    return !entry(key).place.empty();
}

std::string Settings::place(std::string_view key) const {
    const Entry& found = entry(key);
    return found.place.empty() ? file_ : found.place;
}

Failure<Error> Settings::refuse(std::string_view key, std::string_view expected,
                                std::string_view got) const {
    return refuse_at(place(key), key, expected, got);
}

std::string Settings::to_canonical() const {
    std::string out;
    for (const auto& [key, entry] : entries_) {
        fmt::format_to(std::back_inserter(out), "{} = {}\n", key,
                       print_value(entry.type, entry.value));
    }
    return out;
}

// ------------------------------------------------------------------ for people

std::string help_text(const SettingTable& table) {
    std::string out;
    for (const Setting& setting : table) {
        fmt::format_to(std::back_inserter(out), "  {}\n      {}\n      {}; {}{}\n", setting.key,
                       setting.sentence, expectation(setting),
                       setting.required ? "required"
                                        : "default " + print_value(setting.type, setting.fallback),
                       setting.is_reloadable ? "; reloadable" : "");
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
        if (std::ranges::find(sections, section_of(setting)) == sections.end()) {
            sections.push_back(section_of(setting));
        }
    }
    std::string out;
    for (const std::string& section : sections) {
        if (!section.empty()) {
            fmt::format_to(std::back_inserter(out), "{}[{}]\n", out.empty() ? "" : "\n", section);
        }
        for (const Setting& setting : table) {
            if (section_of(setting) != section) {
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
    return out;
}

}  // namespace tapir::text
