// Recording of sessions: the operator's own, full record of what was asked and answered, clients
// under pseudonyms. Off unless the operator asks for it; it never leaves this machine.
//
//     auto sessions = TRY(Sessions::open(settings, ports));         // erases what is due
//     worker_settings.sessions = sessions->source();                // null: off
//     Consumer& consumer = sessions->begin(collector, true, now);
//     ...                                                           // a minute's rows, a file
//     sessions->tick(now);                                          // each second
//     sessions->end();
//
// Counting never waits for it: rows that would take more memory than `sessions.memory_max`, or
// come while the disk is behind, are dropped and counted. docs/formats/session-file.md is for who
// reads the files. One thread calls begin(), tick() and end(); make_room() may come from any.
#pragma once

#include <memory>
#include <string>

#include "outbox.hpp"
#include "pipeline.hpp"
#include "session_recorder.hpp"
#include "session_rows.hpp"
#include "session_vault.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/edge/process.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

// The rows `sessions.…` of the settings.
text::SettingTable session_settings_table();

// All must outlive what is opened with them.
struct SessionPorts {
    world::Files& files;
    world::Chance& chance;
    const Log& log;
    Counters& counters;
};

// The live edge's.
class Sessions {
    struct Private {};

public:
    // Errors name file, line and setting. Erases what is due, also where sessions are off by now.
    static Result<std::unique_ptr<Sessions>> open(const text::Settings& settings, UtcTime now,
                                                  const SessionPorts& ports);
    ~Sessions();
    Sessions(const Sessions&) = delete;
    Sessions& operator=(const Sessions&) = delete;

    // What workers make rows with; null while nothing is recorded.
    std::shared_ptr<const SessionSource> source() const { return source_; }
    // Starts recording, if that is asked for, with a leaf in the ledger; the pipeline's consumer is
    // what comes back. Where the leaf cannot be written nothing is recorded, and source() is null
    // until the next begin(). `behind` must outlive it.
    Consumer& begin(Consumer& behind, Outbox& outbox, const LeafContext& context,
                    const Lists& lists, const SaltSource& salts, UtcTime now, bool in_background);
    void tick(UtcTime now);
    // What was recorded is on the disk, or dropped and counted.
    void end();
    // The disk is full: files of sessions make room for what must leave. False: there are none.
    bool make_room();

    // For open().
    Sessions(Private /*only_open*/, const text::Settings& settings, const SessionPorts& ports);

private:
    const text::Settings& settings_;
    const SessionPorts ports_;
    std::shared_ptr<const SessionSource> configured_;  // null: off
    std::shared_ptr<const SessionSource> source_;
    std::unique_ptr<SessionVault> vault_;
    std::unique_ptr<SessionRecorder> recorder_;
    std::unique_ptr<Consumer> tap_;
    Gauge& recording_;
    std::optional<UtcTime> tidied_;
};

// The twin's: below OUT/sessions, sealed as the live edge's under keys that follow from the day
// key, or plain where `sessions_plain` asks for it. Null where sessions are off.
class TwinSessions {
    struct Private {};

public:
    static Result<std::unique_ptr<TwinSessions>> open(const text::Settings& settings,
                                                      const ProcessOptions& options,
                                                      const client::DayKey& key,
                                                      world::Files& files, const Log& log,
                                                      Counters& counters);
    ~TwinSessions();
    TwinSessions(const TwinSessions&) = delete;
    TwinSessions& operator=(const TwinSessions&) = delete;

    std::shared_ptr<const SessionSource> source() const { return source_; }
    Consumer& begin(Consumer& behind);
    // After the pipeline has finished. The first error of a write.
    Result<void> finish(const std::optional<DataClock::Bounds>& bounds);

    // For open().
    explicit TwinSessions(Private /*only_open*/) {}

private:
    Result<void> write(const products::Interval& interval, std::vector<SessionRows>&& blocks);

    world::Files* files_ = nullptr;
    std::string folder_;
    std::shared_ptr<const SessionSource> source_;
    std::unique_ptr<world::Chance> chance_;
    std::unique_ptr<SessionVault> vault_;  // null: plain
    Result<void> result_;
    std::unique_ptr<SessionRecorder> recorder_;  // writes until it is gone
    std::unique_ptr<Consumer> tap_;
};

}  // namespace tapir::edge
