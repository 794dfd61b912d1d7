// Minutes through the histogram gate: rows that have enough clients leave with the next batch, the
// others wait for a wider interval.
//
//     RowGate rows(settings, metrics, log, sink);       // batches go on to `sink`
//     RowQueue queue(rows);                             // with a thread for it
//     Collector collector(..., queue);
//
// What is a step comes in order: a batch takes along the rows of the minutes that came before it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <variant>
#include <vector>

#include "bounded_queue.hpp"
#include "metrics.hpp"
#include "ready_batch.hpp"
#include "tapir/privacy/gate.hpp"
#include "wide_rows.hpp"

namespace tapir::edge {

struct RowGateSettings {
    privacy::GateSettings gate;
    bool single_interval = false;  // no row waits
    // What may wait in each of the wider intervals, and how its clients are counted.
    WideLimits wide;
    sketch::HllSettings hll;
};

// All of a minute, or of the single interval, is counted: `tables` are the workers', at least one.
struct EndedRows {
    Minute minute = 0;
    products::Interval interval;
    std::vector<MinuteTable> tables;
    std::shared_ptr<const Lists> lists;
};
// No minute comes after it: rows that wait leave now.
struct EndOfRows {};

using RowStep = std::variant<EndedRows, EndOfRows, ReadyBatch>;

class RowSink {
public:
    virtual ~RowSink() = default;
    virtual void take(RowStep&& step) = 0;
};

// One thread at a time.
class RowGate final : public RowSink {
public:
    RowGate(const RowGateSettings& settings, EdgeMetrics& metrics, const Log& log, BatchSink& sink);

    void take(RowStep&& step) override;
    // What the batches so far say of what was kept back, but for fates.
    const Suppressed& totals() const { return totals_; }

private:
    void end(EndedRows&& ended);
    void hand_on(ReadyBatch&& batch);
    // Rows of an interval; those short of their threshold go on from `width` to the next wider.
    void gate_rows(WideRows::Over&& over, std::size_t width, const Lists& lists);
    void close_wide();
    // A minute's clients, for the sketches of its hour.
    void add_to_hour(WideRows& hour, const RowTable& minute) const;
    std::vector<privacy::RowCandidate> take_hour(const WideRows::Over& of, const Lists& lists);
    void withhold(const WideRows::Over& over, std::size_t width,
                  std::vector<std::uint32_t>&& few_clients,
                  std::vector<std::uint32_t>&& few_networks);

    RowGateSettings settings_;
    EdgeMetrics& metrics_;
    const Log& log_;
    BatchSink& sink_;
    std::vector<WideRows> wide_;               // narrow to wide; none where no row waits
    std::optional<WideRows> hour_;             // where sketches of it leave: all clients of rows
    std::optional<WideRows::Over> past_hour_;  // that is over, until the hour's file is made
    std::shared_ptr<const Lists> wide_lists_;  // that their rows are of
    std::vector<privacy::Released<privacy::Payload>> payloads_;
    Suppressed suppressed_;  // since the batch before
    Suppressed totals_;
};

// Hands steps on in a thread of its own: while the rows of a minute go through the gate, names do
// too, and workers count on. A minute and its batch may wait; who is behind by more is waited for.
class RowQueue final : public RowSink {
public:
    explicit RowQueue(RowSink& behind);
    RowQueue(const RowQueue&) = delete;
    RowQueue& operator=(const RowQueue&) = delete;
    ~RowQueue() override { finish(); }

    void take(RowStep&& step) override { steps_.push(std::move(step)); }
    // All that was taken has been handed on.
    void finish();

private:
    // A minute and its batch.
    static constexpr std::size_t steps_max = 2;

    RowSink& behind_;
    BoundedQueue<RowStep> steps_;
    std::thread thread_;
};

}  // namespace tapir::edge
