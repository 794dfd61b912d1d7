// Files of what a resolver sent or a network saw, into the pipeline: Frame Streams (.fstrm), pcap
// and pcapng. What a file is, its first octets say, not its name.
#pragma once

#include <string>

#include "pipeline.hpp"
#include "report.hpp"
#include "tapir/base/log.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

// All frames of one file. Errors name the file and what was expected.
Result<CaptureReport> read_capture(const std::string& path, world::Files& files, Pipeline& pipeline,
                                   const Log& log);

}  // namespace tapir::edge
