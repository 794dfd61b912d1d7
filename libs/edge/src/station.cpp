#include "tapir/edge/station.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <utility>

#include "batch_writer.hpp"
#include "event_signer.hpp"
#include "gauges.hpp"
#include "group_link.hpp"
#include "live_keys.hpp"
#include "memory_plan.hpp"
#include "outbox.hpp"
#include "outlet.hpp"
#include "reload.hpp"
#include "run_mark.hpp"
#include "seen.hpp"
#include "seen_import.hpp"
#include "sender.hpp"
#include "sessions.hpp"
#include "setup.hpp"
#include "status.hpp"
#include "suspect_journal.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t usual_batch_s = 60;
constexpr Duration tidy_every = 60s;
constexpr Duration set_back_max = std::chrono::seconds(lateness_s_max);  // of the clock

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

UtcTime floor_to(UtcTime time, std::int64_t interval_s) {
    return UtcTime::from_seconds(time.seconds() / interval_s * interval_s);
}

// What lives from begin() to end(), in the order in which it is needed.
struct Counting {
    LiveProfile profile;
    std::int64_t interval_s = usual_batch_s;
    std::unique_ptr<Seen> seen;
    std::unique_ptr<Wildcards> wildcards;
    std::unique_ptr<PersonReleases> requests;
    std::shared_ptr<const Lists> lists;
    std::unique_ptr<SeenFolder> known;  // lists of what counts as seen
    std::unique_ptr<BatchWriter> writer;
    std::unique_ptr<BatchQueue> writing;  // where there are threads for it
    std::unique_ptr<EventSigner> signer;
    std::unique_ptr<BatchQueue> signing;
    std::unique_ptr<RowGate> rows;
    std::unique_ptr<RowQueue> gating;
    std::unique_ptr<SuspectJournal> journal;
    std::unique_ptr<Suspects> suspects;
    std::unique_ptr<Collector> collector;
    std::unique_ptr<Pipeline> pipeline;
    std::unique_ptr<Reloader> reloader;
    UtcTime open;                  // the interval whose batch is cut next
    UtcTime latest;                // that the clock has said
    bool is_set_back = false;      // ... over a midnight, and that has been said
    std::int64_t day = 0;          // whose key is on the disk
    std::int64_t day_refused = 0;  // whose key the disk has refused
    Duration tidied{};
};

}  // namespace

std::vector<std::string> store_families() {
    return {std::string(seen_family), std::string(wildcard_family)};
}

// In the order in which each is needed.
struct Station::Impl {
    Impl(const text::Settings& s, std::string v, const StationPorts& p, StationOptions o)
        : settings(s),
          version(std::move(v)),
          ports(p),
          options(std::move(o)),
          metrics(p.counters),
          gauges(p.counters, version),
          board(version, p.clock.now()),
          is_lab(s.integer("release.batch_s") != usual_batch_s) {}

    Result<void> open();
    Result<void> open_outlet();
    Result<void> open_mqtt();
    Result<void> open_group();
    // The seconds of the minute at which batches leave and the aggregator is spoken to.
    void fix_seconds(const privacy::GateKey& gate);
    CollectorSettings collecting(privacy::Profile profile);
    Result<DayKeys> read_day_keys();
    void keep_day_key();
    bool is_set_back(UtcTime now);
    void take_requests(UtcTime now);
    void open_suspects(Counting& with, UtcTime now) const;
    void show_status(UtcTime now);
    // Parts of begin().
    std::int64_t batch_interval(privacy::Profile profile) const;
    Result<void> open_stores(Counting& parts, const MemoryPlan& memory);
    BatchSink& open_writer(Counting& parts, const SaltSource& salts);
    RowSink& open_rows(Counting& parts, const CollectorSettings& collecting, BatchSink& sink);
    PipelineSettings pipeline_settings(privacy::Profile profile);

    // What may have changed since the start is in force from here.
    const text::Settings& settings_now() const { return reloaded ? *reloaded : settings; }

    const text::Settings& settings;
    std::optional<text::Settings> reloaded;
    const std::string version;
    const StationPorts ports;
    const StationOptions options;
    EdgeMetrics metrics;
    Gauges gauges;
    StatusBoard board;
    const bool is_lab;
    std::string day_key_path;
    std::unique_ptr<const jose::PrivateJwk> key;
    std::unique_ptr<EdgeLedger> ledger;
    std::unique_ptr<Outbox> outbox;
    std::unique_ptr<Sessions> sessions;
    std::unique_ptr<Outlet> outlet;
    std::unique_ptr<SendSteps> sending;
    std::atomic<unsigned> second{0};  // of the minute, at which batches leave today
    std::unique_ptr<GroupOutlet> group_outlet;
    std::unique_ptr<GroupLink> group;
    std::atomic<unsigned> group_second{0};
    std::unique_ptr<Counting> counting;
    std::optional<RunMark> mark;
};

Result<void> Station::Impl::open() {
    key = std::make_unique<const jose::PrivateJwk>(
        TRY(signing_key(ports.files, settings, KeyFiles::guarded)));
    const std::string& state = settings.string("state.dir");
    day_key_path = edge::day_key_path(settings);
    ledger = TRY(EdgeLedger::open(ports.files, state + "/ledger", *key));
    OutboxSettings keeping;
    keeping.size_max = settings.size("outbox.size_max");
    keeping.age_max = settings.duration("outbox.age_max");
    keeping.sent_age_max = settings.duration("sent.age_max");
    outbox = TRY(Outbox::open(ports.files, state, *ledger, keeping, ports.log, ports.counters));
    TRY(open_group());
    // What waits from before leaves at the day's second too (R6).
    fix_seconds(*TRY(read_day_keys()).current()->gate);
    sessions = TRY(Sessions::open(settings, ports.clock.now(),
                                  {ports.files, ports.chance, ports.log, ports.counters}));
    return open_outlet();
}

Result<DayKeys> Station::Impl::read_day_keys() {
    auto keys = open_day_keys(ports.files, day_key_path, ports.clock.now(), ports.chance);
    if (!keys && !settings.string("aggregation.url").empty()) {
        return settings.refuse("aggregation.group_key", "a usable key file", keys.error().what());
    }
    if (!keys) {
        return settings.refuse("state.dir", "a folder with a usable day.key, or none",
                               keys.error().what());
    }
    return keys;
}

Result<void> Station::Impl::open_outlet() {
    OutletSettings to;
    to.url = settings.string("core.url");
    if (!to.url.empty()) {
        to.ca_file = settings.string("core.ca");
        to.certificate_file = settings.string("core.cert");
        to.key_file = settings.string("core.key");
        if (!to.key_file.empty()) {
            TRY(guarded_key_file(ports.files, settings, "core.key"));
        }
        auto opened = ports.http_client != nullptr ? Outlet::over(*ports.http_client, to, *key)
                                                   : Outlet::open(to, *key);
        if (!opened) {
            return settings.refuse("core.url", "a core that can be spoken to",
                                   opened.error().what());
        }
        outlet = std::move(*opened);
    }
    TRY(open_mqtt());
    if (!outlet) {
        ports.log.warn("edge",
                       "neither core.url nor mqtt.url is set: what may leave stays in the outbox");
        return {};
    }
    SenderParts parts{*outbox, *outlet, ports.clock, ports.chance, ports.log, ports.counters, {}};
    if (!is_lab) {
        parts.second = [this] { return second.load(); };
    }
    sending = std::make_unique<SendSteps>(parts);
    return {};
}

// In front of what there is: events go to the broker.
Result<void> Station::Impl::open_mqtt() {
    const MqttSettings over = TRY(read_mqtt_settings(settings, ports.files));
    if (over.url.empty()) {
        return {};
    }
    const MqttParts with{ports.clock, ports.chance, ports.log, ports.counters};
    auto opened = ports.publisher != nullptr
                      ? Outlet::over_mqtt(*ports.publisher, over, *key, std::move(outlet), with)
                      : Outlet::open_mqtt(over, *key, std::move(outlet), with);
    if (!opened) {
        return settings.refuse("mqtt.url", "a broker that can be spoken to", opened.error().what());
    }
    outlet = std::move(*opened);
    return {};
}

// The profile is the one asked for: a consent that lapses leads out of `compatible`, in which
// nothing is told, and a site that asked for it is in no group.
Result<void> Station::Impl::open_group() {
    const privacy::Profile profile = profile_of(settings);
    if (settings.string("aggregation.url").empty()) {
        return {};
    }
    const OutletSettings to = TRY(read_group_settings(settings, ports.files));
    // From the key of an edge that counted alone follow all its later ones: it is not used again.
    if (const std::string alone = settings.string("state.dir") + "/day.key";
        alone != day_key_path && ports.files.exists(alone)) {
        TRY(ports.files.remove(alone));
    }
    if (!is_in_group(settings, profile)) {
        ports.log.warn("edge",
                       "aggregation.url is set, but compatible has no thresholds to reach "
                       "together: nothing is told to the aggregator");
        return {};
    }
    if (ports.group_client != nullptr) {
        group_outlet = GroupOutlet::over(*ports.group_client, to);
    } else {
        auto opened = GroupOutlet::open(to);
        if (!opened) {
            return settings.refuse("aggregation.url", "an aggregator that can be spoken to",
                                   opened.error().what());
        }
        group_outlet = std::move(*opened);
    }
    GroupParts parts{*group_outlet, profile, ports.clock, ports.log, ports.counters, {}};
    if (is_lab) {
        parts.interval_s = settings.integer("release.batch_s");
    } else {
        parts.second = [this] { return group_second.load(); };
    }
    group = std::make_unique<GroupLink>(parts);
    return {};
}

void Station::Impl::fix_seconds(const privacy::GateKey& gate) {
    second = gate.batch_second();
    group_second = gate.group_second(key->kid());
}

CollectorSettings Station::Impl::collecting(privacy::Profile profile) {
    CollectorSettings out = collector_settings(settings, profile);
    out.gate.pending = options.pending;
    out.cuts_by_data = false;
    out.board = &board;
    out.group = group.get();
    return out;
}

// The day has turned: what is on the disk must not open the day before any more. Until it can be
// written it is tried again at each tick.
void Station::Impl::keep_day_key() {
    const auto today = counting->pipeline->day();
    if (today->number == counting->day) {
        return;
    }
    fix_seconds(*today->gate);
    if (const auto written = write_day_key(ports.files, day_key_path, *today); !written) {
        if (std::exchange(counting->day_refused, today->number) != today->number) {
            ports.log.error("edge",
                            "the new day's key cannot be written: the old one stays on disk until "
                            "it can",
                            {{"reason", written.error().what()}});
        }
        return;
    }
    counting->day = today->number;
}

// Whether the clock was set back so far that counting has to begin anew: minutes only go forward,
// so none would end, and nothing leave, before the clock is where it was. The key of a day that was
// left is gone: back over a midnight there is no other way than to wait.
bool Station::Impl::is_set_back(UtcTime now) {
    counting->latest = std::max(counting->latest, now);
    const Duration by = counting->latest - now;
    if (by <= set_back_max) {
        counting->is_set_back = false;
        return false;
    }
    if (now.day() == counting->latest.day()) {
        ports.log.error("edge",
                        "the clock was set back: what was counted goes out, and counting "
                        "begins anew",
                        {{"seconds", by / 1s}});
        return true;
    }
    if (!std::exchange(counting->is_set_back, true)) {
        ports.log.error("edge",
                        "the clock was set back over midnight: until it is there again everything "
                        "is counted as of one minute, and nothing leaves",
                        {{"seconds", by / 1s}});
    }
    return false;
}

// What the operator's people ask for, where names may be told apart at all.
void Station::Impl::take_requests(UtcTime now) {
    if (const auto& suffixes = counting->lists->suffixes) {
        for (PersonRelease& release : counting->requests->poll(*suffixes, now)) {
            counting->collector->add(std::move(release));
        }
    }
}

void Station::Impl::open_suspects(Counting& with, UtcTime now) const {
    const privacy::Profile profile = with.profile.profile;
    with.journal =
        std::make_unique<SuspectJournal>(ports.files, settings.string("state.dir") + "/suspects",
                                         SuspectJournalLimits{}, ports.log, ports.counters);
    SuspectSettings suspecting{.profile = profile,
                               .has_exception = has_threat_exception(settings, profile)};
    if (suspecting.has_exception) {
        suspecting.before = with.journal->granted_on(now);
        say_threat_exception(ports.log);
    }
    with.suspects =
        std::make_unique<Suspects>(suspecting, *with.seen, ports.counters, *with.journal);
}

void Station::Impl::show_status(UtcTime now) {
    constexpr std::size_t checkpoint_size_max = 65'536;
    // Of a log that is written beside us; what cannot be read is not shown.
    auto checkpoint =
        ports.files.read(settings.string("state.dir") + "/ledger/checkpoint", checkpoint_size_max);
    board.publish({.profile = privacy::to_string(counting->profile.profile),
                   .counters = ports.counters,
                   .log = ports.log,
                   .delay = gauges.delay(),
                   .loads = counting->pipeline->loads(),
                   .lists = counting->lists->files,
                   .checkpoint = checkpoint ? std::string(as_text(*checkpoint)) : std::string()},
                  now);
}

Station::Station(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Station::~Station() {
    end();
}

Result<std::unique_ptr<Station>> Station::open(const text::Settings& settings, std::string version,
                                               const StationPorts& ports, StationOptions options) {
    auto impl = std::make_unique<Impl>(settings, std::move(version), ports, std::move(options));
    TRY(impl->open());
    return std::unique_ptr<Station>(new Station(std::move(impl)));
}

std::int64_t Station::Impl::batch_interval(privacy::Profile profile) const {
    if (!is_lab) {
        return privacy::rule_for(privacy::Product::new_qname, profile).time_s;
    }
    const std::int64_t seconds = settings.integer("release.batch_s");
    ports.log.warn("edge",
                   "release.batch_s is below 60: batches tell more of when than they may. For "
                   "the lab only, never with real users",
                   {{"seconds", seconds}});
    return seconds;
}

// What remembers names and takes them in.
Result<void> Station::Impl::open_stores(Counting& parts, const MemoryPlan& memory) {
    const std::string& state = settings.string("state.dir");
    SeenSettings remembering = seen_settings(settings);
    remembering.under_way_max = memory.names_under_way_max;
    parts.seen = std::make_unique<Seen>(ports.store, remembering, ports.log, ports.counters);
    auto wildcards = TRY(Wildcards::open(ports.store, ports.chance, ports.log, ports.counters));
    parts.wildcards = std::make_unique<Wildcards>(std::move(wildcards));
    parts.requests = std::make_unique<PersonReleases>(ports.files, state + "/requests", *parts.seen,
                                                      ports.log, ports.counters);
    parts.known = std::make_unique<SeenFolder>(
        ports.files, state + "/import",
        [this] {
            std::vector<ListFile> report;
            return load_suffixes(ports.files, settings.string("lists.public_suffixes"), report);
        },
        *parts.seen, ports.log);
    parts.seen->tidy(ports.clock.now());
    return {};
}

BatchSink& Station::Impl::open_writer(Counting& parts, const SaltSource& salts) {
    parts.writer = std::make_unique<BatchWriter>(
        *outbox, *parts.seen, leaf_context(settings, parts.profile.profile, version), salts,
        options.on_batch, [this] { return sessions->make_room(); });
    BatchSink* written_by = parts.writer.get();
    if (options.writes_in_background) {
        parts.writing = std::make_unique<BatchQueue>(*parts.writer);
        written_by = parts.writing.get();
    }
    parts.signer = std::make_unique<EventSigner>(parts.profile.profile, *key, *parts.seen, metrics,
                                                 ports.log, *written_by, worker_count(settings));
    if (!options.writes_in_background) {
        return *parts.signer;
    }
    parts.signing = std::make_unique<BatchQueue>(*parts.signer);
    return *parts.signing;
}

RowSink& Station::Impl::open_rows(Counting& parts, const CollectorSettings& collecting,
                                  BatchSink& sink) {
    parts.rows = std::make_unique<RowGate>(collecting, metrics, ports.log, sink);
    if (!options.writes_in_background) {
        return *parts.rows;
    }
    parts.gating = std::make_unique<RowQueue>(*parts.rows);
    return *parts.gating;
}

PipelineSettings Station::Impl::pipeline_settings(privacy::Profile profile) {
    PipelineSettings piping;
    piping.workers = worker_count(settings);
    piping.drops_when_full = true;
    piping.worker = worker_settings(settings, profile);
    piping.clock = &ports.clock;
    piping.delay = &gauges.delay();
    piping.worker.sessions = sessions->source();
    return piping;
}

Result<void> Station::begin() {
    Impl& self = *impl_;
    const StationPorts& ports = self.ports;
    const text::Settings& settings = self.settings;
    auto counting = std::make_unique<Counting>();
    counting->profile = live_profile(settings, ports.files, ports.clock.now(), ports.log);
    const privacy::Profile profile = counting->profile.profile;
    Reloader::Stamps stamps = Reloader::look(ports.files, self.options.source, self.settings_now());
    const auto lists = TRY(load_lists(ports.files, self.settings_now(), profile));
    counting->interval_s = self.batch_interval(profile);
    counting->lists = lists;
    const SaltSource salts = [&ports](std::string_view /*batch*/, std::string_view /*name*/) {
        return ports.chance.bytes<ledger::salt_size>();
    };
    const MemoryPlan memory = TRY(plan_memory(settings, *lists));
    TRY(self.open_stores(*counting, memory));
    BatchSink& sink = self.open_writer(*counting, salts);
    self.open_suspects(*counting, ports.clock.now());
    CollectorSettings collecting = self.collecting(profile);
    collecting.wide.memory = memory.rows_of_wide();
    collecting.suspects = counting->suspects.get();
    RowSink& rows = self.open_rows(*counting, collecting, sink);
    counting->collector = std::make_unique<Collector>(collecting, lists, *counting->seen,
                                                      *counting->wildcards, self.metrics, rows);
    DayKeys keys = TRY(self.read_day_keys());
    const UtcTime now = ports.clock.now();
    Consumer& consumer = self.sessions->begin(*counting->collector, *self.outbox,
                                              leaf_context(settings, profile, self.version), *lists,
                                              salts, now, self.options.writes_in_background);
    PipelineSettings piping = self.pipeline_settings(profile);
    piping.worker.rows_memory_max = memory.rows_of_worker();
    counting->pipeline =
        std::make_unique<Pipeline>(piping, lists, std::move(keys), DataClock::live(now), consumer);
    counting->reloader =
        std::make_unique<Reloader>(ReloadParts{.files = ports.files,
                                               .log = ports.log,
                                               .counters = ports.counters,
                                               .source = self.options.source,
                                               .in_background = self.options.writes_in_background},
                                   self.settings_now(), profile, lists, std::move(stamps), now);
    const auto today = counting->pipeline->day();
    counting->open = floor_to(now, counting->interval_s);
    counting->day = today->number;
    counting->tidied = ports.clock.monotonic();
    self.fix_seconds(*today->gate);
    self.counting = std::move(counting);
    self.gauges.show_profile(profile);
    self.gauges.show_certificates(ports.files, settings);
    self.show_status(now);
    if (!self.mark) {
        self.mark.emplace(ports.files, settings.string("state.dir"), now, ports.log,
                          ports.counters);
    }
    return {};
}

void Station::add(ByteView frame) {
    impl_->counting->pipeline->add(frame);
}

void Station::flush() {
    impl_->counting->pipeline->flush();
}

Pipeline& Station::pipeline() {
    return *impl_->counting->pipeline;
}

bool Station::tick() {
    Impl& self = *impl_;
    Counting& counting = *self.counting;
    Pipeline& pipeline = *counting.pipeline;
    const UtcTime now = self.ports.clock.now();
    if (auto lists = counting.reloader->tick(now)) {
        counting.lists = lists;
        pipeline.change_lists(std::move(lists));
    }
    pipeline.tick(now);
    self.metrics.add(pipeline.take_dispatcher_fates());
    if (const UtcTime current = floor_to(now, counting.interval_s); current > counting.open) {
        pipeline.cut(counting.open);
        counting.open = current;
    }
    self.keep_day_key();
    self.take_requests(now);
    counting.journal->write(now);
    self.sessions->tick(now);
    counting.seen->tidy(now);
    counting.known->tick(now);
    self.gauges.show_loads(pipeline.loads());
    self.gauges.show_ledger(self.ledger->size());
    self.gauges.show_log(self.ports.log);
    self.show_status(now);
    if (const Duration at = self.ports.clock.monotonic(); at - counting.tidied > tidy_every) {
        counting.tidied = at;
        self.outbox->tidy(now);
        self.gauges.show_certificates(self.ports.files, self.settings);
    }
    if (counting.profile.ends && now >= *counting.profile.ends) {
        self.ports.log.error("edge",
                             "the consent to profile compatible has lapsed: standard from now on");
        return false;
    }
    return !self.is_set_back(now);
}

void Station::reload() {
    if (impl_->counting) {
        impl_->counting->reloader->request();
    }
}

void Station::end() {
    Impl& self = *impl_;
    if (!self.counting) {
        return;
    }
    Counting& counting = *self.counting;
    self.reloaded = counting.reloader->settings();
    counting.pipeline->finish();
    self.metrics.add(counting.pipeline->take_dispatcher_fates());
    self.sessions->end();
    counting.journal->finish();
    counting.collector->finish({}, floor_to(self.ports.clock.now(), counting.interval_s));
    if (counting.gating) {
        counting.gating->finish();
    }
    for (BatchQueue* queue : {counting.signing.get(), counting.writing.get()}) {
        if (queue != nullptr) {
            queue->finish();
        }
    }
    counting.writer->finish();
    self.counting.reset();
}

Duration Station::send() {
    return impl_->sending ? impl_->sending->work() : Duration(60s);
}

Duration Station::aggregate() {
    return impl_->group ? impl_->group->work() : Duration(60s);
}

void Station::cancel() {
    if (impl_->group) {
        impl_->group->cancel();
    }
    if (impl_->sending) {
        impl_->sending->cancel();
    }
}

std::string_view Station::profile() const {
    return privacy::to_string(impl_->counting->profile.profile);
}

std::string Station::status() const {
    return impl_->board.text();
}

std::size_t Station::waiting() const {
    return impl_->outbox->unsent().size();
}

}  // namespace tapir::edge
