// What was accepted is kept: outbox, ledger, sender, against a disk that can fail.
#include "outbox.hpp"

#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "batch_writer.hpp"
#include "sender.hpp"
#include "session_leaf.hpp"
#include "setup.hpp"
#include "tapir/net/http_client.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/step_thread.hpp"
#include "testing_tools.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;
using testing::wait_until;

constexpr const char* dir = "/state";

// One edge's state on a disk in memory; restart() is what a new process finds.
struct Bench {
    std::unique_ptr<world::MemoryFiles> own = std::make_unique<world::MemoryFiles>();
    world::MemoryFiles& files = *own;
    jose::PrivateJwk key = public_test_signing_key();
    std::string lines;
    Log log = Log::to_string(lines);
    Counters counters;
    OutboxSettings settings;
    std::unique_ptr<EdgeLedger> ledger;
    std::unique_ptr<Outbox> outbox;

    Bench() { restart(); }
    explicit Bench(world::MemoryFiles& other) : files(other) { restart(); }
    void restart() {
        outbox.reset();
        auto opened = EdgeLedger::open(files, std::string(dir) + "/ledger", key);
        ASSERT_TRUE(opened.has_value()) << opened.error().what();
        ledger = std::move(*opened);
        auto box = Outbox::open(files, dir, *ledger, settings, log, counters);
        ASSERT_TRUE(box.has_value()) << box.error().what();
        outbox = std::move(*box);
    }
    Result<void> put(std::int64_t minute, std::size_t event_count = 0) {
        return outbox->put(batch(minute, event_count), {},
                           [](std::string_view, std::string_view name) {
                               ledger::Salt salt{};
                               salt.front() = static_cast<std::byte>(name.size());
                               return salt;
                           });
    }
    ReadyBatch batch(std::int64_t minute, std::size_t event_count) const {
        const Day day(0, public_test_day_key());
        ReadyBatch batch;
        batch.time = UtcTime::from_seconds(minute * 60);
        batch.key = day.gate;
        // Under `compatible` once is enough.
        privacy::GateSettings gate;
        gate.profile = privacy::Profile::compatible;
        privacy::NameGate names(gate);
        std::vector<privacy::Released<products::NewQname>> released;
        for (std::size_t i = 0; i < event_count; ++i) {
            const std::string name = "n" + std::to_string(i) + ".se.";
            privacy::NameCandidate candidate;
            candidate.name = name;
            candidate.minute = batch.time;
            released.push_back(names.offer(candidate, *day.gate).released.at(0));
        }
        auto events = privacy::release_events(privacy::Profile::standard, released, batch.time,
                                              *day.gate, key);
        batch.payloads = std::move(events->payloads);
        privacy::RowCandidate row;
        row.entry = "a.se.";
        row.row.v4client_count = 500;
        row.v4_networks = 3;
        auto histogram = privacy::release_histogram(
            {}, {.start = batch.time, .stop = batch.time + 60s}, {row}, *day.gate);
        batch.payloads.push_back(std::move(*histogram->payload));
        return batch;
    }
    std::int64_t lost(const std::string& reason) const {
        return counters.value("tapir_edge_batches_lost_total{reason=\"" + reason + "\"}");
    }
    void expect_sound() {
        const ledger::NoteVerifier verifier{.origin = key.kid() + "/ledger",
                                            .key = key.key().public_key()};
        const auto report = ledger::verify_log(
            [this](std::string_view path) {
                return files.read(std::string(dir) + "/ledger/" + std::string(path), 1U << 24U);
            },
            verifier);
        EXPECT_TRUE(ledger->size() == 0 || report.has_value()) << report.error().what();
    }
};

using Indexes = std::vector<std::uint64_t>;

TEST(Outbox, KeepsWhatItAcceptedOverARestart) {
    Bench bench;
    for (std::int64_t minute = 1; minute <= 3; ++minute) {
        ASSERT_TRUE(bench.put(minute).has_value());
    }
    bench.outbox->settle(1, Settled::sent, UtcTime::from_seconds(200));
    EXPECT_EQ(bench.outbox->unsent(), (Indexes{0, 2}));
    bench.restart();
    EXPECT_EQ(bench.outbox->unsent(), (Indexes{0, 2}));
    const auto batch = bench.outbox->reopen(2);
    ASSERT_TRUE(batch.has_value()) << batch.error().what();
    EXPECT_EQ(batch->time, UtcTime::from_seconds(180));
    EXPECT_EQ(batch->payloads.size(), 2U);
    bench.expect_sound();
}

TEST(Outbox, DoesNotOpenWhatWasChanged) {
    Bench bench;
    ASSERT_TRUE(bench.put(1).has_value());
    const std::string path = std::string(dir) + "/batches/0000000000/new_qname.json";
    Bytes octets = *bench.files.read(path, 1U << 20U);
    octets.at(1) = std::byte{'x'};
    ASSERT_TRUE(bench.files.write_atomically(path, octets).has_value());
    EXPECT_EQ(bench.outbox->reopen(0).error().code(), Code::denied);
}

// The disk fails at each of the writes of a batch in turn: nothing half-written is ever sent, what
// was accepted before stays, and the next batch goes on.
TEST(Outbox, SurvivesAFullDiskAtAnyWrite) {
    unsigned failures = 0;
    unsigned successes = 0;
    for (std::uint64_t room = 0; room < 30'000; room += 300) {
        Bench bench;
        ASSERT_TRUE(bench.put(1).has_value());
        bench.files.set_capacity(bench.files.used() + room);
        const bool is_put = bench.put(2).has_value();
        ++(is_put ? successes : failures);
        if (!is_put) {
            EXPECT_NE(bench.lines.find("a batch cannot be written"), std::string::npos);
        }
        bench.files.set_capacity(1ULL << 40U);
        ASSERT_TRUE(bench.put(3).has_value()) << room;
        bench.restart();
        for (const std::uint64_t index : bench.outbox->unsent()) {
            EXPECT_TRUE(bench.outbox->reopen(index).has_value()) << room << " " << index;
        }
        EXPECT_EQ(bench.outbox->unsent().size(), is_put ? 3U : 2U) << room;
        bench.expect_sound();
    }
    EXPECT_GT(failures, 20U);
    EXPECT_GT(successes, 20U);
}

// The folder is renamed, and then the disk cannot say that it is so for good.
class UncertainFiles final : public world::MemoryFiles {
public:
    Result<void> rename(const std::string& from, const std::string& to) override {
        TRY(MemoryFiles::rename(from, to));
        return is_uncertain ? Result<void>(fail(Code::unavailable, "Input/output error"))
                            : Result<void>();
    }
    bool is_uncertain = false;
};

TEST(Outbox, NeverSendsWhatItRefused) {
    UncertainFiles files;
    Bench bench(files);
    files.is_uncertain = true;
    EXPECT_FALSE(bench.put(1).has_value());
    files.is_uncertain = false;
    ASSERT_TRUE(bench.put(2).has_value());
    EXPECT_EQ(bench.outbox->unsent().size(), 1U);
    EXPECT_EQ(bench.outbox->reopen(0)->time, UtcTime::from_seconds(120));
    bench.expect_sound();
}

TEST(BatchWriter, WaitsForADiskThatIsFull) {
    Bench bench;
    const auto store = store::open_memory({std::string(seen_family)});
    Seen seen(*store, {}, bench.log, bench.counters);
    unsigned told = 0;
    BatchWriter writer(
        *bench.outbox, seen, {}, [](std::string_view, std::string_view) { return ledger::Salt{}; },
        [&] { ++told; });
    const auto give = [&](std::int64_t minute) {
        ReadyBatch batch = bench.batch(minute, 0);
        batch.names = {"n" + std::to_string(minute) + ".se."};
        EXPECT_TRUE(seen.add(batch.names.front()));
        writer.take(std::move(batch));
    };
    give(1);
    EXPECT_EQ(told, 1U);
    bench.files.set_capacity(bench.files.used());
    for (std::int64_t minute = 2; minute < 5; ++minute) {
        give(minute);
    }
    EXPECT_EQ(bench.outbox->unsent().size(), 1U);
    bench.files.set_capacity(1ULL << 40U);
    give(5);
    EXPECT_EQ(bench.outbox->unsent().size(), 5U);
    for (std::uint64_t index = 0; index < 5; ++index) {
        EXPECT_EQ(bench.outbox->reopen(index)->time.seconds(),
                  60 * static_cast<std::int64_t>(index + 1));
    }
    EXPECT_EQ(told, 2U);
    EXPECT_EQ(bench.lost("not_written"), 0);

    bench.files.set_capacity(bench.files.used());
    for (std::int64_t minute = 6; minute < 6 + 62; ++minute) {
        give(minute);
    }
    EXPECT_EQ(bench.lost("not_written"), 2) << "60 are kept";
    EXPECT_TRUE(seen.add("n6.se.")) << "the oldest is gone, and its name may leave again";
    EXPECT_FALSE(seen.add("n8.se.")) << "under way";
    writer.finish();
    EXPECT_EQ(bench.lost("not_written"), 62);
    EXPECT_TRUE(seen.add("n8.se."));
    EXPECT_FALSE(seen.add("n5.se.")) << "released";
    bench.expect_sound();
}

TEST(Outbox, BringsInTheLeafOfAFolderThatACrashLeft) {
    Bench bench;
    ASSERT_TRUE(bench.put(1).has_value());
    // The crash: the ledger as it was before, the folder there.
    Bench crashed;
    for (const char* name : {"leaf.json", "openings.jsonl", "new_qname.json",
                             "dns_histogram-1970-01-01T00-01-00Z_1970-01-01T00-02-00Z.parquet"}) {
        const std::string path = std::string(dir) + "/batches/0000000000/" + name;
        ASSERT_TRUE(crashed.files.make_directories(std::string(dir) + "/batches/0000000000"));
        ASSERT_TRUE(crashed.files.write_atomically(path, *bench.files.read(path, 1U << 20U)));
    }
    crashed.restart();
    EXPECT_EQ(crashed.ledger->size(), 1U);
    EXPECT_EQ(crashed.outbox->unsent(), Indexes{0});
    EXPECT_TRUE(crashed.outbox->reopen(0).has_value());
    ASSERT_TRUE(crashed.put(2).has_value());
    EXPECT_EQ(crashed.outbox->unsent(), (Indexes{0, 1}));
    crashed.expect_sound();
}

// Refuses to write what lies in the ledger.
class LedgerlessFiles final : public world::MemoryFiles {
public:
    Result<void> write_atomically(const std::string& path, ByteView content,
                                  world::FileMode mode) override {
        if (is_refusing && path.find("/ledger/") != std::string::npos) {
            return fail(Code::exhausted, "No space left on device");
        }
        return MemoryFiles::write_atomically(path, content, mode);
    }
    bool is_refusing = false;
};

// A note must not take the place in the ledger of a batch that was accepted before it.
TEST(Outbox, NotesWhatDoesNotLeaveBehindTheBatchThatWaitsForTheLedger) {
    LedgerlessFiles files;
    Bench bench(files);
    ASSERT_TRUE(bench.put(1).has_value());
    files.is_refusing = true;
    ASSERT_TRUE(bench.put(2).has_value()) << "accepted: its folder is there";
    EXPECT_EQ(bench.ledger->size(), 1U);
    const auto noted =
        session_leaf({.time = UtcTime::from_seconds(120), .key_id = "k"}, {}, {},
                     [](std::string_view, std::string_view) { return ledger::Salt{}; });
    EXPECT_FALSE(bench.outbox->note(*noted).has_value());
    files.is_refusing = false;
    ASSERT_TRUE(bench.outbox->note(*noted).has_value());
    ASSERT_TRUE(bench.put(3).has_value());
    EXPECT_EQ(bench.outbox->unsent(), (Indexes{0, 1, 3}));
    EXPECT_EQ(bench.ledger->leaf(1)->kind, "batch");
    EXPECT_EQ(bench.ledger->leaf(2)->kind, "sessions");
    EXPECT_TRUE(bench.outbox->reopen(1).has_value());
    EXPECT_TRUE(bench.outbox->reopen(3).has_value());
    bench.expect_sound();
    bench.restart();
    EXPECT_EQ(bench.outbox->unsent(), (Indexes{0, 1, 3}));
}

TEST(Ledger, DoesNotBeginAnewWhereACheckpointWasLost) {
    Bench bench;
    ASSERT_TRUE(bench.put(1).has_value());
    ASSERT_TRUE(bench.put(2).has_value());
    ASSERT_TRUE(bench.files.remove("/state/ledger/checkpoint").has_value());
    const auto opened = EdgeLedger::open(bench.files, "/state/ledger", bench.key);
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().what().find("expected a checkpoint"), std::string::npos);
}

TEST(Outbox, ForgetsPartsAndKeepsToItsLimits) {
    Bench bench;
    bench.settings.size_max = 30'000;
    bench.restart();
    ASSERT_TRUE(bench.files.make_directories(std::string(dir) + "/batches/0000000000.part"));
    bench.restart();
    EXPECT_FALSE(bench.files.exists(std::string(dir) + "/batches/0000000000.part"));
    for (std::int64_t minute = 1; minute <= 6; ++minute) {
        ASSERT_TRUE(bench.put(minute).has_value());
    }
    bench.outbox->tidy(UtcTime::from_seconds(400));
    EXPECT_GT(bench.lost("no_room"), 0);
    EXPECT_EQ(bench.outbox->unsent().back(), 5U) << "the oldest go first";
    bench.outbox->settle(5, Settled::sent, UtcTime::from_seconds(400));
    bench.outbox->tidy(UtcTime::from_seconds(8 * 86'400));
    EXPECT_GT(bench.lost("too_old"), 0);
    EXPECT_TRUE(bench.outbox->unsent().empty());
    EXPECT_FALSE(bench.files.exists(std::string(dir) + "/batches/0000000005"));
    bench.restart();
    EXPECT_TRUE(bench.outbox->unsent().empty());
}

// Answers what it was told to, then `accepted`.
class ScriptedOutlet final : public Outlet {
public:
    SendOutcome send(const privacy::Released<privacy::Payload>& payload,
                     const SendOptions& options) override {
        const std::lock_guard lock(mutex_);
        Sent answer = Sent::accepted;
        if (!script.empty()) {
            answer = script.front();
            script.pop_front();
        }
        calls.push_back(payload.value().name);
        created.push_back(options.created);
        SendOutcome outcome{.sent = answer, .detail = "scripted"};
        outcome.retry_after = retry_after;
        return outcome;
    }
    void cancel() override {}
    std::size_t call_count() {
        const std::lock_guard lock(mutex_);
        return calls.size();
    }

    std::deque<Sent> script;
    Duration retry_after{};
    std::vector<std::string> calls;
    std::vector<UtcTime> created;

private:
    std::mutex mutex_;
};

TEST(Sender, SendsInOrderAgainAfterFailuresAndNothingTwice) {
    Bench bench;
    for (std::int64_t minute = 1; minute <= 3; ++minute) {
        ASSERT_TRUE(bench.put(minute).has_value());
    }
    world::ManualClock clock(UtcTime::from_seconds(300));
    world::SeededChance chance(1);
    ScriptedOutlet outlet;
    // The first payload goes, the second does not; the third of all is refused for ever.
    outlet.script = {Sent::accepted, Sent::unavailable, Sent::busy,
                     Sent::denied,   Sent::accepted,    Sent::refused};
    SendSteps steps({*bench.outbox, outlet, clock, chance, bench.log, bench.counters, {}});
    world::StepThread sender(clock, [&] { return steps.work(); });
    // The clock may be moved before the sender begins to wait: so again and again.
    wait_until([&] {
        clock.advance(1s);
        return bench.outbox->unsent().empty();
    });
    sender.stop();
    EXPECT_EQ(outlet.calls.size(), 9U) << "six payloads and three that were tried again";
    EXPECT_NE(outlet.calls.at(0), outlet.calls.at(1));
    EXPECT_EQ(outlet.calls.at(1), outlet.calls.at(4));
    EXPECT_EQ(outlet.created.at(0), UtcTime::from_seconds(60)) << "the batch's time";
    EXPECT_EQ(bench.counters.value("tapir_edge_batches_total"), 2);
    EXPECT_EQ(bench.counters.value("tapir_edge_uploads_total{outcome=\"refused\"}"), 1);
    EXPECT_NE(bench.lines.find("refuses a payload"), std::string::npos);
    EXPECT_TRUE(bench.files.exists(std::string(dir) + "/batches/0000000001/refused"));
}

TEST(Sender, SendsAllOfABatchAlsoAfterAnotherWentAwayHalfSent) {
    Bench bench;
    ASSERT_TRUE(bench.put(1).has_value());
    world::ManualClock clock(UtcTime::from_seconds(300));
    world::SeededChance chance(1);
    ScriptedOutlet outlet;
    outlet.script = {Sent::accepted, Sent::unavailable};
    SendSteps steps({*bench.outbox, outlet, clock, chance, bench.log, bench.counters, {}});
    world::StepThread sender(clock, [&] { return steps.work(); });
    wait_until([&] { return outlet.call_count() == 2; });
    bench.outbox->tidy(UtcTime::from_seconds(30 * 86'400));
    EXPECT_EQ(bench.lost("too_old"), 1);
    ASSERT_TRUE(bench.put(2).has_value());
    wait_until([&] {
        clock.advance(1s);
        return bench.outbox->unsent().empty();
    });
    sender.stop();
    EXPECT_EQ(outlet.calls.size(), 4U) << "two of the first, two of the second";
}

TEST(Sender, WaitsAsLongAsTheCoreAsks) {
    Bench bench;
    ASSERT_TRUE(bench.put(1).has_value());
    world::ManualClock clock(UtcTime::from_seconds(300));
    world::SeededChance chance(1);
    ScriptedOutlet outlet;
    outlet.script = {Sent::busy, Sent::busy, Sent::busy};
    SendSteps steps({*bench.outbox, outlet, clock, chance, bench.log, bench.counters, {}});
    outlet.retry_after = 120s;
    EXPECT_EQ(steps.work(), 120s);
    clock.advance(119s);
    EXPECT_EQ(steps.work(), 1s);
    EXPECT_EQ(outlet.call_count(), 1U);
    outlet.retry_after = 30 * 24h;
    clock.advance(1s);
    EXPECT_EQ(steps.work(), 1h) << "an hour at most";
    outlet.retry_after = {};
    clock.advance(1h);
    EXPECT_LE(steps.work(), 4s) << "its own pause again";
}

TEST(Outbox, KeepsWhatWasSentSinceItWasSentAndWhatWasRefusedForLonger) {
    Bench bench;
    const UtcTime late = UtcTime::from_seconds(0) + 5 * 24h;
    ASSERT_TRUE(bench.put(1).has_value());
    ASSERT_TRUE(bench.put(2).has_value());
    bench.outbox->settle(0, Settled::sent, late);  // after five days in the outbox
    bench.outbox->settle(1, Settled::refused, late);
    const auto is_there = [&bench](int index) {
        return bench.files.exists(std::string(dir) + "/batches/000000000" + std::to_string(index));
    };
    bench.restart();
    bench.outbox->tidy(late + 23h);
    EXPECT_TRUE(is_there(0)) << "a day since it was sent is not over";
    bench.outbox->tidy(late + 25h);
    EXPECT_FALSE(is_there(0));
    EXPECT_TRUE(is_there(1)) << "somebody must look at it";
    bench.outbox->tidy(late + 8 * 24h);
    EXPECT_FALSE(is_there(1));
    EXPECT_EQ(bench.lost("too_old"), 0);
}

TEST(Sender, SendsAtItsSecondOnly) {
    Bench bench;
    ASSERT_TRUE(bench.put(1).has_value());
    world::ManualClock clock(UtcTime::from_seconds(300));
    world::SeededChance chance(1);
    ScriptedOutlet outlet;
    SendSteps steps(
        {*bench.outbox, outlet, clock, chance, bench.log, bench.counters, [] { return 17U; }});
    world::StepThread sender(clock, [&] { return steps.work(); });
    for (int second = 0; second < 16; ++second) {
        clock.advance(1s);
        sender.notify();
    }
    EXPECT_EQ(outlet.call_count(), 0U);
    wait_until([&] {
        clock.advance(1s);
        return bench.outbox->unsent().empty();
    });
    sender.stop();
}

TEST(SendSteps, NeedNoThread) {
    Bench bench;
    world::ManualClock clock(UtcTime::from_seconds(300));
    world::SeededChance chance(1);
    ScriptedOutlet outlet;
    outlet.script = {Sent::unavailable};
    SendSteps steps(
        {*bench.outbox, outlet, clock, chance, bench.log, bench.counters, [] { return 17U; }});
    EXPECT_EQ(steps.work(), 60s) << "nothing waits";
    ASSERT_TRUE(bench.put(1).has_value());
    EXPECT_EQ(steps.work(), 17s);
    clock.advance(16s);
    EXPECT_EQ(steps.work(), 1s);
    EXPECT_EQ(outlet.call_count(), 0U);
    clock.advance(1s);
    const Duration pause = steps.work();
    EXPECT_EQ(outlet.call_count(), 1U);
    EXPECT_GE(pause, 500ms);
    EXPECT_LE(pause, 1s);
    clock.advance(pause);
    EXPECT_GT(steps.work(), 58s) << "again at its second";
    clock.advance(60s);
    EXPECT_EQ(steps.work(), Duration());
    EXPECT_TRUE(bench.outbox->unsent().empty());
    ASSERT_TRUE(bench.put(2).has_value());
    steps.cancel();
    clock.advance(120s);
    steps.work();
    EXPECT_EQ(bench.outbox->unsent().size(), 1U) << "nothing is sent any more";
}

TEST(Sender, DoesNotCallTakenWhatStaysHere) {
    Bench bench;
    ASSERT_TRUE(bench.put(1).has_value());
    ASSERT_TRUE(bench.put(2).has_value());
    world::ManualClock clock(UtcTime::from_seconds(300));
    world::SeededChance chance(1);
    ScriptedOutlet outlet;
    outlet.script = {Sent::accepted, Sent::unrouted};
    SendSteps steps({*bench.outbox, outlet, clock, chance, bench.log, bench.counters, {}});
    steps.work();
    EXPECT_TRUE(bench.outbox->unsent().empty());
    EXPECT_EQ(bench.counters.value("tapir_edge_batches_total"), 1) << "the second alone";
    EXPECT_EQ(bench.counters.value("tapir_edge_uploads_total{outcome=\"unrouted\"}"), 1);
    EXPECT_EQ(bench.counters.value("tapir_edge_uploads_total{outcome=\"accepted\"}"), 3);
}

// A core in memory with a word on each event, asked over HTTP as the sender does.
class RejectingCore : public ::testing::TestWithParam<std::pair<int, std::string>> {};

TEST_P(RejectingCore, HasItsRejectionsCounted) {
    const auto& [status, word] = GetParam();
    Bench bench;
    ASSERT_TRUE(bench.put(1, 4).has_value());
    net::HttpRoutes core;
    core.add(
        {.method = "POST",
         .path = "/api/v1/event/new_qname",
         .body_size_max = 1U << 20U,
         .handle = [&](const net::HttpRequest&) { return net::HttpResponse::text(status, word); },
         .subscribe = {}});
    core.add({.method = "POST",
              .path = "/api/v1/aggregate/*",
              .body_size_max = 1U << 20U,
              .handle = [](const net::HttpRequest&) { return net::HttpResponse::text(201, "[]"); },
              .subscribe = {}});
    const auto client = net::open_memory_http_client(core, "edge");
    const jose::PrivateJwk key = public_test_signing_key();
    OutletSettings settings;
    settings.url = "http://core.invalid";
    const auto outlet = Outlet::over(*client, settings, key).take();
    world::ManualClock clock(UtcTime::from_seconds(300));
    world::SeededChance chance(1);
    SendSteps steps({*bench.outbox, *outlet, clock, chance, bench.log, bench.counters, {}});
    steps.work();
    EXPECT_TRUE(bench.outbox->unsent().empty());
    EXPECT_EQ(bench.counters.value("tapir_edge_events_rejected_total"), 3);
    EXPECT_NE(bench.lines.find("in_future"), std::string::npos);
}

// It lists some of them, never more than a thousand; if it keeps none, it answers 400.
INSTANTIATE_TEST_SUITE_P(
    Sender, RejectingCore,
    ::testing::Values(
        std::pair{202,
                  R"({"accepted":1,"duplicate":0,"rejected":[{"index":0,"reason":"in_future"}]})"},
        std::pair{202,
                  R"({"accepted":0,"duplicate":1,"rejected":[{"index":0,"reason":"in_future"},)"
                  R"({"index":1,"reason":"too_old"},{"index":2,"reason":"too_old"}]})"},
        std::pair{
            400, R"({"accepted":0,"duplicate":1,"rejected":[{"index":3,"reason":"in_future"}]})"}));

TEST(Sender, NeverSendsWhatIsNotAsTheLedgerSays) {
    Bench bench;
    ASSERT_TRUE(bench.put(1).has_value());
    const std::string path = std::string(dir) + "/batches/0000000000/new_qname.json";
    ASSERT_TRUE(bench.files.write_atomically(path, as_bytes("[\"planted\"]")));
    world::ManualClock clock(UtcTime::from_seconds(300));
    world::SeededChance chance(1);
    ScriptedOutlet outlet;
    SendSteps steps({*bench.outbox, outlet, clock, chance, bench.log, bench.counters, {}});
    world::StepThread sender(clock, [&] { return steps.work(); });
    wait_until([&] { return bench.outbox->unsent().empty(); });
    sender.stop();
    EXPECT_EQ(outlet.call_count(), 0U);
    EXPECT_EQ(bench.lost("altered"), 1);
    EXPECT_NE(bench.lines.find("is not as the ledger says"), std::string::npos);
}

}  // namespace
}  // namespace tapir::edge
