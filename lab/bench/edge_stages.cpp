#include "edge_stages.hpp"

#include <utility>

namespace tapir::bench {
namespace {

// The thread has its core to itself, and there is a look between any two stages of a few frames:
// the clock of its CPU time takes ten times as long to read.
double clock_s() {
    return read_clock(CLOCK_MONOTONIC);
}

}  // namespace

StageTimes::StageTimes() {
    constexpr int readings = 10'000;
    const double start = clock_s();
    for (int i = 0; i < readings; ++i) {
        since_ = clock_s();
    }
    reading_ = (since_ - start) / readings;
}

void StageTimes::begin() {
    seconds_.fill(0);
    stage_ = Stage::dispatch;
    since_ = clock_s();
}

Stage StageTimes::enter(Stage stage) {
    const double now = clock_s();
    seconds_.at(static_cast<std::size_t>(stage_)) += now - since_ - reading_;
    since_ = now;
    return std::exchange(stage_, stage);
}

void StageTimes::reached(edge::WorkerStage stage) {
    switch (stage) {
        case edge::WorkerStage::start:
            enter(Stage::decode);
            break;
        case edge::WorkerStage::decoded:
            enter(Stage::look_up);
            break;
        case edge::WorkerStage::looked_up:
            enter(Stage::tag);
            break;
        case edge::WorkerStage::tagged:
            enter(Stage::count);
            break;
        case edge::WorkerStage::counted:
            enter(Stage::dispatch);
            break;
    }
}

}  // namespace tapir::bench
