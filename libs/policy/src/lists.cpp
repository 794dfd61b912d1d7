#include "tapir/policy/lists.hpp"

#include <memory>

#include "tapir/base/bytes.hpp"
#include "tapir/names/list.hpp"

namespace tapir::policy {
namespace {

Result<rpz::NamedSet> load_one(const std::string& path, world::Files& files, LoadedLists& total) {
    const Bytes content = TRY(files.read(path, list_size_max));
    names::ListReport report;
    const names::NameIndex index =
        TRY(names::compile_list(as_text(content), path, names::list_format_of(path), report));
    std::vector<rpz::NameSet::Entry> entries;
    entries.reserve(index.size());
    for (std::size_t i = 0; i < index.size(); ++i) {
        const names::Entry entry = index.entry(static_cast<names::EntryId>(i));
        auto trigger = rpz::Trigger::from_wire(entry.name.wire());
        if (!trigger) {
            ++total.skipped;
            continue;
        }
        entries.push_back({trigger->key(), entry.kind == names::EntryKind::suffix});
    }
    total.entries += entries.size();
    total.duplicates += report.duplicates;
    return rpz::NamedSet{
        path, std::make_shared<const rpz::NameSet>(rpz::NameSet::from(std::move(entries)))};
}

}  // namespace

std::vector<std::string> ListFiles::all() const {
    std::vector<std::string> out = allow;
    out.insert(out.end(), deny.begin(), deny.end());
    out.insert(out.end(), doubt.begin(), doubt.end());
    return out;
}

Result<LoadedLists> load_lists(const ListFiles& paths, world::Files& files) {
    LoadedLists loaded;
    for (const std::string& path : paths.allow) {
        loaded.lists.allow.push_back(TRY(load_one(path, files, loaded)));
    }
    for (const std::string& path : paths.deny) {
        loaded.lists.deny.push_back(TRY(load_one(path, files, loaded)));
    }
    for (const std::string& path : paths.doubt) {
        loaded.lists.doubt.push_back(TRY(load_one(path, files, loaded)));
    }
    return loaded;
}

}  // namespace tapir::policy
