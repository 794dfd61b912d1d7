#include "run.hpp"

#include <chrono>

#include <fmt/format.h>

#include "world.hpp"

namespace tapir::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t day_s = 86'400;
constexpr std::int64_t first_day_s = 1'790'000'000 / day_s * day_s;

// One run in six sees a midnight.
UtcTime start_of(Dice& dice) {
    const auto second = dice.one_in(6) ? dice.between(day_s - 1500, day_s - 300)
                                       : dice.between(3600, day_s - std::int64_t{3} * 3600);
    return UtcTime::from_seconds(first_day_s + static_cast<std::int64_t>(second));
}

}  // namespace

std::string command_of(const RunOptions& options) {
    return fmt::format("build/release/bin/tapir-sim --seed {}{}{}{}", options.seed,
                       options.brief ? " --brief" : "", options.faults ? "" : " --no-faults",
                       options.lie == Lie::none ? std::string()
                                                : fmt::format(" --lie {}", to_string(options.lie)));
}

Report run(const RunOptions& options) {
    Dice dice(options.seed * 2 + 1);
    const UtcTime start = start_of(dice);
    const auto length =
        std::chrono::seconds(options.brief ? dice.between(240, 420) : dice.between(1200, 2000));
    World world(options, start,
                {.seconds = length.count(),
                 .popular = static_cast<unsigned>(dice.between(4, 9)),
                 .rare = static_cast<unsigned>(dice.between(3, 6)),
                 .listed = 4,
                 .noise = static_cast<unsigned>(options.brief ? 20 : dice.between(50, 200)),
                 .second = static_cast<unsigned>(start.seconds() % 60),
                 .rare_name_leaks = options.lie == Lie::rare_name_leaks,
                 .listed_name_leaks = options.lie == Lie::listed_name_leaks});
    if (options.faults) {
        world.plan_trouble(length);
    }
    world.run_until(length);
    world.calm_down();
    if (world.edge.is_up() && world.core.is_up() && world.policy.is_up()) {
        world.witness.finish(world.rest());
    }
    const UtcTime end = start + world.agenda.now();
    return {.seed = options.seed,
            .broken = world.witness.broken(),
            .faults = world.tally,
            .figures = world.witness.figures(),
            .batches_not_written = world.batches_not_written,
            .virtual_s = (end - start) / 1s,
            .saw_midnight = end.day() != start.day(),
            .log = world.log};
}

}  // namespace tapir::sim
