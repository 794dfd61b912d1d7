// A whole edge without its sender, for measuring: the daemon's own pipeline, gate, store, ledger
// and outbox, on a disk, with the clock of the data.
//
//     EdgeRig rig(TRY(EdgeRig::open(options)));
//     for (frame : frames) { rig.pipeline().add(frame); }
//     rig.wait_until(frames.size());        // all of them are counted
//     rig.finish();                         // every minute has gone through the gate to the disk
//
// One thread feeds it.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "batch_writer.hpp"
#include "edge_stages.hpp"
#include "event_signer.hpp"
#include "outbox.hpp"
#include "pipeline.hpp"
#include "row_gate.hpp"
#include "setup.hpp"
#include "tapir/base/result.hpp"
#include "tapir/store/store.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/files.hpp"
#include "wildcards.hpp"

namespace tapir::bench {

struct EdgeOptions {
    std::string names;  // file of well-known names
    std::string state;  // a folder that is not there yet
    privacy::Profile profile = privacy::Profile::standard;
    std::size_t workers = 1;
    StageTimes* times = nullptr;  // only with no workers: one thread
};

// Adds the CPU time of its scope, which is of one thread.
class MinuteWork {
public:
    explicit MinuteWork(double& sum) : sum_(sum), start_(thread_cpu_s()) {}
    MinuteWork(const MinuteWork&) = delete;
    MinuteWork& operator=(const MinuteWork&) = delete;
    ~MinuteWork() { sum_ += thread_cpu_s() - start_; }

private:
    double& sum_;
    double start_;
};

// Until `count`, which others raise and tell of, is so high.
inline void wait_until_reached(const std::atomic<std::uint64_t>& count, std::uint64_t wanted) {
    for (std::uint64_t seen = count.load(std::memory_order_acquire); seen < wanted;
         seen = count.load(std::memory_order_acquire)) {
        count.wait(seen, std::memory_order_acquire);
    }
}

// Counts what reaches the collector, so that one can wait for it.
class CountingConsumer final : public edge::Consumer {
public:
    CountingConsumer(edge::Consumer& next, StageTimes* times) : next_(next), times_(times) {}
    void on_batch(edge::BatchResult&& result) override;
    void on_minute_begin(edge::Minute minute, const std::shared_ptr<const edge::Day>& day) override;
    void on_minute_end(edge::Minute minute, std::vector<edge::MinuteTable>&& tables) override;
    void on_cut(UtcTime time) override;
    void on_lists(const std::shared_ptr<const edge::Lists>& lists) override;
    void wait_until(std::uint64_t frames) const;
    // What is done once a minute, not for each frame. To be read when the pipeline has finished.
    double minutes_cpu_s() const { return minutes_cpu_s_; }

private:
    edge::Consumer& next_;
    StageTimes* times_;
    std::atomic<std::uint64_t> frames_{0};
    double minutes_cpu_s_ = 0;
};

// The daemon's writer: batches go into the outbox as they come, and their names are remembered.
class OutboxSink final : public edge::BatchSink {
public:
    OutboxSink(edge::Outbox& outbox, edge::Seen& seen, edge::LeafContext context, StageTimes* times)
        : writer_(outbox, seen, std::move(context),
                  [this](std::string_view /*batch*/, std::string_view /*name*/) {
                      return chance_.bytes<ledger::salt_size>();
                  },
                  {}),
          times_(times) {}
    void take(edge::ReadyBatch&& batch) override;
    std::uint64_t batches() const { return batches_; }
    std::uint64_t names() const { return names_; }

private:
    world::SystemChance chance_;
    edge::BatchWriter writer_;
    StageTimes* times_;
    std::uint64_t batches_ = 0;
    std::uint64_t names_ = 0;
};

// As the daemon has it: rows go through their gate in a thread, batches are signed in another one,
// and written in a third. This is one of those queues, and the time that its thread takes.
template <class Queue, class Sink, class Item>
class Queued final : public Sink {
public:
    explicit Queued(Sink& behind) : behind_(behind), queue_(behind_) {}
    void take(Item&& item) override {
        handed_.fetch_add(1, std::memory_order_release);
        queue_.take(std::move(item));
    }
    // All that was handed in is done with. While nobody hands in.
    void wait_until_done() const {
        wait_until_reached(behind_.done, handed_.load(std::memory_order_acquire));
    }
    void finish() { queue_.finish(); }
    // CPU time of its thread. To be read when all is done.
    double cpu_s() const { return behind_.cpu_s; }

private:
    struct Behind final : public Sink {
        explicit Behind(Sink& sink) : to(sink) {}
        void take(Item&& item) override {
            {
                const MinuteWork work(cpu_s);
                to.take(std::move(item));
            }
            done.fetch_add(1, std::memory_order_release);
            done.notify_all();
        }
        Sink& to;
        double cpu_s = 0;
        std::atomic<std::uint64_t> done{0};
    };

    Behind behind_;
    std::atomic<std::uint64_t> handed_{0};
    Queue queue_;
};
using QueuedBatches = Queued<edge::BatchQueue, edge::BatchSink, edge::ReadyBatch>;
using QueuedRows = Queued<edge::RowQueue, edge::RowSink, edge::RowStep>;

class EdgeRig {
public:
    static Result<std::unique_ptr<EdgeRig>> open(const EdgeOptions& options);

    // The times of stages begin now.
    void begin();
    edge::Pipeline& pipeline() { return *pipeline_; }
    const edge::Lists& lists() const { return *lists_; }
    Counters& counters() { return counters_; }
    const Log& log() const { return log_; }
    void wait_until(std::uint64_t frames) const { counting_->wait_until(frames); }
    // What has come out of the gate so far is on the disk. When all frames are counted.
    void wait_until_written() const;
    // Ends all minutes; then fates() and suppressed() are complete.
    void finish();
    // Whether all that came out of the gate is in the outbox, and its names are remembered. Not for
    // measuring.
    Result<void> check() const;

    edge::FateCounts fates() const { return fates_; }
    const edge::Suppressed& suppressed() const { return rows_->totals(); }
    // CPU time of what is done once a minute: gate of rows, files, signatures, ledger, disk.
    double minutes_cpu_s() const {
        return counting_->minutes_cpu_s() + finish_cpu_s_ + (to_gate_ ? to_gate_->cpu_s() : 0) +
               (to_sign_ ? to_sign_->cpu_s() : 0) + (to_write_ ? to_write_->cpu_s() : 0);
    }
    std::uint64_t batches() const { return sink_->batches(); }
    std::uint64_t names_remembered() const { return sink_->names(); }

private:
    EdgeRig() = default;
    Result<void> build(const EdgeOptions& options);

    Log log_ = Log::to_nowhere();
    Counters counters_;
    edge::EdgeMetrics metrics_{counters_};
    world::SystemFiles files_;
    jose::PrivateJwk key_ = edge::public_test_signing_key();
    std::shared_ptr<const edge::Lists> lists_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<edge::EdgeLedger> ledger_;
    std::unique_ptr<edge::Outbox> outbox_;
    std::unique_ptr<edge::Seen> seen_;
    std::optional<edge::Wildcards> wildcards_;
    std::unique_ptr<OutboxSink> sink_;
    // The queues where there are threads.
    std::unique_ptr<QueuedBatches> to_write_;
    std::unique_ptr<edge::EventSigner> signing_;
    std::unique_ptr<QueuedBatches> to_sign_;
    std::unique_ptr<edge::RowGate> rows_;
    std::unique_ptr<QueuedRows> to_gate_;
    std::unique_ptr<edge::Collector> collector_;
    std::unique_ptr<CountingConsumer> counting_;
    std::unique_ptr<edge::Pipeline> pipeline_;
    StageTimes* times_ = nullptr;
    edge::FateCounts fates_;
    double finish_cpu_s_ = 0;
};

}  // namespace tapir::bench
