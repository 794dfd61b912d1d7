#include "tapir/names/list.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tapir/names/dawg.hpp"

namespace tapir::names {

namespace {

constexpr std::size_t shown_max = 80;  // octets of a bad line in an error

Error bad_line(std::string_view file, std::size_t line, std::string_view what) {
    return {Code::invalid, fmt::format("{}:{}: {}", file, line, what)};
}

// What stands in an error: control octets and what is not ASCII as \DDD.
std::string shown(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, shown_max)) {
        const auto octet = static_cast<unsigned char>(c);
        out += octet < 0x20 || octet > 0x7E ? fmt::format("\\{:03}", octet) : std::string(1, c);
    }
    return out;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t");
    return first == std::string_view::npos
               ? std::string_view()
               : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Lines without their line end (LF or CR LF).
class Lines {
public:
    explicit Lines(std::string_view text) : text_(text) {}
    bool next() {
        if (text_.empty()) {
            return false;
        }
        const std::size_t size = std::min(text_.find('\n'), text_.size());
        line_ = text_.substr(0, size);
        if (line_.ends_with('\r')) {
            line_.remove_suffix(1);
        }
        text_.remove_prefix(std::min(size + 1, text_.size()));
        ++number_;
        return true;
    }
    std::string_view line() const { return line_; }
    std::size_t number() const { return number_; }

private:
    std::string_view text_;
    std::string_view line_;
    std::size_t number_ = 0;
};

// The fields of one CSV line (RFC 4180, without line ends inside quotes).
Result<void> split_csv(std::string_view line, std::vector<std::string>& fields) {
    fields.assign(1, "");
    for (std::size_t i = 0; i < line.size(); ++i) {
        std::string& field = fields.back();
        if (line[i] == ',') {
            fields.emplace_back();
        } else if (line[i] != '"') {
            field += line[i];
        } else if (!field.empty()) {
            return fail(Code::invalid, "expected a quote at the start of a field only");
        } else {
            for (++i; i < line.size() && (line[i] != '"' || line.substr(i, 2) == "\"\""); ++i) {
                i += line[i] == '"' ? 1U : 0U;
                field += line[i];
            }
            if (i >= line.size() || (i + 1 < line.size() && line[i + 1] != ',')) {
                return fail(Code::invalid, "expected a field that ends with its quote");
            }
        }
    }
    return {};
}

bool is_number(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// What the existing tool makes of a line: a final dot, lower case. Only ASCII letters matter: with
// any other an entry is inert.
std::string as_the_compiler(std::string_view word) {
    std::string out(word);
    std::ranges::transform(out, out.begin(), [](char c) {
        return static_cast<char>(dns::to_lower(static_cast<std::byte>(c)));
    });
    if (!out.ends_with('.')) {
        out += '.';
    }
    return out;
}

class Compiler {
public:
    Compiler(std::string_view file, ListFormat format, ListReport& report)
        : file_(file), format_(format), report_(report) {}

    Result<void> add_lines(std::string_view text) {
        const bool is_csv = format_ == ListFormat::csv || format_ == ListFormat::edm_csv;
        Lines lines(text);
        while (lines.next()) {
            if (lines.line().size() > list_line_size_max) {
                return fail(bad_line(file_, lines.number(),
                                     fmt::format("expected a line of at most {} octets, got {}",
                                                 list_line_size_max, lines.line().size())));
            }
            if (is_csv) {
                TRY(add_csv(lines));
            } else {
                TRY(add_text(lines.line(), lines.number()));
            }
        }
        return {};
    }

    Result<void> add_words(ByteView octets) {
        const auto add_all = [&]() -> Result<void> {
            const Dawg dawg = TRY(Dawg::open(octets));
            DawgReader words(dawg);
            while (const auto word = TRY(words.next())) {
                TRY(add_word(*word));
            }
            return {};
        };
        auto added = add_all();
        if (!added) {
            return fail(std::move(added).error().at(file_));
        }
        return {};
    }

    Result<NameIndex> build() && {
        const std::size_t added = builder_.size();
        NameIndex index = TRY(std::move(builder_).build());
        report_.entries = index.size();
        report_.duplicates = added - index.size();
        return index;
    }

private:
    Result<void> add_csv(const Lines& lines) {
        const bool is_edm = format_ == ListFormat::edm_csv;
        const std::string_view line = lines.line();
        // The existing reader passes over empty lines; ours over comments too.
        if (line.empty() ||
            (!is_edm && (trimmed(line).empty() || trimmed(line).starts_with('#')))) {
            return {};
        }
        const auto split = split_csv(line, fields_);
        if (!split) {
            return fail(bad_line(file_, lines.number(), split.error().what()));
        }
        const bool is_first = field_count_ == 0;
        if (is_first) {
            field_count_ = fields_.size();
        }
        if (fields_.size() < 2 || fields_.size() != field_count_) {
            return fail(
                bad_line(file_, lines.number(),
                         fmt::format("expected {} fields, got {}",
                                     std::max<std::size_t>(field_count_, 2), fields_.size())));
        }
        if (is_first && (is_edm || !is_number(trimmed(fields_[0])))) {
            return {};  // the header
        }
        return add_text(fields_[1], lines.number());
    }

    Result<void> add_text(std::string_view text, std::size_t line) {
        if (format_ == ListFormat::edm_text || format_ == ListFormat::edm_csv) {
            return add_word(as_the_compiler(text));
        }
        text = trimmed(text);
        if (format_ == ListFormat::text && (text.empty() || text.starts_with('#'))) {
            return {};
        }
        if (text.find('\0') != std::string_view::npos) {
            return fail(bad_line(file_, line,
                                 fmt::format("expected a name, got a NUL in '{}'", shown(text))));
        }
        const auto entry = parse_entry(text);
        if (!entry) {
            return fail(
                bad_line(file_, line,
                         fmt::format("{} in '{}'", to_error(entry.error()).what(), shown(text))));
        }
        return add({.name = entry->name, .kind = entry->kind});
    }

    // A word as the existing tools store it matches only if it is what a name's text would be.
    Result<void> add_word(std::string_view word) {
        const auto entry = parse_entry(word);
        if (!entry || to_text(Entry{.name = entry->name, .kind = entry->kind}) != word) {
            ++report_.inert;
            return {};
        }
        return add({.name = entry->name, .kind = entry->kind});
    }

    Result<void> add(Entry entry) {
        auto added = builder_.add(entry);
        if (!added) {
            return fail(std::move(added).error().at(file_));
        }
        return {};
    }

    std::string_view file_;
    ListFormat format_;
    ListReport& report_;
    NameIndexBuilder builder_;
    std::vector<std::string> fields_;
    std::size_t field_count_ = 0;
};

}  // namespace

std::optional<ListFormat> list_format_from_text(std::string_view word) {
    constexpr std::pair<std::string_view, ListFormat> formats[] = {
        {"text", ListFormat::text},       {"csv", ListFormat::csv},
        {"edm", ListFormat::edm_text},    {"edm-text", ListFormat::edm_text},
        {"edm-csv", ListFormat::edm_csv}, {"dawg", ListFormat::dawg}};
    for (const auto& [name, format] : formats) {
        if (name == word) {
            return format;
        }
    }
    return std::nullopt;
}

ListFormat list_format_of(std::string_view file) {
    if (file.ends_with(".dawg")) {
        return ListFormat::dawg;
    }
    return file.ends_with(".csv") ? ListFormat::csv : ListFormat::text;
}

Result<NameIndex> compile_list(std::string_view text, std::string_view file, ListFormat format,
                               ListReport& report) {
    report = {};
    Compiler compiler(file, format, report);
    if (format == ListFormat::dawg) {
        TRY(compiler.add_words(as_bytes(text)));
    } else {
        TRY(compiler.add_lines(text));
    }
    return std::move(compiler).build();
}

Result<OwnedEntry, dns::NameError> parse_entry(std::string_view text) {
    OwnedEntry entry;
    if (text.size() > 1 && text.starts_with('.')) {
        entry.kind = EntryKind::suffix;
        text.remove_prefix(1);
        if (text == ".") {
            return fail(dns::NameError::empty_label);  // "..": a suffix of what?
        }
    }
    auto name = dns::Name::from_text(text);
    if (!name) {
        return fail(name.error());
    }
    entry.name = *std::move(name);
    return entry;
}

std::string to_text(const Entry& entry) {
    std::string text = entry.kind == EntryKind::suffix ? "." : "";
    const dns::NameText name(entry.name, dns::Case::lower);
    text += name.view();
    return text;
}

}  // namespace tapir::names
