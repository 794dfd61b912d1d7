// What the operator is told of suspects: a file for each UTC day, lines of JSON, readable by the
// edge's user alone. `tapir suspects` shows them.
//
//     SuspectJournal journal(files, state + "/suspects", {}, log, counters);
//     Suspects suspects({..., .before = journal.granted_on(now)}, seen, counters, journal);
//     journal.write(now);          // each second: what was found since is on the disk
//     journal.finish();
//
// The collector's thread only hands over; write() does the work, for one thread. Bounded: of a day
// that is full only what leaves by exception is written, and days older than a month are removed. A
// disk that refuses is tried again each second; what leaves by exception waits for it. The log says
// at most once a minute that there are suspects, and never which.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "suspects.hpp"
#include "tapir/base/guarded.hpp"
#include "tapir/base/log.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

struct SuspectJournalLimits {
    std::size_t day_size_max = 1U << 20U;  // octets of a day's file; but what leaves is written
    std::int64_t days_max = 30;
    std::size_t waiting_max = 10'000;  // suspects that are not written yet
};

class SuspectJournal final : public SuspectListener {
public:
    SuspectJournal(world::Files& files, std::string folder, const SuspectJournalLimits& limits,
                   const Log& log, Counters& counters);

    // How many were granted on the day of `now`. A file that cannot be read says: all of them.
    privacy::ExceptionsBefore granted_on(UtcTime now);

    void suspect(const Suspect& suspect) override;
    std::uint64_t written() const override { return written_.load(); }

    void write(UtcTime now);
    // The last that write() does, without the time: nothing is removed.
    void finish();

private:
    struct Line {
        std::string day;
        std::string text;
        std::uint64_t exception = 0;
    };

    std::string path_of(std::string_view day) const;
    void write_waiting();
    // All lines of the first one's day.
    Result<void> append_day(std::deque<Line>& lines);
    Result<std::string> begin_of(const std::string& path);
    void say(std::optional<UtcTime> now);
    void remove_old(UtcTime now);

    world::Files& files_;
    const std::string folder_;
    const SuspectJournalLimits limits_;
    const Log& log_;
    Counter& full_;
    Counter& behind_;
    Guarded<std::deque<Line>> waiting_;
    std::atomic<std::uint64_t> written_{0};
    std::string day_;             // whose file is known
    std::uint64_t day_size_ = 0;  // of it
    bool is_refused_ = false;
    std::optional<UtcTime> said_;
    std::uint64_t unsaid_ = 0;  // suspects since then
    std::string tidied_;        // the day on which old files were removed
};

}  // namespace tapir::edge
