#include "run.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "event_signer.hpp"
#include "pipeline.hpp"
#include "setup.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/names/list.hpp"
#include "tapir/products/new_qname.hpp"
#include "tapir/store/store.hpp"
#include "tapir/text/json.hpp"
#include "twin_keys.hpp"

namespace tapir::utility {
namespace {

constexpr std::int64_t minute_s = 60;

Result<products::NewQname> event_in(std::string_view jws) {
    const text::Json message = TRY(text::Json::parse(jws));
    const std::string payload = TRY(message.string("payload"));
    const Bytes json = TRY(crypto::parse_base64url(payload));
    return TRY(products::NewQname::parse(as_text(json)));
}

// Takes what leaves. The first error is kept.
class Sink final : public edge::BatchSink {
public:
    Sink(edge::Seen& seen, Duration batch_length, Released& out)
        : seen_(seen), batch_length_(batch_length), out_(out) {}

    void take(edge::ReadyBatch&& batch) override {
        for (const std::string& jws : batch.events) {
            const auto event = event_in(jws);
            if (!event) {
                result_ = fail(Error(event.error()));
                continue;
            }
            out_.names.emplace(event->qname, batch.time + batch_length_);
        }
        seen_.settle(batch.names, edge::Seen::Settle::kept);
    }
    Result<void> result() const { return result_; }

private:
    edge::Seen& seen_;
    const Duration batch_length_;
    Released& out_;
    Result<void> result_;
};

// Hears of each row that the gate releases.
class RowWatch final : public privacy::GateWatch {
public:
    explicit RowWatch(const names::NameIndex& index) : index_(index) {}

    void counted(const Counted& /*what*/) override {}
    void row(const products::Interval& interval, const privacy::RowCandidate& candidate,
             privacy::RowVerdict verdict) override {
        if (verdict != privacy::RowVerdict::released) {
            return;
        }
        const auto entry = names::parse_entry(candidate.entry);
        const auto id = entry ? index_.find_entry(dns::FoldedName(entry->name), entry->kind)
                              : std::optional<names::EntryId>();
        TAPIR_ASSERT(id.has_value());
        files_[{interval.start.seconds() / minute_s, interval.stop.seconds() / minute_s}].push_back(
            static_cast<std::uint32_t>(*id));
    }
    void finish(Released& out) {
        for (auto& [span, entries] : files_) {
            const auto [first, end] = span;
            std::ranges::sort(entries);
            out.rows += entries.size();
            const auto rows = std::make_shared<const ReleasedRows>(
                ReleasedRows{.minutes = end - first, .entries = std::move(entries)});
            for (std::int64_t minute = first; minute < end; ++minute) {
                out.by_minute[minute].push_back(rows);
            }
        }
    }

private:
    const names::NameIndex& index_;
    std::map<std::pair<std::int64_t, std::int64_t>, std::vector<std::uint32_t>> files_;
};

std::uint64_t feed(edge::Pipeline& pipeline, Source& source) {
    std::uint64_t frames = 0;
    FrameWriter writer;
    Query query;
    while (source.next(query)) {
        if (const auto frame = writer.frame_of(query)) {
            pipeline.add(*frame);
            ++frames;
        }
    }
    pipeline.finish();
    return frames;
}

}  // namespace

Result<Released> run_edge(const Site& site, const Gate& gate, Source& source, std::size_t workers) {
    const GateInForce in_force(gate);
    Released out;
    Counters counters;
    const Log log = Log::to_nowhere();
    edge::EdgeMetrics metrics(counters);
    const jose::PrivateJwk signer = edge::public_test_signing_key();
    client::DayKey day = edge::public_test_day_key();
    const auto store =
        store::open_memory({std::string(edge::seen_family), std::string(edge::wildcard_family)});
    edge::Seen seen(*store, {}, log, counters);
    edge::Wildcards wildcards(*store, edge::twin_wildcard_key(day), log, counters);
    RowWatch watch(site.lists->well_known);

    edge::CollectorSettings collecting = edge::collector_settings(site.settings, gate.profile);
    collecting.gate.watch = &watch;
    Sink sink(seen, std::chrono::seconds(collecting.interval_s), out);
    edge::EventSigner signing(gate.profile, signer, seen, metrics, log, sink);
    edge::RowGate rows(collecting, metrics, log, signing);
    edge::Collector collector(collecting, site.lists, seen, wildcards, metrics, rows);
    edge::PipelineSettings piping;
    piping.workers = workers;
    piping.worker = edge::worker_settings(site.settings, gate.profile);
    edge::Pipeline pipeline(piping, site.lists, edge::DayKeys(std::move(day)), edge::DataClock(),
                            collector);
    out.frames = feed(pipeline, source);
    collector.finish(pipeline.bounds(), UtcTime());
    TRY(sink.result());

    watch.finish(out);
    out.fates = collector.fates();
    out.fates.add(pipeline.take_dispatcher_fates());
    out.suppressed = rows.totals();
    if (out.rows != out.suppressed.rows_released || out.fates.sum() != out.frames) {
        return fail(
            Code::internal,
            fmt::format("{} rows and {} frames were seen, the edge counts {} and {}", out.rows,
                        out.frames, out.suppressed.rows_released, out.fates.sum()));
    }
    return out;
}

}  // namespace tapir::utility
