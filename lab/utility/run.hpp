// One run of the edge over a traffic, and what left it.
//
//     const Released released = TRY(run_edge(site, gate, source, 1));
//
// The pipeline, collector and gate are the edge's, with the clock of the data, as
// `tapir-edge process` runs them. Names are read out of the events as they leave; rows are those
// that the gate says it released, and their number must be the collector's (Code::internal).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "centre.hpp"
#include "collector.hpp"
#include "site.hpp"

namespace tapir::utility {

struct ReleasedRows {
    std::int64_t minutes = 0;            // that the file is about
    std::vector<std::uint32_t> entries;  // ascending
};

struct Released {
    // Names in any form, and when each left: at the end of its batch's minute (`strict`: hour).
    std::map<std::string, UtcTime> names;
    // Of all files that are about a minute, itself or with others.
    std::unordered_map<std::int64_t, std::vector<std::shared_ptr<const ReleasedRows>>> by_minute;
    std::uint64_t rows = 0;
    std::uint64_t frames = 0;
    edge::FateCounts fates;
    edge::Suppressed suppressed;
};

// `source` is at its beginning. No workers: everything in the caller's thread.
Result<Released> run_edge(const Site& site, const Gate& gate, Source& source, std::size_t workers);

}  // namespace tapir::utility
