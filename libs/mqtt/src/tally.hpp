// What connections have in common: how they are counted and logged.
#pragma once

#include <array>
#include <string>

#include "connection.hpp"

namespace tapir::mqtt {

// Of a PublisherSettings or SubscriberSettings.
template <class Settings>
const std::string& label_of(const Settings& settings) {
    return settings.label.empty() ? settings.client_id : settings.label;
}

class Tally {
public:
    Tally(std::string client, const Log& log, Counters& counters);

    void connected();
    // Logged unless it was we who ended it.
    void ended(Ended why, std::string_view detail);

private:
    const std::string client_;
    const Log& log_;
    Counter& connections_;
    Gauge& is_connected_;
    std::array<Counter*, ended_count> ended_{};
};

}  // namespace tapir::mqtt
