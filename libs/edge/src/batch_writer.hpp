// Between the gate and the outbox.
//
//     BatchWriter writer(outbox, seen, context, salts, [] { ... });
//     BatchQueue writing(writer);          // in a thread of its own, or else in that which signs
//     EventSigner signer(profile, key, seen, metrics, log, writing);
//     BatchQueue signing(signer);          // ... or else in that which counts
//     RowGate rows(..., signing);
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "batch_leaf.hpp"
#include "bounded_queue.hpp"
#include "outbox.hpp"
#include "ready_batch.hpp"
#include "seen.hpp"
#include "tapir/world/process.hpp"

namespace tapir::edge {

inline constexpr std::size_t batches_queued_max = 8;  // in each queue
inline constexpr std::size_t batches_unwritten_max = 60;
inline constexpr std::size_t names_usual_max = 4096;  // in a batch; with more it takes megabytes
inline constexpr std::size_t unwritten_size_max = 64U << 20U;  // octets

// Puts batches on the disk. What the disk does not take is tried again, the oldest first, whenever
// another comes, and at the end: a disk that was full for some minutes loses nothing. Beyond the
// limits above the oldest is lost, counted.
class BatchWriter final : public BatchSink {
public:
    // `on_batch` is called when some are on the disk; may be empty. `make_room`, if there is one,
    // when the disk is full: whether it has freed some.
    BatchWriter(Outbox& outbox, Seen& seen, LeafContext context, SaltSource salts,
                std::function<void()> on_batch, std::function<bool()> make_room = {})
        : outbox_(outbox),
          seen_(seen),
          context_(std::move(context)),
          salts_(std::move(salts)),
          on_batch_(std::move(on_batch)),
          make_room_(std::move(make_room)) {}

    BatchWriter(const BatchWriter&) = delete;
    BatchWriter& operator=(const BatchWriter&) = delete;
    ~BatchWriter() override { finish(); }

    void take(ReadyBatch&& batch) override {
        unwritten_size_ += size_of(batch);
        unwritten_.push_back(std::move(batch));
        write();
        while (unwritten_.size() > batches_unwritten_max ||
               (unwritten_.size() > 1 && unwritten_size_ > unwritten_size_max)) {
            lose_oldest();
        }
    }
    // What cannot be written now is lost.
    void finish() {
        write();
        while (!unwritten_.empty()) {
            lose_oldest();
        }
    }

private:
    static std::size_t size_of(const ReadyBatch& batch) {
        std::size_t size = 0;
        for (const auto& payload : batch.payloads) {
            size += payload.value().octets.size();
        }
        return size;
    }

    void write() {
        bool is_any = false;
        while (!unwritten_.empty() && put_oldest()) {
            is_any = true;
            settle_oldest(Seen::Settle::kept);
        }
        if (is_any && on_batch_) {
            on_batch_();
        }
    }

    bool put_oldest() {
        auto put = outbox_.put(unwritten_.front(), context_, salts_);
        while (!put && put.error().code() == Code::exhausted && make_room_ && make_room_()) {
            put = outbox_.put(unwritten_.front(), context_, salts_);
        }
        return put.has_value();
    }

    // Its names may be released again: under `compatible` at once, else when the day's table of
    // pending names begins anew.
    void lose_oldest() {
        outbox_.lose(unwritten_.front());
        settle_oldest(Seen::Settle::lost);
    }

    void settle_oldest(Seen::Settle how) {
        seen_.settle(unwritten_.front().names, how);
        unwritten_size_ -= size_of(unwritten_.front());
        unwritten_.pop_front();
    }

    Outbox& outbox_;
    Seen& seen_;
    const LeafContext context_;
    const SaltSource salts_;
    const std::function<void()> on_batch_;
    const std::function<bool()> make_room_;
    std::deque<ReadyBatch> unwritten_;  // the oldest first
    std::size_t unwritten_size_ = 0;    // octets of their payloads
};

// Hands batches on in a thread of its own: neither the disk nor the signatures of a minute in which
// many names leave hold up the counting, and while one batch is written the next one is signed.
class BatchQueue final : public BatchSink {
public:
    explicit BatchQueue(BatchSink& behind)
        : behind_(behind), batches_(batches_queued_max), thread_([this] {
              while (auto batch = batches_.pop()) {
                  hand_on(std::move(*batch));
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
    void hand_on(ReadyBatch&& batch) {
        // Where its events are made already: once, when it is written.
        const bool is_large = batch.events.size() > names_usual_max;
        behind_.take(std::move(batch));
        if (is_large) {
            world::give_back_memory();
        }
    }

    BatchSink& behind_;
    BoundedQueue<ReadyBatch> batches_;
    std::thread thread_;
};

}  // namespace tapir::edge
