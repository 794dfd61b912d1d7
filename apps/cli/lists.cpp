#include <fmt/format.h>

#include "commands.hpp"
#include "tapir/dns/name.hpp"
#include "tapir/names/dawg.hpp"
#include "tapir/names/list.hpp"
#include "tapir/names/name_index.hpp"
#include "tapir/world/files.hpp"

namespace tapir::cli {
namespace {

// A list or a compiled index, whichever the file is.
Result<names::NameIndex> read_index(world::Files& files, const std::string& path,
                                    const std::string& format, names::ListReport& report) {
    const std::shared_ptr<const world::MappedFile> file = TRY(files.map(path));
    if (format.empty()) {
        if (auto index = names::NameIndex::open(file->bytes(), file)) {
            report.entries = index->size();
            return index;
        }
    }
    const auto named = names::list_format_from_text(format);
    if (!format.empty() && !named) {
        return fail(Code::invalid,
                    fmt::format("--format: expected text, csv, edm_text, edm_csv or dawg, got '{}'",
                                format));
    }
    const names::ListFormat kind = named.value_or(names::list_format_of(path));
    return names::compile_list(as_text(file->bytes()), path, kind, report);
}

}  // namespace

Result<std::string> compile_list(const std::string& list, const std::string& format,
                                 const std::string& out) {
    world::SystemFiles files;
    names::ListReport report;
    const names::NameIndex index = TRY(read_index(files, list, format, report));
    TRY(files.write_atomically(out, index.bytes(), 0644));
    return fmt::format(
        "{}: {} entries, {} duplicates left out, {} that nothing can match left out; "
        "{} octets, digest {:016x}\n",
        out, report.entries, report.duplicates, report.inert, index.bytes().size(), index.digest());
}

Result<std::string> lookup(const std::string& path, const std::vector<std::string>& names) {
    world::SystemFiles files;
    names::ListReport report;
    const names::NameIndex index = TRY(read_index(files, path, "", report));
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
        out += fmt::format("{}  {}  {}\n", text, to_text(index.entry(match->id)),
                           match->kind == names::EntryKind::exact ? "exact" : "suffix");
    }
    return out;
}

}  // namespace tapir::cli
