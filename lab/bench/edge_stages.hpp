// Where the time goes, by stage, of the one thread that does everything (workers = 0).
//
//     StageTimes times;                       // as the worker's watch, and around the collector
//     { const StageTimes::Span span(&times, Stage::rows); ... }
//     times.seconds(Stage::rows)              // without what the reading of the clock costs
//
// Spans may lie in one another: the time of the inner one is not the outer one's. One thread.
#pragma once

#include <array>
#include <string_view>

#include "stopwatch.hpp"
#include "worker.hpp"

namespace tapir::bench {

enum class Stage : std::uint8_t {
    dispatch,  // split frames, walk dnstap, copy, place in minutes
    decode,    // DNS message, name folded and hashed, ignored lists
    look_up,   // well-known list
    tag,       // clients; registered domain of names that are not listed
    count,     // rows
    names,     // gate of first-seen names
    rows,      // gate of rows, Parquet
    events,    // JWS of a batch
    outbox,    // disk and ledger
};
inline constexpr std::array<std::string_view, 9> stage_names = {
    "dispatch", "decode", "look_up", "tag", "count", "names", "rows", "events", "outbox"};

class StageTimes final : public edge::StageWatch {
public:
    StageTimes();

    class Span {
    public:
        Span(StageTimes* times, Stage stage) : times_(times) {
            if (times_ != nullptr) {
                outer_ = times_->enter(stage);
            }
        }
        Span(const Span&) = delete;
        Span& operator=(const Span&) = delete;
        ~Span() {
            if (times_ != nullptr) {
                times_->enter(outer_);
            }
        }

    private:
        StageTimes* times_;
        Stage outer_ = Stage::dispatch;
    };

    // What was before does not count.
    void begin();
    void reached(edge::WorkerStage stage) override;
    double seconds(Stage stage) const { return seconds_.at(static_cast<std::size_t>(stage)); }

private:
    // What follows belongs to `stage`; the stage before.
    Stage enter(Stage stage);

    std::array<double, stage_names.size()> seconds_{};
    Stage stage_ = Stage::dispatch;
    double since_ = 0;
    double reading_ = 0;  // seconds that one look at the clock costs
};

}  // namespace tapir::bench
