#include "run_mark.hpp"

#include "tapir/base/bytes.hpp"

namespace tapir::edge {
namespace {

constexpr std::string_view part = "edge";
constexpr std::size_t mark_size_max = 64;  // octets; a time

}  // namespace

RunMark::RunMark(world::Files& files, const std::string& state, UtcTime now, const Log& log,
                 Counters& counters)
    : files_(files), log_(log), path_(state + "/running") {
    Counter& unclean = counters.counter("tapir_edge_unclean_starts_total",
                                        "Starts after a run that did not end in order.");
    if (files_.exists(path_)) {
        unclean.add();
        const auto began = files_.read(path_, mark_size_max);
        const auto time =
            began ? UtcTime::parse(as_text(*began)) : Result<UtcTime>(fail(began.error()));
        log_.warn(part,
                  "the last run did not end in order: what it was still counting and had not put "
                  "into the outbox is lost",
                  {{"began", time ? time->to_string() : std::string("unknown")}});
    }
    const std::string text = now.second().to_string();
    if (const auto written = files_.write_atomically(path_, as_bytes(text)); !written) {
        log_.error(part, "the mark of a running edge cannot be written",
                   {{"reason", written.error().what()}});
    }
}

RunMark::~RunMark() {
    if (!files_.exists(path_)) {
        return;
    }
    if (const auto removed = files_.remove(path_); !removed) {
        log_.error(part, "the mark of a running edge cannot be removed",
                   {{"reason", removed.error().what()}});
    }
}

}  // namespace tapir::edge
