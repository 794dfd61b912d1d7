// What the operator gave: names and networks. Read at the start and when it changes; shared, and
// never changed itself.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/client/network_set.hpp"
#include "tapir/dns/public_suffix.hpp"
#include "tapir/names/list.hpp"
#include "tapir/names/name_index.hpp"
#include "tapir/world/files.hpp"
#include "threat_lists.hpp"
#include "transport.hpp"

namespace tapir::edge {

inline constexpr std::size_t list_file_size_max = 1U << 30U;  // octets

// A file that was read, for the report and the ledger's commitments.
struct ListFile {
    std::string kind;
    std::string sha256;  // hexadecimal, of the octets: the list's version
    std::size_t entries = 0;
    std::size_t duplicates = 0;
    std::size_t inert = 0;
};

struct Lists {
    names::NameIndex well_known;
    names::NameIndex ignored_names;
    client::NetworkSet ignored_clients;
    std::shared_ptr<const client::NetworkSet> client_networks;
    std::optional<dns::PublicSuffixes> suffixes;
    std::vector<ThreatList> threats;  // as threats.lists names them
    Listeners listeners;
    std::vector<ListFile> files;
    // What a leaf commits to: `kind sha256` of each file, and the settings that shape what leaves,
    // one a line.
    std::string digests;
    std::string shaping;
    // The same of what is counted: all but the threats. Rows of lists that agree in it are the same
    // rows, and what threats change must not be seen in what leaves.
    std::string counting;

    // The file of this kind; null if none was read.
    const ListFile* file(std::string_view kind) const;
};

// These read one file each; an error names file and line. `report` gets a line.
// A list of names, whatever it is: a compiled index (mapped; replace it by renaming, never write
// into it), a DAWG file (told by its own size in its first four octets), CSV (by its ending) or
// text. `before`, if its file had the same octets, is shared instead of building anew.
struct NamesBefore {
    const names::NameIndex* index = nullptr;
    const ListFile* file = nullptr;
};
Result<names::NameIndex> load_names(world::Files& files, const std::string& path,
                                    const std::string& kind, NamesBefore before,
                                    std::vector<ListFile>& report);

Result<client::NetworkSet> load_networks(world::Files& files, const std::string& path,
                                         std::vector<ListFile>& report);
Result<dns::PublicSuffixes> load_suffixes(world::Files& files, const std::string& path,
                                          std::vector<ListFile>& report);

}  // namespace tapir::edge
