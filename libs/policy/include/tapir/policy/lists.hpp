// Allow, deny and doubt lists from files: text, CSV or DAWG by the end of their names (`names`).
#pragma once

#include <string>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/rpz/book.hpp"
#include "tapir/world/files.hpp"

namespace tapir::policy {

inline constexpr std::size_t list_size_max = 1U << 30U;  // octets of one file

struct ListFiles {
    std::vector<std::string> allow;
    std::vector<std::string> deny;
    std::vector<std::string> doubt;

    std::vector<std::string> all() const;
};

struct LoadedLists {
    rpz::Lists lists;
    std::size_t entries = 0;
    std::size_t duplicates = 0;
    std::size_t skipped = 0;  // names no rule can be made of: the root, a NUL octet
};

// All of them, or the first error ("deny.txt:14: expected a name, got …").
Result<LoadedLists> load_lists(const ListFiles& paths, world::Files& files);

}  // namespace tapir::policy
