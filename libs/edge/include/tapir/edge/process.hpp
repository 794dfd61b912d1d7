// The offline twin: the edge's own code over capture files, by the data's own clock.
//
//     TRY(process({.captures = {"a.fstrm"}, .out = "out", .version = "0.1.0"}, settings, files,
//                 log));
//
// Writes below `out`:
//     histograms/*.parquet   one for each minute that has rows (and for each, where empty ones go
//                            out too)
//     events.jsonl           a flattened JSON JWS a line, in order of first appearance
//     ledger/                checkpoint and tiles, one leaf for each batch
//     batches/N/             the batch of events that leaf N commits to
//     sessions/              where sessions.enabled is set: session files, sealed, and their keys
//     report.json            frames by fate and reason; their sum is frames.read
// The same captures, settings and keys give the same octets, whatever the number of workers. There
// is no clock and no chance in it. Without configured keys it takes fixed public ones, and says so.
#pragma once

#include <string>
#include <vector>

#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

inline constexpr std::size_t capture_count_max = 10'000;

struct ProcessOptions {
    std::vector<std::string> captures;  // .fstrm files, read one after the other as one stream
    std::string out;                    // a folder: new, or without results of an earlier run
    bool single_interval = false;       // all frames in one interval: first to last minute
    bool sessions_plain = false;        // session files are not sealed: for comparing them
    std::string version;
};

Result<void> process(const ProcessOptions& options, const text::Settings& settings,
                     world::Files& files, const Log& log);

}  // namespace tapir::edge
