#include "captures.hpp"

#include <fmt/format.h>

#include "tapir/dnstap/frame_stream.hpp"
#include "tapir/pcap/dns_reader.hpp"

namespace tapir::edge {
namespace {

static_assert(frames_abreast <= dnstap::frames_kept);

Result<void> read_frame_stream(ByteView file, const std::string& path, Pipeline& pipeline,
                               const Log& log, CaptureReport& report) {
    dnstap::FstrmReader reader(file);
    report.frames = pipeline.add_all(reader).frames;
    report.oversized = reader.frames_oversized();
    report.state = dnstap::to_string(reader.state());
    pipeline.add_unread(Fate::frame_oversized, report.oversized);
    if (report.oversized != 0) {
        log.warn("process", "frames over the size limit were skipped",
                 {{"capture", path}, {"frames", report.oversized}});
    }
    if (reader.state() == dnstap::StreamState::truncated) {
        pipeline.add_unread(Fate::frame_truncated, 1);
        log.warn("process", "the capture ends inside a frame", {{"capture", path}});
    }
    if (const auto error = reader.error()) {
        return fail(Code::invalid, fmt::format("{}: expected a Frame Streams file of dnstap, or a "
                                               "packet capture: {}",
                                               path, dnstap::to_string(*error)));
    }
    return {};
}

Result<void> read_packets(ByteView file, const std::string& path, Pipeline& pipeline,
                          const Log& log, CaptureReport& report) {
    pcap::DnsReader reader(file);
    report.frames = pipeline.add_all(reader).frames;
    report.state = pcap::to_string(reader.state());
    report.packets.emplace();
    for (std::size_t i = 0; i < pcap::packet_fate_count; ++i) {
        report.packets->by_fate.at(i) = reader.packets(static_cast<pcap::PacketFate>(i));
    }
    report.packets->streams_lost = reader.streams_lost();
    if (reader.state() == pcap::CaptureState::truncated) {
        log.warn("process", "the capture ends inside a packet", {{"capture", path}});
    }
    if (const auto error = reader.error()) {
        return fail(Code::invalid, fmt::format("{}: expected a packet capture (pcap, pcapng): {}",
                                               path, pcap::to_string(*error)));
    }
    return {};
}

}  // namespace

Result<CaptureReport> read_capture(const std::string& path, world::Files& files, Pipeline& pipeline,
                                   const Log& log) {
    const auto file = TRY(files.map(path));
    CaptureReport report;
    report.file = path.substr(path.rfind('/') + 1);
    const auto read = pcap::is_capture(file->bytes()) ? read_packets : read_frame_stream;
    TRY(read(file->bytes(), path, pipeline, log, report));
    return report;
}

}  // namespace tapir::edge
