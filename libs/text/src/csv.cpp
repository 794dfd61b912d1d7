#include "tapir/text/csv.hpp"

namespace tapir::text {

std::string_view to_string(CsvError error) {
    switch (error) {
        case CsvError::line_too_long:
            return "line_too_long";
        case CsvError::too_many_fields:
            return "too_many_fields";
        case CsvError::unclosed_quote:
            return "unclosed_quote";
        case CsvError::text_after_quote:
            return "text_after_quote";
    }
    return "unknown";
}

Error to_error(CsvError error) {
    return {Code::invalid, "not a line of CSV: " + std::string(to_string(error))};
}

namespace {

// Reads a quoted field whose opening quote is at `at`; leaves `at` behind the closing one.
Result<void, CsvError> read_quoted(std::string_view line, std::size_t& at, std::string& field) {
    ++at;
    while (at < line.size()) {
        const char c = line[at++];
        if (c != '"') {
            field.push_back(c);
        } else if (at < line.size() && line[at] == '"') {
            field.push_back('"');
            ++at;
        } else {
            return {};
        }
    }
    return fail(CsvError::unclosed_quote);
}

}  // namespace

Result<void, CsvError> split_csv(std::string_view line, std::vector<std::string>& fields,
                                 char separator) {
    if (line.ends_with('\r')) {
        line.remove_suffix(1);
    }
    std::size_t count = 0;
    const auto finish = [&](CsvError error) {
        fields.resize(count);
        return fail(error);
    };
    if (line.size() > csv_line_size_max) {
        return finish(CsvError::line_too_long);
    }
    for (std::size_t at = 0;; ++at) {  // one field a turn; `at` ends on its separator
        if (count == csv_fields_max) {
            return finish(CsvError::too_many_fields);
        }
        if (count == fields.size()) {
            fields.emplace_back();
        }
        std::string& field = fields[count];
        field.clear();
        if (at < line.size() && line[at] == '"') {
            if (const auto read = read_quoted(line, at, field); !read) {
                return finish(read.error());
            }
            if (at < line.size() && line[at] != separator) {
                return finish(CsvError::text_after_quote);
            }
        } else {
            const std::size_t end = std::min(line.find(separator, at), line.size());
            field.assign(line.substr(at, end - at));
            at = end;
        }
        ++count;
        if (at == line.size()) {
            fields.resize(count);
            return {};
        }
    }
}

}  // namespace tapir::text
