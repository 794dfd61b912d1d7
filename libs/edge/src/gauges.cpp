#include "gauges.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "tapir/crypto/certificate.hpp"
#include "tapir/world/host.hpp"

namespace tapir::edge {
namespace {

constexpr std::size_t certificate_size_max = 1U << 20U;  // octets

// Settings that name a certificate of this edge; those that a version does not have are left out.
constexpr std::array<std::string_view, 4> certificate_settings{"aggregation.cert", "core.cert",
                                                               "mqtt.cert", "input.tls_cert"};

}  // namespace

Gauges::Gauges(Counters& counters, const std::string& version)
    : counters_(counters),
      delay_(counters.histogram("tapir_edge_frame_delay_seconds",
                                "From a frame's arrival until it is counted; one frame a batch.",
                                delay_bounds)),
      rows_(counters.gauge("tapir_edge_rows_open",
                           "Rows of the minutes that are open, in all workers.")),
      ledger_(counters.gauge("tapir_edge_ledger_leaves", "Leaves of the ledger.")) {
    counters
        .gauge("tapir_build_info", "Always 1; the labels say what runs.",
               {{"program", "tapir-edge"}, {"version", version}})
        .set(1);
}

void Gauges::show_profile(privacy::Profile profile) {
    const std::lock_guard lock(mutex_);
    Gauge& now = counters_.gauge("tapir_edge_profile", "1 for the profile in force.",
                                 {{"profile", std::string(privacy::to_string(profile))}});
    if (profile_ != nullptr) {
        profile_->set(0);
    }
    profile_ = &now;
    now.set(1);
}

void Gauges::show_loads(std::span<const LaneLoad> loads) {
    std::int64_t rows = 0;
    for (std::size_t i = 0; i < loads.size(); ++i) {
        rows += static_cast<std::int64_t>(loads[i].rows);
        counters_
            .gauge("tapir_edge_worker_batches_waiting",
                   "Batches of frames that wait for a worker; at 128 frames are dropped.",
                   {{"worker", std::to_string(i)}})
            .set(static_cast<std::int64_t>(loads[i].batches_waiting));
    }
    rows_.set(rows);
}

void Gauges::show_ledger(std::uint64_t leaves) {
    ledger_.set(static_cast<std::int64_t>(leaves));
}

void Gauges::show_log(const Log& log) {
    const LogCounts counts = log.counts();
    counters_.real_counter("tapir_log_lines_total", "Lines of the log.")
        .set(static_cast<double>(counts.written));
    counters_
        .real_counter("tapir_log_held_back_total",
                      "Lines that were not written, because the same message came too often.")
        .set(static_cast<double>(counts.held_back));
}

void Gauges::show_certificates(world::Files& files, const text::Settings& settings) {
    for (const std::string_view key : certificate_settings) {
        if (!settings.is_known(key) || settings.string(key).empty()) {
            continue;
        }
        std::int64_t end_s = 0;
        if (const auto pem = files.read(settings.string(key), certificate_size_max)) {
            if (const auto end = crypto::certificate_end(as_text(*pem))) {
                end_s = end->seconds();
            }
        }
        counters_
            .gauge("tapir_edge_certificate_end_timestamp_seconds",
                   "Until when a certificate of this edge is valid; 0: it cannot be read.",
                   {{"setting", std::string(key)}})
            .set(end_s);
    }
}

void show_process(Counters& counters) {
    const auto figures = world::process_figures();
    if (!figures) {
        return;
    }
    const auto gauge = [&counters](std::string_view name, std::string_view help, std::uint64_t n) {
        counters.gauge(name, help).set(static_cast<std::int64_t>(n));
    };
    counters.real_counter("process_cpu_seconds_total", "CPU time of all threads.")
        .set(figures->cpu_s);
    counters.real_gauge("process_start_time_seconds", "When the process began, seconds since 1970.")
        .set(figures->start_s);
    gauge("process_resident_memory_bytes", "Octets in memory.", figures->resident_size);
    gauge("process_virtual_memory_bytes", "Octets of address space.", figures->virtual_size);
    gauge("process_open_fds", "Open files and sockets.", figures->open_files);
    gauge("process_max_fds", "Limit of open files and sockets.", figures->open_files_max);
}

}  // namespace tapir::edge
