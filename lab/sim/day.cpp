#include "day.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <vector>

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include "world.hpp"

namespace tapir::sim {
namespace {

using namespace std::chrono_literals;

constexpr double growth_max = 1.05;
constexpr double mib = 1024.0 * 1024.0;

double resident() {
    std::ifstream in("/proc/self/statm");
    std::uint64_t all = 0;
    std::uint64_t resident_pages = 0;
    in >> all >> resident_pages;
    return static_cast<double>(resident_pages) * static_cast<double>(sysconf(_SC_PAGESIZE)) / mib;
}

double in_use() {
    const struct mallinfo2 info = mallinfo2();
    return static_cast<double>(info.uordblks + info.hblkhd) / mib;
}

// What is in memory here and would not be in a daemon: disks, and the witness's notes.
double simulated(World& world) {
    std::uint64_t size = world.witness.memory_size();
    for (Host* host : world.hosts()) {
        size += host->machine().disk.used() + host->machine().store_disk.memory_size();
    }
    return static_cast<double>(size) / mib;
}

struct Hour {
    double held = 0;       // resident, without the disks
    double heap_held = 0;  // in use, without the disks
};

Hour print_hour(World& world, unsigned hour) {
    const store::Reader& store = world.core.machine().store_disk.contents();
    const double disks = simulated(world);
    const Hour now{.held = resident() - disks, .heap_held = in_use() - disks};
    const auto zone = world.policy.zone();
    fmt::print("{:4} {:>9} {:>6} {:>8} {:>6} {:>6} {:>6} {:>8.1f} {:>8.1f} {:>8.1f} {:>8.1f}\n",
               hour, world.edge.frames(), world.witness.accepted_events(), world.edge.waiting(),
               count_of(store, "intake_unsealed") + count_of(store, "intake_outbox"),
               zone ? zone->zone.size() : 0, world.witness.ledger_size(), resident(), in_use(),
               disks, now.held);
    return now;
}

double most(const std::vector<Hour>& hours, std::size_t from, std::size_t to,
            double Hour::* which) {
    double out = 0;
    for (std::size_t i = from; i < std::min(to, hours.size()); ++i) {
        out = std::max(out, hours[i].*which);
    }
    return out;
}

void plan(World& world) {
    const auto kill = [&world](Host& host, Duration at, bool is_power_cut) {
        world.agenda.at(at, [&world, &host, is_power_cut] { world.kill(host, is_power_cut); });
    };
    // All that ends a process comes early: from the sixth hour on none begins anew, and what grew
    // in it would be seen.
    kill(world.policy, 3h + 10min, false);
    kill(world.core, 4h + 10min, false);
    kill(world.edge, 4h + 40min, false);
    kill(world.core, 5h + 10min, true);
    world.agenda.at(9h, [&world] { world.network.begin_outage(); });
    world.agenda.at(11h, [&world] { world.network.end_outage(); });
}

}  // namespace

bool run_day(const DayOptions& options) {
    const UtcTime start = UtcTime::parse("2026-11-26T05:00:00Z").value();
    RunOptions run;
    run.faults = false;
    World world(run, start,
                {.seconds = 86'400,
                 .popular = 0,
                 .rare = 0,
                 .listed = 0,
                 .noise = 0,
                 .steady_clients = options.clients,
                 .steady_frames = options.frames_per_second,
                 .steady_listed = 300},
                {.settings = {"sent.age_max=1h"}, .may_lose = false, .pending = {}});
    plan(world);
    fmt::print("{:>4} {:>9} {:>6} {:>8} {:>6} {:>6} {:>6} {:>8} {:>8} {:>8} {:>8}\n", "hour",
               "frames", "names", "outbox", "queues", "zone", "leaves", "RSS MiB", "heap MiB",
               "disks", "held");
    std::vector<Hour> hours;
    for (unsigned hour = 1; hour <= options.hours; ++hour) {
        world.run_until(std::chrono::hours(hour));
        hours.push_back(print_hour(world, hour));
    }
    world.calm_down();
    world.witness.finish(world.rest());
    const store::Reader& store = world.core.machine().store_disk.contents();
    const std::size_t waiting = world.edge.waiting() + count_of(store, "intake_unsealed") +
                                count_of(store, "intake_outbox");
    for (const std::string& line : world.witness.broken()) {
        fmt::print("{}\n", line);
    }
    const double before = most(hours, 6, 12, &Hour::held);
    const double after = most(hours, 18, 24, &Hour::held);
    const double heap_before = most(hours, 6, 12, &Hour::heap_held);
    const double heap_after = most(hours, 18, 24, &Hour::heap_held);
    const bool is_flat = options.hours < 24 ||
                         (after <= growth_max * before && heap_after <= growth_max * heap_before);
    fmt::print("\nwaiting at the end: {}\n", waiting);
    fmt::print("ledger: {} leaves, {}\n", world.witness.ledger_size(),
               world.witness.broken().empty() ? "verified" : "see above");
    fmt::print(
        "resident without the simulated, hours 6 to 12: {:.1f} MiB, 18 to 24: {:.1f} MiB (at most "
        "{} x)\n",
        before, after, growth_max);
    fmt::print("heap without the simulated, hours 6 to 12: {:.1f} MiB, 18 to 24: {:.1f} MiB\n",
               heap_before, heap_after);
    const bool is_good = waiting == 0 && world.witness.broken().empty() && is_flat;
    fmt::print("{}\n", is_good ? "good" : "NOT good");
    return is_good;
}

}  // namespace tapir::sim
