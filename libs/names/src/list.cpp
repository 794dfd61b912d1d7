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

char lower(char c) {
    return static_cast<char>(dns::to_lower(static_cast<std::byte>(c)));
}

bool has_capitals(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

// What the existing tool makes of a line: a final dot, lower case. Only ASCII letters matter: with
// any other an entry is inert.
void as_the_compiler(std::string_view line, std::string& word) {
    word.resize(line.size());
    std::ranges::transform(line, word.begin(), lower);
    if (!word.ends_with('.')) {
        word += '.';
    }
}

// The text of an entry of which each octet stands for itself, which most are: the same as parsing
// and printing it. False: it may be another, or malformed.
bool simple_word(std::string_view name, std::string& word) {
    const std::string_view labels = name.starts_with('.') ? name.substr(1) : name;
    if (labels.empty() || labels.size() > dns::name_size_max - 2) {
        return false;
    }
    word.assign(name.size() - labels.size(), '.');
    std::size_t label_size = 0;
    for (const char c : labels) {
        const char folded = lower(c);
        if (folded == '.') {
            if (label_size == 0) {
                return false;
            }
            label_size = 0;
        } else if ((folded >= 'a' && folded <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                   c == '_') {
            if (++label_size > dns::label_size_max) {
                return false;
            }
        } else {
            return false;
        }
        word += folded;
    }
    if (label_size != 0) {
        word += '.';
    }
    return true;
}

// Goes through a list and hands on each of its names; who takes them is derived from it.
class ListReader {
public:
    ListReader(std::string_view file, ListFormat format, ListReport& report)
        : file_(file), format_(format), report_(report) {}
    virtual ~ListReader() = default;
    ListReader(const ListReader&) = delete;
    ListReader& operator=(const ListReader&) = delete;

    Result<void> read(std::string_view text) {
        return format_ == ListFormat::dawg ? read_dawg(as_bytes(text)) : read_lines(text);
    }

protected:
    bool is_edm() const {
        return format_ == ListFormat::edm_text || format_ == ListFormat::edm_csv;
    }
    std::string_view file() const { return file_; }
    ListReport& report() { return report_; }
    // A name as the existing tools store it.
    virtual Result<void> take_word(std::string_view word) = 0;
    // A name as people write it, blanks left out.
    virtual Result<void> take_name(std::string_view name, std::size_t line) = 0;

    Error refused(std::size_t line, dns::NameError error, std::string_view name) const {
        return bad_line(file_, line,
                        fmt::format("{} in '{}'", to_error(error).what(), shown(name)));
    }

private:
    Result<void> read_lines(std::string_view text) {
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

    Result<void> read_dawg(ByteView octets) {
        const auto read_all = [&]() -> Result<void> {
            const Dawg dawg = TRY(Dawg::open(octets));
            DawgReader words(dawg);
            while (const auto word = TRY(words.next())) {
                TRY(take_word(*word));
            }
            return {};
        };
        auto read = read_all();
        if (!read) {
            return fail(std::move(read).error().at(file_));
        }
        return {};
    }

    Result<void> add_csv(const Lines& lines) {
        const std::string_view line = lines.line();
        // The existing reader passes over empty lines; ours over comments too.
        if (line.empty() ||
            (!is_edm() && (trimmed(line).empty() || trimmed(line).starts_with('#')))) {
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
        if (is_first && (is_edm() || !is_number(trimmed(fields_[0])))) {
            return {};  // the header
        }
        return add_text(fields_[1], lines.number());
    }

    Result<void> add_text(std::string_view text, std::size_t line) {
        if (is_edm()) {
            report_.folded += has_capitals(text) ? 1U : 0U;
            as_the_compiler(text, word_);
            auto taken = take_word(word_);
            if (!taken) {
                return fail(bad_line(file_, line, taken.error().what()));
            }
            return {};
        }
        text = trimmed(text);
        if (format_ == ListFormat::text && (text.empty() || text.starts_with('#'))) {
            return {};
        }
        if (text.find('\0') != std::string_view::npos) {
            return fail(bad_line(file_, line,
                                 fmt::format("expected a name, got a NUL in '{}'", shown(text))));
        }
        report_.folded += has_capitals(text) ? 1U : 0U;
        return take_name(text, line);
    }

    std::string_view file_;
    ListFormat format_;
    ListReport& report_;
    std::vector<std::string> fields_;
    std::size_t field_count_ = 0;
    std::string word_;
};

class IndexCompiler final : public ListReader {
public:
    using ListReader::ListReader;

    Result<NameIndex> build() && {
        const std::size_t added = builder_.size();
        NameIndex index = TRY(std::move(builder_).build());
        report().entries = index.size();
        report().duplicates = added - index.size();
        return index;
    }

private:
    // It matches only if it is what a name's text would be.
    Result<void> take_word(std::string_view word) override {
        const auto entry = parse_entry(word);
        if (!entry || to_text(Entry{.name = entry->name, .kind = entry->kind}) != word) {
            ++report().inert;
            return {};
        }
        return add({.name = entry->name, .kind = entry->kind});
    }

    Result<void> take_name(std::string_view name, std::size_t line) override {
        const auto entry = parse_entry(name);
        if (!entry) {
            return fail(refused(line, entry.error(), name));
        }
        return add({.name = entry->name, .kind = entry->kind});
    }

    Result<void> add(Entry entry) {
        auto added = builder_.add(entry);
        if (!added) {
            return fail(std::move(added).error().at(file()));
        }
        return {};
    }

    NameIndexBuilder builder_;
};

class WordCompiler final : public ListReader {
public:
    using ListReader::ListReader;

    void reserve(std::string_view text) {
        // Each line end makes room for a final dot.
        const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
        words_.reserve(lines, text.size() + 1);
    }

    WordList settled() && {
        report().duplicates = words_.settle();
        report().entries = words_.size();
        return std::move(words_);
    }

private:
    Result<void> take_word(std::string_view word) override { return words_.add(word); }

    Result<void> take_name(std::string_view name, std::size_t line) override {
        if (!simple_word(name, word_)) {
            const auto entry = parse_entry(name);
            if (!entry) {
                return fail(refused(line, entry.error(), name));
            }
            word_ = to_text(Entry{.name = entry->name, .kind = entry->kind});
        }
        auto added = words_.add(word_);
        if (!added) {
            return fail(std::move(added).error().at(file()));
        }
        return {};
    }

    WordList words_;
    std::string word_;
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

ListFormat list_format_of(std::string_view file, ByteView octets) {
    ByteReader in(octets);
    const std::uint32_t stated = in.u32();
    return !in.failed() && stated == octets.size() ? ListFormat::dawg : list_format_of(file);
}

Result<NameIndex> compile_list(std::string_view text, std::string_view file, ListFormat format,
                               ListReport& report) {
    report = {};
    IndexCompiler compiler(file, format, report);
    TRY(compiler.read(text));
    return std::move(compiler).build();
}

Result<WordList> read_words(std::string_view text, std::string_view file, ListFormat format,
                            ListReport& report) {
    report = {};
    WordCompiler compiler(file, format, report);
    if (format != ListFormat::dawg) {
        compiler.reserve(text);
    }
    TRY(compiler.read(text));
    return std::move(compiler).settled();
}

Result<WordList> words_of(const NameIndex& index) {
    WordList words;
    for (std::uint32_t id = 0; id < index.size(); ++id) {
        TRY(words.add(to_text(index.entry(EntryId{id}))));
    }
    words.settle();
    return words;
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
