// What the engine keeps on disk, and how. Families:
//   policy_meta     "format" 1 · "zone" name in wire form · "serial" u32 · "feed_id" text
//   policy_zone     trigger key -> action (u8)
//   policy_history  sequence (u64) -> from (u32), to (u32), delta
//   policy_doubts   size of trigger (u8), trigger, source -> tags u32, added, expires, stamp i64,
//   removed u8
// Integers are big-endian.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tapir/base/result.hpp"
#include "tapir/rpz/book.hpp"
#include "tapir/rpz/zone.hpp"
#include "tapir/store/store.hpp"

namespace tapir::policy {

inline constexpr std::string_view meta_family = "policy_meta";
inline constexpr std::string_view zone_family = "policy_zone";
inline constexpr std::string_view history_family = "policy_history";
inline constexpr std::string_view doubts_family = "policy_doubts";

struct StoredState {
    bool is_new = true;
    rpz::Snapshot snapshot;
    std::string feed_id;
    std::uint64_t next_step = 0;  // sequence number of the next step of the history
};

// Reads all but the doubts. `corrupt` if it is not what was written. Rules that do not fit under
// the zone's name (it may have been shorter) are left out, and so is history that has such rules,
// is of a zone of another name, or does not lead to the serial.
Result<StoredState> load_state(const store::Store& store, ByteView zone_name);
Result<void> load_doubts(const store::Store& store, rpz::Book& book);

// Adds to `batch` what makes the stored state that of `after`. `next_step` is moved on.
void save_zone(store::Batch& batch, const rpz::Snapshot& before, const rpz::Snapshot& after,
               const rpz::Delta& delta, std::uint64_t& next_step);
void save_doubt(store::Batch& batch, const rpz::DoubtKey& key, const rpz::Doubt* doubt);
void save_meta(store::Batch& batch, rpz::Serial serial, std::string_view feed_id,
               ByteView zone_name);

}  // namespace tapir::policy
