// The threshold that is being measured.
//
//     for (const Gate& gate : gates()) {
//         const GateInForce in_force(gate);
//         ... the edge's own pipeline and gate, under gate.profile ...
//     }
//
// No setting of the edge changes a threshold: the release table is code. So this program has a
// rule_for() of its own (CMakeLists.txt), which hands out the rows of the library's table, but of
// names and histograms under `standard` with the threshold in force. At most one is, and nothing of
// the edge outlives it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tapir/privacy/table.hpp"

namespace tapir::privacy {

// The library's rule_for(), compiled for this program under this name.
const Rule& rule_as_shipped(Product product, Profile profile);

}  // namespace tapir::privacy

namespace tapir::utility {

struct Gate {
    std::string name;
    privacy::Profile profile = privacy::Profile::standard;
    // In place of the one of `standard`; nothing: as it is shipped.
    std::optional<privacy::Threshold> threshold{};

    privacy::Threshold in_force() const;
};

// `standard` with another centre, clipped to its half and its double; all else as it is shipped.
Gate gate_with_centre(unsigned centre);
// Centres 10, 20 and 40 of `standard`, then `strict`.
std::vector<Gate> gates();

class GateInForce {
public:
    explicit GateInForce(const Gate& gate);
    ~GateInForce();
    GateInForce(const GateInForce&) = delete;
    GateInForce& operator=(const GateInForce&) = delete;
};

}  // namespace tapir::utility
