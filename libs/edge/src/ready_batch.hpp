// What leaves together, on its way from the gate to the disk, and what was kept back meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fate.hpp"
#include "group_link.hpp"
#include "suspects.hpp"
#include "tapir/base/time.hpp"
#include "tapir/privacy/gate.hpp"

namespace tapir::edge {

// What was kept back since the batch before, for the ledger: counts without content.
struct Suppressed {
    FateCounts fates;
    std::uint64_t rows_released = 0;
    std::uint64_t rows_few_clients = 0;
    std::uint64_t rows_few_networks = 0;
    std::uint64_t rows_evicted = 0;  // there was no room for them in a wider interval
    std::uint64_t cells_evicted = 0;
    std::uint64_t names_evicted = 0;
    std::uint64_t parents_evicted = 0;
    SuspectCounts suspects;

    void add(const Suppressed& other);
};

struct ReadyBatch {
    UtcTime time;  // the batch's, no finer than the rule says
    std::vector<privacy::Released<privacy::Payload>> payloads;
    // The names that leave; EventSigner makes events of them.
    std::vector<privacy::Released<products::NewQname>> released;
    std::vector<std::string> events;  // the JWS in the order of release
    // Of the events, for Seen: whoever takes the batch settles them.
    std::vector<std::string> names;
    std::optional<GroupAccount> group;  // where the site is one of a group
    std::string by_person;     // who released which of them and why: a line each, for the ledger
    std::string by_exception;  // which of them are suspects, and on what grounds: likewise
    Suppressed suppressed;
    std::shared_ptr<const privacy::GateKey> key;
    // What it was made with, for the leaf; of both, if lists changed meanwhile.
    std::string lists;
    std::string settings;
};

class BatchSink {
public:
    virtual ~BatchSink() = default;
    virtual void take(ReadyBatch&& batch) = 0;
};

}  // namespace tapir::edge
