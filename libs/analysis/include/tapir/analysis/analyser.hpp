// An analyser: a small module that looks at one event and says what it is evidence of. It decides
// nothing; the verdict is the service's (analysis.hpp).
//
//     std::vector<std::unique_ptr<Analyser>> analysers;
//     analysers.push_back(TRY(globally_new({"internal.example"})));
//     analysers.push_back(TRY(looptest("from-edge.looptest.dnstapir.se")));
//
// Analysers keep what they must remember in the store, in families of their own, and change it only
// through the batch that they are given: evidence and memory are written together or not at all.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/dns/name.hpp"
#include "tapir/store/store.hpp"

namespace tapir::analysis {

inline constexpr std::size_t suffixes_max = 1000;  // of one analyser

// One event as analysers see it.
struct Sighting {
    dns::NameView name;
    std::string_view text;  // the name in lower case, without the final dot
    std::string_view edge;
    UtcTime now;
};

class Analyser {
public:
    virtual ~Analyser() = default;
    virtual std::string_view label() const = 0;
    // The flag that this sighting is evidence for (products::flag), or 0.
    virtual Result<std::uint32_t> look(const Sighting& sighting, const store::Reader& store,
                                       store::Batch& batch) = 0;
};

// The first time that any edge reports a name. Names under one of `ignored_suffixes`, these
// included, are neither flagged nor remembered.
Result<std::unique_ptr<Analyser>> globally_new(const std::vector<std::string>& ignored_suffixes);

// Names under `suffix`: the end-to-end test. An empty suffix matches nothing.
Result<std::unique_ptr<Analyser>> looptest(std::string_view suffix);

}  // namespace tapir::analysis
