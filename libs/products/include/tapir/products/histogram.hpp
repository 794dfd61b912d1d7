// The histogram: one row for each well-known name asked for in an interval, 26 columns; its
// interval in file names and in the Aggregate-Interval header.
//
//     const Interval interval{start, stop};
//     histogram_file_name(interval);   // dns_histogram-2026-05-28T12-13-00Z_….parquet
//     aggregate_interval(interval);    // 2026-05-28T12:13:00Z/PT1M
//
// Values only; `columns` writes the Parquet file.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"

namespace tapir::products {

inline constexpr std::size_t histogram_label_count = 10;
inline constexpr std::string_view histogram_schema_name = "histogramData";  // the root's name
inline constexpr std::size_t aggregate_interval_size_max = 128;             // octets of the header

namespace edm_status {
inline constexpr std::uint64_t exact = 1;   // the list's entry is a name
inline constexpr std::uint64_t suffix = 2;  // the list's entry stands for all names below
}  // namespace edm_status

// How a column is typed in the file.
enum class ColumnType : std::uint8_t {
    timestamp_us,  // INT64, TIMESTAMP(MICROS, UTC)
    text,          // BYTE_ARRAY, STRING
    count,         // INT64, UINT_64
    octets,        // BYTE_ARRAY, no logical type
};

struct Column {
    std::string_view name;
    ColumnType type;
    bool optional;
};

inline constexpr std::size_t histogram_column_count = 26;
// In the order of the file.
const std::array<Column, histogram_column_count>& histogram_columns();

// One row. Columns are the members in this order, start_time first.
struct HistogramRow {
    UtcTime start_time;
    // Labels of the list's entry, nearest the root first; from the tenth on joined by dots in that
    // order. A suffix entry ends with an empty label. Absent ones are NULL.
    std::array<std::optional<std::string>, histogram_label_count> labels;
    // Responses, by first question's type (class IN) …
    std::uint64_t a_count = 0;
    std::uint64_t aaaa_count = 0;
    std::uint64_t mx_count = 0;
    std::uint64_t ns_count = 0;
    std::uint64_t other_type_count = 0;
    std::uint64_t non_in_count = 0;
    // … and by rcode: the sums of both groups are equal as long as they are exact.
    std::uint64_t ok_count = 0;
    std::uint64_t nx_count = 0;
    std::uint64_t fail_count = 0;
    std::uint64_t other_rcode_count = 0;
    std::uint64_t edm_status_bits = 0;
    // Distinct clients.
    std::uint64_t v4client_count = 0;
    std::uint64_t v6client_count = 0;
    std::optional<Bytes> v4client_count_hll;
    std::optional<Bytes> v6client_count_hll;

    friend bool operator==(const HistogramRow&, const HistogramRow&) = default;
};

// From `start`, which is in it, to `stop`, which is not.
struct Interval {
    UtcTime start;
    UtcTime stop;
    friend bool operator==(const Interval&, const Interval&) = default;
};

// "dns_histogram-2024-09-26T18-14-00Z_2024-09-26T18-15-00Z.parquet": whole seconds, UTC.
std::string histogram_file_name(const Interval& interval);
Result<Interval> parse_histogram_file_name(std::string_view name);

// "2026-05-28T12:13:00Z/PT1M": hours, minutes and seconds (with a fraction if there is one), parts
// that are zero left out; "PT0S" if nothing is left or stop lies before start.
std::string aggregate_interval(const Interval& interval);

// START/DURATION or START/END (ISO 8601), both times with a zone; a day is 86400 s, a month 30 days
// and a year 365, as the existing receiver counts. The empty text is no interval. Refused:
// DURATION/END, an end before the start, a start alone, no zone, a date alone, more than a hundred
// years.
Result<std::optional<Interval>> parse_aggregate_interval(std::string_view text);

}  // namespace tapir::products
