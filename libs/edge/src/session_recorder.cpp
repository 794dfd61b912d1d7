#include "session_recorder.hpp"

#include <algorithm>
#include <utility>

namespace tapir::edge {
namespace {

std::string_view to_string(SessionDrop why) {
    switch (why) {
        case SessionDrop::rows_max:
            return "rows_max";
        case SessionDrop::memory_max:
            return "memory_max";
        case SessionDrop::writer_behind:
            return "writer_behind";
        case SessionDrop::no_room:
            return "no_room";
        case SessionDrop::error:
            return "error";
    }
    return "error";
}

}  // namespace

SessionRecorder::SessionRecorder(const SessionLimits& limits, Write write, bool in_background,
                                 const Log& log, Counters& counters)
    : limits_(limits),
      write_(std::move(write)),
      log_(log),
      written_(counters.counter("tapir_edge_session_rows_total", "Rows in session files.")),
      files_(counters.counter("tapir_edge_session_files_total", "Session files written.")),
      unreadable_(counters.counter(
          "tapir_edge_session_messages_left_out_total",
          "Messages left out of their rows: what they say of who asked could not be found.")) {
    for (std::size_t i = 0; i < session_drop_count; ++i) {
        dropped_.at(i) = &counters.counter(
            "tapir_edge_session_rows_dropped_total", "Rows of sessions not written, by reason.",
            {{"reason", std::string(to_string(static_cast<SessionDrop>(i)))}});
    }
    if (in_background) {
        waiting_.emplace(session_minutes_waiting_max);
        thread_ = std::thread([this] {
            while (auto minute = waiting_->pop()) {
                this->write(*std::move(minute));
            }
        });
    }
}

SessionRecorder::~SessionRecorder() {
    finish({});
}

void SessionRecorder::drop(SessionDrop why, std::uint64_t rows) {
    dropped_.at(static_cast<std::size_t>(why))->add(rows);
    if (rows > 0) {
        log_.warn("sessions", "rows of sessions are dropped",
                  {{"reason", to_string(why)}, {"rows", rows}});
    }
}

void SessionRecorder::take(std::vector<SessionRows>&& blocks) {
    for (SessionRows& block : blocks) {
        SessionMinute& minute = open_[block.minute];
        unreadable_.add(block.messages_unreadable);
        const std::uint64_t room = limits_.rows_max - minute.rows;
        if (block.rows.size() > room) {
            drop(SessionDrop::rows_max, block.rows.size() - room);
            block.rows.resize(static_cast<std::size_t>(room));
        }
        const std::uint64_t memory = block.memory();
        if (block.rows.empty()) {
            continue;
        }
        if (memory_.load() + memory > limits_.memory_max) {
            drop(SessionDrop::memory_max, block.rows.size());
            continue;
        }
        memory_ += memory;
        minute.memory += memory;
        minute.rows += block.rows.size();
        minute.blocks.push_back(std::move(block));
    }
    blocks.clear();
}

void SessionRecorder::begin_minute(Minute minute) {
    if (std::exchange(has_begun_, true)) {
        return;
    }
    if (auto early = open_.extract(0)) {
        early.key() = minute;
        open_.insert(std::move(early));
    }
}

void SessionRecorder::end_minute(Minute minute) {
    if (limits_.single_interval) {
        return;
    }
    if (auto node = open_.extract(minute)) {
        node.mapped().interval = {.start = start_of(minute), .stop = start_of(minute + 1)};
        close(std::move(node.mapped()));
    }
}

void SessionRecorder::finish(const std::optional<DataClock::Bounds>& bounds) {
    for (auto& [number, minute] : open_) {
        const auto span = bounds.value_or(DataClock::Bounds{.first = number, .end = number + 1});
        minute.interval = {.start = start_of(span.first), .stop = start_of(span.end)};
        close(std::move(minute));
    }
    open_.clear();
    if (waiting_) {
        waiting_->close();
    }
    if (thread_.joinable()) {
        thread_.join();
    }
}

// A disk that is slow delays no counting: what it cannot take in time is dropped.
void SessionRecorder::close(SessionMinute&& minute) {
    if (minute.rows == 0) {
        return;
    }
    if (!waiting_) {
        write(std::move(minute));
        return;
    }
    if (!waiting_->try_push(minute)) {
        drop(SessionDrop::writer_behind, minute.rows);
        memory_ -= minute.memory;
    }
}

void SessionRecorder::write(SessionMinute&& minute) {
    const auto written = write_(minute.interval, std::move(minute.blocks));
    memory_ -= minute.memory;
    if (written) {
        written_.add(minute.rows);
        files_.add();
        return;
    }
    drop(written.error().code() == Code::exhausted ? SessionDrop::no_room : SessionDrop::error,
         minute.rows);
    log_.error("sessions", "a session file cannot be written",
               {{"minute", minute.interval.start.to_string()}, {"reason", written.error().what()}});
}

}  // namespace tapir::edge
