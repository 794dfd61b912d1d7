// The world of one run: three machines and what lies between them, in virtual time.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "agenda.hpp"
#include "faults.hpp"
#include "hosts.hpp"
#include "network.hpp"
#include "post.hpp"
#include "run.hpp"
#include "traffic.hpp"
#include "witness.hpp"

namespace tapir::sim {

// Keys that protect nothing.
jose::PrivateJwk test_key(const std::string& kid, int seed);

class World {
public:
    World(const RunOptions& options, UtcTime start, const TrafficPlan& traffic,
          const EdgeOptions& edge_options = {});

    // All that goes wrong until then, entered in the agenda.
    void plan_trouble(Duration end);
    // Traffic and trouble, or what of them is planned.
    void run_until(Duration end);
    // Puts everything right, lets the edge drain, and waits until nothing moves any more.
    void calm_down();
    Rest rest();
    // Now, whatever it is doing.
    void kill(Host& host, bool is_power_cut);

    Agenda agenda;
    Dice dice;
    Tally tally;
    const jose::PrivateJwk edge_key;
    const jose::PrivateJwk core_key;
    Traffic traffic;
    CoreHost core;
    Network network;
    Post post;       // the broker for events
    Post feed_post;  // ... for observations
    EdgeHost edge;
    Witness witness;
    PolicyHost policy;
    std::uint64_t batches_not_written = 0;
    std::string log;  // of all, in order, if it is asked for

    std::array<Host*, 3> hosts();

private:
    void start(Host& host, Repeater* first, Repeater* second);
    void start_edge();
    void start_core();
    void start_policy();
    void each_second();
    bool bury_the_dead();
    void plan_kills(Host& host, unsigned operations_max, Duration end);
    void plan_away(Duration end);
    void plan_post(Post& which, const std::string& name, Duration end);
    void plan_forgetting(Duration end);
    void plan_full_disks(Duration end);
    void plan_clocks(Duration end);
    void move(Duration by);
    void count_losses(bool is_dead);
    void collect_logs();
    void note(const std::string& what);

    const RunOptions options_;
    const UtcTime start_;
    bool is_calm_ = false;
    bool has_post_ = false;
    bool has_feed_post_ = false;
    bool has_snapshots_ = true;  // the policy may ask the core
    bool is_edge_alone_ = true;  // nothing has happened to the edge's machine
    bool next_is_power_cut_ = false;
    Repeater sending_;
    Repeater core_work_;
    Repeater delivery_;  // of the post
    Repeater policy_work_;
    Repeater policy_feed_;
    std::string snapshot_;
};

}  // namespace tapir::sim
