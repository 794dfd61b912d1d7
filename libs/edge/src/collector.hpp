// What is counted becomes what may leave: names through the name gate here, minutes through the
// histogram gate behind it, where both become one batch.
//
//     RowGate rows(settings, metrics, log, sink);
//     Collector collector(settings, lists, seen, wildcards, metrics, rows);
//     Pipeline pipeline(..., collector);
//
// The twin cuts a batch whenever the data's clock enters a new interval; live, cut() says when.
// Called by the pipeline's collector thread, and by nobody else.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "group_link.hpp"
#include "metrics.hpp"
#include "person_releases.hpp"
#include "pipeline.hpp"
#include "row_gate.hpp"
#include "seen.hpp"
#include "status.hpp"
#include "suspects.hpp"
#include "tapir/base/guarded.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/privacy/gate.hpp"
#include "wildcards.hpp"

namespace tapir::edge {

// Those of its row gate too.
struct CollectorSettings : RowGateSettings {
    bool cuts_by_data = true;      // the twin
    std::int64_t interval_s = 60;  // of batches, where cut by data
    StatusBoard* board = nullptr;  // told of what is released; must outlive the collector
    Suspects* suspects = nullptr;  // told of what detectors find; the same. Null: nobody is
    GroupLink* group = nullptr;    // of a site in a group; must outlive the collector
};

class Collector final : public Consumer {
public:
    Collector(const CollectorSettings& settings, std::shared_ptr<const Lists> lists, Seen& seen,
              Wildcards& wildcards, EdgeMetrics& metrics, RowSink& rows);

    void on_batch(BatchResult&& result) override;
    void on_minute_begin(Minute minute, const std::shared_ptr<const Day>& day) override;
    void on_minute_end(Minute minute, std::vector<MinuteTable>&& tables) override;
    void on_cut(UtcTime time) override;
    void on_lists(const std::shared_ptr<const Lists>& lists) override;

    // Leaves with the next batch. From any thread.
    void add(PersonRelease&& release);

    // After the pipeline has finished: what is left leaves as a batch of `time`, where the data has
    // not said the time. With a single interval, this is where its bounds become known.
    void finish(std::optional<DataClock::Bounds> bounds, UtcTime time);

    // All frames that reached the collector, and what it did with them.
    const FateCounts& fates() const { return fates_; }

private:
    void offer(const NameFound& found, std::string_view name, const privacy::GateKey& key);
    void end_rows(Minute minute, const products::Interval& interval,
                  std::vector<MinuteTable>&& tables);
    void cut(UtcTime time);
    void take_requests(ReadyBatch& batch);
    void take_exceptions(ReadyBatch& batch);
    void count(Fate fate);
    // The open batch is made with these lists too.
    void note(const Lists& lists);

    CollectorSettings settings_;
    std::shared_ptr<const Lists> lists_;   // that count now
    std::vector<std::string> lists_used_;  // by the open batch: digests
    std::vector<std::string> settings_used_;
    Seen& seen_;
    Wildcards& wildcards_;
    EdgeMetrics& metrics_;
    RowSink& rows_;
    privacy::NameGate names_;
    FateCounts fates_;

    std::shared_ptr<const Day> day_;
    std::optional<UtcTime> interval_;  // the one that is open, where cut by data
    std::vector<MinuteTable> single_;
    std::vector<privacy::Released<products::NewQname>> released_;
    std::vector<std::string> released_names_;  // of `released_`, as Seen knows them
    Guarded<std::vector<PersonRelease>> requests_;
    Suppressed suppressed_;  // since the last cut
    // Until the last cut.
    std::uint64_t cells_evicted_ = 0;
    std::uint64_t names_evicted_ = 0;
    std::uint64_t parents_evicted_ = 0;
};

}  // namespace tapir::edge
