#include "away.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>

#include <fmt/format.h>

#include "tapir/jose/jws.hpp"
#include "world.hpp"

namespace tapir::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view batches = "/edge/batches";
constexpr Duration catch_up_max = 1h;

// What of it the edge's disk still has.
struct Kept {
    std::vector<std::uint64_t> sent;  // ascending
    std::uint64_t events = 0;         // in those
    std::uint64_t histograms = 0;
    std::vector<std::string> broken;
};

Kept look_at(world::MemoryFiles& disk) {
    Kept kept;
    const auto folders = disk.list(std::string(batches));
    for (const world::DirectoryEntry& folder :
         folders ? *folders : std::vector<world::DirectoryEntry>()) {
        const std::string path = fmt::format("{}/{}", batches, folder.name);
        if (!disk.exists(path + "/sent")) {
            kept.broken.push_back(fmt::format("batch {} was not sent after all", folder.name));
            continue;
        }
        std::uint64_t index = 0;
        std::from_chars(folder.name.data(), folder.name.data() + folder.name.size(), index);
        kept.sent.push_back(index);
        for (const world::DirectoryEntry& file : disk.list(path).value()) {
            kept.histograms += file.name.ends_with(".parquet") ? 1 : 0;
            if (file.name == "new_qname.json") {
                const Bytes text = disk.read(path + "/" + file.name, 64U << 20U).value();
                kept.events += jose::split_batch(as_text(text)).value().size();
            }
        }
    }
    std::ranges::sort(kept.sent);
    return kept;
}

// Whether what is missing of 0 … accepted-1 lies in one piece.
bool is_one_piece(const std::vector<std::uint64_t>& sent, std::uint64_t accepted) {
    unsigned gaps = 0;
    std::uint64_t next = 0;
    for (const std::uint64_t index : sent) {
        gaps += index != next ? 1 : 0;
        next = index + 1;
    }
    return gaps + (next != accepted ? 1 : 0) <= 1;
}

std::uint64_t lost(EdgeHost& edge, std::string_view reason) {
    return static_cast<std::uint64_t>(edge.counters().value(
        fmt::format("tapir_edge_batches_lost_total{{reason=\"{}\"}}", reason)));
}

}  // namespace

AwayReport run_away(const AwayOptions& options) {
    RunOptions run;
    run.faults = false;
    EdgeOptions edge{.settings = {"sent.age_max=90d"}, .may_lose = options.may_lose, .pending = {}};
    edge.settings.insert(edge.settings.end(), options.settings.begin(), options.settings.end());
    const Duration away = std::chrono::hours(options.hours);
    World world(run, UtcTime::parse("2026-11-26T05:00:00Z").value(),
                {.seconds = (away + 2h) / 1s,
                 .popular = 0,
                 .rare = 0,
                 .listed = 0,
                 .noise = 0,
                 .steady_clients = options.clients,
                 .steady_frames = options.frames_per_second,
                 .steady_listed = 100},
                edge);
    AwayReport report;
    world.run_until(1h);
    world.network.begin_outage();
    world.post.begin_outage();
    world.run_until(1h + away);
    report.waiting_most = world.edge.waiting();
    world.network.end_outage();
    world.post.end_outage();
    // The newest waits for its second; what waited before it is what has to go.
    while (world.edge.waiting() > 1 && report.caught_up < catch_up_max) {
        report.caught_up += 1s;
        world.run_until(1h + away + report.caught_up);
    }
    world.run_until(2h + away);
    report.lost_too_old = lost(world.edge, "too_old");
    report.lost_no_room = lost(world.edge, "no_room");
    world.calm_down();
    if (!options.may_lose) {
        world.witness.finish(world.rest());
    }
    report.broken = world.witness.broken();
    const Kept kept = look_at(world.edge.machine().disk);
    report.broken.insert(report.broken.end(), kept.broken.begin(), kept.broken.end());
    report.accepted = world.witness.figures().batches;
    report.sent = kept.sent.size();
    const store::Reader& store = world.core.machine().store_disk.contents();
    report.events = count_of(store, "intake_events");
    report.histograms = count_of(store, "intake_aggregates");
    const auto expect = [&report](bool is_right, std::string_view what) {
        if (!is_right) {
            report.broken.emplace_back(what);
        }
    };
    expect(report.accepted == report.sent + report.lost_too_old + report.lost_no_room,
           "accepted is not what was sent and what was counted as lost");
    expect(is_one_piece(kept.sent, report.accepted), "others than the oldest were lost");
    expect(report.events == kept.events, "the core has another number of events than were sent");
    expect(report.histograms == kept.histograms,
           "the core has another number of histograms than were sent");
    expect(report.caught_up < catch_up_max, "what waited did not go within an hour");
    return report;
}

bool show_away(const AwayOptions& options) {
    struct Variant {
        std::string_view name;
        std::vector<std::string> settings;
    };
    const Variant variants[] = {{"usual limits", {}},
                                {"outbox.age_max = 6h", {"outbox.age_max=6h"}},
                                {"outbox.size_max = 4 MiB", {"outbox.size_max=4MiB"}}};
    fmt::print("{:<24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:>12}\n", "away for a day",
               "accepted", "waited", "sent", "too_old", "no_room", "events", "histograms",
               "caught up, s");
    bool is_good = true;
    for (const Variant& variant : variants) {
        AwayOptions one = options;
        one.settings = variant.settings;
        one.may_lose = !variant.settings.empty();
        const AwayReport report = run_away(one);
        fmt::print("{:<24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:>12}\n", variant.name,
                   report.accepted, report.waiting_most, report.sent, report.lost_too_old,
                   report.lost_no_room, report.events, report.histograms, report.caught_up / 1s);
        for (const std::string& line : report.broken) {
            fmt::print("{}: {}\n", variant.name, line);
        }
        is_good = is_good && report.broken.empty();
    }
    fmt::print("{}\n", is_good ? "good" : "NOT good");
    return is_good;
}

}  // namespace tapir::sim
