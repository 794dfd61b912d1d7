// The operator's commands of tapir-edge, beside run and process. Each prints what it has to say and
// gives the exit status.
#pragma once

#include <string>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/text/settings.hpp"

namespace tapir::edge_app {

struct MigrateWords {
    std::string config;
    std::string out;  // empty: standard output
    bool with_state = false;
    std::vector<std::string> flags;
};
// 0 if everything was understood.
Result<int> migrate(const MigrateWords& words);

// What tapir-edge would say of its settings and this machine before it runs. 1 if anything is FAIL.
int check(const text::Settings& settings, bool online);

struct NewKeyWords {
    std::string kid;
    std::string path;
};
Result<int> new_key(const NewKeyWords& words);

// Makes the key of a group of sites.
Result<int> new_group_key(const std::string& path);

// Runs the aggregator of a group until SIGTERM. `config` is a file of its own settings.
Result<void> aggregate(const std::string& config, const std::vector<std::string>& sets);
text::SettingTable aggregator_settings();

struct TopWords {
    std::string socket;  // metrics.socket of the edge
    bool once = false;
    bool json = false;
};
// Follows a running edge until `q` or the end of the terminal.
Result<int> top(const TopWords& words);

}  // namespace tapir::edge_app
