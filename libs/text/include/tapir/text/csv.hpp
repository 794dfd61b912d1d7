// One line of comma-separated values (RFC 4180): fields, some in quotes, a quote doubled inside.
//
//     std::vector<std::string> fields;          // reused from line to line
//     TRY(split_csv(line, fields));
//
// A line break inside quotes is not supported: lists of names have none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/result.hpp"

namespace tapir::text {

inline constexpr std::size_t csv_line_size_max = 65'536;  // octets
inline constexpr std::size_t csv_fields_max = 4'096;

enum class CsvError : std::uint8_t {
    line_too_long,
    too_many_fields,
    unclosed_quote,
    text_after_quote
};
std::string_view to_string(CsvError error);
Error to_error(CsvError error);

// Splits `line`, without its line end (a final CR is dropped), into `fields`; an empty line is one
// empty field. On an error the fields are those before it.
Result<void, CsvError> split_csv(std::string_view line, std::vector<std::string>& fields,
                                 char separator = ',');

}  // namespace tapir::text
