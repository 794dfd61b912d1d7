// Lines of values: what was read, written with every field in quotes, is read again as the same;
// and where there is no quote, the fields are what stands between the separators.
#include <algorithm>
#include <cstdint>
#include <span>

#include "tapir/base/bytes.hpp"
#include "tapir/text/csv.hpp"

namespace {

using namespace tapir;

std::string quoted(const std::vector<std::string>& fields, char separator) {
    std::string line;
    for (std::size_t i = 0; i < fields.size(); ++i) {
        if (i > 0) {
            line += separator;
        }
        line += '"';
        for (const char c : fields[i]) {
            line.append(c == '"' ? 2 : 1, c);
        }
        line += '"';
    }
    return line;
}

void check(std::string_view line, char separator) {
    std::vector<std::string> fields;
    if (!text::split_csv(line, fields, separator)) {
        return;
    }
    TAPIR_ASSERT(!fields.empty() && fields.size() <= text::csv_fields_max);
    const std::string again_line = quoted(fields, separator);
    std::vector<std::string> again;
    if (again_line.size() <= text::csv_line_size_max) {
        TAPIR_ASSERT(text::split_csv(again_line, again, separator) && again == fields);
    }
    if (line.find('"') == std::string_view::npos) {
        std::string joined = fields[0];
        for (std::size_t i = 1; i < fields.size(); ++i) {
            joined += separator + fields[i];
        }
        TAPIR_ASSERT(joined == (line.ends_with('\r') ? line.substr(0, line.size() - 1) : line));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    check(text, ',');
    check(text, ';');
    return 0;
}
