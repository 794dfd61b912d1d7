// What changes when one list takes the place of another: to be shown before it is used.
//
//     const Difference change = difference(before, after);
//     log(change.added, change.removed);
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "tapir/names/name_index.hpp"

namespace tapir::names {

enum class Change : std::uint8_t { added, removed };

struct Difference {
    std::size_t added = 0;
    std::size_t removed = 0;
    std::size_t kept = 0;  // in both
};

// `show`, if it is given, is told each entry that is in one of them only: first all that are
// removed, in the order of `before`, then all that are added, in the order of `after`.
Difference difference(const NameIndex& before, const NameIndex& after,
                      const std::function<void(Change, const Entry&)>& show = {});

}  // namespace tapir::names
