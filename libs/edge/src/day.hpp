// The secrets of one UTC day, and the turn to the next (R1).
//
//     DayKeys keys(day, client::DayKey::from(octets));
//     const auto day = keys.enter(day_of(minute));    // the key of the day before is wiped
//
// A Day is shared by the workers for as long as it is the current one: each makes its Tagger from
// it and lets go. What must outlive midnight by two minutes (the thresholds of the last minutes of
// the day) holds the gate's key alone, from which no tag can be computed.
#pragma once

#include <cstdint>
#include <memory>

#include "data_clock.hpp"
#include "tapir/client/day_key.hpp"
#include "tapir/privacy/gate_key.hpp"

namespace tapir::edge {

struct Day {
    Day(std::int64_t day_number, client::DayKey day_key);

    std::int64_t number;  // days since 1970-01-01
    client::DayKey key;
    std::shared_ptr<const privacy::GateKey> gate;
};

class DayKeys {
public:
    // `day` is the day whose key it is.
    DayKeys(std::int64_t day, client::DayKey key);
    // The key is that of the first day that is entered: for the twin.
    explicit DayKeys(client::DayKey key);

    // The day `number`, or the current one if that is later: keys only go forward.
    std::shared_ptr<const Day> enter(std::int64_t number);
    // The current one.
    std::shared_ptr<const Day> current() const { return current_; }

private:
    std::shared_ptr<const Day> current_;
    bool is_started_;
};

}  // namespace tapir::edge
