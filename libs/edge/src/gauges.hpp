// What an operator sees of a live edge beside its counters: how full, how far behind, until when.
//
//     Gauges gauges(counters, "0.1.0");
//     gauges.show_loads(pipeline.loads());         // each second
//     gauges.show_certificates(files, settings);   // each minute
//
// Threads may share it.
#pragma once

#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "lists.hpp"
#include "pipeline.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/privacy/table.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

// Seconds from a frame's arrival until it is counted.
inline constexpr std::array<double, 12> delay_bounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                                     0.01,   0.025,   0.05,   0.1,   0.5,    2.5};

class Gauges {
public:
    Gauges(Counters& counters, const std::string& version);

    Histogram& delay() { return delay_; }
    void show_profile(privacy::Profile profile);
    void show_loads(std::span<const LaneLoad> loads);
    void show_ledger(std::uint64_t leaves);
    void show_log(const Log& log);
    // Of the files that core.cert, mqtt.cert and the like name; one that cannot be read: 0.
    void show_certificates(world::Files& files, const text::Settings& settings);

private:
    Counters& counters_;
    Histogram& delay_;
    Gauge& rows_;
    Gauge& ledger_;
    std::mutex mutex_;
    Gauge* profile_ = nullptr;
};

// process_*, as Prometheus' own clients name them. Reads what the system says.
void show_process(Counters& counters);

}  // namespace tapir::edge
