#include "tapir/edge/edge.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "batch_leaf.hpp"
#include "input.hpp"
#include "live_keys.hpp"
#include "metrics_page.hpp"
#include "outbox.hpp"
#include "sender.hpp"
#include "setup.hpp"
#include "tapir/store/store.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t usual_batch_s = 60;
constexpr std::size_t batches_to_write_max = 16;
constexpr Duration tidy_every = 60s;

// Takes batches from the collector's thread and puts them on the disk in its own, so that a slow
// disk does not hold up the counting.
class BatchWriter final : public BatchSink {
public:
    // `waker` is told of each batch that was written.
    BatchWriter(Outbox& outbox, LeafContext context, SaltSource salts, world::Waiter& waker)
        : outbox_(outbox),
          waker_(waker),
          context_(std::move(context)),
          salts_(std::move(salts)),
          batches_(batches_to_write_max),
          thread_([this] { run(); }) {}
    BatchWriter(const BatchWriter&) = delete;
    BatchWriter& operator=(const BatchWriter&) = delete;
    ~BatchWriter() override { finish(); }

    void take(ReadyBatch&& batch) override { batches_.push(std::move(batch)); }
    // All that was taken is on the disk.
    void finish() {
        batches_.close();
        if (thread_.joinable()) {
            thread_.join();
        }
    }

private:
    void run() {
        while (const auto batch = batches_.pop()) {
            // What goes wrong is counted and logged there, and the next batch is another matter.
            static_cast<void>(outbox_.put(*batch, context_, salts_));
            waker_.notify();
        }
    }

    Outbox& outbox_;
    world::Waiter& waker_;
    const LeafContext context_;
    const SaltSource salts_;
    BoundedQueue<ReadyBatch> batches_;
    std::thread thread_;
};

struct LiveProfile {
    privacy::Profile profile = privacy::Profile::standard;
    std::optional<UtcTime> ends;  // of a consent
};

LiveProfile live_profile(const text::Settings& settings, world::Files& files, UtcTime now,
                         const Log& log) {
    const privacy::Profile wanted = profile_of(settings);
    if (wanted != privacy::Profile::compatible) {
        return {.profile = wanted, .ends = {}};
    }
    const auto ends = consent_end(files, settings.string("release.consent"), now);
    if (!ends || now >= *ends) {
        log.error("edge",
                  "profile compatible without a valid consent (release.consent): falls back to "
                  "standard",
                  {{"reason",
                    ends ? std::string("lapsed at ") + ends->to_string() : ends.error().what()}});
        return {};
    }
    log.warn("edge",
             "profile compatible: counts without thresholds and whole names leave this edge",
             {{"until", ends->to_string()}});
    return {.profile = wanted, .ends = *ends};
}

// Everything that lives as long as the daemon, in the order in which it is needed.
class Daemon {
public:
    Daemon(const text::Settings& settings, std::string version, const Log& log)
        : settings_(settings), version_(std::move(version)), log_(log), metrics_(counters_) {}

    Result<void> open();
    // True: a stop was asked for. False: the consent has lapsed, begin anew.
    Result<bool> run_profile(world::Stop& stop);

private:
    Result<void> open_outlet();
    bool follow_clock(Pipeline& pipeline, const LiveProfile& profile, std::int64_t interval_s,
                      world::Stop& stop);
    SaltSource salts();

    const text::Settings& settings_;
    const std::string version_;
    const Log& log_;
    world::SystemClock clock_;
    world::Waiter waker_{clock_};  // the sender's
    world::SystemFiles files_;
    world::SystemChance chance_;
    Counters counters_;
    EdgeMetrics metrics_;
    std::shared_ptr<const jose::PrivateJwk> key_;  // others point to it
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<EdgeLedger> ledger_;
    std::unique_ptr<Outbox> outbox_;
    std::unique_ptr<Outlet> outlet_;
    std::unique_ptr<MetricsPage> page_;
    std::string day_key_path_;
};

Result<void> Daemon::open() {
    key_ = std::make_shared<const jose::PrivateJwk>(
        TRY(signing_key(files_, settings_, KeyFiles::guarded)));
    const std::string& state = settings_.string("state.dir");
    if (const auto made = files_.make_directories(state); !made) {
        return settings_.refuse("state.dir", "a folder that this user can write",
                                made.error().what());
    }
    day_key_path_ = state + "/day.key";
    auto store = store::open_rocksdb(state + "/store", {std::string(seen_family)});
    if (!store) {
        return settings_.refuse("state.dir", "a folder of this edge alone", store.error().what());
    }
    store_ = std::move(*store);
    ledger_ = TRY(EdgeLedger::open(files_, state + "/ledger", *key_));
    OutboxSettings outbox;
    outbox.size_max = settings_.size("outbox.size_max");
    outbox.age_max = settings_.duration("outbox.age_max");
    outbox.sent_age_max = settings_.duration("sent.age_max");
    outbox_ = TRY(Outbox::open(files_, state, *ledger_, outbox, log_, counters_));
    TRY(open_outlet());
    if (const std::string& listen = settings_.string("metrics.listen"); !listen.empty()) {
        auto page = MetricsPage::open(listen, log_, counters_);
        if (!page) {
            return settings_.refuse("metrics.listen", "a free address and port",
                                    page.error().what());
        }
        page_ = std::move(*page);
    }
    return {};
}

Result<void> Daemon::open_outlet() {
    OutletSettings outlet;
    outlet.url = settings_.string("core.url");
    if (outlet.url.empty()) {
        log_.warn("edge", "core.url is not set: what may leave stays in the outbox");
        return {};
    }
    outlet.ca_file = settings_.string("core.ca");
    outlet.certificate_file = settings_.string("core.cert");
    outlet.key_file = settings_.string("core.key");
    auto opened = Outlet::open(outlet, *key_);
    if (!opened) {
        return settings_.refuse("core.url", "a core that can be spoken to", opened.error().what());
    }
    outlet_ = std::move(*opened);
    return {};
}

SaltSource Daemon::salts() {
    return [this](std::string_view /*batch*/, std::string_view /*name*/) {
        return chance_.bytes<ledger::salt_size>();
    };
}

UtcTime floor_to(UtcTime time, std::int64_t interval_s) {
    return UtcTime::from_seconds(time.seconds() / interval_s * interval_s);
}

// Turns minutes and cuts batches until a stop (true) or the end of a consent (false).
bool Daemon::follow_clock(Pipeline& pipeline, const LiveProfile& profile, std::int64_t interval_s,
                          world::Stop& stop) {
    UtcTime open = floor_to(clock_.now(), interval_s);
    std::int64_t day = pipeline.day()->number;
    Duration tidied = clock_.monotonic();
    while (!stop.requested()) {
        const UtcTime next_second = clock_.now().second() + 1s;
        stop.wait_for(std::max<Duration>(next_second - clock_.now(), 1ms));
        const UtcTime now = clock_.now();
        pipeline.tick(now);
        metrics_.add(pipeline.take_dispatcher_fates());
        if (const UtcTime current = floor_to(now, interval_s); current > open) {
            pipeline.cut(open);
            open = current;
        }
        if (const auto today = pipeline.day(); today->number != day) {
            day = today->number;
            if (const auto written = write_day_key(files_, day_key_path_, *today); !written) {
                log_.error("edge", "the new day's key cannot be written: the old one stays on disk",
                           {{"reason", written.error().what()}});
            }
        }
        if (clock_.monotonic() - tidied > tidy_every) {
            tidied = clock_.monotonic();
            outbox_->tidy(now);
        }
        if (profile.ends && now >= *profile.ends) {
            log_.error("edge",
                       "the consent to profile compatible has lapsed: standard from now on");
            return false;
        }
    }
    return true;
}

Result<bool> Daemon::run_profile(world::Stop& stop) {
    const LiveProfile profile = live_profile(settings_, files_, clock_.now(), log_);
    const auto lists = TRY(load_lists(files_, settings_, profile.profile));
    const bool is_lab = settings_.integer("release.batch_s") != usual_batch_s;
    const std::int64_t interval_s =
        is_lab ? settings_.integer("release.batch_s")
               : privacy::rule_for(privacy::Product::new_qname, profile.profile).time_s;
    if (is_lab) {
        log_.warn("edge",
                  "release.batch_s is below 60: batches tell more of when than they may. For the "
                  "lab only, never with real users",
                  {{"seconds", interval_s}});
    }
    BatchWriter writer(*outbox_, leaf_context(settings_, profile.profile, *lists, version_),
                       salts(), waker_);
    Seen seen(*store_, log_, counters_);
    CollectorSettings collecting;
    collecting.gate = gate_settings(settings_, profile.profile);
    collecting.cuts_by_data = false;
    Collector collector(collecting, lists, seen, *key_, metrics_, log_, writer);

    auto keys = open_day_keys(files_, day_key_path_, clock_.now(), chance_);
    if (!keys) {
        return settings_.refuse("state.dir", "a folder with a usable day.key, or none",
                                keys.error().what());
    }
    PipelineSettings piping;
    piping.workers = static_cast<std::size_t>(settings_.integer("workers"));
    piping.drops_when_full = true;
    piping.worker = worker_settings(settings_, profile.profile);
    Pipeline pipeline(piping, lists, std::move(*keys), DataClock::live(clock_.now()), collector);

    std::unique_ptr<Sender> sender;
    if (outlet_) {
        SenderParts parts{*outbox_, *outlet_, waker_, clock_, chance_, log_, counters_, {}};
        if (!is_lab) {
            parts.second = [&pipeline] { return pipeline.day()->gate->batch_second(); };
        }
        sender = std::make_unique<Sender>(parts);
    }
    std::vector<std::unique_ptr<Input>> inputs;
    for (const char* key : {"input.unix", "input.tcp"}) {
        const std::string& at = settings_.string(key);
        if (at.empty()) {
            continue;
        }
        auto input = Input::open(at, pipeline, log_, counters_);
        if (!input) {
            return settings_.refuse(key, "a place to listen", input.error().what());
        }
        inputs.push_back(std::move(*input));
    }
    log_.info("edge", "ready", {{"profile", privacy::to_string(profile.profile)}});
    const bool is_stopped = follow_clock(pipeline, profile, interval_s, stop);
    for (const auto& input : inputs) {
        input->stop();
    }
    pipeline.finish();
    metrics_.add(pipeline.take_dispatcher_fates());
    collector.finish({}, floor_to(clock_.now(), interval_s));
    writer.finish();
    if (sender) {
        sender->stop();
    }
    log_.info("edge", "everything that was accepted is in the outbox",
              {{"batches", outbox_->unsent().size()}});
    return is_stopped;
}

}  // namespace

Result<void> run(const text::Settings& settings, const std::string& version, world::Stop& stop,
                 const Log& log) {
    if (const auto forbidden = world::forbid_core_dumps(); !forbidden) {
        log.warn("edge", "core dumps cannot be forbidden", {{"reason", forbidden.error().what()}});
    }
    Daemon daemon(settings, version, log);
    TRY(daemon.open());
    while (!TRY(daemon.run_profile(stop))) {
    }
    return {};
}

}  // namespace tapir::edge
