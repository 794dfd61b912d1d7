// The ledger leaf of one batch: commitments to its payloads and to what made them, and what was
// kept back, by rule.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ready_batch.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/ledger/leaf.hpp"

namespace tapir::edge {

// A salt for one commitment of one batch. Live: from chance. The twin: from its key.
using SaltSource = std::function<ledger::Salt(std::string_view batch, std::string_view name)>;

// What all leaves of one run say of it.
struct LeafContext {
    privacy::Profile profile = privacy::Profile::standard;
    bool single_site = false;
    bool threat_exception = false;
    bool hourly_sketches = false;
    std::string version;     // of the software
    std::string aggregator;  // its URL, where the site is one of a group
};

// Where a payload lies, from the folder that the ledger lies in: the name that it has in the leaf.
using PayloadPath = std::function<std::string(const privacy::Payload& payload)>;

struct BatchLeaf {
    Bytes octets;
    std::string openings;  // a line each
};
Result<BatchLeaf> leaf_of(const ReadyBatch& batch, const LeafContext& context,
                          const PayloadPath& path, const SaltSource& salts);

Result<std::vector<ledger::Opening>> parse_openings(std::string_view text);

// "batches/0000000012": where the payloads of leaf 12 lie.
std::string batch_folder(std::uint64_t index);

}  // namespace tapir::edge
