#include "histogram_file.hpp"

#include <optional>
#include <string>
#include <vector>

#include "tapir/base/assert.hpp"

namespace tapir::privacy {
namespace {

columns::Type type_of(products::ColumnType type) {
    switch (type) {
        case products::ColumnType::timestamp_us:
            return columns::Type::timestamp_us;
        case products::ColumnType::text:
            return columns::Type::string;
        case products::ColumnType::count:
            return columns::Type::uint64;
        case products::ColumnType::octets:
            return columns::Type::bytes;
    }
    TAPIR_ASSERT(false);
    return columns::Type::bytes;
}

void write_optional(columns::TableWriter& table, std::size_t column,
                    const std::optional<Bytes>& value) {
    if (value) {
        table.bytes(column, *value);
    } else {
        table.null(column);
    }
}

std::vector<columns::Column> schema() {
    std::vector<columns::Column> all;
    for (const products::Column& column : products::histogram_columns()) {
        all.push_back({.name = std::string(column.name),
                       .type = type_of(column.type),
                       .presence = column.optional ? columns::Presence::optional
                                                   : columns::Presence::required});
    }
    return all;
}

}  // namespace

HistogramFile::HistogramFile() : table_(std::string(products::histogram_schema_name), schema()) {}

void HistogramFile::add(const products::HistogramRow& row) {
    std::size_t column = 0;
    table_.int64(column++, row.start_time.us());
    for (const auto& label : row.labels) {
        if (label) {
            table_.string(column++, *label);
        } else {
            table_.null(column++);
        }
    }
    for (const std::uint64_t count :
         {row.a_count, row.aaaa_count, row.mx_count, row.ns_count, row.other_type_count,
          row.non_in_count, row.ok_count, row.nx_count, row.fail_count, row.other_rcode_count,
          row.edm_status_bits, row.v4client_count, row.v6client_count}) {
        table_.uint64(column++, count);
    }
    write_optional(table_, column++, row.v4client_count_hll);
    write_optional(table_, column++, row.v6client_count_hll);
    TAPIR_DEBUG_ASSERT(column == products::histogram_column_count);
}

Result<Bytes> HistogramFile::finish(std::size_t size_step) {
    columns::FinishOptions options;
    options.pad_to = size_step > 1 ? size_step : 0;
    return table_.finish(options);
}

}  // namespace tapir::privacy
