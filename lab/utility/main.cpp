// tapir-utility: what the release gate costs, at centres 10, 20 and 40 and under `strict`.
//
//     tapir-utility day                       a made-up day of a site
//     tapir-utility zeek dns.log --list L     a recorded one
#include "tapir/base/main.hpp"

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "figures.hpp"
#include "mixes.hpp"
#include "run.hpp"
#include "tapir/world/files.hpp"
#include "traffic.hpp"
#include "zeek.hpp"

namespace tapir::utility {
namespace {

constexpr std::size_t list_size_max = std::size_t{1} << 30U;  // octets

struct Options {
    std::string suffixes = "/usr/share/publicsuffix/public_suffix_list.dat";
    std::size_t workers = 1;
    bool single_site = false;
    DayPlan day;
    std::size_t listed = 1'000'000;
    std::string log;
    std::string list;
};

using MakeSource = std::function<std::unique_ptr<Source>()>;

// Whether nothing left that had to stay.
Result<bool> measure(std::string_view title, const Options& options, std::string_view list,
                     const MakeSource& make) {
    world::SystemFiles files;
    const Bytes suffixes = TRY(files.read(options.suffixes, list_size_max));
    const Site site = TRY(Site::open(list, as_text(suffixes), options.single_site));
    const Truth truth = TRY(Truth::of(site, *make()));
    std::vector<Measured> all;
    bool is_good = true;
    for (const Gate& gate : gates()) {
        const Released released = TRY(run_edge(site, gate, *make(), options.workers));
        all.push_back({.gate = gate,
                       .domains = domain_figures(truth, released, gate, options.single_site),
                       .rows = row_figures(truth, released),
                       .suppressed = released.suppressed});
        for (const std::string& name : all.back().domains.wrong) {
            fmt::print(stderr, "{}: {} left, and too few had asked for it\n", gate.name, name);
            is_good = false;
        }
    }
    fmt::print("{}", to_markdown(title, truth, all));
    return is_good;
}

Result<bool> measure_day(const Options& options) {
    std::string list;
    bench::write_names({.count = options.listed, .seed = 1},
                       [&list](ByteView piece) { list += as_text(piece); });
    const std::vector<std::string_view> entries = bench::lines_of(list);
    const std::string title = fmt::format(
        "A made-up day: {} clients, {} queries/s for {} listed names, {} new domains, P(k) ~ "
        "k^-{:.1f} up to {} clients, seed {}",
        options.day.clients, options.day.queries_a_s, entries.size(), options.day.new_domains,
        options.day.exponent_tenths / 10.0, options.day.reach_max, options.day.seed);
    return measure(title, options, list,
                   [&] { return std::make_unique<DayTraffic>(options.day, entries); });
}

Result<bool> measure_log(const Options& options) {
    world::SystemFiles files;
    const Bytes text = TRY(files.read(options.log, zeek_log_size_max));
    const ZeekLog log = TRY(read_zeek(as_text(text), options.log));
    const Bytes list =
        options.list.empty() ? Bytes() : TRY(files.read(options.list, list_size_max));
    const std::string title = fmt::format(
        "{}: {} records ({} unanswered, {} of other ports, {} without a name), {} entries on the "
        "list{}",
        options.log.substr(options.log.rfind('/') + 1), log.records, log.unanswered,
        log.other_ports, log.without_name, bench::lines_of(as_text(list)).size(),
        options.single_site ? ", `single_site`" : "");
    return measure(title, options, as_text(list),
                   [&] { return std::make_unique<GivenTraffic>(log.queries); });
}

Result<int> main_of(int argc, char** argv) {
    CLI::App app("What the release gate costs");
    Options options;
    app.add_option("--suffixes", options.suffixes, "the public suffix list");
    app.add_option("--workers", options.workers, "threads beside two others; 0: one in all")
        ->check(CLI::Range(0, 64));
    app.add_flag("--single-site", options.single_site, "clients need not come from three networks");
    app.require_subcommand(1);
    app.fallthrough();
    CLI::App* const day = app.add_subcommand("day", "a made-up day");
    day->add_option("--seed", options.day.seed);
    day->add_option("--clients", options.day.clients)
        ->check(CLI::Range(std::uint32_t{2}, made_up_client_count_max));
    day->add_option("--queries", options.day.queries_a_s, "a second, for listed names")
        ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{100'000}));
    day->add_option("--listed", options.listed, "names on the list")
        ->check(CLI::Range(std::size_t{1}, std::size_t{10'000'000}));
    day->add_option("--domains", options.day.new_domains, "new ones")
        ->check(CLI::Range(std::uint32_t{0}, std::uint32_t{10'000'000}));
    day->add_option("--exponent-tenths", options.day.exponent_tenths, "of their clients' law")
        ->check(CLI::Range(0U, 19U));
    day->add_option("--reach", options.day.reach_max, "clients of a new domain, at most");
    CLI::App* const zeek = app.add_subcommand("zeek", "a dns.log of Zeek");
    zeek->add_option("log", options.log)->required();
    zeek->add_option("--list", options.list, "well-known names, as the edge reads them");
    CLI11_PARSE(app, argc, argv);
    if (options.day.reach_max < 1 || options.day.reach_max > options.day.clients / 2) {
        return fail(Code::invalid, fmt::format("--reach: expected 1 to {}, got {}",
                                               options.day.clients / 2, options.day.reach_max));
    }
    const bool is_good = TRY(zeek->parsed() ? measure_log(options) : measure_day(options));
    return is_good ? 0 : 1;
}

}  // namespace
}  // namespace tapir::utility

int main(int argc, char** argv) {
    return tapir::run_main("tapir-utility", tapir::utility::main_of, argc, argv);
}
