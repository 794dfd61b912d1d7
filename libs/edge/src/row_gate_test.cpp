// Rows have a thread of their own: nobody waits for them, and what leaves is the same without it.
#include "row_gate.hpp"

#include <algorithm>
#include <latch>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "collector.hpp"
#include "live_keys.hpp"
#include "setup.hpp"
#include "tapir/edge/station.hpp"
#include "tapir/world/testing.hpp"
#include "testing_frames.hpp"
#include "testing_tools.hpp"

namespace tapir::edge {
namespace {

using namespace testing;
using ::testing::ElementsAre;

// What a batch says, without its key.
struct Said {
    std::int64_t time = 0;
    std::map<std::string, Bytes> files;
    std::vector<std::string> names;
    std::vector<std::uint64_t> rows;
    friend bool operator==(const Said&, const Said&) = default;
};

class KeepingSink final : public BatchSink {
public:
    void take(ReadyBatch&& batch) override {
        Said& said = batches.emplace_back();
        said.time = batch.time.seconds();
        for (const auto& payload : batch.payloads) {
            said.files[payload.value().name] = payload.value().octets;
        }
        said.names = batch.names;
        std::ranges::sort(said.names);
        const Suppressed& kept = batch.suppressed;
        said.rows = {kept.rows_released, kept.rows_few_clients, kept.rows_few_networks,
                     kept.rows_evicted};
    }
    std::vector<Said> batches;
};

// Twelve minutes in which names are asked for by more and more clients, with some that nobody
// knows. So there are rows that leave, that wait for ten minutes, and for the hour.
std::vector<Bytes> some_frames() {
    std::vector<Bytes> frames;
    for (unsigned minute = 0; minute < 12; ++minute) {
        for (unsigned name = 0; name < 40; ++name) {
            for (unsigned client = 0; client < name; ++client) {
                frames.push_back(frame_of({.name = (name % 8 == 7 ? "www.new" : "www.known") +
                                                   std::to_string(name) + ".se.",
                                           .client = client_of(client + minute, 9),
                                           .time = t0 + 60 * std::int64_t{minute}}));
            }
        }
    }
    return frames;
}

std::vector<Said> batches_of(const std::vector<Bytes>& frames, std::size_t workers) {
    const TemporaryFolder folder;
    std::string known;
    for (unsigned name = 0; name < 40; ++name) {
        known += name % 8 == 7 ? "" : "www.known" + std::to_string(name) + ".se\n";
    }
    write_text(folder / "known.txt", known);
    const auto settings = settings_of({"lists.well_known=" + folder / "known.txt"});
    const auto profile = privacy::Profile::standard;
    const Log log = Log::to_nowhere();
    Counters counters;
    EdgeMetrics metrics(counters);
    world::SystemFiles files;
    const auto lists = load_lists(files, settings, profile);
    EXPECT_TRUE(lists.has_value()) << lists.error().what();
    const auto store = store::open_memory(store_families());
    Seen seen(*store, {}, log, counters);
    Wildcards wildcards(*store, crypto::Secret::copy_of(Bytes(32)), log, counters);
    KeepingSink sink;
    const CollectorSettings collecting = collector_settings(settings, profile);
    RowGate rows(collecting, metrics, log, sink);
    std::optional<RowQueue> queue;
    if (workers > 0) {
        queue.emplace(rows);
    }
    Collector collector(collecting, *lists, seen, wildcards, metrics,
                        queue ? static_cast<RowSink&>(*queue) : rows);
    PipelineSettings piping;
    piping.workers = workers;
    piping.worker = worker_settings(settings, profile);
    Pipeline pipeline(piping, *lists, DayKeys(public_test_day_key()), DataClock(), collector);
    for (const Bytes& frame : frames) {
        pipeline.add(frame);
    }
    pipeline.finish();
    collector.finish(pipeline.bounds(), UtcTime());
    if (queue) {
        queue->finish();
    }
    std::vector<std::uint64_t> all(4);
    for (const Said& said : sink.batches) {
        for (std::size_t i = 0; i < all.size(); ++i) {
            all[i] += said.rows[i];
        }
    }
    const Suppressed& totals = rows.totals();
    EXPECT_THAT(all, ElementsAre(totals.rows_released, totals.rows_few_clients,
                                 totals.rows_few_networks, totals.rows_evicted));
    return std::move(sink.batches);
}

TEST(RowGate, LetsTheSameLeaveWithAThreadAndWithout) {
    const auto frames = some_frames();
    const auto alone = batches_of(frames, 0);
    ASSERT_GT(alone.size(), 1U);
    std::size_t files = 0;
    std::size_t names = 0;
    std::uint64_t rows = 0;
    for (const Said& said : alone) {
        files += said.files.size();
        names += said.names.size();
        rows += said.rows.at(0);
    }
    EXPECT_GT(files, 12U) << "those of the minutes, and of a wider interval";
    EXPECT_GT(names, 0U);
    EXPECT_GT(rows, 0U);
    for (const std::size_t workers : {std::size_t{1}, std::size_t{2}}) {
        EXPECT_TRUE(batches_of(frames, workers) == alone) << workers;
    }
}

// Which steps came; the first one takes until it is allowed to end.
class SlowRows final : public RowSink {
public:
    void take(RowStep&& step) override {
        if (steps.empty()) {
            EXPECT_TRUE(world::eventually([this] { return allowed.try_wait(); }))
                << "who hands on waits for this step";
        }
        steps.push_back(step.index());
    }
    std::latch allowed{1};
    std::vector<std::size_t> steps;
};

TEST(RowQueue, DoesNotHoldUpWhoCounts) {
    const Log log = Log::to_nowhere();
    Counters counters;
    EdgeMetrics metrics(counters);
    world::SystemFiles files;
    const auto lists = load_lists(files, settings_of({}), privacy::Profile::standard);
    const auto store = store::open_memory(store_families());
    Seen seen(*store, {}, log, counters);
    Wildcards wildcards(*store, crypto::Secret::copy_of(Bytes(32)), log, counters);
    SlowRows rows;
    RowQueue queue(rows);
    CollectorSettings collecting;
    collecting.cuts_by_data = false;
    Collector collector(collecting, *lists, seen, wildcards, metrics, queue);
    PipelineSettings piping;
    piping.workers = 0;
    Pipeline pipeline(piping, *lists, DayKeys(public_test_day_key()), DataClock(), collector);
    for (const int minute : {0, 1, 2}) {  // the first has ended in the third
        pipeline.add(frame_of({.client = client_of(1), .time = t0 + 60 * minute}));
    }
    pipeline.cut(UtcTime::from_seconds(t0));
    pipeline.flush();
    EXPECT_EQ(collector.fates().sum(), 3U) << "counted while the first minute is at the gate";
    rows.allowed.count_down();
    pipeline.finish();
    collector.finish({}, UtcTime::from_seconds(t0 + 60));
    queue.finish();
    EXPECT_THAT(rows.steps, ElementsAre(0, 2, 0, 0, 1, 2)) << "in order";
}

}  // namespace
}  // namespace tapir::edge
