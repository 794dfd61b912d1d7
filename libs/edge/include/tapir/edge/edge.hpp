// The live edge: dnstap comes in from resolvers, what may leave goes to the core.
//
//     auto stop = TRY(world::Stop::on_signals());
//     TRY(run(settings, "0.1.0", *stop, log));          // returns when a stop was asked for
//
// The resolver is never blocked: its frames are always read, and dropped in whole batches, counted,
// when the workers are behind. What was accepted (a batch on the disk, its leaf in the ledger)
// survives a crash at any instant and leaves until the core has it; what is still being counted, or
// waits up to an hour for a disk that is full, is in memory only and is lost with the process.
#pragma once

#include <string>
#include <vector>

#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/edge/settings.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/process.hpp"

namespace tapir::edge {

// Errors at the start name file, line and setting. After the start it only returns on `stop`, or
// after `length`, if that is not 0: for dry runs. What is reloadable is read again when it changes,
// and when `stop` says so (SIGHUP).
Result<void> run(const text::Settings& settings, const std::string& version, world::Stop& stop,
                 const Log& log, const SettingsSource& source = {}, Duration length = {});

// Settings for a run of which nothing leaves: KEY=VALUE words that count after all others. Its
// state lies below that of the edge.
std::vector<std::string> dry_run_settings(const text::Settings& settings);

// Marks the names of lists as released before, in the store of an edge that is not running; what is
// to be printed comes back. docs/formats/seen.md.
Result<std::string> import_seen(const text::Settings& settings,
                                const std::vector<std::string>& lists, const Log& log);

}  // namespace tapir::edge
