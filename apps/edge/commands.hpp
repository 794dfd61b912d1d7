// The operator's commands of tapir-edge, beside run and process. Each prints what it has to say and
// gives the exit status.
#pragma once

#include <string>
#include <vector>

#include "tapir/base/result.hpp"

namespace tapir::edge_app {

struct MigrateWords {
    std::string config;
    std::string out;  // empty: standard output
    bool with_state = false;
    std::vector<std::string> flags;
};
// 0 if everything was understood.
Result<int> migrate(const MigrateWords& words);

}  // namespace tapir::edge_app
