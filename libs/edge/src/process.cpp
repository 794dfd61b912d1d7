#include "tapir/edge/process.hpp"

#include <array>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "batch_leaf.hpp"
#include "captures.hpp"
#include "edge_ledger.hpp"
#include "event_signer.hpp"
#include "pipeline.hpp"
#include "report.hpp"
#include "sessions.hpp"
#include "setup.hpp"
#include "suspect_journal.hpp"
#include "tapir/store/store.hpp"
#include "twin_keys.hpp"

namespace tapir::edge {
namespace {

// Writes what leaves to disk. The first error is kept, for the end.
class TwinSink final : public BatchSink {
public:
    TwinSink(std::string out, LeafContext context, SaltSource salts, EdgeLedger& ledger,
             world::Files& files, Seen& seen)
        : out_(std::move(out)),
          seen_(seen),
          context_(std::move(context)),
          salts_(std::move(salts)),
          ledger_(ledger),
          files_(files) {}

    void take(ReadyBatch&& batch) override {
        if (result_) {
            result_ = write(batch);
        }
        seen_.settle(batch.names, Seen::Settle::kept);
    }

    const std::string& events() const { return events_; }
    std::uint64_t event_count() const { return event_count_; }
    std::uint64_t batch_count() const { return batch_count_; }
    const std::vector<std::string>& histograms() const { return histograms_; }
    Result<void> result() const { return result_; }

private:
    Result<void> write(const ReadyBatch& batch) {
        for (const std::string& event : batch.events) {
            events_ += event;
            events_ += '\n';
        }
        event_count_ += batch.events.size();
        if (batch.payloads.empty()) {
            return {};
        }
        const std::string folder = batch_folder(ledger_.size());
        const auto path = [&folder](const privacy::Payload& payload) {
            return payload.product == privacy::Product::histogram
                       ? "histograms/" + payload.name
                       : fmt::format("{}/{}", folder, payload.name);
        };
        TRY(files_.make_directories(fmt::format("{}/{}", out_, folder)));
        for (const auto& released : batch.payloads) {
            const privacy::Payload& payload = released.value();
            TRY(files_.write_atomically(fmt::format("{}/{}", out_, path(payload)), payload.octets));
            if (payload.product == privacy::Product::histogram) {
                histograms_.push_back(payload.name);
            }
        }
        const BatchLeaf leaf = TRY(leaf_of(batch, context_, path, salts_));
        TRY(ledger_.append(ledger_.size(), leaf.octets, leaf.openings));
        ++batch_count_;
        return {};
    }

    std::string out_;
    Seen& seen_;
    LeafContext context_;
    SaltSource salts_;
    EdgeLedger& ledger_;
    world::Files& files_;
    std::string events_;
    std::uint64_t event_count_ = 0;
    std::uint64_t batch_count_ = 0;
    std::vector<std::string> histograms_;
    Result<void> result_;
};

// The journal, written at the end; what leaves by exception waits for nothing.
class TwinJournal final : public SuspectListener {
public:
    TwinJournal(std::string folder, world::Files& files, const Log& log, Counters& counters)
        : journal_(files, std::move(folder), {.waiting_max = 100'000}, log, counters) {}

    void suspect(const Suspect& suspect) override { journal_.suspect(suspect); }
    void finish() { journal_.finish(); }

private:
    SuspectJournal journal_;
};

Result<void> prepare(const std::string& out, world::Files& files) {
    for (const char* name : {"histograms", "ledger", "batches", "sessions", "suspects",
                             "events.jsonl", "report.json"}) {
        const std::string path = fmt::format("{}/{}", out, name);
        if (files.exists(path)) {
            return fail(Code::conflict, fmt::format("{}: expected a folder without results of an "
                                                    "earlier run, found {}",
                                                    out, path));
        }
    }
    TRY(files.make_directories(out + "/histograms"));
    return {};
}

// What is known before anything is read.
Report report_on(const ProcessOptions& options, const text::Settings& settings,
                 privacy::Profile profile, const TwinKeys& keys) {
    Report report;
    report.version = options.version;
    report.profile = profile;
    report.single_site = settings.boolean("single_site");
    report.threat_exception = has_threat_exception(settings, profile);
    report.hourly_sketches = !options.single_interval && has_hourly_sketches(settings, profile);
    report.single_interval = options.single_interval;
    report.kid = keys.signing.kid();
    report.is_test_signing_key = keys.is_test_signing;
    report.is_test_day_key = keys.is_test_day;
    return report;
}

}  // namespace

Result<void> process(const ProcessOptions& options, const text::Settings& settings,
                     world::Files& files, const Log& log) {
    const privacy::Profile profile = profile_of(settings);
    const auto lists = TRY(load_lists(files, settings, profile));
    TwinKeys keys = TRY(twin_keys(files, settings, log));
    TRY(prepare(options.out, files));
    const auto ledger = TRY(EdgeLedger::open(files, options.out + "/ledger", keys.signing));
    Counters counters;
    EdgeMetrics metrics(counters);
    const auto store = store::open_memory({std::string(seen_family), std::string(wildcard_family)});
    Seen seen(*store, {}, log, counters);
    Wildcards wildcards(*store, twin_wildcard_key(keys.day), log, counters);
    TwinSink sink(options.out, leaf_context(settings, profile, options.version),
                  twin_salts(keys.day), *ledger, files, seen);

    CollectorSettings collecting = collector_settings(settings, profile);
    collecting.single_interval = options.single_interval;
    TwinJournal journal(options.out + "/suspects", files, log, counters);
    Suspects suspects(
        {.profile = profile, .has_exception = has_threat_exception(settings, profile)}, seen,
        counters, journal);
    collecting.suspects = &suspects;
    if (has_threat_exception(settings, profile)) {
        say_threat_exception(log);
    }
    EventSigner signing(profile, keys.signing, seen, metrics, log, sink, worker_count(settings));
    RowGate rows(collecting, metrics, log, signing);
    Collector collector(collecting, lists, seen, wildcards, metrics, rows);

    Report report = report_on(options, settings, profile, keys);
    const auto sessions =
        TRY(TwinSessions::open(settings, options, keys.day, files, log, counters));
    PipelineSettings piping;
    piping.workers = worker_count(settings);
    piping.worker = worker_settings(settings, profile);
    // A single interval is no hour, and all its frames are of minute 0.
    piping.worker.hourly_tags = report.hourly_sketches;
    piping.worker.sessions = sessions ? sessions->source() : nullptr;
    Pipeline pipeline(piping, lists, DayKeys(std::move(keys.day)),
                      options.single_interval ? DataClock::single_interval() : DataClock(),
                      sessions ? sessions->begin(collector) : collector);
    for (const std::string& path : options.captures) {
        report.captures.push_back(TRY(read_capture(path, files, pipeline, log)));
    }
    pipeline.finish();
    journal.finish();
    collector.finish(pipeline.bounds(), UtcTime());
    if (sessions) {
        TRY(sessions->finish(pipeline.bounds()));
    }
    TRY(sink.result());

    report.fates = collector.fates();
    report.fates.add(pipeline.take_dispatcher_fates());
    for (std::size_t i = 0; i < timing_count; ++i) {
        report.timings.at(i) = pipeline.timing(static_cast<Timing>(i));
    }
    report.transports = metrics.transports();
    report.suppressed = rows.totals();
    report.lists = lists->files;
    report.histograms = sink.histograms();
    report.events = sink.event_count();
    report.batches = sink.batch_count();
    TRY(files.write_atomically(options.out + "/events.jsonl", as_bytes(sink.events())));
    TRY(files.write_atomically(options.out + "/report.json", as_bytes(print(report))));
    return {};
}

}  // namespace tapir::edge
