#include "tapir/edge/edge.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "input.hpp"
#include "metrics_page.hpp"
#include "setup.hpp"
#include "tapir/edge/station.hpp"
#include "tapir/store/store.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"
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

Result<void> open_store(const text::Settings& settings, Ports& ports) {
    const std::string& state = settings.string("state.dir");
    if (const auto made = ports.files.make_directories(state); !made) {
        return settings.refuse("state.dir", "a folder that this user can write",
                               made.error().what());
    }
    auto store = store::open_rocksdb(state + "/store", store_families());
    if (!store) {
        return settings.refuse("state.dir", "a folder of this edge alone", store.error().what());
    }
    ports.store = std::move(*store);
    return {};
}

Result<std::vector<std::unique_ptr<Input>>> open_inputs(const text::Settings& settings,
                                                        Station& station, const Log& log,
                                                        Counters& counters) {
    std::vector<std::unique_ptr<Input>> inputs;
    for (const char* key : {"input.unix", "input.tcp"}) {
        const std::string& at = settings.string(key);
        if (at.empty()) {
            continue;
        }
        auto input = Input::open(at, station.pipeline(), log, counters);
        if (!input) {
            return settings.refuse(key, "a place to listen", input.error().what());
        }
        inputs.push_back(std::move(*input));
    }
    return inputs;
}

// True: a stop was asked for. False: the consent has lapsed, begin anew.
Result<bool> run_profile(const text::Settings& settings, Station& station, Ports& ports,
                         world::Stop& stop, const Log& log) {
    TRY(station.begin());
    const auto inputs = TRY(open_inputs(settings, station, log, ports.counters));
    log.info("edge", "ready", {{"profile", station.profile()}});
    bool goes_on = true;
    while (goes_on && !stop.requested()) {
        const UtcTime next_second = ports.clock.now().second() + 1s;
        const Duration pause = std::max<Duration>(next_second - ports.clock.now(), 1ms);
        if (stop.wait_for(pause) == world::Stop::Event::reload) {
            station.reload();
        }
        goes_on = station.tick();
    }
    for (const auto& input : inputs) {
        input->stop();
    }
    station.end();
    log.info("edge", "everything that was accepted is in the outbox",
             {{"batches", station.waiting()}});
    return goes_on;
}

}  // namespace

Result<void> run(const text::Settings& settings, const std::string& version, world::Stop& stop,
                 const Log& log, const SettingsSource& source) {
    if (const auto forbidden = world::forbid_core_dumps(); !forbidden) {
        log.warn("edge", "core dumps cannot be forbidden", {{"reason", forbidden.error().what()}});
    }
    if (settings.integer("workers") == 0) {
        return settings.refuse("workers", "at least 1: whoever reads must not count as well", "0");
    }
    Ports ports;
    TRY(signing_key(ports.files, settings, KeyFiles::guarded));  // before anything is made
    TRY(open_store(settings, ports));
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
        auto opened = MetricsPage::open(listen, log, ports.counters);
        if (!opened) {
            return settings.refuse("metrics.listen", "a free address and port",
                                   opened.error().what());
        }
        page = std::move(*opened);
    }
    sender = std::make_unique<world::StepThread>(ports.clock, [&] { return station->send(); });
    Result<bool> is_stopped = false;
    while (is_stopped && !*is_stopped) {
        is_stopped = run_profile(settings, *station, ports, stop, log);
    }
    station->end();
    station->cancel();
    sender->stop();
    TRY(is_stopped);
    return {};
}

}  // namespace tapir::edge
