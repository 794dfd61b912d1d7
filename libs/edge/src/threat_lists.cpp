#include "threat_lists.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "lists.hpp"
#include "setup.hpp"

namespace tapir::edge {
namespace {

std::optional<ThreatPlace> place_in(const names::NameIndex& index, const dns::FoldedName& name,
                                    std::size_t domain_labels) {
    if (index.has_entry(name, domain_labels)) {
        return ThreatPlace::domain;
    }
    const auto match = index.find(name);
    if (!match) {
        return std::nullopt;
    }
    return index.entry(match->id).name.label_count() < domain_labels ? ThreatPlace::above
                                                                     : ThreatPlace::below;
}

int rank_of(const ThreatMatch& match) {
    return match.place != ThreatPlace::domain ? 0 : match.is_pinned ? 2 : 1;
}

}  // namespace

std::string_view to_string(ThreatPlace place) {
    switch (place) {
        case ThreatPlace::domain:
            return "names the domain";
        case ThreatPlace::above:
            return "names a suffix that the domain lies under";
        case ThreatPlace::below:
            return "names something below the domain";
    }
    return "unknown";
}

std::optional<ThreatMatch> find_threat(std::span<const ThreatList> lists,
                                       const dns::FoldedName& name, std::size_t domain_labels) {
    std::optional<ThreatMatch> best;
    for (std::size_t i = 0; i < lists.size(); ++i) {
        const auto place = place_in(lists[i].index, name, domain_labels);
        if (!place) {
            continue;
        }
        const ThreatMatch match{
            .list = static_cast<std::uint8_t>(i), .place = *place, .is_pinned = lists[i].is_pinned};
        if (!best || rank_of(match) > rank_of(*best)) {
            best = match;
        }
    }
    return best;
}

void prefetch_threat(std::span<const ThreatList> lists, const dns::FoldedName& name,
                     std::size_t domain_labels) {
    for (const ThreatList& list : lists) {
        list.index.prefetch_entry(name, domain_labels);
        list.index.prefetch(name);
    }
}

text::SettingTable threat_settings_table() {
    using text::Setting;
    return {
        Setting::strings("threats.lists", {},
                         "Names of threats, in any form of lists.well_known, at most 8 lists: who "
                         "asks for one makes its registered domain a suspect, shown by `tapir "
                         "suspects`. Not under compatible.")
            .reloadable(),
        Setting::strings("threats.pin", {},
                         "SHA-256 that the files of threats.lists must have, each one of these; "
                         "empty: any.")
            .reloadable(),
        Setting::boolean("threat_exception", false,
                         "Tell of a suspect's registered domain that too few have asked for: of a "
                         "pinned list, or from three networks; by the hour, at most 100 a day. The "
                         "ledger shows it."),
    };
}

Result<void> load_threats(world::Files& files, const text::Settings& settings, const Lists* before,
                          Lists& lists) {
    constexpr std::string_view key = "threats.lists";
    const auto& paths = settings.strings(key);
    const auto& pins = settings.strings("threats.pin");
    if (paths.size() > threat_lists_max) {
        return settings.refuse(key, fmt::format("at most {} lists", threat_lists_max),
                               std::to_string(paths.size()));
    }
    for (std::size_t i = 0; i < paths.size(); ++i) {
        if (paths[i].empty()) {
            return settings.refuse(key, "paths of lists", "an empty one");
        }
        const std::string kind(threat_kinds.at(i));
        const NamesBefore shared =
            before == nullptr || i >= before->threats.size()
                ? NamesBefore{}
                : NamesBefore{.index = &before->threats[i].index, .file = before->file(kind)};
        auto index = load_names(files, paths[i], kind, shared, lists.files);
        if (!index) {
            return fail(at_setting(settings, key, std::move(index).error()));
        }
        const std::string& sha256 = lists.files.back().sha256;
        const bool is_pinned = std::ranges::find(pins, sha256) != pins.end();
        if (!pins.empty() && !is_pinned) {
            return settings.refuse("threats.pin", fmt::format("the SHA-256 of {}", paths[i]),
                                   fmt::format("a file of {}", sha256));
        }
        lists.threats.push_back({.index = *std::move(index), .is_pinned = is_pinned});
    }
    return {};
}

}  // namespace tapir::edge
