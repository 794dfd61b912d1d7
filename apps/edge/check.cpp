#include "tapir/edge/check.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "commands.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge_app {

int check(const text::Settings& settings, bool online) {
    world::SystemFiles files;
    const world::SystemClock clock;
    edge::CheckOptions options;
    options.online = online;
    const auto findings = edge::check(settings, files, clock, options);
    for (const edge::Finding& finding : findings) {
        fmt::print("{:<5} {}: {}\n", edge::to_string(finding.verdict), finding.what, finding.why);
        if (!finding.mend.empty()) {
            fmt::print("      {}\n", finding.mend);
        }
    }
    return std::ranges::count(findings, edge::Verdict::fail, &edge::Finding::verdict) > 0 ? 1 : 0;
}

}  // namespace tapir::edge_app
