// Why the edge does what it does: with captures, or with names, by the code that decides.
//
//     ExplainOptions options{.captures = {"a.fstrm"}};
//     TRY(explain(options, settings, files, log, [](std::string_view text) { print(text); }));
//
// Of a capture each message is said to be kept, coarsened, held or dropped, by which rule of
// DESIGN.md §3, and then each row of an interval, and each payload with the octets that would
// leave. Of a name: what it is to this edge, and each form in which it may leave. It is for the
// operator, who has the traffic anyway: it says how many clients a name has, but never which; no
// address is in it. It is the twin's pipeline with somebody who listens: there is no second
// implementation of the rules to disagree with the first.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

struct ExplainOptions {
    std::vector<std::string> captures;  // .fstrm files, one after the other as one stream
    std::vector<std::string> names;
    bool sums_only = false;  // no line for each message
    bool octets = false;     // of payloads in full, in hexadecimal
};

using ExplainPrint = std::function<void(std::string_view text)>;

// Errors name file, line and setting, or the name that is none.
Result<void> explain(const ExplainOptions& options, const text::Settings& settings,
                     world::Files& files, const Log& log, const ExplainPrint& print);

}  // namespace tapir::edge
