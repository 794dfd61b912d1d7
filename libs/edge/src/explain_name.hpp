// What a name is to this edge, and each form in which it may leave. Part of explain.
#pragma once

#include "tapir/edge/explain.hpp"

namespace tapir::edge {

Result<void> explain_names(const std::vector<std::string>& names, const text::Settings& settings,
                           world::Files& files, const ExplainPrint& print);

}  // namespace tapir::edge
