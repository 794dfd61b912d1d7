// What is counted becomes what may leave: names through the name gate, minutes through the
// histogram gate, both put together as one batch.
//
//     Collector collector(settings, lists, seen, wildcards, metrics, log, sink);
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
#include "seen.hpp"
#include "status.hpp"
#include "suspects.hpp"
#include "tapir/base/guarded.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/privacy/gate.hpp"
#include "wide_rows.hpp"
#include "wildcards.hpp"

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

struct CollectorSettings {
    privacy::GateSettings gate;
    bool cuts_by_data = true;      // the twin
    std::int64_t interval_s = 60;  // of batches, where cut by data
    bool single_interval = false;
    // What may wait in each of the wider intervals, and how its clients are counted.
    WideLimits wide;
    sketch::HllSettings hll;
    StatusBoard* board = nullptr;  // told of what is released; must outlive the collector
    Suspects* suspects = nullptr;  // told of what detectors find; the same. Null: nobody is
    GroupLink* group = nullptr;    // of a site in a group; must outlive the collector
};

class Collector final : public Consumer {
public:
    Collector(const CollectorSettings& settings, std::shared_ptr<const Lists> lists, Seen& seen,
              Wildcards& wildcards, EdgeMetrics& metrics, const Log& log, BatchSink& sink);

    void on_batch(BatchResult&& result) override;
    void on_minute_begin(Minute minute, const std::shared_ptr<const Day>& day) override;
    void on_minute_end(Minute minute, std::optional<MinuteTable>&& table) override;
    void on_cut(UtcTime time) override;
    void on_lists(const std::shared_ptr<const Lists>& lists) override;

    // Leaves with the next batch. From any thread.
    void add(PersonRelease&& release);

    // After the pipeline has finished: what is left leaves as a batch of `time`, where the data has
    // not said the time. With a single interval, this is where its bounds become known.
    void finish(std::optional<DataClock::Bounds> bounds, UtcTime time);

    // All frames that reached the collector, and what it did with them.
    const FateCounts& fates() const { return fates_; }
    const Suppressed& totals() const { return totals_; }

private:
    void offer(const NameFound& found, std::string_view name, const privacy::GateKey& key);
    // Rows of an interval; those short of their threshold go on from `width` to the next wider.
    void gate_rows(WideRows::Over&& over, std::size_t width, const Lists& lists);
    void close_wide();
    // A minute's clients, for the sketches of its hour.
    void add_to_hour(WideRows& hour, const RowTable& minute) const;
    std::vector<privacy::RowCandidate> take_hour(const WideRows::Over& of, const Lists& lists);
    void withhold(const WideRows::Over& over, std::size_t width,
                  std::vector<std::uint32_t>&& few_clients,
                  std::vector<std::uint32_t>&& few_networks);
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
    const Log& log_;
    BatchSink& sink_;
    privacy::NameGate names_;
    FateCounts fates_;

    std::shared_ptr<const Day> day_;
    std::optional<UtcTime> interval_;  // the one that is open, where cut by data
    std::optional<MinuteTable> single_;
    std::vector<WideRows> wide_;               // narrow to wide; none where no row waits
    std::optional<WideRows> hour_;             // where sketches of it leave: all clients of rows
    std::optional<WideRows::Over> past_hour_;  // that is over, until the hour's file is made
    std::shared_ptr<const Lists> wide_lists_;  // that their rows are of
    std::vector<privacy::Released<products::NewQname>> released_;
    std::vector<std::string> released_names_;  // of `released_`, as Seen knows them
    std::vector<privacy::Released<privacy::Payload>> payloads_;
    Guarded<std::vector<PersonRelease>> requests_;
    Suppressed suppressed_;  // since the last cut
    Suppressed totals_;
};

}  // namespace tapir::edge
