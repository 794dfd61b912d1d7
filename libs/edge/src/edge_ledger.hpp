// The edge's ledger on disk: one leaf for each batch that left (DESIGN.md §7, R8).
//
//     auto ledger = TRY(EdgeLedger::open(files, "state/ledger", key));
//     TRY(ledger->append(ledger->size(), leaf, openings));        // durable, checkpoint signed
//     const ledger::Leaf again = TRY(ledger->leaf(index));
//
// Threads may share it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/ledger/leaf.hpp"
#include "tapir/ledger/log.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

class EdgeLedger {
    struct Private {};

public:
    // Goes on with the log in `directory`, or begins one. `files` and `key` must outlive it.
    static Result<std::unique_ptr<EdgeLedger>> open(world::Files& files, std::string directory,
                                                    const jose::PrivateJwk& key);

    // The leaf becomes number `index`, which is size(). Its openings go to openings.jsonl beside
    // the log, first. After an error the log is as it was, or has the leaf; the same call finds
    // out.
    Result<void> append(std::uint64_t index, const Bytes& leaf, std::string_view openings);
    Result<ledger::Leaf> leaf(std::uint64_t index) const;
    // The octets of a leaf, as they are in the log.
    Result<Bytes> leaf_octets(std::uint64_t index) const;
    std::uint64_t size() const;

    // For open().
    EdgeLedger(Private /*only_open*/, world::Files& files, std::string directory,
               const jose::PrivateJwk& key)
        : files_(files), directory_(std::move(directory)), key_(key) {}

private:
    Result<ledger::Log> read_log() const;
    void keep(ledger::Log log);
    Result<void> expect_new() const;
    Result<void> write_verifier();
    Result<void> write(const ledger::LogStep& step);
    Result<Bytes> leaf_octets_locked(std::uint64_t index) const;
    ledger::ReadFile reader() const;

    world::Files& files_;
    std::string directory_;
    const jose::PrivateJwk& key_;
    mutable std::mutex mutex_;
    std::uint64_t size_ = 0;
    std::unique_ptr<ledger::Log> log_;  // nothing after a failed write, until it is read again
};

}  // namespace tapir::edge
