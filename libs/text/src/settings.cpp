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

#include "settings_print.hpp"
#include "utf8.hpp"

namespace tapir::text {
namespace {

constexpr std::string_view override_place = "--set";

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
    if (node.is_string()) {
        std::string only = TRY(read_string(place, setting, node));
        return SettingValue(only.empty() ? std::vector<std::string>{}
                                         : std::vector<std::string>{std::move(only)});
    }
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
        case SettingType::tables:
            break;  // SettingsReader reads its rows
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
    const bool is_toml =
        ((setting.type == SettingType::strings || setting.type == SettingType::tables) &&
         text.starts_with('[')) ||
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

Setting Setting::tables(std::string key, std::vector<Setting> fields, std::string sentence) {
    Setting setting = row(std::move(key), SettingType::tables, std::string(), std::move(sentence));
    for (const Setting& field : fields) {
        TAPIR_ASSERT(field.type != SettingType::tables && field.key.find('.') == std::string::npos);
    }
    setting.fields = std::move(fields);
    return setting;
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

// Fills Settings: a file's, and each row's of an array of tables in it.
struct SettingsReader {
    using Rows = std::vector<Settings>;

    static Settings with_defaults(std::string file, const SettingTable& table) {
        Settings settings;
        settings.file_ = std::move(file);
        for (const Setting& setting : table) {
            const bool is_new =
                settings.entries_
                    .try_emplace(setting.key, Settings::Entry{setting.type, setting.fallback, {}})
                    .second;
            TAPIR_ASSERT(is_new);
            if (setting.type == SettingType::tables) {
                settings.rows_.try_emplace(setting.key, std::make_shared<const Rows>());
            }
        }
        return settings;
    }

    // All that `tree` gives, over what is there. Keys in `table` begin with `prefix`.
    static Result<void> read_tree(Settings& settings, const toml::table& tree,
                                  const std::string& prefix, std::string_view file,
                                  const SettingTable& table) {
        std::vector<Found> found;
        TRY(collect(tree, prefix, file, table, found));
        for (const auto& [setting, node] : found) {
            TRY(read_one(settings, file, place_of(file, *node), *setting, *node));
        }
        return {};
    }

    static Result<void> read_one(Settings& settings, std::string_view file,
                                 const std::string& place, const Setting& setting,
                                 const toml::node& node) {
        if (setting.type != SettingType::tables) {
            return read_single(settings, place, setting, node);
        }
        settings.rows_.find(setting.key)->second =
            std::make_shared<const Rows>(TRY(read_rows(file, place, setting, node)));
        settings.entries_.find(setting.key)->second.place = place;
        return {};
    }

    // What is no array of tables.
    static Result<void> read_single(Settings& settings, const std::string& place,
                                    const Setting& setting, const toml::node& node) {
        Settings::Entry& entry = settings.entries_.find(setting.key)->second;
        entry.value = TRY(read_value(place, setting, node));
        entry.place = place;
        return {};
    }

    static std::string place_of(std::string_view file, const toml::node& node) {
        return file == override_place ? std::string(file)
                                      : fmt::format("{}:{}", file, node.source().begin.line);
    }

    static Result<Rows> read_rows(std::string_view file, const std::string& place,
                                  const Setting& setting, const toml::node& node) {
        const auto* array = node.as_array();
        if (array == nullptr || array->size() > setting_rows_max) {
            return refuse_at(place, setting, array == nullptr ? describe(node) : "a longer list");
        }
        Rows rows;
        for (const auto& element : *array) {
            const std::string name = fmt::format("{}[{}]", setting.key, rows.size() + 1);
            const std::string at = place_of(file, element);
            if (!element.is_table()) {
                return refuse_at(at, name, "a table", describe(element));
            }
            SettingTable fields = setting.fields;
            for (Setting& field : fields) {
                field.key = fmt::format("{}.{}", name, field.key);
            }
            Settings row = with_defaults(at, fields);
            row.prefix_ = name + '.';
            std::vector<Found> found;
            TRY(collect(*element.as_table(), row.prefix_, file, fields, found));
            for (const auto& [field, value] : found) {
                TRY(read_single(row, place_of(file, *value), *field, *value));
            }
            TRY(check_required(row, fields));
            rows.push_back(std::move(row));
        }
        return rows;
    }

    static Result<void> check_required(const Settings& settings, const SettingTable& table) {
        for (const Setting& setting : table) {
            if (setting.required && settings.entries_.find(setting.key)->second.place.empty()) {
                return refuse_at(settings.file_, setting, "nothing: it has no default");
            }
        }
        return {};
    }
};

Result<Settings> Settings::parse(std::string_view toml, std::string_view file,
                                 const SettingTable& table,
                                 std::span<const std::string> overrides) {
    Settings settings = SettingsReader::with_defaults(std::string(file), table);
    if (toml.size() > settings_size_max) {
        return refuse_at(file, "size", fmt::format("at most {} octets", settings_size_max),
                         fmt::format("{}", toml.size()));
    }
    const toml::table tree = TRY(read_toml(toml, file));
    TRY(SettingsReader::read_tree(settings, tree, "", file, table));
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
        TRY(SettingsReader::read_one(settings, override_place, std::string(override_place),
                                     *setting, *value.get("value")));
    }
    TRY(SettingsReader::check_required(settings, table));
    return settings;
}

// ------------------------------------------------------------------ reading

const Settings::Entry& Settings::entry(std::string_view key) const {
    const auto found =
        prefix_.empty() ? entries_.find(key) : entries_.find(fmt::format("{}{}", prefix_, key));
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

const std::vector<Settings>& Settings::tables(std::string_view key) const {
    const auto found = rows_.find(key);
    TAPIR_ASSERT(found != rows_.end());
    return *found->second;
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
    return refuse_at(place(key), fmt::format("{}{}", prefix_, key), expected, got);
}

std::string Settings::to_canonical() const {
    std::string out;
    for (const auto& [key, entry] : entries_) {
        fmt::format_to(std::back_inserter(out), "{} = {}\n", key, print(key, entry));
    }
    return out;
}

std::string Settings::print(std::string_view key, const Entry& entry) const {
    if (entry.type != SettingType::tables) {
        return print_value(entry.type, entry.value);
    }
    std::vector<std::string> tables;
    for (const Settings& row : *rows_.find(key)->second) {
        std::vector<std::string> fields;
        fields.reserve(row.entries_.size());
        for (const auto& [name, field] : row.entries_) {
            fields.push_back(name.substr(row.prefix_.size()) + " = " +
                             print_value(field.type, field.value));
        }
        tables.push_back(fmt::format("{{ {} }}", fmt::join(fields, ", ")));
    }
    return fmt::format("[{}]", fmt::join(tables, ", "));
}

}  // namespace tapir::text
