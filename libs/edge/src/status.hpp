// What a live edge says of itself to its operator, as JSON: made each second, read at any time.
//
//     StatusBoard board("0.1.0");
//     board.released("example.se", minute);           // names that are public from now on
//     board.publish(parts, now);                      // one thread
//     const std::string text = board.text();          // any thread
//
// It holds what the counters say, made ready for people, with rates since the call before. No name
// that was not released is in it, and no address.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lists.hpp"
#include "pipeline.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/guarded.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/time.hpp"
#include "tapir/text/json.hpp"
#include "tapir/text/settings.hpp"

namespace tapir::edge {

inline constexpr std::size_t releases_remembered_max = 1000;
inline constexpr std::size_t domains_shown_max = 20;

// Settings of what this and its neighbours show.
text::SettingTable status_settings_table();

// What publish() needs of a moment; must live as long as the call.
struct StatusParts {
    std::string_view profile;
    const Counters& counters;
    const Log& log;
    const Histogram& delay;
    std::vector<LaneLoad> loads;
    std::vector<ListFile> lists;
    std::string checkpoint;  // of the ledger: three lines; empty: none
};

class StatusBoard {
public:
    StatusBoard(std::string version, UtcTime start) : version_(std::move(version)), start_(start) {}

    // A name under this registered domain was released. Any thread.
    void released(std::string_view domain);
    void publish(const StatusParts& parts, UtcTime now);
    std::string text() const;

private:
    text::Json frames(const Counters& counters, double seconds);
    text::Json domains() const;

    const std::string version_;
    const UtcTime start_;
    UtcTime last_;
    std::map<std::string, std::int64_t> last_frames_;  // by labels
    Guarded<std::deque<std::string>> releases_;        // registered domains, the newest last
    Guarded<std::string> text_{std::string("{}")};
};

}  // namespace tapir::edge
