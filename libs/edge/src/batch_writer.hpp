// Between the collector and the outbox.
//
//     BatchWriter writer(outbox, seen, context, salts, [] { ... });   // in the caller's thread
//     BatchQueue queue(writer);                                 // ... or in one of its own
//     Collector collector(..., queue);
#pragma once

#include <functional>
#include <thread>
#include <utility>

#include "batch_leaf.hpp"
#include "bounded_queue.hpp"
#include "collector.hpp"
#include "outbox.hpp"
#include "seen.hpp"

namespace tapir::edge {

inline constexpr std::size_t batches_to_write_max = 16;

// Puts batches on the disk.
class BatchWriter final : public BatchSink {
public:
    // `on_batch` is told of each; may be empty.
    BatchWriter(Outbox& outbox, Seen& seen, LeafContext context, SaltSource salts,
                std::function<void()> on_batch)
        : outbox_(outbox),
          seen_(seen),
          context_(std::move(context)),
          salts_(std::move(salts)),
          on_batch_(std::move(on_batch)) {}

    void take(ReadyBatch&& batch) override {
        // What goes wrong is counted and logged there. Its names may be released again: under
        // `compatible` at once, else when the day's table of pending names begins anew.
        const bool is_kept = outbox_.put(batch, context_, salts_).has_value();
        seen_.settle(batch.names, is_kept ? Seen::Settle::kept : Seen::Settle::lost);
        if (on_batch_) {
            on_batch_();
        }
    }

private:
    Outbox& outbox_;
    Seen& seen_;
    const LeafContext context_;
    const SaltSource salts_;
    const std::function<void()> on_batch_;
};

// Hands batches on in a thread of its own, so that a slow disk does not hold up the counting.
class BatchQueue final : public BatchSink {
public:
    explicit BatchQueue(BatchSink& behind)
        : behind_(behind), batches_(batches_to_write_max), thread_([this] {
              while (auto batch = batches_.pop()) {
                  behind_.take(*std::move(batch));
              }
          }) {}
    BatchQueue(const BatchQueue&) = delete;
    BatchQueue& operator=(const BatchQueue&) = delete;
    ~BatchQueue() override { finish(); }

    void take(ReadyBatch&& batch) override { batches_.push(std::move(batch)); }
    // All that was taken has been handed on.
    void finish() {
        batches_.close();
        if (thread_.joinable()) {
            thread_.join();
        }
    }

private:
    BatchSink& behind_;
    BoundedQueue<ReadyBatch> batches_;
    std::thread thread_;
};

}  // namespace tapir::edge
