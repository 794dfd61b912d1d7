#include "lists.hpp"

#include <algorithm>
#include <utility>

#include "tapir/crypto/digest.hpp"

namespace tapir::edge {
namespace {

constexpr std::size_t index_head_size = 64;  // octets that tell an index from all else

ListFile described(std::string kind, ByteView octets) {
    ListFile file;
    file.kind = std::move(kind);
    file.sha256 = to_hex(crypto::sha256(octets));
    return file;
}

Result<names::NameIndex> map_index(world::Files& files, const std::string& path,
                                   const std::string& kind, std::vector<ListFile>& report) {
    const std::shared_ptr<const world::MappedFile> file = TRY(files.map(path));
    auto index = names::NameIndex::open(file->bytes(), file);
    if (!index) {
        return fail(std::move(index).error().at(path));
    }
    report.push_back(described(kind, file->bytes()));
    report.back().entries = index->size();
    return index;
}

}  // namespace

const ListFile* Lists::file(std::string_view kind) const {
    const auto found = std::ranges::find(files, kind, &ListFile::kind);
    return found == files.end() ? nullptr : &*found;
}

Result<names::NameIndex> load_names(world::Files& files, const std::string& path,
                                    const std::string& kind, NamesBefore before,
                                    std::vector<ListFile>& report) {
    if (path.empty()) {
        return names::NameIndex();
    }
    if (names::NameIndex::is_index(TRY(files.read_at(path, 0, index_head_size)))) {
        return map_index(files, path, kind, report);
    }
    const Bytes octets = TRY(files.read(path, list_file_size_max));
    if (before.file != nullptr && before.file->sha256 == to_hex(crypto::sha256(octets))) {
        report.push_back(*before.file);
        return *before.index;
    }
    const names::ListFormat format = names::list_format_of(path, octets);
    names::ListReport counted;
    names::NameIndex index = TRY(names::compile_list(as_text(octets), path, format, counted));
    ListFile file = described(kind, octets);
    file.entries = counted.entries;
    file.duplicates = counted.duplicates;
    file.inert = counted.inert;
    report.push_back(std::move(file));
    return index;
}

Result<client::NetworkSet> load_networks(world::Files& files, const std::string& path,
                                         std::vector<ListFile>& report) {
    const Bytes octets = TRY(files.read(path, list_file_size_max));
    client::NetworkSet set = TRY(client::NetworkSet::parse(as_text(octets), path));
    report.push_back(described("ignored_clients", octets));
    report.back().entries = set.size();
    return set;
}

Result<dns::PublicSuffixes> load_suffixes(world::Files& files, const std::string& path,
                                          std::vector<ListFile>& report) {
    const Bytes octets = TRY(files.read(path, dns::suffix_list_size_max));
    dns::PublicSuffixes suffixes = TRY(dns::PublicSuffixes::parse(as_text(octets), path));
    report.push_back(described("public_suffixes", octets));
    report.back().entries = suffixes.rule_count();
    return suffixes;
}

}  // namespace tapir::edge
