#include "tapir/edge/edge.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "input.hpp"
#include "metrics_page.hpp"
#include "seen_import.hpp"
#include "setup.hpp"
#include "state_version.hpp"
#include "tapir/edge/station.hpp"
#include "tapir/store/store.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/host.hpp"
#include "tapir/world/step_thread.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

// The real ports.
struct Ports {
    world::SystemClock clock;
    world::SystemFiles files;
    world::SystemChance chance;
    Counters counters;
    std::unique_ptr<store::Store> store;
};

Result<void> open_store(const text::Settings& settings, Ports& ports, const Log& log) {
    const std::string& state = settings.string("state.dir");
    if (const auto made = ports.files.make_directories(state); !made) {
        return settings.refuse("state.dir", "a folder that this user can write",
                               made.error().what());
    }
    if (const auto entered = enter_state(ports.files, state, log); !entered) {
        return settings.refuse("state.dir", "a folder of this version", entered.error().what());
    }
    auto store = store::open_rocksdb(state + "/store", store_families());
    if (!store) {
        return settings.refuse("state.dir", "a folder of this edge alone", store.error().what());
    }
    ports.store = std::move(*store);
    return {};
}

struct Until {
    world::Stop& stop;
    Duration end;  // monotonic
};

void tell_manager(const std::string& state, const Log& log) {
    if (const auto told = world::notify_service_manager(state); !told) {
        log.warn("edge", "the service manager cannot be told", {{"reason", told.error().what()}});
    }
}

// True: a stop was asked for. False: the consent has lapsed or the clock was set back, begin anew.
Result<bool> run_profile(const text::Settings& settings, Station& station, Ports& ports,
                         const InheritedInputs& inherited, const Until& until, const Log& log) {
    TRY(station.begin());
    const auto inputs =
        TRY(Inputs::open(settings, inherited, station.pipeline(), log, ports.counters));
    log.info("edge", "ready", {{"profile", station.profile()}});
    tell_manager("READY=1\nSTATUS=ready, profile " + std::string(station.profile()), log);
    bool goes_on = true;
    while (goes_on && !until.stop.requested() && ports.clock.monotonic() < until.end) {
        const UtcTime next_second = ports.clock.now().second() + 1s;
        const Duration pause = std::max<Duration>(next_second - ports.clock.now(), 1ms);
        if (until.stop.wait_for(pause) == world::Stop::Event::reload) {
            station.reload();
        }
        goes_on = station.tick();
        if (world::watchdog_interval()) {
            tell_manager("WATCHDOG=1", log);  // each second: what hangs says nothing
        }
    }
    tell_manager("STOPPING=1", log);
    inputs->stop();
    station.end();
    // Lines for each are held back when there are many, and nobody can ask for counters any more.
    const auto not_written =
        ports.counters.value("tapir_edge_batches_lost_total{reason=\"not_written\"}");
    log.info("edge", "everything that was accepted is in the outbox",
             {{"batches", station.waiting()}, {"not_written", not_written}});
    return goes_on;
}

}  // namespace

std::vector<std::string> dry_run_settings(const text::Settings& settings) {
    return {"core.url=", "mqtt.url=", "aggregation.url=",
            "state.dir=" + settings.string("state.dir") + "/dry-run"};
}

Result<void> run(const text::Settings& settings, const std::string& version, world::Stop& stop,
                 const Log& log, const SettingsSource& source, Duration length) {
    if (const auto forbidden = world::forbid_core_dumps(); !forbidden) {
        log.warn("edge", "core dumps cannot be forbidden", {{"reason", forbidden.error().what()}});
    }
    if (settings.integer("workers") == 0) {
        return settings.refuse("workers", "at least 1: whoever reads must not count as well", "0");
    }
    const auto inherited = TRY(InheritedInputs::take());
    Ports ports;
    TRY(signing_key(ports.files, settings, KeyFiles::guarded));  // before anything is made
    TRY(open_store(settings, ports, log));
    std::unique_ptr<world::StepThread> sender;
    const auto station = TRY(Station::open(settings, version,
                                           {.clock = ports.clock,
                                            .files = ports.files,
                                            .chance = ports.chance,
                                            .store = *ports.store,
                                            .http_client = nullptr,
                                            .log = log,
                                            .counters = ports.counters},
                                           {.writes_in_background = true,
                                            .on_batch = [&] { sender->notify(); },
                                            .pending = {},
                                            .source = source}));
    std::unique_ptr<MetricsPage> page;
    if (const std::string& listen = settings.string("metrics.listen"); !listen.empty()) {
        auto opened = MetricsPage::open(listen, log, ports.counters,
                                        [&station] { return station->status(); });
        if (!opened) {
            return settings.refuse("metrics.listen", "a free address and port",
                                   opened.error().what());
        }
        page = std::move(*opened);
    }
    std::unique_ptr<StatusSocket> socket;
    if (const std::string& path = settings.string("metrics.socket"); !path.empty()) {
        auto opened =
            StatusSocket::open(path, log, ports.counters, [&station] { return station->status(); });
        if (!opened) {
            return settings.refuse("metrics.socket", "a place for a socket", opened.error().what());
        }
        socket = std::move(*opened);
    }
    sender = std::make_unique<world::StepThread>(ports.clock, [&] { return station->send(); });
    // In a thread of its own: a core that is slow must not hold up the aggregator, nor the reverse.
    const auto teller = settings.string("aggregation.url").empty()
                            ? nullptr
                            : std::make_unique<world::StepThread>(
                                  ports.clock, [&] { return station->aggregate(); });
    const Duration end = length == Duration() ? Duration::max() : ports.clock.monotonic() + length;
    Result<bool> is_stopped = false;
    while (is_stopped && !*is_stopped) {
        is_stopped = run_profile(settings, *station, ports, *inherited, {stop, end}, log);
    }
    station->end();
    station->cancel();
    sender->stop();
    if (teller) {
        teller->stop();
    }
    TRY(is_stopped);
    return {};
}

Result<std::string> import_seen(const text::Settings& settings,
                                const std::vector<std::string>& lists, const Log& log) {
    Ports ports;
    if (auto opened = open_store(settings, ports, log); !opened) {
        return fail(opened.error().code() == Code::invalid
                        ? Error(Code::unavailable,
                                opened.error().what() +
                                    ". While the edge runs, move the list into state.dir/import/")
                        : std::move(opened).error());
    }
    return import_seen(settings, lists, ports.clock.now(), ports.files, *ports.store, log);
}

}  // namespace tapir::edge
