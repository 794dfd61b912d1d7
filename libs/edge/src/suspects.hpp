// Where detectors report: a registered domain that somebody asked for, and that one of them holds
// for a threat (R7). The operator is told; what leaves by itself is a count for each detector.
//
//     Suspects suspects(settings, seen, counters, journal);
//     suspects.turn(time);                          // before what is found at `time`
//     suspects.saw(found, "evil.example.", suffixes);
//     for (auto& leaving : suspects.take(batch_time)) { ... }       // with threat_exception alone
//     leaf.count("suspects", ..., suspects.take_counts());
//
// A detector finds a suspect in a worker (BatchResult::suspects) or behind it; either way it comes
// here, in the collector's thread. A domain is told of once an hour by each detector, without who
// asked and without what was asked below it. Its networks are counted by family and UTC day, as
// their tags mean nothing beyond it. It changes nothing of how names and rows are counted. Fixed
// memory: domains of a day beyond `suspects_max` are not looked at, counted. One thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "seen.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/time.hpp"
#include "tapir/dns/public_suffix.hpp"
#include "tapir/privacy/exceptions.hpp"
#include "threat_lists.hpp"

namespace tapir::edge {

inline constexpr std::size_t suspects_max = 4096;       // domains of one UTC day
inline constexpr std::size_t suspect_size_usual = 512;  // octets of memory of one

enum class Detector : std::uint8_t { threat_list };
inline constexpr std::size_t detector_count = 1;
std::string_view to_string(Detector detector);

// What a detector found in one frame.
struct SuspectFound {
    Detector detector = Detector::threat_list;
    ThreatMatch threat;
    std::uint32_t domain_start = 0;  // in the batch's text: the registered domain, lower case
    std::uint16_t domain_size = 0;
    bool is_ipv6 = false;
    std::uint64_t network = 0;  // the client's, as a tag under domain and day; 0: not known
};

// What the operator is told.
struct Suspect {
    Detector detector = Detector::threat_list;
    std::string domain;
    unsigned score = 0;  // 0 to 100: how sure the detector is
    std::vector<std::string> reasons;
    UtcTime hour;
    std::uint64_t exception = 0;  // its number, if it leaves by exception; else 0

    // {"detector":…,"domain":…,"hour":…,"leaves":…,"reasons":[…],"score":…}, one line.
    std::string to_json() const;
};

class SuspectListener {
public:
    virtual ~SuspectListener() = default;
    virtual void suspect(const Suspect& suspect) = 0;
    // Whether it is told each time, and not only of news.
    virtual bool wants_repeats() const { return false; }
    // Up to which number it is written down what may leave by exception. Any thread.
    virtual std::uint64_t written() const { return std::numeric_limits<std::uint64_t>::max(); }
};

struct SuspectCounts {
    std::array<std::uint64_t, detector_count> by_detector{};  // domains, each hour anew
    std::uint64_t over_the_day = 0;  // had grounds for an exception, but the day's are used up

    void add(const SuspectCounts& other) {
        for (std::size_t i = 0; i < detector_count; ++i) {
            by_detector.at(i) += other.by_detector.at(i);
        }
        over_the_day += other.over_the_day;
    }
};

struct SuspectSettings {
    privacy::Profile profile = privacy::Profile::standard;
    bool has_exception = false;  // threat_exception
    privacy::ExceptionsBefore before{};
    std::size_t suspects_max = edge::suspects_max;
};

class Suspects {
public:
    // All must outlive it.
    Suspects(const SuspectSettings& settings, Seen& seen, Counters& counters,
             SuspectListener& listener);

    void turn(UtcTime time);
    void saw(const SuspectFound& found, std::string_view domain,
             const dns::PublicSuffixes& suffixes);

    struct Leaving {
        privacy::Released<products::NewQname> name;
        std::string account;  // on what grounds, as canonical JSON: what the ledger commits to
    };
    std::vector<Leaving> take(UtcTime batch_time);
    // Since the last call.
    SuspectCounts take_counts() { return std::exchange(counts_, {}); }

private:
    using Networks = std::array<std::uint64_t, 3>;  // 0: none
    struct Entry {
        std::array<std::int64_t, detector_count> hours_told{};  // since 1970
        std::array<Networks, 2> networks{};                     // IPv4, IPv6
        bool is_settled = false;  // today: it leaves, or has left, or may not
    };

    Entry* entry_of(std::string_view domain);
    // What it says of an exception becomes a reason.
    void try_exception(const SuspectFound& found, Entry& entry, const dns::PublicSuffixes& suffixes,
                       Suspect& suspect);

    const std::size_t suspects_max_;
    Seen& seen_;
    SuspectListener& listener_;
    std::array<Counter*, detector_count> found_{};
    Counter& dropped_;
    Counter& granted_;
    Counter& over_the_day_;
    std::optional<privacy::Exceptions> exceptions_;  // nothing: none is made
    std::optional<UtcTime> hour_;
    std::map<std::string, Entry, std::less<>> entries_;  // of the UTC day
    // Found before there was a time: of the first hour.
    std::vector<std::pair<SuspectFound, std::string>> early_;
    SuspectCounts counts_;
};

}  // namespace tapir::edge
