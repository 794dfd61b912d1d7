#include "tapir/text/json.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "utf8.hpp"

namespace tapir::text {
namespace {

std::string_view kind_of(const Json& value) {
    if (value.is_null()) {
        return "null";
    }
    if (value.if_boolean()) {
        return "a boolean";
    }
    if (value.if_integer()) {
        return "an integer";
    }
    if (value.if_number()) {
        return "a number";
    }
    if (value.if_string() != nullptr) {
        return "a string";
    }
    return value.if_array() != nullptr ? "an array" : "an object";
}

// What nlohmann's parser reports, as a tree of ours. The parser itself does not recurse, so the
// depth here is the only one.
class Builder final : public nlohmann::json_sax<nlohmann::json> {
public:
    bool null() override { return add(Json()); }
    bool boolean(bool value) override { return add(Json(value)); }
    bool number_integer(std::int64_t value) override { return add(Json(value)); }
    bool number_unsigned(std::uint64_t value) override {
        return add(std::in_range<std::int64_t>(value) ? Json(value)
                                                      : Json(static_cast<double>(value)));
    }
    bool number_float(double value, const std::string& /*text*/) override {
        return add(Json(value));
    }
    bool string(std::string& value) override { return add(Json(std::move(value))); }
    bool binary(nlohmann::json::binary_t& /*value*/) override { return false; }

    bool start_object(std::size_t /*size*/) override { return open(false); }
    bool start_array(std::size_t /*size*/) override { return open(true); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(std::string& value) override {
        if (!open_.back().keys.insert(value).second) {
            problem_ = fmt::format("member '{}' stands there twice", value);
            return false;
        }
        open_.back().key = value;
        return true;
    }
    bool parse_error(std::size_t position, const std::string& /*last*/,
                     const nlohmann::detail::exception& error) override {
        // nlohmann says "[json.exception.parse_error.101] parse error at …: reason".
        const std::string_view what = error.what();
        const std::size_t cut = what.find("] ");
        problem_ = fmt::format("octet {}: {}", position,
                               cut == std::string_view::npos ? what : what.substr(cut + 2));
        return false;
    }

    Json take() && { return std::move(root_); }
    const std::string& problem() const { return problem_; }

private:
    struct Level {
        bool is_array = false;
        Json::Array elements;
        Json::Object members;
        std::string key;             // of the member being read, in an object
        std::set<std::string> keys;  // all so far
    };

    bool add(Json value) {
        if (open_.empty()) {
            root_ = std::move(value);
        } else if (open_.back().is_array) {
            open_.back().elements.push_back(std::move(value));
        } else {
            open_.back().members.push_back({std::move(open_.back().key), std::move(value)});
        }
        return true;
    }
    bool open(bool is_array) {
        if (open_.size() == json_depth_max) {
            problem_ = fmt::format("nested deeper than {}", json_depth_max);
            return false;
        }
        open_.push_back(
            {.is_array = is_array, .elements = {}, .members = {}, .key = {}, .keys = {}});
        return true;
    }
    bool close() {
        Level level = std::move(open_.back());
        open_.pop_back();
        return add(level.is_array ? Json::array(std::move(level.elements))
                                  : Json::object(std::move(level.members)));
    }

    Json root_;
    std::vector<Level> open_;
    std::string problem_;
};

// Shortest text that reads back as the same double, and is seen to be no integer.
void print_double(std::string& out, double value) {
    if (!std::isfinite(value)) {
        out += "null";  // JSON has no word for it
        return;
    }
    const std::string text = fmt::format("{}", value);
    out += text;
    if (text.find_first_of(".e") == std::string::npos) {
        out += ".0";
    }
}

void print_control(std::string& out, char c) {
    switch (c) {
        case '\n':
            out += "\\n";
            return;
        case '\r':
            out += "\\r";
            return;
        case '\t':
            out += "\\t";
            return;
        case '\b':
            out += "\\b";
            return;
        case '\f':
            out += "\\f";
            return;
        default:
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
    }
}

void print_string(std::string& out, std::string_view text, JsonEscape escape) {
    const bool html = escape == JsonEscape::html_safe;
    out += '"';
    while (!text.empty()) {
        const char c = text.front();
        const std::size_t size = utf8_size(text);
        if (size == 0) {
            out += "\xef\xbf\xbd";
            text.remove_prefix(1);
            continue;
        }
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            // Go 1.22 and later write \b and \f short, as we do.
            print_control(out, c);
        } else if (html && (c == '<' || c == '>' || c == '&')) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
        } else if (html && text.starts_with("\xe2\x80\xa8")) {
            out += "\\u2028";
        } else if (html && text.starts_with("\xe2\x80\xa9")) {
            out += "\\u2029";
        } else {
            out += text.substr(0, size);
        }
        text.remove_prefix(size);
    }
    out += '"';
}

}  // namespace

struct JsonPrinter {
    JsonEscape escape = JsonEscape::plain;
    bool sorted = false;
    bool pretty = false;
    std::string out;

    void line(std::size_t depth) {
        if (pretty) {
            out += '\n';
            out.append(2 * depth, ' ');
        }
    }
    // Depth is that of the value: ours are as deep as the code that built them, parsed ones
    // limited.
    void print(const Json& json, std::size_t depth = 0) {  // NOLINT(misc-no-recursion)
        if (json.is_null()) {
            out += "null";
        } else if (const auto boolean = json.if_boolean()) {
            out += *boolean ? "true" : "false";
        } else if (const auto integer = json.if_integer()) {
            out += fmt::format("{}", *integer);
        } else if (const auto number = json.if_number()) {
            print_double(out, *number);
        } else if (const auto* string = json.if_string()) {
            print_string(out, *string, escape);
        } else if (const auto* array = json.if_array()) {
            out += '[';
            for (std::size_t i = 0; i < array->size(); ++i) {
                out += i == 0 ? "" : ",";
                line(depth + 1);
                print((*array)[i], depth + 1);
            }
            if (!array->empty()) {
                line(depth);
            }
            out += ']';
        } else {
            print_object(*json.if_object(), depth);
        }
    }
    void print_object(const Json::Object& object, std::size_t depth) {  // NOLINT(misc-no-recursion)
        std::vector<const JsonMember*> members;
        members.reserve(object.size());
        for (const JsonMember& member : object) {
            members.push_back(&member);
        }
        if (sorted) {
            // A name that code put in twice keeps its order.
            std::ranges::sort(members, [](const JsonMember* a, const JsonMember* b) {
                return a->key != b->key ? a->key < b->key : a < b;
            });
        }
        out += '{';
        for (std::size_t i = 0; i < members.size(); ++i) {
            out += i == 0 ? "" : ",";
            line(depth + 1);
            print_string(out, members[i]->key, escape);
            out += pretty ? ": " : ":";
            print(members[i]->value, depth + 1);
        }
        if (!members.empty()) {
            line(depth);
        }
        out += '}';
    }
};

Json Json::array() {
    return array(Array());
}

Json Json::object() {
    return object(Object());
}

Json Json::array(Array elements) {
    Json json;
    json.value_ = std::move(elements);
    return json;
}

Json Json::object(Object members) {
    Json json;
    json.value_ = std::move(members);
    return json;
}

Result<Json> Json::parse(std::string_view text, std::size_t size_max) {
    if (text.size() > size_max) {
        return fail(Code::exhausted,
                    fmt::format("JSON: expected at most {} octets, got {}", size_max, text.size()));
    }
    Builder builder;
    if (!nlohmann::json::sax_parse(text, &builder)) {
        return fail(Code::invalid, "not JSON: " + builder.problem());
    }
    return std::move(builder).take();
}

std::optional<bool> Json::if_boolean() const {
    const auto* value = std::get_if<bool>(&value_);
    return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<std::int64_t> Json::if_integer() const {
    const auto* value = std::get_if<std::int64_t>(&value_);
    return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<double> Json::if_number() const {
    if (const auto integer = if_integer()) {
        return static_cast<double>(*integer);
    }
    const auto* value = std::get_if<double>(&value_);
    return value == nullptr ? std::nullopt : std::optional(*value);
}

const Json* Json::find(std::string_view key) const {
    if (const Object* object = if_object()) {
        const auto member = std::ranges::find(*object, key, &JsonMember::key);
        return member == object->end() ? nullptr : &member->value;
    }
    return nullptr;
}

namespace {

Failure<Error> wrong_member(std::string_view key, std::string_view expected, const Json* found) {
    return fail(Code::invalid, fmt::format("member '{}': expected {}, got {}", key, expected,
                                           found == nullptr ? "nothing" : kind_of(*found)));
}

}  // namespace

Result<std::string> Json::string(std::string_view key) const {
    const Json* member = find(key);
    if (member == nullptr || member->if_string() == nullptr) {
        return wrong_member(key, "a string", member);
    }
    return *member->if_string();
}

Result<std::int64_t> Json::integer(std::string_view key) const {
    const Json* member = find(key);
    const auto value = member == nullptr ? std::nullopt : member->if_integer();
    if (!value) {
        return wrong_member(key, "an integer", member);
    }
    return *value;
}

Result<bool> Json::boolean(std::string_view key) const {
    const Json* member = find(key);
    const auto value = member == nullptr ? std::nullopt : member->if_boolean();
    if (!value) {
        return wrong_member(key, "a boolean", member);
    }
    return *value;
}

Result<Json::Array> Json::array_of(std::string_view key) const {
    const Json* member = find(key);
    if (member == nullptr || member->if_array() == nullptr) {
        return wrong_member(key, "an array", member);
    }
    return *member->if_array();
}

Json& Json::set(std::string key, Json value) {
    auto* object = std::get_if<Object>(&value_);
    TAPIR_ASSERT(object != nullptr);
    const auto member = std::ranges::find(*object, key, &JsonMember::key);
    if (member == object->end()) {
        object->push_back({std::move(key), std::move(value)});
    } else {
        member->value = std::move(value);
    }
    return *this;
}

Json& Json::push(Json value) {
    auto* array = std::get_if<Array>(&value_);
    TAPIR_ASSERT(array != nullptr);
    array->push_back(std::move(value));
    return *this;
}

std::string Json::to_string(JsonEscape escape) const {
    JsonPrinter printer{.escape = escape, .out = {}};
    printer.print(*this);
    return std::move(printer.out);
}

std::string Json::to_canonical() const {
    JsonPrinter printer{.sorted = true, .out = {}};
    printer.print(*this);
    return std::move(printer.out);
}

std::string Json::to_pretty() const {
    JsonPrinter printer{.pretty = true, .out = {}};
    printer.print(*this);
    return std::move(printer.out) + "\n";
}

bool operator==(const Json& a, const Json& b) {
    return a.to_canonical() == b.to_canonical();
}

}  // namespace tapir::text
