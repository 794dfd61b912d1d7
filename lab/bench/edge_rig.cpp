#include "edge_rig.hpp"

#include <utility>

#include <fmt/format.h>

#include "tapir/edge/settings.hpp"
#include "tapir/edge/station.hpp"

namespace tapir::bench {

using namespace tapir::edge;

void CountingConsumer::on_batch(BatchResult&& result) {
    const std::uint64_t count = result.fates.sum() + result.names.size();
    {
        const StageTimes::Span span(times_, Stage::names);
        next_.on_batch(std::move(result));
    }
    frames_.fetch_add(count, std::memory_order_release);
    frames_.notify_all();
}

void CountingConsumer::on_minute_begin(Minute minute, const std::shared_ptr<const Day>& day) {
    const StageTimes::Span span(times_, Stage::events);
    const MinuteWork work(minutes_cpu_s_);
    next_.on_minute_begin(minute, day);
}

void CountingConsumer::on_minute_end(Minute minute, std::vector<MinuteTable>&& tables) {
    const StageTimes::Span span(times_, Stage::rows);
    const MinuteWork work(minutes_cpu_s_);
    next_.on_minute_end(minute, std::move(tables));
}

void CountingConsumer::on_lists(const std::shared_ptr<const Lists>& lists) {
    next_.on_lists(lists);
}

void CountingConsumer::on_cut(UtcTime time) {
    const StageTimes::Span span(times_, Stage::events);
    const MinuteWork work(minutes_cpu_s_);
    next_.on_cut(time);
}

void CountingConsumer::wait_until(std::uint64_t frames) const {
    wait_until_reached(frames_, frames);
}

void OutboxSink::take(ReadyBatch&& batch) {
    const StageTimes::Span span(times_, Stage::outbox);
    ++batches_;
    names_ += batch.names.size();
    writer_.take(std::move(batch));
}

Result<std::unique_ptr<EdgeRig>> EdgeRig::open(const EdgeOptions& options) {
    std::unique_ptr<EdgeRig> rig(new EdgeRig());
    TRY(rig->build(options));
    return rig;
}

Result<void> EdgeRig::build(const EdgeOptions& options) {
    const std::vector<std::string> sets = {"lists.well_known=" + options.names};
    const auto settings = TRY(text::Settings::parse("", "bench.toml", settings_table(), sets));
    lists_ = TRY(load_lists(files_, settings, options.profile));
    TRY(files_.make_directories(options.state));
    store_ = TRY(store::open_rocksdb(options.state + "/store", store_families()));
    ledger_ = TRY(EdgeLedger::open(files_, options.state + "/ledger", key_));
    outbox_ = TRY(Outbox::open(files_, options.state, *ledger_, {}, log_, counters_));
    seen_ = std::make_unique<Seen>(*store_, SeenSettings{}, log_, counters_);
    seen_->tidy(UtcTime());  // as the daemon does, each second: it knows what is stored
    wildcards_.emplace(*store_, crypto::Secret::copy_of(Bytes(32)), log_, counters_);
    sink_ = std::make_unique<OutboxSink>(
        *outbox_, *seen_, leaf_context(settings, options.profile, "bench"), options.times);
    times_ = options.times;
    const CollectorSettings collecting = collector_settings(settings, options.profile);
    if (options.workers > 0) {
        to_write_ = std::make_unique<QueuedBatches>(*sink_);
    }
    signing_ = std::make_unique<EventSigner>(
        options.profile, key_, *seen_, metrics_, log_,
        to_write_ ? static_cast<BatchSink&>(*to_write_) : *sink_, options.workers);
    if (options.workers > 0) {
        to_sign_ = std::make_unique<QueuedBatches>(*signing_);
    }
    rows_ = std::make_unique<RowGate>(collecting, metrics_, log_,
                                      to_sign_ ? static_cast<BatchSink&>(*to_sign_) : *signing_);
    if (options.workers > 0) {
        to_gate_ = std::make_unique<QueuedRows>(*rows_);
    }
    collector_ = std::make_unique<Collector>(collecting, lists_, *seen_, *wildcards_, metrics_,
                                             to_gate_ ? static_cast<RowSink&>(*to_gate_) : *rows_);
    counting_ = std::make_unique<CountingConsumer>(*collector_, options.times);
    PipelineSettings piping;
    piping.workers = options.workers;
    piping.worker = worker_settings(settings, options.profile);
    piping.worker.watch = options.times;
    pipeline_ = std::make_unique<Pipeline>(piping, lists_, DayKeys(public_test_day_key()),
                                           DataClock(), *counting_);
    return {};
}

void EdgeRig::begin() {
    if (times_ != nullptr) {
        times_->begin();
    }
}

void EdgeRig::wait_until_written() const {
    if (to_gate_) {
        to_gate_->wait_until_done();
        to_sign_->wait_until_done();
        to_write_->wait_until_done();
    }
}

void EdgeRig::finish() {
    pipeline_->finish();
    {
        const StageTimes::Span span(times_, Stage::events);
        const double start = thread_cpu_s();
        collector_->finish(pipeline_->bounds(), UtcTime());
        finish_cpu_s_ = thread_cpu_s() - start;
    }
    if (to_gate_) {
        to_gate_->finish();
        to_sign_->finish();
        to_write_->finish();
    }
    fates_ = collector_->fates();
    fates_.add(pipeline_->take_dispatcher_fates());
}

Result<void> EdgeRig::check() const {
    for (const char* errors : {"tapir_edge_outbox_errors_total", "tapir_edge_store_errors_total"}) {
        if (counters_.value(errors) != 0) {
            return fail(Code::internal, fmt::format("{}: {}", errors, counters_.value(errors)));
        }
    }
    std::uint64_t remembered = 0;
    const auto cursor = TRY(store_->scan(seen_family));
    for (; cursor->valid(); cursor->next()) {
        ++remembered;
    }
    TRY(cursor->status());
    if (remembered != sink_->names()) {
        return fail(Code::internal, fmt::format("{} names were released, {} are remembered",
                                                sink_->names(), remembered));
    }
    return {};
}

}  // namespace tapir::bench
