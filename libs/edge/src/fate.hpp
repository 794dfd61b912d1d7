// What became of each frame. Every frame that was read has exactly one fate, and the sums are kept
// by worker and added per batch.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace tapir::edge {

enum class Fate : std::uint8_t {
    dropped_overload,  // the workers were behind: never looked at
    dropped_row,       // a listed name, first asked for when the minute's rows had no memory left
    dropped_name,      // a name that would leave, when as many were on their way as may be
    // Nothing that could be counted came out of it.
    frame_oversized,
    frame_truncated,
    frame_undecodable,
    frame_type_missing,
    frame_message_missing,
    frame_message_type_missing,
    // Not what is counted.
    query,
    other_response,  // `standard` counts CLIENT_RESPONSE only
    // Ignored by the operator's lists.
    client_ignored,
    client_unusable,  // no address, or of another length, while a list is in force
    name_ignored,
    // The DNS message.
    dns_missing,
    dns_malformed,
    dns_no_question,
    dns_invalid_name,
    // Counted.
    well_known,
    // Not on the list: `compatible`.
    name_seen,
    name_new,
    // Not on the list, other profiles: what may never be released.
    name_single_label,
    name_special_use,
    name_reverse,
    name_unlisted_suffix,
    name_is_suffix,
    name_other_class,
    // ... or who asked counts for nothing.
    client_absent,
    client_outside,
    // ... or it is counted towards the threshold.
    pending_first_client,
    pending_waiting,
    pending_capped,
    released,
    released_before,
};
inline constexpr std::size_t fate_count = static_cast<std::size_t>(Fate::released_before) + 1;

// Group and reason, as they stand in labels and in the report.
std::string_view group_of(Fate fate);
std::string_view to_string(Fate fate);

struct FateCounts {
    std::array<std::uint64_t, fate_count> by_fate{};

    void add(Fate fate, std::uint64_t n = 1) { by_fate.at(static_cast<std::size_t>(fate)) += n; }
    std::uint64_t of(Fate fate) const { return by_fate.at(static_cast<std::size_t>(fate)); }
    void add(const FateCounts& other);
    std::uint64_t sum() const;
};

}  // namespace tapir::edge
