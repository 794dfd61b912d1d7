#include "tapir/privacy/group.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "tapir/base/assert.hpp"

namespace tapir::privacy {

using products::ReleaseState;
using products::SightingKind;

std::string_view to_string(GroupOutcome outcome) {
    static constexpr std::array<std::string_view, group_outcome_count> names{
        "counted", "known", "released", "taken", "full"};
    return names.at(static_cast<std::size_t>(outcome));
}

std::size_t GroupTable::Mix::operator()(std::uint64_t name) const {
    std::uint64_t x = name ^ seed;
    x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31U) ^ seed;
}

// Stage one does not keep the first client's network, so what comes first would matter: without.
// The cap on what one client starts is the sites' part: here no tag says who is the same.
GroupTable::GroupTable(const GroupLimits& limits, unsigned networks_min, std::uint64_t seed)
    : limits_(limits),
      pending_({.cell_count = 0, .name_count = limits.name_count, .starts_an_hour_max = 0},
               networks_min),
      states_(0, Mix{seed}) {
    states_.reserve(limits.released_count_max);
    log_.reserve(2 * limits.released_count_max);
}

GroupOutcome GroupTable::add(const products::SightingRecord& record) {
    const auto known = states_.find(record.name);
    if (record.kind == SightingKind::taken) {
        if (known != states_.end() && known->second == ReleaseState::taken) {
            return GroupOutcome::known;
        }
        return enter(record.name, ReleaseState::taken) ? GroupOutcome::taken : GroupOutcome::full;
    }
    if (known != states_.end()) {
        return GroupOutcome::known;
    }
    Sighting sighting;
    sighting.name = Fingerprint{record.name};
    sighting.family = record.kind == SightingKind::ipv6 ? Family::ipv6 : Family::ipv4;
    sighting.client = record.client;
    sighting.network = record.network;
    if (pending_.count(sighting, record.threshold) == PendingOutcome::reached) {
        return enter(record.name, ReleaseState::released) ? GroupOutcome::released
                                                          : GroupOutcome::full;
    }
    return pending_.was_news() ? GroupOutcome::counted : GroupOutcome::known;
}

bool GroupTable::enter(std::uint64_t name, ReleaseState state) {
    const auto known = states_.find(name);
    if (known != states_.end()) {
        known->second = state;
    } else if (states_.size() < limits_.released_count_max) {
        states_.emplace(name, state);
    } else {
        return false;
    }
    // Twice a name at most, so it stays within what is reserved.
    log_.push_back({.name = name, .state = state});
    return true;
}

GroupTable::Slice GroupTable::since(std::uint32_t cursor, std::size_t count_max) const {
    const std::size_t first = std::min<std::size_t>(cursor, log_.size());
    const std::size_t count = std::min(log_.size() - first, count_max);
    const auto begin = log_.begin() + static_cast<std::ptrdiff_t>(first);
    Slice slice;
    slice.records.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
    slice.cursor = static_cast<std::uint32_t>(first + count);
    return slice;
}

void GroupTable::start_day() {
    pending_.start_day();
    states_.clear();
    log_.clear();
}

}  // namespace tapir::privacy
