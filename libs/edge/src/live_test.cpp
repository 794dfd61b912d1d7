// What the daemon does besides: sockets, uploads, keys, consent, and wrong input.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data_clock.hpp"
#include "input.hpp"
#include "live_keys.hpp"
#include "metrics.hpp"
#include "outlet.hpp"
#include "setup.hpp"
#include "tapir/edge/edge.hpp"
#include "tapir/jose/http_signature.hpp"
#include "tapir/net/http_server.hpp"
#include "tapir/net/stream.hpp"
#include "tapir/world/chance.hpp"
#include "testing_frames.hpp"
#include "testing_tools.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;
using namespace testing;

TEST(DataClock, PlacesFramesInTheirMinutes) {
    DataClock clock;
    const auto at = [](std::int64_t s) { return UtcTime::from_seconds(s); };
    EXPECT_EQ(clock.place({}).minute, 0) << "nothing is known yet";
    const Placed first = clock.place(at(t0 + 59));
    EXPECT_TRUE(first.turned);
    EXPECT_EQ(first.minute, t0 / 60);
    EXPECT_FALSE(clock.place(at(t0)).turned);
    const Placed next = clock.place(at(t0 + 61));
    EXPECT_TRUE(next.turned);
    EXPECT_EQ(clock.place(at(t0 + 1)).minute, t0 / 60) << "60 s late";
    const Placed late = clock.place(at(t0));
    EXPECT_EQ(late.timing, Timing::late);
    EXPECT_EQ(late.minute, t0 / 60 + 1);
    EXPECT_EQ(clock.place({}).minute, t0 / 60 + 1);
    EXPECT_EQ(clock.bounds()->first, t0 / 60);
    EXPECT_EQ(clock.bounds()->end, t0 / 60 + 2);
}

TEST(DataClock, DoesNotGoBackOverMidnight) {
    DataClock clock;
    const std::int64_t midnight = 1'790'035'200;
    clock.place(UtcTime::from_seconds(midnight - 1));
    clock.place(UtcTime::from_seconds(midnight));
    EXPECT_EQ(clock.place(UtcTime::from_seconds(midnight - 1)).minute, midnight / 60);
}

TEST(DataClock, LiveFollowsTheTimeOfDay) {
    DataClock clock = DataClock::live(UtcTime::from_seconds(t0));
    EXPECT_EQ(clock.place(UtcTime::from_seconds(t0 + 3600)).timing, Timing::future);
    EXPECT_EQ(clock.minute(), t0 / 60);
    EXPECT_FALSE(clock.tick(UtcTime::from_seconds(t0 + 59)));
    EXPECT_TRUE(clock.tick(UtcTime::from_seconds(t0 + 60)));
    EXPECT_FALSE(clock.tick(UtcTime::from_seconds(t0))) << "never back";
    EXPECT_EQ(clock.minute(), t0 / 60 + 1);
}

TEST(DayKeys, OnlyGoForward) {
    world::MemoryFiles files;
    world::SeededChance chance(3);
    const auto now = UtcTime::from_seconds(t0);
    const std::int64_t today = t0 / 86'400;
    auto keys = open_day_keys(files, "/day.key", now, chance);
    ASSERT_TRUE(keys.has_value());
    const Bytes first = *files.read("/day.key", 64);
    auto again = open_day_keys(files, "/day.key", now, chance);
    EXPECT_EQ(*files.read("/day.key", 64), first) << "the same day, the same key";
    EXPECT_EQ(again->current()->gate->message_id("x"), keys->current()->gate->message_id("x"));
    auto later = open_day_keys(files, "/day.key", now + 48h, chance);
    ASSERT_TRUE(later.has_value());
    EXPECT_NE(*files.read("/day.key", 64), first) << "overwritten at once";
    EXPECT_EQ(later->current()->number, today + 2);
    EXPECT_EQ(keys->enter(today + 2)->gate->message_id("x"),
              later->current()->gate->message_id("x"));
    EXPECT_EQ(keys->enter(today)->number, today + 2);
    EXPECT_FALSE(open_day_keys(files, "/day.key", now, chance).has_value()) << "a day to come";
}

TEST(DayKeys, LeaveNothingBehindOfAWriteThatACrashCutShort) {
    world::MemoryFiles files;
    world::SeededChance chance(3);
    const auto now = UtcTime::from_seconds(t0);
    ASSERT_TRUE(files.make_directories("/state").has_value());
    for (const char* name : {"/state/day.key.tmp-17-1", "/state/day.keys"}) {
        ASSERT_TRUE(files.write_atomically(name, to_bytes("K")).has_value());
    }
    ASSERT_TRUE(open_day_keys(files, "/state/day.key", now, chance).has_value());
    EXPECT_FALSE(files.exists("/state/day.key.tmp-17-1"));
    EXPECT_TRUE(files.exists("/state/day.keys")) << "not ours";
}

TEST(Consent, HoldsThirtyDaysFromItsDate) {
    world::MemoryFiles files;
    const auto now = *UtcTime::parse("2026-11-24T12:00:00Z");
    const auto end = [&](const char* text) {
        EXPECT_TRUE(files.write_atomically("/consent", as_bytes(text)).has_value());
        return consent_end(files, "/consent", now);
    };
    EXPECT_EQ(end("2026-11-24\nby whom, why\n")->to_string(), "2026-12-24T00:00:00Z");
    EXPECT_LT(*end("2026-10-01"), now);
    EXPECT_FALSE(end("2026-11-25").has_value());
    EXPECT_FALSE(end("yes").has_value());
    EXPECT_FALSE(consent_end(files, "/nowhere", now).has_value());
}

// Counts frames; nothing leaves.
class NullSink final : public BatchSink {
public:
    void take(ReadyBatch&& /*batch*/) override {}
};

TEST(Input, SurvivesWhatPeersSend) {
    const TemporaryFolder folder;
    std::string lines;
    const Log log = Log::to_string(lines);
    Counters counters;
    EdgeMetrics metrics(counters);
    world::SystemFiles files;
    const auto lists = load_lists(files, settings_of({}), privacy::Profile::standard);
    const auto store = store::open_memory({std::string(seen_family), std::string(wildcard_family)});
    Seen seen(*store, {}, log, counters);
    Wildcards wildcards(*store, crypto::Secret::copy_of(Bytes(32)), log, counters);
    NullSink sink;
    RowGate rows({}, metrics, log, sink);
    Collector collector({}, *lists, seen, wildcards, metrics, rows);
    Pipeline pipeline({}, *lists, DayKeys(public_test_day_key()), DataClock(), collector);
    const auto input = Input::open(folder / "dnstap.sock", pipeline, log, counters);
    ASSERT_TRUE(input.has_value()) << input.error().what();
    const auto connect = [&folder] {
        auto stream = net::connect_stream(*net::Endpoint::parse(folder / "dnstap.sock"), 5'000ms);
        EXPECT_TRUE(stream.has_value());
        return std::move(*stream);
    };
    const auto frames = [&counters](const std::string& fate, const std::string& reason) {
        return counters.value("tapir_edge_frames_total{fate=\"" + fate + "\",reason=\"" + reason +
                              "\"}");
    };
    {
        // Oversized, then a good one, on the same connection, which then ends inside a frame.
        const auto stream = connect();
        Bytes octets = to_bytes(fstrm_of({}).substr(0, 42));
        append_u32(octets, 200'000);
        octets.resize(octets.size() + 200'000, std::byte{0x55});
        const Bytes good = frame_of({.name = "www.one.se.", .client = client_of(1)});
        append_u32(octets, static_cast<std::uint32_t>(good.size()));
        append(octets, good);
        append_u32(octets, 1000);
        append_u8(octets, 1);
        ASSERT_TRUE(stream->write(octets).has_value());
        stream->end_writing();
        wait_until([&] { return frames("pending", "first_client") == 1; });
    }
    wait_until([&] {
        metrics.add(pipeline.take_dispatcher_fates());
        return frames("frame", "oversized") == 1 && frames("frame", "truncated") == 1;
    });
    {
        // No Frame Streams at all: this connection is closed, others are not.
        const auto stream = connect();
        ASSERT_TRUE(stream->write(as_bytes("GET / HTTP/1.1\r\n\r\n")).has_value());
        wait_until(
            [&] { return counters.value("tapir_edge_streams_ended_total{how=\"failed\"}") == 1; });
    }
    {
        // Each kind of malformed frame and message.
        const auto stream = connect();
        const FrameSpec spec{.name = "www.two.se.", .client = client_of(1)};
        const Bytes whole = dns_of(spec);
        const ByteView message(whole);
        std::vector<Bytes> bad{
            to_bytes(std::string_view("\xff\xff\xff\xff\xff")),
            frame_around(spec, message.first(5)), frame_around(spec, message.first(20)),
            frame_around(spec, message.first(0)), frame_around(spec, message.first(12))};
        Bytes loop = whole;
        loop.at(12) = std::byte{0xC0};
        loop.at(13) = std::byte{0x0C};
        bad.push_back(frame_around(spec, loop));
        bad.push_back(frame_of(spec));
        const std::string file = fstrm_of(bad);
        ASSERT_TRUE(stream->write(as_bytes(file)).has_value());
        wait_until([&] { return frames("pending", "first_client") == 2; });
        EXPECT_EQ(frames("frame", "undecodable"), 1);
        EXPECT_EQ(frames("dns", "malformed"), 4);
        EXPECT_EQ(frames("dns", "no_question"), 1);
    }
    (*input)->stop();
    pipeline.finish();
    EXPECT_NE(lines.find("over the size limit"), std::string::npos);
    EXPECT_NE(lines.find("ended inside a frame"), std::string::npos);
    EXPECT_NE(lines.find("does not speak Frame Streams"), std::string::npos);
}

// A worker that stands still: the dispatcher drops whole batches and counts them.
class StuckConsumer final : public Consumer {
public:
    void on_batch(BatchResult&& /*result*/) override {
        const std::lock_guard lock(gate);
        ++batches;
    }
    void on_minute_begin(Minute /*minute*/, const std::shared_ptr<const Day>& /*day*/) override {}
    void on_minute_end(Minute /*minute*/, std::vector<MinuteTable>&& /*tables*/) override {}
    void on_cut(UtcTime /*time*/) override {}
    void on_lists(const std::shared_ptr<const Lists>& /*lists*/) override {}
    std::mutex gate;
    std::uint64_t batches = 0;
};

std::shared_ptr<const Lists> no_lists() {
    world::SystemFiles files;
    return load_lists(files, settings_of({}), privacy::Profile::standard).take();
}

// One worker, whose answers nobody takes while the consumer's gate is held.
struct StuckPipeline {
    StuckConsumer consumer;
    Pipeline pipeline{settings(), no_lists(), DayKeys(public_test_day_key()), DataClock(),
                      consumer};

private:
    static PipelineSettings settings() {
        PipelineSettings out;
        out.drops_when_full = true;
        return out;
    }
};

TEST(Pipeline, DropsAndCountsRatherThanWait) {
    StuckPipeline stuck;
    const Bytes frame = frame_of({.client = client_of(1)});
    const std::uint64_t count = 3 * batch_queue_max * batch_frame_count_max;
    {
        const std::lock_guard lock(stuck.consumer.gate);
        for (std::uint64_t i = 0; i < count; ++i) {
            stuck.pipeline.add(frame);
        }
    }
    stuck.pipeline.finish();
    const std::uint64_t dropped = stuck.pipeline.take_dispatcher_fates().of(Fate::dropped_overload);
    EXPECT_GT(dropped, 0U);
    EXPECT_EQ(dropped + stuck.consumer.batches * batch_frame_count_max, count);
}

// Resolvers write each frame by itself: a worker that stands still for a moment loses none of them.
TEST(Pipeline, KeepsManySmallReadsOfABurst) {
    StuckPipeline stuck;
    const Bytes frame = frame_of({.client = client_of(1)});
    const std::uint64_t count = 20 * batch_queue_max;
    {
        const std::lock_guard lock(stuck.consumer.gate);
        // What is on its way to the consumer stands still too.
        for (std::uint64_t i = 0; i < count; ++i) {
            stuck.pipeline.add(frame);
            stuck.pipeline.flush();
        }
    }
    stuck.pipeline.finish();
    EXPECT_EQ(stuck.pipeline.take_dispatcher_fates().of(Fate::dropped_overload), 0U);
}

// Holds each worker in its first batch, until it is released.
class Gatekeeper final : public StageWatch {
public:
    void reached(WorkerStage /*stage*/) override {
        const auto me = std::this_thread::get_id();
        std::unique_lock lock(mutex_);
        if (std::ranges::find(held_, me) == held_.end()) {
            held_.push_back(me);
        }
        changed_.wait(
            lock, [&] { return all_are_released_ || (released_ && held_.at(*released_) == me); });
    }
    std::size_t held() {
        const std::lock_guard lock(mutex_);
        return held_.size();
    }
    void release(std::optional<std::size_t> one) {
        {
            const std::lock_guard lock(mutex_);
            released_ = one;
            all_are_released_ = !one;
        }
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::thread::id> held_;
    std::optional<std::size_t> released_;
    bool all_are_released_ = false;
};

// Which worker is held and whose turn it was is chance: in some of the turns they are the same.
TEST(Pipeline, ASourceThatWaitsGoesOnWithAnyWorker) {
    const Bytes frame = frame_of({.client = client_of(1)});
    constexpr std::uint64_t batches = 100;
    for (int turn = 0; turn < 8; ++turn) {
        Gatekeeper keeper;
        StuckConsumer consumer;
        PipelineSettings settings;
        settings.workers = 2;
        settings.worker.watch = &keeper;
        Pipeline pipeline(settings, no_lists(), DayKeys(public_test_day_key()), DataClock(),
                          consumer);
        std::atomic<std::uint64_t> added{0};
        std::thread source([&] {
            for (std::uint64_t i = 0; i < batches * batch_frame_count_max; ++i) {
                pipeline.add(frame);
                added.fetch_add(1);
            }
            pipeline.flush();
        });
        // Each has one batch in its hands and a full queue; the source has another one to give.
        const std::uint64_t full = (2 * (batch_queue_paced + 1) + 1) * batch_frame_count_max;
        const bool is_full =
            world::eventually([&] { return keeper.held() == 2 && added.load() == full; });
        keeper.release(static_cast<std::size_t>(turn % 2));
        const bool goes_on =
            world::eventually([&] { return added.load() == batches * batch_frame_count_max; });
        keeper.release({});
        source.join();
        pipeline.finish();
        EXPECT_TRUE(is_full) << turn;
        EXPECT_TRUE(goes_on) << turn;
        EXPECT_EQ(consumer.batches, batches);
    }
}

TEST(Pipeline, ASecondIsPlacedAnewWhenTheClockHasMoved) {
    StuckConsumer consumer;
    PipelineSettings settings;
    settings.workers = 0;
    Pipeline pipeline(settings, no_lists(), DayKeys(public_test_day_key()),
                      DataClock::live(UtcTime::from_seconds(t0)), consumer);
    const Bytes frame = frame_of({.client = client_of(1), .time = t0 + 61});
    pipeline.add(frame);
    pipeline.add(frame);
    EXPECT_EQ(pipeline.timing(Timing::future), 2U);
    pipeline.tick(UtcTime::from_seconds(t0 + 61));
    pipeline.add(frame);
    pipeline.add(frame);
    EXPECT_EQ(pipeline.timing(Timing::future), 2U);
    EXPECT_EQ(pipeline.timing(Timing::in_time), 2U);
    pipeline.finish();
}

// The requests as a core sees them.
TEST(Outlet, SignsWhatItSends) {
    std::mutex mutex;
    std::vector<net::HttpRequest> requests;
    std::atomic<int> status{0};
    net::HttpRoutes routes;
    for (const char* path : {"/api/v1/aggregate/histogram", "/api/v1/event/new_qname"}) {
        net::HttpRoute route;
        route.method = "POST";
        route.path = path;
        route.body_size_max = 1U << 20U;
        route.handle = [&](const net::HttpRequest& request) {
            const std::lock_guard lock(mutex);
            requests.push_back(request);
            const int usual = request.path.find("event") == std::string::npos ? 201 : 202;
            return net::HttpResponse::text(status == 0 ? usual : status.load(), "");
        };
        routes.add(std::move(route));
    }
    const Log log = Log::to_nowhere();
    Counters counters;
    net::HttpServerSettings serving;
    serving.listen = *net::Endpoint::parse("127.0.0.1:0");
    const auto server = net::HttpServer::start(serving, routes, log, counters);
    ASSERT_TRUE(server.has_value());
    const auto key = public_test_signing_key();
    OutletSettings settings;
    settings.url = "http://127.0.0.1:" + std::to_string((*server)->port());
    const auto outlet = Outlet::open(settings, key);
    ASSERT_TRUE(outlet.has_value());

    const Day day(0, public_test_day_key());
    const UtcTime minute = UtcTime::from_seconds(t0);
    const auto events =
        privacy::release_events(privacy::Profile::standard, {}, minute, *day.gate, key);
    const auto histogram =
        privacy::release_histogram({}, {.start = minute, .stop = minute + 60s}, {}, *day.gate);
    EXPECT_EQ((*outlet)->send(events->payloads.front(), {.created = minute}).sent, Sent::accepted);
    EXPECT_EQ((*outlet)->send(*histogram->payload, {.created = minute}).sent, Sent::accepted);
    ASSERT_EQ(requests.size(), 2U);
    jose::KeySet keys;
    ASSERT_TRUE(keys.add(key.public_jwk()).has_value());
    for (const net::HttpRequest& request : requests) {
        std::vector<jose::FieldView> fields;
        for (const net::HttpField& field : request.fields) {
            fields.push_back({field.name, field.value});
        }
        auto policy = jose::SignaturePolicy::strict();
        if (!request.fields.find("aggregate-interval")) {
            std::erase(policy.covered, "aggregate-interval");  // events have none
        }
        const auto verified = jose::verify_request({.method = request.method,
                                                    .path = request.path,
                                                    .query = request.query,
                                                    .fields = fields,
                                                    .body = request.body},
                                                   keys, minute, policy);
        ASSERT_TRUE(verified.has_value()) << jose::to_string(verified.error());
        EXPECT_EQ(verified->kid, "offline.invalid");
        EXPECT_EQ(verified->created, minute);
    }
    EXPECT_EQ(requests.at(0).fields.find("content-type"), "application/jose+json");
    EXPECT_EQ(requests.at(1).fields.find("content-type"), "application/vnd.apache.parquet");
    EXPECT_EQ(requests.at(1).fields.find("aggregate-interval"), "2026-09-21T14:14:00Z/PT1M");

    for (const auto& [code, sent] : {std::pair{401, Sent::denied},
                                     {503, Sent::busy},
                                     {429, Sent::busy},
                                     {400, Sent::refused},
                                     {200, Sent::refused}}) {
        status = code;
        EXPECT_EQ((*outlet)->send(events->payloads.front(), {.created = minute}).sent, sent)
            << code;
    }
    (*server)->stop();
    EXPECT_EQ((*outlet)->send(events->payloads.front(), {.created = minute}).sent,
              Sent::unavailable);
}

// The store of released names fails: an event is sent rather than lost, and the work goes on.
class BrokenStore final : public store::Store {
public:
    Result<std::optional<Bytes>> get(std::string_view /*family*/, ByteView /*key*/) const override {
        return fail(Code::exhausted, "No space left on device");
    }
    Result<std::unique_ptr<store::Cursor>> scan(std::string_view /*family*/, ByteView /*prefix*/,
                                                ByteView /*from*/) const override {
        return fail(Code::exhausted, "No space left on device");
    }
    std::unique_ptr<store::Reader> snapshot() const override { return nullptr; }
    Result<void> write(const store::Batch& /*batch*/, store::Durability /*durability*/) override {
        return fail(Code::exhausted, "No space left on device");
    }
};

TEST(Seen, GoesOnWithoutItsStore) {
    std::string lines;
    const Log log = Log::to_string(lines);
    Counters counters;
    BrokenStore store;
    Seen seen(store, {}, log, counters);
    EXPECT_TRUE(seen.add("a.se."));
    EXPECT_FALSE(seen.add("a.se.")) << "remembered in memory";
    EXPECT_TRUE(seen.add("b.se."));
    EXPECT_EQ(counters.value("tapir_edge_store_errors_total"), 2);
    const std::vector<std::string> both{"a.se.", "b.se."};
    seen.settle(both, Seen::Settle::kept);
    EXPECT_EQ(counters.value("tapir_edge_store_errors_total"), 3);
    EXPECT_FALSE(seen.add("a.se.")) << "still remembered in memory";
    EXPECT_NE(lines.find("No space left"), std::string::npos);
}

TEST(Seen, RemembersOverARestart) {
    const Log log = Log::to_nowhere();
    Counters counters;
    const auto store = store::open_memory({std::string(seen_family)});
    const std::vector<std::string> name{"a.se."};
    {
        Seen seen(*store, {}, log, counters);
        EXPECT_TRUE(seen.add("a.se."));
        seen.settle(name, Seen::Settle::kept);
    }
    EXPECT_FALSE(Seen(*store, {}, log, counters).add("a.se."));
}

// Else a crash, or a disk without room, would keep a name from ever leaving.
TEST(Seen, ForgetsWhatNeverGotToTheDisk) {
    const Log log = Log::to_nowhere();
    Counters counters;
    const auto store = store::open_memory({std::string(seen_family)});
    const std::vector<std::string> name{"a.se."};
    {
        Seen seen(*store, {}, log, counters);
        EXPECT_TRUE(seen.add("a.se."));
        EXPECT_FALSE(seen.add("a.se.")) << "it is under way";
        seen.settle(name, Seen::Settle::lost);
        EXPECT_TRUE(seen.add("a.se.")) << "its batch could not be written";
    }
    EXPECT_TRUE(Seen(*store, {}, log, counters).add("a.se.")) << "the process ended before";
}

// Writes batches when it is told to.
class SlowSink final : public BatchSink {
public:
    explicit SlowSink(Seen& seen) : seen_(seen) {}
    void take(ReadyBatch&& batch) override { waiting_.push_back(std::move(batch)); }
    std::size_t write() {
        std::size_t names = 0;
        for (const ReadyBatch& batch : std::exchange(waiting_, {})) {
            EXPECT_EQ(batch.released.size(), batch.names.size());
            names += batch.names.size();
            seen_.settle(batch.names, Seen::Settle::kept);
        }
        return names;
    }

private:
    Seen& seen_;
    std::vector<ReadyBatch> waiting_;
};

// Where each new name leaves, whoever makes up names would fill the memory with them.
TEST(Collector, LimitsTheNamesThatAreNotWrittenYetAndCountsTheRest) {
    const Log log = Log::to_nowhere();
    Counters counters;
    EdgeMetrics metrics(counters);
    world::SystemFiles files;
    const auto profile = privacy::Profile::compatible;
    const auto settings = settings_of({"release.profile=compatible"});
    const auto lists = load_lists(files, settings, profile);
    const auto store = store::open_memory({std::string(seen_family), std::string(wildcard_family)});
    Seen seen(*store, {.under_way_max = 3}, log, counters);
    Wildcards wildcards(*store, crypto::Secret::copy_of(Bytes(32)), log, counters);
    SlowSink sink(seen);
    const CollectorSettings collecting = collector_settings(settings, profile);
    RowGate rows(collecting, metrics, log, sink);
    Collector collector(collecting, *lists, seen, wildcards, metrics, rows);
    PipelineSettings piping;
    piping.worker = worker_settings(settings, profile);
    std::int64_t minute = t0;
    const auto ask = [&](const std::vector<std::string>& names) {
        Pipeline pipeline(piping, *lists, DayKeys(public_test_day_key()), DataClock(), collector);
        for (const std::string& name : names) {
            pipeline.add(frame_of({.name = name, .client = client_of(1), .time = minute}));
        }
        pipeline.finish();
        collector.on_cut(UtcTime::from_seconds(minute));
        minute += 60;
    };
    const auto count = [&](Fate fate) { return collector.fates().of(fate); };
    ask({"a.se.", "b.se.", "c.se.", "d.se.", "A.se.", "d.se."});
    EXPECT_EQ(count(Fate::name_new), 3U);
    EXPECT_EQ(count(Fate::name_seen), 1U);
    EXPECT_EQ(count(Fate::dropped_name), 2U);
    ask({"d.se."});
    EXPECT_EQ(count(Fate::dropped_name), 3U) << "a batch that waits to be written counts too";
    EXPECT_EQ(sink.write(), 3U);
    ask({"d.se.", "a.se."});
    EXPECT_EQ(sink.write(), 1U) << "it is as new as it was";
    EXPECT_EQ(count(Fate::name_new), 4U);
    EXPECT_EQ(count(Fate::name_seen), 2U);
    EXPECT_EQ(counters.value("tapir_edge_frames_total{fate=\"dropped\",reason=\"name\"}"), 3);
}

std::string start_error(const std::vector<std::string>& sets, std::string_view toml = {}) {
    const TemporaryFolder folder;
    write_text(folder / "in.fstrm", fstrm_of({}));
    auto settings = text::Settings::parse(toml, "edge.toml", settings_table(), sets);
    if (!settings) {
        return settings.error().what();
    }
    world::SystemFiles files;
    const Log log = Log::to_nowhere();
    const auto result = process({.captures = {folder / "in.fstrm"},
                                 .out = folder / "out",
                                 .single_interval = false,
                                 .version = "test"},
                                *settings, files, log);
    return result ? "no error" : result.error().what();
}

TEST(Start, NamesWhatIsWrongAndWhere) {
    EXPECT_THAT(start_error({}, "\n\nno_such = 1\n"), ::testing::HasSubstr("edge.toml:3: no_such"));
    EXPECT_THAT(start_error({}, "[release]\nprofile = \"loose\"\n"),
                ::testing::HasSubstr("edge.toml:2: release.profile: expected"));
    EXPECT_THAT(start_error({}, "[lists]\nwell_known = \"/nowhere\"\n"),
                ::testing::HasSubstr(
                    "edge.toml:2: lists.well_known: expected a readable file, got /nowhere"));
    const TemporaryFolder folder;
    write_text(folder / "names.txt", "good.se\n" + std::string(70, 'x') + ".se\n");
    EXPECT_THAT(start_error({"lists.well_known=" + folder / "names.txt"}),
                ::testing::HasSubstr("names.txt:2: "));
    write_text(folder / "clients.txt", "10.0.0.0/8\n10.0.0.300\n");
    EXPECT_THAT(start_error({"lists.ignored_clients=" + folder / "clients.txt"}),
                ::testing::HasSubstr("clients.txt:2: "));
    EXPECT_THAT(start_error({"client_networks=10.0.0.0/8,everybody"}),
                ::testing::HasSubstr("client_networks"));
    EXPECT_THAT(start_error({"lists.public_suffixes=/nowhere"}),
                ::testing::HasSubstr("lists.public_suffixes: expected a readable file"));
    EXPECT_THAT(start_error({"keys.signing=/nowhere"}), ::testing::HasSubstr("keys.signing"));
    write_text(folder / "day.key", "abc\n");
    EXPECT_THAT(start_error({"keys.day=" + folder / "day.key"}),
                ::testing::HasSubstr("keys.day: expected 64 hexadecimal digits"));
}

TEST(Twin, RefusesAFolderWithOlderResults) {
    const TemporaryFolder folder;
    write_text(folder / "in.fstrm", fstrm_of({}));
    const ProcessOptions options{.captures = {folder / "in.fstrm"},
                                 .out = folder / "out",
                                 .single_interval = false,
                                 .version = "test"};
    run_twin(options, {});
    world::SystemFiles files;
    const Log log = Log::to_nowhere();
    const auto again = process(options, settings_of({}), files, log);
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().code(), Code::conflict);
}

TEST(Twin, RefusesWhatIsNoCapture) {
    const TemporaryFolder folder;
    write_text(folder / "in.fstrm", "this is no capture, whatever its name");
    world::SystemFiles files;
    const Log log = Log::to_nowhere();
    const auto result = process({.captures = {folder / "in.fstrm"},
                                 .out = folder / "out",
                                 .single_interval = false,
                                 .version = "test"},
                                settings_of({}), files, log);
    EXPECT_THAT(result.error().what(), ::testing::HasSubstr("expected a Frame Streams file"));
}

}  // namespace
}  // namespace tapir::edge
