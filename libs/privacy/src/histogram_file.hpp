// The Parquet file of a histogram, from rows that the gate has judged, in the order of its calls.
#pragma once

#include <cstddef>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/columns/table_writer.hpp"
#include "tapir/products/histogram.hpp"

namespace tapir::privacy {

class HistogramFile {
public:
    HistogramFile();

    void add(const products::HistogramRow& row);
    bool is_empty() const { return table_.row_count() == 0; }
    // The size becomes a multiple of `size_step` (1: as it comes).
    Result<Bytes> finish(std::size_t size_step);

private:
    columns::TableWriter table_;
};

}  // namespace tapir::privacy
