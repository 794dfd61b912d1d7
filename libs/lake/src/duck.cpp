#include "duck.hpp"

#include <utility>

#include <duckdb.h>

namespace tapir::lake {

namespace {

// DuckDB's share of child_memory_max; the rest is code, stacks and what it does not account for.
constexpr const char* duck_memory = "640MB";

// What is not needed is shut before the first byte of an upload is looked at.
constexpr std::string_view shut =
    "SET temp_directory = '';"
    "SET autoload_known_extensions = false;"
    "SET autoinstall_known_extensions = false;"
    "SET allow_community_extensions = false;"
    "SET enable_external_access = false;"
    "SET lock_configuration = true;";

struct Text {
    explicit Text(char* t) : text(t) {}
    ~Text() { duckdb_free(text); }
    Text(const Text&) = delete;
    Text& operator=(const Text&) = delete;
    char* text;
};

struct Answer {
    Answer() = default;
    ~Answer() { duckdb_destroy_result(&result); }
    Answer(const Answer&) = delete;
    Answer& operator=(const Answer&) = delete;
    duckdb_result result{};
};

Table to_table(duckdb_result& result) {
    Table table;
    const idx_t columns = duckdb_column_count(&result);
    const idx_t rows = duckdb_row_count(&result);
    for (idx_t column = 0; column < columns; ++column) {
        table.columns.emplace_back(duckdb_column_name(&result, column));
    }
    for (idx_t row = 0; row < rows; ++row) {
        auto& values = table.rows.emplace_back();
        for (idx_t column = 0; column < columns; ++column) {
            const Text value(duckdb_value_varchar(&result, column, row));
            values.push_back(value.text == nullptr ? std::nullopt
                                                   : std::optional<std::string>(value.text));
        }
    }
    return table;
}

}  // namespace

struct Duck::Impl {
    duckdb_database database = nullptr;
    duckdb_connection connection = nullptr;
};

void Duck::Close::operator()(Impl* impl) const {
    duckdb_disconnect(&impl->connection);
    duckdb_close(&impl->database);
    delete impl;
}

Result<Duck> Duck::open(std::string_view allow) {
    std::unique_ptr<Impl, Close> impl(new Impl);
    duckdb_config config = nullptr;
    if (duckdb_create_config(&config) != DuckDBSuccess) {
        return fail(Code::internal, "DuckDB does not start: no configuration");
    }
    duckdb_set_config(config, "threads", "1");
    duckdb_set_config(config, "memory_limit", duck_memory);
    char* why = nullptr;
    const bool opened = duckdb_open_ext(nullptr, &impl->database, config, &why) == DuckDBSuccess;
    duckdb_destroy_config(&config);
    const Text reason(why);
    if (!opened || duckdb_connect(impl->database, &impl->connection) != DuckDBSuccess) {
        return fail(Code::internal, std::string("DuckDB does not start: ") +
                                        (reason.text == nullptr ? "no reason given" : reason.text));
    }
    Duck duck(std::move(impl));
    TRY(duck.run(std::string(allow) + std::string(shut)));
    return duck;
}

Result<Table> Duck::run(const std::string& statement) {
    Answer answer;
    if (duckdb_query(impl_->connection, statement.c_str(), &answer.result) != DuckDBSuccess) {
        const char* why = duckdb_result_error(&answer.result);
        const bool no_memory =
            duckdb_result_error_type(&answer.result) == DUCKDB_ERROR_OUT_OF_MEMORY;
        return fail(no_memory ? Code::exhausted : Code::invalid,
                    why == nullptr ? "the statement failed" : why);
    }
    return to_table(answer.result);
}

std::string quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        out += c;
        if (c == '\'') {
            out += c;
        }
    }
    out += '\'';
    return out;
}

}  // namespace tapir::lake
