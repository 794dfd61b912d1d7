// Small readers of JSON members shared by the products.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "tapir/text/json.hpp"

namespace tapir::products {

// The member unless it is absent or null.
inline const text::Json* given(const text::Json& json, std::string_view member) {
    const text::Json* const value = json.find(member);
    return value == nullptr || value->is_null() ? nullptr : value;
}

// The member's text into `out`, if it is given. Whether it is a string, or not given.
inline bool read_text(const text::Json& json, std::string_view member, std::string& out) {
    const text::Json* const value = given(json, member);
    if (value == nullptr) {
        return true;
    }
    if (value->if_string() == nullptr) {
        return false;
    }
    out = *value->if_string();
    return true;
}

// The member's integer into `out`, if it is given. Whether it is one of N's range, or not given.
template <class N, class Out>
bool read_integer(const text::Json& json, std::string_view member, Out& out) {
    const text::Json* const value = given(json, member);
    if (value == nullptr) {
        return true;
    }
    const auto integer = value->if_integer();
    if (!integer || !std::in_range<N>(*integer)) {
        return false;
    }
    out = static_cast<N>(*integer);
    return true;
}

}  // namespace tapir::products
