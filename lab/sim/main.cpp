// tapir-sim: thousands of runs from seeds, or a day.
#include "tapir/base/main.hpp"

#include <atomic>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "away.hpp"
#include "day.hpp"
#include "run.hpp"

namespace tapir::sim {
namespace {

constexpr std::uint64_t seed_max = std::uint64_t{1} << 62U;

struct Total {
    std::uint64_t runs = 0;
    std::uint64_t broken = 0;
    std::uint64_t midnights = 0;
    std::uint64_t not_written = 0;
    std::int64_t virtual_s = 0;
    Tally faults;
    Figures figures;
};

void print(const Total& total) {
    fmt::print("runs              {:>10}\n", total.runs);
    fmt::print("  broken          {:>10}\n", total.broken);
    fmt::print("  with a midnight {:>10}\n", total.midnights);
    fmt::print("virtual hours     {:>10}\n\n", total.virtual_s / 3600);
    for (std::size_t i = 0; i < fault_count; ++i) {
        const auto fault = static_cast<Fault>(i);
        fmt::print("fault: {:<15}{:>10}\n", to_string(fault), total.faults[fault]);
    }
    fmt::print("\naccepted: batches     {:>8}\n", total.figures.batches);
    fmt::print("accepted: histograms  {:>8}\n", total.figures.histograms);
    fmt::print("  rows of these       {:>8}\n", total.figures.rows);
    fmt::print("accepted: events      {:>8}\n", total.figures.events);
    fmt::print("observations          {:>8}\n", total.figures.observations);
    fmt::print("messages of edges     {:>8}\n", total.figures.messages);
    fmt::print("zones served          {:>8}\n", total.figures.serials);
    fmt::print("edges left alone      {:>8}\n", total.figures.edges_alone);
    fmt::print("batches not written, counted {:>d}\n", total.not_written);
}

// Each thread has worlds of its own.
Total run_all(std::uint64_t first, std::uint64_t count, unsigned jobs, const RunOptions& like) {
    Total total;
    std::mutex mutex;
    std::atomic<std::uint64_t> next{first};
    std::vector<std::thread> threads;
    threads.reserve(jobs);
    for (unsigned job = 0; job < jobs; ++job) {
        threads.emplace_back([&] {
            for (std::uint64_t seed = next++; seed < first + count; seed = next++) {
                RunOptions options = like;
                options.seed = seed;
                options.logs = false;
                const Report report = run(options);
                const std::lock_guard lock(mutex);
                ++total.runs;
                total.broken += report.broken.empty() ? 0 : 1;
                total.midnights += report.saw_midnight ? 1 : 0;
                total.not_written += report.batches_not_written;
                total.virtual_s += report.virtual_s;
                total.faults += report.faults;
                total.figures += report.figures;
                for (const std::string& line : report.broken) {
                    fmt::print("seed {}: {}\n", seed, line);
                }
                if (!report.broken.empty()) {
                    fmt::print("seed {}: again: {} --verbose\n", seed, command_of(options));
                }
                if (total.runs % 1000 == 0) {
                    fmt::print(stderr, "{} runs, {} broken\n", total.runs, total.broken);
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    return total;
}

int show_one(const RunOptions& options) {
    const Report report = run(options);
    fmt::print("{}", report.log);
    for (const std::string& line : report.broken) {
        fmt::print("seed {}: {}\n", options.seed, line);
    }
    for (std::size_t i = 0; i < fault_count; ++i) {
        const auto fault = static_cast<Fault>(i);
        if (report.faults[fault] != 0) {
            fmt::print("{} {}\n", to_string(fault), report.faults[fault]);
        }
    }
    return report.broken.empty() ? 0 : 1;
}

Result<int> main_of(int argc, char** argv) {
    CLI::App app("Tapir's services on simulated ports, from a seed");
    std::uint64_t count = 1000;
    std::uint64_t first = 1;
    unsigned jobs = 1;
    RunOptions one{.seed = 0, .faults = true, .lie = Lie::none, .brief = false, .logs = false};
    app.add_option("--seeds", count, "how many runs");
    app.add_option("--first", first, "the first seed")
        ->check(CLI::Range(std::uint64_t{1}, seed_max));
    app.add_option("--jobs", jobs, "threads")->check(CLI::Range(1, 64));
    app.add_option("--seed", one.seed, "this one run alone")
        ->check(CLI::Range(std::uint64_t{1}, seed_max));
    std::string lie = "none";
    app.add_option("--lie", lie, "a bug to plant in all runs (see faults.hpp)");
    app.add_flag("--brief", one.brief, "some minutes a run instead of half an hour");
    bool is_untroubled = false;
    app.add_flag("--no-faults", is_untroubled, "nothing goes wrong");
    app.add_flag("--verbose", one.logs, "with what the daemons log");
    bool is_day = false;
    DayOptions day;
    app.add_flag("--day", is_day, "a day of traffic instead");
    app.add_option("--clients", day.clients, "of the day")->check(CLI::Range(60, 2000));
    app.add_option("--frames", day.frames_per_second, "of the day, when it is busiest");
    app.add_option("--hours", day.hours, "of the day")->check(CLI::Range(1, 24));
    bool is_away = false;
    const AwayOptions away;
    app.add_flag("--away", is_away, "a day of traffic without a core instead");
    CLI11_PARSE(app, argc, argv);
    if (is_away) {
        return show_away(away) ? 0 : 1;
    }
    if (is_day) {
        return run_day(day) ? 0 : 1;
    }
    const auto planted = lie_named(lie);
    if (!planted) {
        fmt::print(stderr, "--lie: expected a name of faults.hpp, got {}\n", lie);
        return 2;
    }
    one.lie = *planted;
    one.faults = !is_untroubled;
    if (one.seed != 0) {
        return show_one(one);
    }
    const Total total = run_all(first, count, jobs, one);
    print(total);
    return total.broken == 0 ? 0 : 1;
}

}  // namespace
}  // namespace tapir::sim

int main(int argc, char** argv) {
    return tapir::run_main("tapir-sim", tapir::sim::main_of, argc, argv);
}
