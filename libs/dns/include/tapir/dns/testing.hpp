// Helpers for tests that handle names. Not for programs.
#pragma once

#include <string_view>
#include <utility>

#include "tapir/base/assert.hpp"
#include "tapir/dns/name.hpp"

namespace tapir::dns::testing {

// A name that must be right: "www.example.com".
inline Name name(std::string_view text) {
    auto parsed = Name::from_text(text);
    TAPIR_ASSERT(parsed.has_value());
    return *std::move(parsed);
}

inline FoldedName folded(std::string_view text) {
    return FoldedName(name(text));
}

}  // namespace tapir::dns::testing
