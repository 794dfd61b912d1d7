// Suspects that may be told of below their threshold (R7): how many a day, and when. Only where the
// operator has switched it on.
//
//     Exceptions exceptions(Profile::standard, {.day = day, .granted = 17});  // as is written down
//     exceptions.turn(time);                                // before what is found at `time`
//     const auto answer = exceptions.offer("evil.example.", grounds, suffixes);
//     ... what is granted is written down, and then, with each batch:
//     for (Exception& e : exceptions.take(batch_time, written)) { batch.push_back(e.name); }
//
// What is granted in an hour leaves with the first batch of a later one, and not before it has been
// written down that it was granted: so a crash lets no more leave in a day than the release table
// says. A stop forgets what is granted and has not left; it counts as if it had. Of one UTC day a
// domain is granted once. Deterministic; one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/time.hpp"
#include "tapir/dns/public_suffix.hpp"
#include "tapir/privacy/gate.hpp"
#include "tapir/privacy/released.hpp"
#include "tapir/privacy/table.hpp"

namespace tapir::privacy {

enum class ExceptionOutcome : std::uint8_t {
    granted,
    granted_before,  // today
    too_few,         // networks, and it is on no pinned list
    over_the_day,    // as many were granted today as may be
    never,           // no registered domain, or one that leaves in no form
};

// How many were granted before this object was made.
struct ExceptionsBefore {
    std::int64_t day = 0;  // days since 1970-01-01
    std::uint64_t granted = 0;
};

struct Exception {
    Released<products::NewQname> name;
    ExceptionGrounds grounds;
};

class Exceptions {
public:
    Exceptions(Profile profile, ExceptionsBefore before);

    void turn(UtcTime time);

    struct Answer {
        ExceptionOutcome outcome = ExceptionOutcome::too_few;
        std::uint64_t number = 0;  // of what is granted: 1, 2, …
    };
    // `domain`: in lower case, with its final dot. Before the first turn() nothing is granted.
    Answer offer(std::string_view domain, const ExceptionGrounds& grounds,
                 const dns::PublicSuffixes& suffixes);

    // What may leave with a batch of `batch_time`: granted in an hour before, under the numbers up
    // to `written`.
    std::vector<Exception> take(UtcTime batch_time, std::uint64_t written);

    std::size_t waiting() const { return waiting_.size(); }

private:
    struct Waiting {
        std::int64_t hour = 0;
        std::uint64_t number = 0;
        Exception exception;
    };

    const Profile profile_;
    const Rule& rule_;
    std::int64_t day_;
    std::uint64_t granted_today_;
    std::uint64_t granted_ = 0;  // by this object
    UtcTime time_;
    bool has_begun_ = false;
    std::set<std::string, std::less<>> domains_;  // granted today by this object
    std::deque<Waiting> waiting_;                 // the oldest first
};

}  // namespace tapir::privacy
