// For tests that read Parquet files back: DuckDB in memory. The test links tapir_dep::duckdb.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <duckdb.h>
#include <gtest/gtest.h>

namespace tapir::columns::testing {

// Answers as text; NULL is "NULL".
class Duck {
public:
    using Rows = std::vector<std::vector<std::string>>;

    Duck() {
        EXPECT_EQ(duckdb_open(nullptr, &database_), DuckDBSuccess);
        EXPECT_EQ(duckdb_connect(database_, &connection_), DuckDBSuccess);
    }
    Duck(const Duck&) = delete;
    Duck& operator=(const Duck&) = delete;
    ~Duck() {
        duckdb_disconnect(&connection_);
        duckdb_close(&database_);
    }

    Rows query(const std::string& sql) {
        duckdb_result result;
        Rows rows;
        if (duckdb_query(connection_, sql.c_str(), &result) != DuckDBSuccess) {
            ADD_FAILURE() << sql << ": " << duckdb_result_error(&result);
        } else {
            for (idx_t r = 0; r < duckdb_row_count(&result); ++r) {
                auto& row = rows.emplace_back();
                for (idx_t c = 0; c < duckdb_column_count(&result); ++c) {
                    const std::unique_ptr<char, void (*)(void*)> text(
                        duckdb_value_varchar(&result, c, r), duckdb_free);
                    row.emplace_back(text ? text.get() : "NULL");
                }
            }
        }
        duckdb_destroy_result(&result);
        return rows;
    }

private:
    duckdb_database database_ = nullptr;
    duckdb_connection connection_ = nullptr;
};

}  // namespace tapir::columns::testing
