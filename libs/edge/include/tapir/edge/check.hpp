// Whether an edge would run well with these settings on this machine, before it is started.
//
//     for (const Finding& finding : check(settings, files, clock, {})) { ... }
//
// Looks only: nothing is made, changed or sent (with `online`, an empty request goes to the core).
// No finding holds a secret.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/text/settings.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

enum class Verdict : std::uint8_t { ok, warn, fail };
std::string_view to_string(Verdict verdict);  // "ok", "warn", "FAIL"

struct Finding {
    Verdict verdict{};
    std::string what;    // "lists.well_known"
    std::string why;     // "100000 entries"
    std::string mend{};  // what to do; empty where all is well
};

struct CheckOptions {
    bool online = false;       // whether the core can be reached
    std::string etc = "/etc";  // where the resolvers' settings are
};

std::vector<Finding> check(const text::Settings& settings, world::Files& files,
                           const world::Clock& clock, const CheckOptions& options);

}  // namespace tapir::edge
