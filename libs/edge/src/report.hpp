// What the twin says of a run: report.json.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "data_clock.hpp"
#include "lists.hpp"
#include "ready_batch.hpp"
#include "tapir/pcap/dns_reader.hpp"

namespace tapir::edge {

// What became of the packets of a capture, and how many streams were given up.
struct PacketReport {
    std::array<std::uint64_t, pcap::packet_fate_count> by_fate{};
    std::uint64_t streams_lost = 0;
};

struct CaptureReport {
    std::string file;  // without its folder
    std::uint64_t frames = 0;
    std::uint64_t oversized = 0;
    std::string state;                    // how the stream ended
    std::optional<PacketReport> packets;  // of a packet capture
};

struct Report {
    std::string version;
    privacy::Profile profile = privacy::Profile::standard;
    bool single_site = false;
    bool threat_exception = false;
    bool hourly_sketches = false;
    bool single_interval = false;
    std::string kid;
    bool is_test_signing_key = false;
    bool is_test_day_key = false;
    std::vector<CaptureReport> captures;
    FateCounts fates;
    std::array<std::uint64_t, timing_count> timings{};
    TransportCounts transports{};
    Suppressed suppressed;
    std::vector<ListFile> lists;
    std::vector<std::string> histograms;
    std::uint64_t events = 0;
    std::uint64_t batches = 0;
};

// JSON for people and programs, ending with a line feed. The same report, the same text.
std::string print(const Report& report);

}  // namespace tapir::edge
