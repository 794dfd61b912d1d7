// What an edge would have sent, from the ledger and outbox of a dry run.
//
//     const std::string report = TRY(dry_run_report(files, settings));
//
// A dry run is a live edge without an outlet and with a state folder of its own: the same frames,
// gate and batches, and nothing leaves. The report has a line for each UTC day (batches, octets,
// rows, names, what was held back by which rule), then each name that would have been told of. For
// the operator's eyes.
#pragma once

#include <string>

#include "tapir/base/result.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

// `settings`: those of the dry run, which say where its state lies and which key it signed with.
Result<std::string> dry_run_report(world::Files& files, const text::Settings& settings);

}  // namespace tapir::edge
