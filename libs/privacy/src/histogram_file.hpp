// The Parquet file of a histogram, from rows that the gate has judged.
#pragma once

#include <span>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/privacy/gate.hpp"

namespace tapir::privacy {

// The size becomes a multiple of `size_step` (1: as it comes).
Result<Bytes> write_histogram(std::span<const RowCandidate* const> rows, std::size_t size_step);

}  // namespace tapir::privacy
