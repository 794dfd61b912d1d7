// Session rows as a Parquet file: root `sessionData`, the columns of the existing minimiser, all of
// them optional, in alphabetical order.
//
//     const Bytes file = TRY(write_sessions(minute.blocks, key.id()));
//     session_file_name(interval);   // dns_session_block-2026-09-21T14-14-00Z_….parquet
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "session_rows.hpp"
#include "tapir/base/result.hpp"
#include "tapir/products/histogram.hpp"

namespace tapir::edge {

inline constexpr std::string_view session_key_metadata = "cryptopan_key_id";

// The blocks are emptied one by one while they are written. `key_id` says which key made the
// pseudonyms: a metadata value of the file.
Result<Bytes> write_sessions(std::vector<SessionRows>&& blocks, const std::string& key_id);

// Whole seconds, UTC, as histograms are named.
std::string session_file_name(const products::Interval& interval);

}  // namespace tapir::edge
