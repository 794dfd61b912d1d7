// Lists of threats that the operator holds (R7): `threats.lists`, in every form that lists have.
//
//     TRY(load_threats(files, settings, before, lists));        // into lists.threats
//     if (const auto match = find_threat(lists.threats, name, domain_labels)) { ... }
//
// What a list says of a name is said of the name's registered domain: its own entry is about it and
// about all below it, exact or suffix; another entry that the name falls under lies above it (a
// whole suffix) or below it (one customer of a hoster). Immutable; threads may share them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/dns/name.hpp"
#include "tapir/names/name_index.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

struct Lists;

inline constexpr std::size_t threat_lists_max = 8;
// The kinds of their files, in reports, logs and leaves.
inline constexpr std::array<std::string_view, threat_lists_max> threat_kinds{
    "threats_1", "threats_2", "threats_3", "threats_4",
    "threats_5", "threats_6", "threats_7", "threats_8"};

struct ThreatList {
    names::NameIndex index;
    // The operator has named its digest in `threats.pin`: who ships the list cannot ask the edge
    // what it likes by another one.
    bool is_pinned = false;
};

// Where the entry stands that a name falls under, seen from its registered domain.
enum class ThreatPlace : std::uint8_t { domain, above, below };
std::string_view to_string(ThreatPlace place);

struct ThreatMatch {
    std::uint8_t list = 0;  // from 0
    ThreatPlace place = ThreatPlace::domain;
    bool is_pinned = false;  // the list

    friend bool operator==(const ThreatMatch&, const ThreatMatch&) = default;
};

// The strongest of what the lists say: of the domain by a pinned list, of the domain, else the
// first. `domain_labels`: how many labels of the name are its registered domain.
std::optional<ThreatMatch> find_threat(std::span<const ThreatList> lists,
                                       const dns::FoldedName& name, std::size_t domain_labels);
// Asks for the memory that find_threat() will read. Purely for speed.
void prefetch_threat(std::span<const ThreatList> lists, const dns::FoldedName& name,
                     std::size_t domain_labels);

// The rows `threats.…` and `threat_exception` of the settings.
text::SettingTable threat_settings_table();
// Errors name file, line and setting. What has not changed since `before` is shared with it; null:
// there is none.
Result<void> load_threats(world::Files& files, const text::Settings& settings, const Lists* before,
                          Lists& lists);

}  // namespace tapir::edge
