// The ledger's leaf of a start of recording: that sessions are kept here, how much, and how long.
#pragma once

#include <string>

#include "batch_leaf.hpp"
#include "session_rows.hpp"

namespace tapir::edge {

struct SessionStart {
    UtcTime time;  // of a minute
    SessionMessage message = SessionMessage::without_ecs;
    Duration age_max{};
    std::string key_id;  // of the pseudonyms; only a commitment goes into the leaf
};

// Kind "sessions". The batch's leaf has the same members `profile`, `software` and `single_site`.
Result<BatchLeaf> session_leaf(const SessionStart& start, const LeafContext& context,
                               const Lists& lists, const SaltSource& salts);

}  // namespace tapir::edge
