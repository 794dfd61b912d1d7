// A JSON value of one's own (RFC 8259): parsed within limits, printed in one way.
//
//     const Json body = TRY(Json::parse(text, 64 * 1024));
//     const std::string name = TRY(body.string("name"));        // error names the member
//     if (const Json* tags = body.find("tags")) { ... }
//
//     Json event = Json::object({{"version", 1}, {"qname", name}});
//     event.set("created", time.to_string());
//     event.to_string();       // members in the order given
//     event.to_canonical();    // members sorted by octets: the same value, the same text
//
// Integers are 64-bit and exact (up to int64's range), other numbers are doubles. Refused: what is
// not UTF-8, a member name twice, nesting beyond json_depth_max. A value type; no sharing.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tapir/base/result.hpp"

namespace tapir::text {

inline constexpr std::size_t json_depth_max = 32;
inline constexpr std::size_t json_size_max = 64 << 20;  // octets, unless the caller says less

struct JsonMember;

// How characters of strings are escaped. Both are valid JSON and mean the same.
enum class JsonEscape : std::uint8_t {
    plain,      // only what must be: quote, backslash, controls
    html_safe,  // also < > & U+2028 U+2029 as \uXXXX, lower case: what Go's encoding/json writes
};

// NOLINTNEXTLINE(misc-no-recursion): a copy is as deep as the value
class Json {
public:
    using Array = std::vector<Json>;
    using Object = std::vector<JsonMember>;  // in order

    // NOLINTBEGIN(google-explicit-constructor): so that code reads as JSON does
    Json();  // null
    Json(bool value);
    Json(double value);
    template <std::integral N>
        requires(!std::same_as<N, bool>)
    Json(N value);
    Json(std::string value);
    Json(std::string_view value);
    Json(const char* value);
    // NOLINTEND(google-explicit-constructor)
    static Json array();
    static Json array(Array elements);
    static Json object();
    static Json object(Object members);

    // Reads one value; only white space may follow it. Errors say the octet and what was expected.
    static Result<Json> parse(std::string_view text, std::size_t size_max = json_size_max);

    bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
    // The value if it is of that kind, else nothing. A number that is an integer is also a number.
    std::optional<bool> if_boolean() const;
    std::optional<std::int64_t> if_integer() const;
    std::optional<double> if_number() const;
    const std::string* if_string() const { return std::get_if<std::string>(&value_); }
    const Array* if_array() const { return std::get_if<Array>(&value_); }
    const Object* if_object() const { return std::get_if<Object>(&value_); }

    // The member of an object, or nullptr if there is none (or this is no object).
    const Json* find(std::string_view key) const;

    // The member of that kind; else Code::invalid and "member 'key': expected a string, got …".
    Result<std::string> string(std::string_view key) const;
    Result<std::int64_t> integer(std::string_view key) const;
    Result<bool> boolean(std::string_view key) const;
    Result<Array> array_of(std::string_view key) const;

    // Puts a member in, replacing one of that name in its place. Only for objects.
    Json& set(std::string key, Json value);
    // Puts an element at the end. Only for arrays.
    Json& push(Json value);

    // Compact, without white space. Octets that are not UTF-8 are printed as U+FFFD.
    std::string to_string(JsonEscape escape = JsonEscape::plain) const;
    // Compact, members sorted by the octets of their names, at every depth.
    std::string to_canonical() const;
    // Two spaces a level, for people.
    std::string to_pretty() const;

    // Equal if the same value: the order of members does not count, 1 and 1.0 differ.
    friend bool operator==(const Json& a, const Json& b);

private:
    std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
};

// NOLINTNEXTLINE(misc-no-recursion): as for Json
struct JsonMember {
    std::string key;
    Json value;
};

// Here, and not in the class, because there JsonMember is not known yet.
inline Json::Json() = default;
inline Json::Json(bool value) : value_(value) {}
inline Json::Json(double value) : value_(value) {}
inline Json::Json(std::string value) : value_(std::move(value)) {}
inline Json::Json(std::string_view value) : value_(std::string(value)) {}
inline Json::Json(const char* value) : value_(std::string(value)) {}
template <std::integral N>
    requires(!std::same_as<N, bool>)
Json::Json(N value) {
    TAPIR_ASSERT(std::in_range<std::int64_t>(value));
    value_ = static_cast<std::int64_t>(value);
}

}  // namespace tapir::text
