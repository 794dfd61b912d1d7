// Writes one flat Parquet file into memory, with exactly the schema asked for: names, types,
// logical types and nullability. Writing only; reading is DuckDB's, elsewhere.
//
//     TableWriter table("histogramData", {{"start_time", Type::timestamp_us, Presence::required},
//                                         {"label0", Type::string, Presence::optional}});
//     table.int64(0, start.us());          // column by index, in any order of columns
//     table.bytes(1, as_bytes("com"));     // or table.null(1)
//     const Bytes file = TRY(table.finish({.pad_to = 4096}));
//
// One row group, PLAIN values, RLE levels, SNAPPY, data pages v1 of bounded size. The same
// calls give the same octets. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"

namespace tapir::columns {

inline constexpr std::size_t column_count_max = 1'000;
inline constexpr std::size_t file_size_max = 1'073'741'824;  // octets; also of one column, raw
inline constexpr std::size_t pad_to_max = 65'536;

// Physical and logical type in one. The two are fixed pairs, as readers expect them.
enum class Type : std::uint8_t {
    timestamp_us,  // INT64, TIMESTAMP(MICROS, adjusted to UTC)
    int64,         // INT64, none
    uint64,        // INT64, INTEGER(64, unsigned)
    int32,         // INT32, none
    uint32,        // INT32, INTEGER(32, unsigned)
    uint16,        // INT32, INTEGER(16, unsigned)
    uint8,         // INT32, INTEGER(8, unsigned)
    float64,       // DOUBLE, none
    boolean,       // BOOLEAN, none
    string,        // BYTE_ARRAY, STRING
    bytes,         // BYTE_ARRAY, none
};

enum class Presence : std::uint8_t { required, optional };

struct Column {
    std::string name;
    Type type;
    Presence presence = Presence::required;
};

struct FinishOptions {
    // The file's size becomes a multiple of this, by a metadata value of blanks. 0: as it comes.
    std::size_t pad_to = 0;
    // Key-value metadata, written in this order.
    std::vector<std::pair<std::string, std::string>> metadata;
};

class TableWriter {
public:
    // `root_name` is the name of the schema's root. At least one and at most column_count_max
    // columns, with distinct names (asserted).
    TableWriter(std::string root_name, const std::vector<Column>& columns);
    TableWriter(TableWriter&&) noexcept;
    TableWriter& operator=(TableWriter&&) noexcept;
    ~TableWriter();

    // Append one value to a column. The column's type must be of the family in the name: int64 for
    // timestamp_us and int64, uint64 for uint64, …; null only where optional (asserted).
    void int64(std::size_t column, std::int64_t value);
    void uint64(std::size_t column, std::uint64_t value);
    void int32(std::size_t column, std::int32_t value);
    void uint32(std::size_t column, std::uint32_t value);  // also uint16 and uint8
    void float64(std::size_t column, double value);
    void boolean(std::size_t column, bool value);
    void bytes(std::size_t column, ByteView value);  // also string; UTF-8 is the caller's word
    void string(std::size_t column, std::string_view value) { bytes(column, as_bytes(value)); }
    void null(std::size_t column);

    std::size_t column_count() const;
    // Values in this column so far, nulls included.
    std::size_t row_count(std::size_t column = 0) const;

    // The whole file. All columns must have the same number of values (invalid otherwise);
    // exhausted above file_size_max. Zero rows give a valid file. The writer is empty afterwards.
    Result<Bytes> finish(const FinishOptions& options = {});

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::columns
