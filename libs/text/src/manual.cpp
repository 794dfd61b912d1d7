#include "tapir/text/manual.hpp"

#include <fmt/format.h>

#include "settings_print.hpp"

namespace tapir::text {
namespace {

// Text as roff prints it: no line of it is a request, no character an escape.
std::string roff(std::string_view text) {
    std::string out;
    bool is_line_start = true;
    for (const char c : text) {
        if (is_line_start && (c == '.' || c == '\'')) {
            out += "\\&";
        }
        is_line_start = c == '\n';
        switch (c) {
            case '\\':
                out += "\\e";
                break;
            case '-':
                out += "\\-";
                break;
            case '"':
                out += "\\(dq";
                break;
            default:
                out += c;
        }
    }
    return out;
}

// Each sentence on a line of its own, as man(7) wants it.
std::string sentences(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool ends = text[i] == ' ' && i > 0 && text[i - 1] == '.' && i + 1 < text.size() &&
                          text[i + 1] >= 'A' && text[i + 1] <= 'Z';
        out += ends ? '\n' : text[i];
    }
    return roff(out);
}

}  // namespace

std::string manual_page(const SettingTable& table, const ManualHead& head) {
    std::string upper;
    for (const char c : head.name) {
        upper += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    std::string out =
        fmt::format(".TH {0} 5 2026-11-26 \"Tapir {1}\" \"Tapir\"\n", roff(upper), head.version);
    out += fmt::format(".SH NAME\n{0} \\- settings of {1}\n", roff(head.name), roff(head.program));
    out += fmt::format(".SH SYNOPSIS\n.I {}\n", roff(head.file));
    out += fmt::format(
        ".SH DESCRIPTION\nA file in TOML.\nA key with a dot is a key in a table, "
        "or dotted, as one likes.\nWhat is not known, of another type or out of range is an "
        "error that names file, line and key.\nEvery setting can also be given with\n.B "
        "\\-\\-set KEY=VALUE\nof\n.BR {} ({}).\n.SH SETTINGS\n",
        roff(head.program), head.section);
    for (const Setting& setting : table) {
        out += fmt::format(".TP\n.B {}\n{}\nTakes {}; {}.\n", roff(setting.key),
                           sentences(setting.sentence), roff(expectation(setting)),
                           setting.required
                               ? "required"
                               : roff("default " + print_value(setting.type, setting.fallback)));
    }
    out += fmt::format(".SH SEE ALSO\n.BR {} ({})\n", roff(head.program), head.section);
    return out;
}

}  // namespace tapir::text
