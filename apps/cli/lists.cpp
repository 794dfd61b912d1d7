// tapir list: lists of names between their forms, compared, measured and asked.
#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "commands.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/dns/name.hpp"
#include "tapir/names/dawg.hpp"
#include "tapir/names/dawg_writer.hpp"
#include "tapir/names/difference.hpp"
#include "tapir/names/list.hpp"
#include "tapir/names/name_index.hpp"
#include "tapir/world/files.hpp"

namespace tapir::cli {
namespace {

constexpr world::FileMode list_mode = 0644;  // names are no secret
constexpr std::size_t version_shown = 16;

enum class Form : std::uint8_t { index, dawg, text, csv };

constexpr std::array<std::pair<std::string_view, Form>, 4> forms = {
    {{"index", Form::index}, {"dawg", Form::dawg}, {"text", Form::text}, {"csv", Form::csv}}};

Result<Form> form_of(const std::string& to, const std::string& out, Form usual) {
    for (const auto& [word, form] : forms) {
        if (word == to) {
            return form;
        }
    }
    if (!to.empty()) {
        return fail(Code::invalid,
                    fmt::format("--to: expected index, dawg, text or csv, got '{}'", to));
    }
    if (out.ends_with(".tapirlist")) {
        return Form::index;
    }
    return out.ends_with(".dawg")  ? Form::dawg
           : out.ends_with(".csv") ? Form::csv
           : out.ends_with(".txt") ? Form::text
                                   : usual;
}

// A file of names, mapped, and what it is.
struct Source {
    std::string path;
    std::shared_ptr<const world::MappedFile> file;
    bool is_index = false;
    names::ListFormat format = names::ListFormat::text;

    std::string_view text() const { return as_text(file->bytes()); }
};

Result<Source> open_source(const std::string& path, const std::string& format) {
    world::SystemFiles files;
    Source source;
    source.path = path;
    source.file = TRY(files.map(path));
    source.is_index = names::NameIndex::is_index(source.file->bytes());
    source.format = names::list_format_of(path, source.file->bytes());
    if (!format.empty() && format != "index") {
        const auto named = names::list_format_from_text(format);
        if (!named) {
            return fail(
                Code::invalid,
                fmt::format("--format: expected text, csv, edm, edm-csv, dawg or index, got '{}'",
                            format));
        }
        source.is_index = false;
        source.format = *named;
    }
    return source;
}

std::string_view name_of(const Source& source) {
    if (source.is_index) {
        return "index";
    }
    switch (source.format) {
        case names::ListFormat::text:
            return "text";
        case names::ListFormat::csv:
            return "csv";
        case names::ListFormat::edm_text:
            return "text as the existing compiler reads it";
        case names::ListFormat::edm_csv:
            return "csv as the existing compiler reads it";
        case names::ListFormat::dawg:
            return "dawg";
    }
    return "text";
}

Result<names::NameIndex> index_of(const Source& source, names::ListReport& report) {
    if (!source.is_index) {
        return names::compile_list(source.text(), source.path, source.format, report);
    }
    auto index = names::NameIndex::open(source.file->bytes(), source.file);
    if (!index) {
        return fail(std::move(index).error().at(source.path));
    }
    report.entries = index->size();
    return index;
}

Result<names::WordList> words_of(const Source& source, names::ListReport& report) {
    if (source.is_index) {
        const names::NameIndex index = TRY(index_of(source, report));
        return names::words_of(index);
    }
    return names::read_words(source.text(), source.path, source.format, report);
}

// One name a line, in the order of the list; or with its place in front.
std::string listed(const names::NameIndex& index, Form form) {
    std::string out = form == Form::csv ? "rank,name\n" : "";
    for (std::uint32_t id = 0; id < index.size(); ++id) {
        const std::string name = to_text(index.entry(names::EntryId{id}));
        if (form == Form::text) {
            out += name;
        } else if (name.find_first_of(",\"") == std::string::npos) {
            out += fmt::format("{},{}", id + 1, name);
        } else {
            out += fmt::format("{},\"", id + 1);
            for (const char c : name) {
                out += c == '"' ? "\"\"" : std::string(1, c);
            }
            out += '"';
        }
        out += '\n';
    }
    return out;
}

std::string counted(const names::ListReport& report, bool has_inert) {
    return fmt::format(
        "{} entries, {} duplicates left out, {} that nothing can match {}, {} "
        "written with capitals",
        report.entries, report.duplicates, report.inert, has_inert ? "kept" : "left out",
        report.folded);
}

Result<std::string> write_list(const std::string& path, ByteView octets,
                               const std::string& counts) {
    world::SystemFiles files;
    TRY(files.write_atomically(path, octets, list_mode));
    return fmt::format("{}: {}; {} octets, version {}\n", path, counts, octets.size(),
                       to_hex(crypto::sha256(octets)).substr(0, version_shown));
}

}  // namespace

Result<std::string> make_list(const ListOptions& options, const std::string& list,
                              const std::string& out) {
    const Form form = TRY(form_of(options.to, out, Form::index));
    names::ListReport report;
    Source source = TRY(open_source(list, options.format));
    if (form == Form::dawg) {
        names::WordList words = TRY(words_of(source, report));
        source.file.reset();  // it may be large, and is in the words now
        const Bytes octets = TRY(names::write_dawg(std::move(words)));
        return write_list(out, octets, counted(report, true));
    }
    const names::NameIndex index = TRY(index_of(source, report));
    if (form == Form::index) {
        return write_list(out, index.bytes(), counted(report, false));
    }
    const std::string text = listed(index, form);
    return write_list(out, as_bytes(text), counted(report, false));
}

Result<std::string> diff_lists(const ListOptions& options, const std::string& before,
                               const std::string& after) {
    names::ListReport report;
    const names::NameIndex old_index =
        TRY(index_of(TRY(open_source(before, options.format)), report));
    const names::NameIndex new_index =
        TRY(index_of(TRY(open_source(after, options.format)), report));
    std::string out;
    const auto show = [&out](names::Change how, const names::Entry& entry) {
        out += fmt::format("{} {}\n", how == names::Change::added ? '+' : '-', to_text(entry));
    };
    const names::Difference change = options.is_summary
                                         ? names::difference(old_index, new_index)
                                         : names::difference(old_index, new_index, show);
    return out + fmt::format("{} added, {} removed, {} kept\n", change.added, change.removed,
                             change.kept);
}

Result<std::string> stat_list(const ListOptions& options, const std::string& path) {
    const Source source = TRY(open_source(path, options.format));
    names::ListReport report;
    const names::NameIndex index = TRY(index_of(source, report));
    std::size_t suffixes = 0;
    std::size_t labels_most = 0;
    for (std::uint32_t id = 0; id < index.size(); ++id) {
        const names::Entry entry = index.entry(names::EntryId{id});
        suffixes += entry.kind == names::EntryKind::suffix ? 1U : 0U;
        labels_most = std::max(labels_most, entry.name.label_count());
    }
    std::string out = fmt::format("file        {}\nform        {}\noctets      {}\n", path,
                                  name_of(source), source.file->bytes().size());
    out += fmt::format(
        "entries     {} exact, {} suffix\nleft out    {} duplicates, {} that "
        "nothing can match\n",
        index.size() - suffixes, suffixes, report.duplicates, report.inert);
    out += fmt::format("labels      {} at most\n", labels_most);
    if (!source.is_index && source.format == names::ListFormat::dawg) {
        out += fmt::format("words       {}\n", TRY(names::Dawg::open(source.file->bytes())).size());
    }
    out +=
        fmt::format("index       {} octets, digest {:016x}\nversion     {}\n", index.bytes().size(),
                    index.digest(), to_hex(crypto::sha256(source.file->bytes())));
    return out;
}

Result<std::string> lookup(const ListOptions& options, const std::string& path,
                           const std::vector<std::string>& names) {
    names::ListReport report;
    const Source source = TRY(open_source(path, options.format));
    const names::NameIndex index = TRY(index_of(source, report));
    std::string out;
    for (const std::string& text : names) {
        auto name = dns::Name::from_text(text);
        if (!name) {
            return fail(dns::to_error(name.error()).at(fmt::format("'{}'", text)));
        }
        const dns::FoldedName folded(name->view());
        const auto match = index.find(folded);
        if (!match) {
            out += fmt::format("{}  not listed\n", text);
            continue;
        }
        out += fmt::format("{}  {}  {}  {}\n", text, to_text(index.entry(match->id)),
                           match->kind == names::EntryKind::exact ? "exact" : "suffix",
                           static_cast<std::uint32_t>(match->id));
    }
    return out;
}

}  // namespace tapir::cli
