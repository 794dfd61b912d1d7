#include "world.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

namespace tapir::sim {
namespace {

using namespace std::chrono_literals;

constexpr Duration restart_min = 200ms;
constexpr Duration restart_max = 90s;
constexpr Duration still = 150s;  // nothing has moved for so long: nothing will
constexpr Duration calm_max = 3h;
constexpr unsigned start_operations_max = 12;

// Lies are told where they can be: half of the runs have a broker for events.
bool has_broker(Lie lie, Dice& dice) {
    switch (lie) {
        case Lie::mqtt_acknowledges_first:
        case Lie::name_in_topic:
        case Lie::part_of_event:
            return true;
        case Lie::none:
            return dice.one_in(2);
        default:
            return false;
    }
}

}  // namespace

jose::PrivateJwk test_key(const std::string& kid, int seed) {
    const Bytes octets(crypto::ed25519_size, static_cast<std::byte>(seed));
    auto key = crypto::SigningKey::from_seed(crypto::Secret::copy_of(octets));
    TAPIR_ASSERT(key.has_value());
    return {*std::move(key), kid};
}

World::World(const RunOptions& options, UtcTime start, const TrafficPlan& plan,
             const EdgeOptions& edge_options)
    : dice(options.seed),
      edge_key(test_key("edge-1.example", 1)),
      core_key(test_key("core.example", 2)),
      traffic(dice, plan),
      core({start, dice, tally, options.lie, options.logs}, core_key, edge_key,
           [this] { core_work_.wake(5ms); }),
      network(agenda, dice, tally, core),
      post(dice, tally),
      feed_post(dice, tally),
      edge({start, dice, tally, options.lie, options.logs}, traffic, edge_key, edge_options,
           [this] { sending_.wake(1ms); }),
      witness(traffic, edge.machine().disk, edge_key, core_key),
      policy({start, dice, tally, options.lie, options.logs}, core_key),
      options_(options),
      start_(start),
      sending_(agenda, [this] { return edge.send(); }),
      core_work_(agenda,
                 [this]() -> Duration {
                     core.work();
                     return 3s;
                 }),
      delivery_(agenda,
                [this]() -> Duration {
                    post.deliver();
                    feed_post.deliver();
                    policy.show();
                    return 2s;
                }),
      policy_work_(agenda, [this] { return policy.work(); }),
      policy_feed_(agenda, [this] {
          const Duration pause = policy.follow();
          policy_work_.wake();
          return pause;
      }) {
    // Half of these have one for observations too; half of those no other way to come by them: a
    // snapshot at each start would hide what is lost on the way.
    has_post_ = has_broker(options.lie, dice);
    has_feed_post_ = has_post_ && dice.one_in(2);
    has_snapshots_ = !has_feed_post_ || dice.one_in(2);
    Post* const events = has_post_ ? &post : nullptr;
    Post* const observations = has_feed_post_ ? &feed_post : nullptr;
    post.acknowledge_first(options.lie == Lie::mqtt_acknowledges_first);
    feed_post.acknowledge_first(options.lie == Lie::mqtt_acknowledges_first);
    core.connect(events, observations, witness);
    edge.connect(network, events, witness);
    policy.connect(network, observations, has_snapshots_, witness);
    network.repeat_events(options.lie == Lie::feed_issues_twice);
    start_core();
    start_policy();
    start_edge();
    delivery_.wake();
    each_second();
}

std::array<Host*, 3> World::hosts() {
    return {&edge, &core, &policy};
}

void World::start_edge() {
    start(edge, &sending_, nullptr);
}

void World::start_core() {
    start(core, &core_work_, nullptr);
}

void World::start_policy() {
    start(policy, &policy_feed_, &policy_work_);
}

void World::start(Host& host, Repeater* first, Repeater* second) {
    std::optional<std::uint64_t> fuse;
    // Without snapshots a policy gets what is observed after it first subscribed: that is before
    // anything is.
    const bool must_live = !has_snapshots_ && &host == &policy && agenda.now() == 0s;
    if (!is_calm_ && options_.faults && !must_live && dice.one_in(6)) {
        fuse = dice.between(1, start_operations_max);
        is_edge_alone_ = is_edge_alone_ && &host != &edge;
    }
    if (host.start(fuse)) {
        first->wake();
        if (second != nullptr) {
            second->wake();
        }
        return;
    }
    if (!host.is_dead()) {
        // It said why it cannot; somebody tries again.
        agenda.after(dice.time_between(5s, 30s),
                     [this, &host, first, second] { start(host, first, second); });
        return;
    }
    tally.add(Fault::kill_at_start);
}

// What was logged in this event, with its time.
void World::collect_logs() {
    for (Host* host : hosts()) {
        std::string& lines = host->machine().logged;
        for (std::size_t at = 0; at < lines.size();) {
            const std::size_t end = std::min(lines.find('\n', at), lines.size() - 1) + 1;
            log +=
                fmt::format("{:9.3f} {:<6} {}", std::chrono::duration<double>(agenda.now()).count(),
                            host->machine().name(), lines.substr(at, end - at));
            at = end;
        }
        lines.clear();
    }
}

void World::note(const std::string& what) {
    if (options_.logs) {
        collect_logs();
        log += fmt::format("{:9.3f} {:<6} {}\n",
                           std::chrono::duration<double>(agenda.now()).count(), "sim", what);
    }
}

// After each event: whoever died in it is buried, and comes up again some time later.
bool World::bury_the_dead() {
    const auto again = [this](Host& host, void (World::*start_again)()) {
        if (!host.is_dead()) {
            return;
        }
        if (&host == &edge) {
            count_losses(true);
        }
        const bool is_power_cut = std::exchange(next_is_power_cut_, false) || dice.one_in(3) ||
                                  options_.lie == Lie::core_store_not_synced ||
                                  options_.lie == Lie::policy_store_not_synced;
        note(host.machine().name() + (is_power_cut ? ": power cut" : ": killed"));
        host.bury(is_power_cut);
        agenda.after(dice.time_between(restart_min, restart_max),
                     [this, start_again] { (this->*start_again)(); });
    };
    again(edge, &World::start_edge);
    again(core, &World::start_core);
    again(policy, &World::start_policy);
    if (options_.logs) {
        collect_logs();
    }
    return true;
}

void World::kill(Host& host, bool is_power_cut) {
    is_edge_alone_ = is_edge_alone_ && &host != &edge;
    if (host.is_up()) {
        next_is_power_cut_ = is_power_cut;
        host.machine().ports().fuse.burn();
    }
}

// Of one life of the edge, at its end.
void World::count_losses(bool is_dead) {
    const Counters& counters = edge.counters();
    const auto lost = [&counters](const std::string& reason) {
        return static_cast<std::uint64_t>(
            counters.value("tapir_edge_batches_lost_total{reason=\"" + reason + "\"}"));
    };
    batches_not_written += lost("not_written");
    // In dying it may lose the one that it was at.
    if (lost("not_written") > (is_dead ? 1 : 0) && !edge.machine().had_full_disk()) {
        witness.breaks(1, "the edge had room, and did not write what it had");
    }
    witness.add_rows(static_cast<std::uint64_t>(
        counters.value("tapir_edge_released_total{product=\"histogram\"}")));
    const std::uint64_t refused =
        static_cast<std::uint64_t>(counters.value("tapir_edge_uploads_total{outcome=\"refused\"}"));
    const std::uint64_t by_limits = edge.may_lose() ? 0 : lost("too_old") + lost("no_room");
    if (lost("altered") + by_limits + refused != 0) {
        witness.breaks(1, "the edge gave up what it had accepted, and counted it");
    }
}

void World::move(Duration by) {
    for (Host* host : hosts()) {
        host->machine().clock.advance(by);
    }
}

void World::each_second() {
    if (edge.is_up()) {
        edge.add_frames(agenda.now() / 1s);
        edge.tick();
    }
    agenda.after(1s, [this] { each_second(); });
}

void World::run_until(Duration end) {
    agenda.run_until(end, [this](Duration by) { move(by); }, [this] { return bury_the_dead(); });
}

void World::plan_kills(Host& host, unsigned operations_max, Duration end) {
    for (std::uint64_t n = dice.between(0, 4); n > 0; --n) {
        const std::uint64_t operations = dice.between(1, operations_max);
        agenda.at(dice.time_between(0s, end), [this, &host, operations] {
            is_edge_alone_ = is_edge_alone_ && &host != &edge;
            if (host.is_up()) {
                host.machine().ports().fuse.light(operations);
            }
        });
    }
}

void World::plan_away(Duration end) {
    for (std::uint64_t n = dice.between(0, 2); n > 0; --n) {
        agenda.at(dice.time_between(0s, end), [this] {
            note("the core cannot be reached");
            network.begin_outage();
            agenda.after(dice.time_between(10s, 400s), [this] {
                note("that it cannot be reached is over");
                network.end_outage();
            });
        });
    }
}

void World::plan_post(Post& which, const std::string& name, Duration end) {
    which.set_faults({.lost = static_cast<unsigned>(dice.between(0, 20)),
                      .answer_lost = static_cast<unsigned>(dice.between(0, 20)),
                      .redelivered = static_cast<unsigned>(dice.between(0, 40)),
                      .killed = static_cast<unsigned>(dice.between(0, 20))});
    for (std::uint64_t n = dice.between(0, 2); n > 0; --n) {
        agenda.at(dice.time_between(0s, end), [this, &which, name] {
            note(name + " is away");
            which.begin_outage();
            agenda.after(dice.time_between(10s, 400s), [this, &which, name] {
                note("that " + name + " is away is over");
                which.end_outage();
            });
        });
    }
}

// Only where nothing is lost by it, or where the loss is made good: of events none may wait, for
// what the broker has acknowledged is in its hands alone; observations come again with a snapshot.
void World::plan_forgetting(Duration end) {
    const auto plan = [this, end](Post& which, const std::string& name, bool may_lose) {
        for (std::uint64_t n = dice.between(0, 2); n > 0; --n) {
            agenda.at(dice.time_between(0s, end), [this, &which, name, may_lose] {
                if (may_lose || which.waiting() == 0) {
                    note(name + " forgets its sessions");
                    which.forget_sessions();
                }
            });
        }
    };
    if (has_post_) {
        plan(post, "the broker for events", false);
    }
    if (has_feed_post_ && has_snapshots_) {
        plan(feed_post, "the broker for observations", true);
    }
}

void World::plan_full_disks(Duration end) {
    for (Host* host : hosts()) {
        if (!dice.one_in(3)) {
            continue;
        }
        agenda.at(dice.time_between(0s, end), [this, host] {
            tally.add(Fault::full_disk);
            is_edge_alone_ = is_edge_alone_ && host != &edge;
            note(host->machine().name() + ": the disk is full");
            host->machine().fill_disk();
            agenda.after(dice.time_between(5s, 200s), [this, host] {
                note(host->machine().name() + ": there is room again");
                host->machine().empty_disk();
            });
        });
    }
}

void World::plan_clocks(Duration end) {
    // The day key must not become that of a day to come: an edge does not start with it.
    const bool is_far_from_midnight =
        (start_ + end + 1h).day() == start_.day() && (start_ - 1h).day() == start_.day();
    struct Step {
        Host* host;
        Duration max;
    };
    // What the core says must not lie further ahead than the policy believes (five minutes).
    for (const Step& step : {Step{&edge, is_far_from_midnight ? Duration(40min) : Duration(20s)},
                             Step{&core, clock_error_max}, Step{&policy, clock_error_max}}) {
        if (!dice.one_in(3)) {
            continue;
        }
        agenda.at(dice.time_between(0s, end), [this, step] {
            tally.add(Fault::clock_step);
            is_edge_alone_ = is_edge_alone_ && step.host != &edge;
            world::ManualClock& clock = step.host->machine().clock;
            clock.step_to(start_ + agenda.now() + dice.time_between(-step.max, step.max));
            agenda.after(dice.time_between(10s, 600s),
                         [this, &clock] { clock.step_to(start_ + agenda.now()); });
        });
    }
}

void World::plan_trouble(Duration end) {
    const auto some = [this](std::uint64_t most) {
        return dice.one_in(2) ? static_cast<unsigned>(dice.between(0, most)) : 0U;
    };
    network.set_faults({.lost = some(25),
                        .answer_lost = some(25),
                        .doubled = some(25),
                        .delayed = some(15),
                        .stream_cut = static_cast<unsigned>(dice.between(0, 60))});
    plan_kills(edge, options_.brief ? 40 : 80, end);
    plan_kills(core, options_.brief ? 12 : 60, end);
    plan_kills(policy, options_.brief ? 5 : 15, end);
    plan_away(end);
    if (has_post_) {
        plan_post(post, "the broker for events", end);
    }
    if (has_feed_post_) {
        plan_post(feed_post, "the broker for observations", end);
    }
    plan_forgetting(end);
    plan_full_disks(end);
    plan_clocks(end);
    for (std::uint64_t n = dice.between(0, 3); n > 0; --n) {
        agenda.at(dice.time_between(0s, end),
                  [this, n] { policy.deny("denied-" + std::to_string(n) + ".example"); });
    }
}

void World::calm_down() {
    is_calm_ = true;
    note("calm");
    network.mend();
    post.mend();
    feed_post.mend();
    for (Host* host : hosts()) {
        host->machine().empty_disk();
        host->machine().clock.step_to(start_ + agenda.now());
    }
    // Fuses that still burn go out in time.
    const Duration began = agenda.now();
    run_until(began + (options_.brief ? 1min : 5min));
    while (!edge.is_up() || !core.is_up() || !policy.is_up()) {
        if (agenda.now() - began > calm_max) {
            witness.breaks(1, "a daemon does not start any more");
            return;
        }
        run_until(agenda.now() + 10s);
    }
    note("the edge counts no more");
    edge.end();
    bury_the_dead();
    Duration quiet{};
    while (quiet < still) {
        if (agenda.now() - began > calm_max) {
            witness.breaks(1, "something still waits, hours after the last trouble");
            return;
        }
        run_until(agenda.now() + 10s);
        const bool moves = !edge.is_up() || edge.waiting() > 0 || network.under_way() > 0 ||
                           post.waiting() > 0 || feed_post.waiting() > 0 || !core.is_up() ||
                           !policy.is_up();
        quiet = moves ? Duration() : quiet + 10s;
    }
    count_losses(false);
}

Rest World::rest() {
    snapshot_ = core.snapshot();
    return {.core_disk = core.machine().disk,
            .core_store = core.machine().store_disk.contents(),
            .snapshot = snapshot_,
            .zone = policy.zone(),
            .denied = policy.denied(),
            .now = policy.machine().clock.now(),
            .edge_heard_all = is_edge_alone_ && (start_ + agenda.now()).day() == start_.day()};
}

}  // namespace tapir::sim
