// Names that a person of the operator decides to tell of (R7): requests in a folder.
//
//     PersonReleases requests(files, state + "/requests", seen, log, counters);
//     for (auto& release : requests.poll(suffixes, now)) { collector.add(std::move(release)); }
//
// A request is a file ID.json: {"by":…,"name":…,"why":…}, written by `tapir release`; who may write
// into the folder may ask. It stays until the name's batch is on the disk, so a crash forgets none;
// then it is moved to done/, and one that cannot be met to refused/, each with what became of it.
// Names go through the gate, which refuses what may leave in no form and what looks like an
// identifier. Called from one thread.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "seen.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/privacy/gate.hpp"
#include "tapir/text/json.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

inline constexpr std::size_t person_request_size_max = 4096;  // octets
inline constexpr std::size_t person_requests_max = 100;       // looked at in one call

// It is under way in Seen: whoever takes it settles it.
struct PersonRelease {
    privacy::Released<products::NewQname> name;
    std::string account;  // who and why, as canonical JSON: what the ledger commits to
};

class PersonReleases {
public:
    PersonReleases(world::Files& files, std::string folder, Seen& seen, const Log& log,
                   Counters& counters);

    std::vector<PersonRelease> poll(const dns::PublicSuffixes& suffixes, UtcTime now);

private:
    struct Request {
        std::string file;  // in the folder
        text::Json content;
    };
    void look_at(const std::string& file, const dns::PublicSuffixes& suffixes, UtcTime now,
                 std::vector<PersonRelease>& out);
    void answer(const Request& request, std::string_view folder, std::string_view outcome,
                UtcTime now);

    world::Files& files_;
    const std::string folder_;
    Seen& seen_;
    const Log& log_;
    Counter& done_;
    Counter& refused_;
    std::set<std::string> under_way_;  // names
    std::set<std::string> answered_;   // files that could not be put aside
};

}  // namespace tapir::edge
