// What an edge is given, and what is true of its traffic.
//
//     const Site site = TRY(Site::open(list, suffixes, false));
//     const Truth truth = TRY(Truth::of(site, source));      // who asked for what, without a gate
//
// Truth counts queries, not frames, and knows of no gate. Which entry of the list a name falls
// under, and what its registered domain is, it takes from where the edge takes it. One client is
// what R2 says; all must be of the client networks. The traffic is of one UTC day, in ascending
// order of time (Code::invalid if not).
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lists.hpp"
#include "query.hpp"
#include "tapir/base/result.hpp"
#include "tapir/text/settings.hpp"

namespace tapir::utility {

// A site with its lists, as the edge's own settings have them.
struct Site {
    text::Settings settings;
    std::shared_ptr<const edge::Lists> lists;

    // Texts of the well-known list, and of the public suffixes.
    static Result<Site> open(std::string_view list, std::string_view suffixes, bool single_site);
};

// A registered domain that is not on the list.
struct Domain {
    struct Family {
        std::set<std::string> networks;
        std::size_t clients = 0;
    };
    UtcTime first;
    std::unordered_map<std::string, UtcTime> clients;  // when each first asked
    Family v4;
    Family v6;

    // Of the family with more clients.
    std::size_t clients_of_family() const { return std::max(v4.clients, v6.clients); }
    std::size_t clients_at(UtcTime time) const;  // that had asked before it
    // Whether any gate of this threshold could let it out: enough clients of one family, from
    // networks enough.
    bool has(std::size_t clients, std::size_t networks) const;
};

// An entry of the list that was asked for in a minute.
struct EntryCount {
    std::uint32_t entry = 0;
    std::uint32_t queries = 0;
};

struct Truth {
    std::map<std::string, Domain> domains;                      // "example.com."
    std::map<std::int64_t, std::vector<EntryCount>> by_minute;  // since 1970
    std::uint64_t queries = 0;
    std::uint64_t never_released = 0;  // queries for what leaves in no form (R4)
    std::uint64_t no_name = 0;         // queries for what is no name
    std::size_t clients = 0;
    std::size_t networks = 0;

    static Result<Truth> of(const Site& site, Source& source);
};

}  // namespace tapir::utility
