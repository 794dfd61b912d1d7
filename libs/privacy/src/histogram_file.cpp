#include "histogram_file.hpp"

#include <array>
#include <vector>

#include "tapir/base/assert.hpp"
#include "tapir/columns/table_writer.hpp"

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

void write_row(columns::TableWriter& table, const products::HistogramRow& row) {
    std::size_t column = 0;
    table.int64(column++, row.start_time.us());
    for (const auto& label : row.labels) {
        if (label) {
            table.string(column++, *label);
        } else {
            table.null(column++);
        }
    }
    for (const std::uint64_t count :
         {row.a_count, row.aaaa_count, row.mx_count, row.ns_count, row.other_type_count,
          row.non_in_count, row.ok_count, row.nx_count, row.fail_count, row.other_rcode_count,
          row.edm_status_bits, row.v4client_count, row.v6client_count}) {
        table.uint64(column++, count);
    }
    write_optional(table, column++, row.v4client_count_hll);
    write_optional(table, column++, row.v6client_count_hll);
    TAPIR_DEBUG_ASSERT(column == products::histogram_column_count);
}

}  // namespace

Result<Bytes> write_histogram(std::span<const RowCandidate* const> rows, std::size_t size_step) {
    std::vector<columns::Column> schema;
    for (const products::Column& column : products::histogram_columns()) {
        schema.push_back({.name = std::string(column.name),
                          .type = type_of(column.type),
                          .presence = column.optional ? columns::Presence::optional
                                                      : columns::Presence::required});
    }
    columns::TableWriter table(std::string(products::histogram_schema_name), schema);
    for (const RowCandidate* candidate : rows) {
        write_row(table, candidate->row);
    }
    columns::FinishOptions options;
    options.pad_to = size_step > 1 ? size_step : 0;
    return table.finish(options);
}

}  // namespace tapir::privacy
