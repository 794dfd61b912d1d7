// Batches on their way to the core: on the disk before anything is said of them, until it has them.
//
//     auto outbox = TRY(Outbox::open(files, "state", *ledger, settings, log, counters));
//     outbox->put(std::move(batch), context, salts, now);    // accepted: durable, in the ledger
//     for (const std::uint64_t index : outbox->unsent()) {
//         for (const auto& payload : TRY(outbox->reopen(index))) { send(payload) }
//         outbox->settle(index, Settled::sent, now);
//     }
//     outbox->tidy(now);
//
// state/batches/0000000012/ holds the payloads of leaf 12, the leaf itself, and what opens it; a
// file `sent` (or `refused`) with the time appears when it is settled. A folder is written under
// another name and renamed, so it is whole or not there. Between folder and ledger a crash may
// fall: open() and put() then bring the leaf in. Everything that is sent is opened again from here,
// against the ledger: before and after a restart alike. Threads may share it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "batch_leaf.hpp"
#include "edge_ledger.hpp"
#include "ready_batch.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/privacy/gate.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

struct OutboxSettings {
    std::uint64_t size_max = 1ULL << 30U;  // octets that wait
    Duration age_max = std::chrono::hours(7 * 24);
    Duration sent_age_max = std::chrono::hours(24);
};

enum class Settled : std::uint8_t {
    sent,     // the core has it
    refused,  // the core will never take it
};

// One batch as it goes out.
struct OutgoingBatch {
    UtcTime time;
    bool is_compatible = false;
    std::vector<privacy::Released<privacy::Payload>> payloads;
};

class Outbox {
    struct Private {};

public:
    static Result<std::unique_ptr<Outbox>> open(world::Files& files, std::string directory,
                                                EdgeLedger& ledger, const OutboxSettings& settings,
                                                const Log& log, Counters& counters);

    // A batch without payloads is none. After an error, counted and logged, nothing of it is here:
    // the caller may try again, or lose() it.
    Result<void> put(const ReadyBatch& batch, const LeafContext& context, const SaltSource& salts);
    // A leaf without payloads: of something that was done here and does not leave.
    Result<void> note(const BatchLeaf& leaf);
    // Counts and logs a batch that could not be put.
    void lose(const ReadyBatch& batch);
    // Those that wait, the oldest first.
    std::vector<std::uint64_t> unsent() const;
    Result<OutgoingBatch> reopen(std::uint64_t index) const;
    void settle(std::uint64_t index, Settled how, UtcTime now);
    // Drops what has waited too long or takes too much space, counted, and forgets what was sent
    // longer ago than sent_age_max. What was refused stays as long as age_max: somebody must look
    // at it.
    void tidy(UtcTime now);

    // For open().
    Outbox(Private /*only_open*/, world::Files& files, std::string directory, EdgeLedger& ledger,
           const OutboxSettings& settings, const Log& log, Counters& counters);

private:
    struct Entry {
        UtcTime time;
        std::uint64_t size = 0;
        bool is_settled = false;
        bool is_refused = false;
        UtcTime settled{};  // when, if it is
    };

    std::string folder(std::uint64_t index) const;
    Result<void> load();
    Result<Entry> read_entry(std::uint64_t index) const;
    Result<void> bring_in(std::uint64_t index);
    Result<void> bring_in_older(UtcTime time);
    Result<void> write(std::uint64_t index, const ReadyBatch& batch, const BatchLeaf& leaf);
    void remove_folder(const std::string& path) const;
    void drop(std::uint64_t index, const Entry& entry, std::string_view why);
    void show() const;

    world::Files& files_;
    const std::string directory_;
    EdgeLedger& ledger_;
    const OutboxSettings settings_;
    const Log& log_;
    Counter& errors_;
    Counter& lost_too_old_;
    Counter& lost_no_room_;
    Counter& lost_not_written_;
    Gauge& waiting_;
    Gauge& waiting_size_;
    Gauge& oldest_;
    mutable std::mutex mutex_;
    std::map<std::uint64_t, Entry> entries_;
};

}  // namespace tapir::edge
