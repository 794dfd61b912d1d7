// The aggregator as a process: HTTPS with client certificates of the operator's own CA.
//
//     const auto settings = TRY(text::Settings::parse(text, file, settings_table(), overrides));
//     TRY(run(settings, "0.1.0", *stop, log));         // returns when a stop was asked for
//
// It keeps nothing: a stop or a crash forgets what is pending and which names were released today.
// A reload reads the certificates again.
#pragma once

#include <string>

#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/process.hpp"

namespace tapir::aggregation {

text::SettingTable settings_table();

// Errors at the start name file, line and setting.
Result<void> run(const text::Settings& settings, const std::string& version, world::Stop& stop,
                 const Log& log);

}  // namespace tapir::aggregation
