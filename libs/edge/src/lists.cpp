#include "lists.hpp"

#include <utility>

#include "tapir/crypto/digest.hpp"

namespace tapir::edge {
namespace {

bool is_dawg(ByteView octets) {
    ByteReader in(octets);
    const std::uint32_t stated = in.u32();
    return !in.failed() && stated == octets.size();
}

ListFile described(std::string kind, ByteView octets) {
    ListFile file;
    file.kind = std::move(kind);
    file.sha256 = to_hex(crypto::sha256(octets));
    return file;
}

}  // namespace

Result<names::NameIndex> load_names(world::Files& files, const std::string& path,
                                    const std::string& kind, std::vector<ListFile>& report) {
    if (path.empty()) {
        return names::NameIndex();
    }
    const Bytes octets = TRY(files.read(path, list_file_size_max));
    const names::ListFormat format =
        is_dawg(octets) ? names::ListFormat::dawg : names::list_format_of(path);
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
