#include "faults.hpp"

namespace tapir::sim {

std::string_view to_string(Fault fault) {
    static constexpr std::array<std::string_view, fault_count> names{
        "kill",         "kill at start", "power cut",      "write undone",
        "request lost", "answer lost",   "doubled",        "delayed",
        "stream cut",   "core away",     "full disk",      "clock step",
        "broker away",  "redelivered",   "unacknowledged", "sessions forgotten"};
    return names.at(static_cast<std::size_t>(fault));
}

std::string_view to_string(Lie lie) {
    static constexpr std::array<std::string_view, lie_count> names{"none",
                                                                   "edge_disk_keeps_nothing",
                                                                   "edge_disk_refuses",
                                                                   "edge_store_knows_names",
                                                                   "core_store_not_synced",
                                                                   "core_forgets_duplicates",
                                                                   "core_skips_acknowledged",
                                                                   "core_skips_aggregates",
                                                                   "core_journals_twice",
                                                                   "second_door",
                                                                   "altered_after_ledger",
                                                                   "part_of_payload",
                                                                   "part_of_event",
                                                                   "name_in_field",
                                                                   "name_in_topic",
                                                                   "rare_name_leaks",
                                                                   "listed_name_leaks",
                                                                   "policy_store_not_synced",
                                                                   "policy_changes_no_serial",
                                                                   "ledger_altered",
                                                                   "feed_issues_twice",
                                                                   "mqtt_acknowledges_first",
                                                                   "policy_drops_rule",
                                                                   "policy_weakens_rule"};
    return names.at(static_cast<std::size_t>(lie));
}

std::optional<Lie> lie_named(std::string_view name) {
    for (std::size_t i = 0; i < lie_count; ++i) {
        if (name == to_string(static_cast<Lie>(i))) {
            return static_cast<Lie>(i);
        }
    }
    return std::nullopt;
}

Tally& Tally::operator+=(const Tally& other) {
    for (std::size_t i = 0; i < fault_count; ++i) {
        counts_.at(i) += other.counts_.at(i);
    }
    return *this;
}

Duration Dice::time_between(Duration low, Duration high) {
    return low + Duration(static_cast<std::int64_t>(
                     chance_.below(static_cast<std::uint64_t>((high - low).count()) + 1)));
}

}  // namespace tapir::sim
