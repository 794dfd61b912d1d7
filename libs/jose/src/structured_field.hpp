// Structured fields of HTTP (RFC 8941), as far as signatures and digests need them: dictionaries of
// byte sequences, and of inner lists of strings, with parameters.
//
// Views in what is read point into the text, except strings and byte sequences, which are decoded.
// Everything is bounded by signature_field_size_max and members_max; no recursion.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tapir/base/bytes.hpp"

namespace tapir::jose {

inline constexpr std::size_t structured_members_max = 64;  // of a dictionary, list or parameters

struct Token {
    std::string text;
    friend bool operator==(const Token&, const Token&) = default;
};
struct Decimal {
    std::string text;
    friend bool operator==(const Decimal&, const Decimal&) = default;
};
using BareItem = std::variant<std::int64_t, Decimal, std::string, Token, Bytes, bool>;

struct Parameter {
    std::string key;
    BareItem value;
};
using Parameters = std::vector<Parameter>;

struct Item {
    BareItem value;
    Parameters parameters;
};

struct Member {
    std::string key;
    bool is_list = false;
    std::vector<Item> items;  // of an inner list; else the one item
    Parameters parameters;    // of an inner list; an item has its own
    std::string_view text;    // the value as it was written, parameters included
};

// A dictionary; nothing if the text is none. Of a key that comes twice the last counts, in the
// place of the first (RFC 8941 §4.2.2).
std::optional<std::vector<Member>> parse_dictionary(std::string_view text);

const BareItem* find(const Parameters& parameters, std::string_view key);

}  // namespace tapir::jose
