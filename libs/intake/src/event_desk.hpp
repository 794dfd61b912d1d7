// Events on their way in: POST /api/v1/event/new_qname, and messages of a broker.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>

#include "answer.hpp"
#include "journal.hpp"
#include "request.hpp"
#include "tapir/base/guarded.hpp"
#include "tapir/base/time.hpp"
#include "tapir/intake/intake.hpp"

namespace tapir::intake {

class EventDesk {
public:
    EventDesk(const IntakeSettings& settings, const IntakeParts& parts, Journal& journal);

    net::HttpResponse post(const net::HttpRequest& request);
    // Success: whatever can be kept of them is, and none need come again.
    Result<void> take(std::span<const mqtt::Message> messages);

private:
    struct Counts {
        std::uint64_t accepted = 0;
        std::uint64_t duplicate = 0;
        text::Json rejected = text::Json::array();
        std::size_t rejected_count = 0;
    };
    Result<Counts, Refusal> take(const net::HttpRequest& request);
    // Whether the folder of keys was read again now, for a key that is not known.
    bool look_for_keys();
    void reject(std::string_view reason, const std::string& sender);
    // How many were accepted, how many are duplicates.
    Result<std::pair<std::uint64_t, std::uint64_t>> keep(std::span<const Event> events,
                                                         UtcTime now);
    Result<Event, std::string_view> check(std::string_view text, const std::string& sender,
                                          const jose::KeySet& keys, UtcTime now) const;

    const IntakeSettings& settings_;
    const IntakeParts& parts_;
    Journal& journal_;
    Fates fates_;
    Counter& from_broker_;
    Guarded<std::optional<Duration>> looked_;  // when, by the monotonic clock
};

}  // namespace tapir::intake
