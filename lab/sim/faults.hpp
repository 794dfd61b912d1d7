// What goes wrong in a run, how often it did, and the lies that the simulator must find.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "tapir/base/time.hpp"
#include "tapir/world/chance.hpp"

namespace tapir::sim {

// Each value is a line of the figures.
enum class Fault : std::uint8_t {
    kill,           // a process ended at the n-th operation
    kill_at_start,  // ... of its start
    power_cut,      // a machine lost what was not synced
    write_undone,   // by a power cut
    request_lost,   // somebody would have taken it
    answer_lost,    // the request was taken
    doubled,        // a request, delivered again later to a core that took it
    delayed,        // a request, delivered after its sender had given up, likewise
    stream_cut,     // an event stream, somewhere
    core_away,      // nobody reaches the core for a while, and somebody tried to
    full_disk,
    clock_step,
    broker_away,         // a MQTT broker for a while, and something was for it
    redelivered,         // MQTT messages that were kept and came again
    unacknowledged,      // MQTT: killed between keeping and acknowledging
    sessions_forgotten,  // by a MQTT broker
};
inline constexpr std::size_t fault_count = 16;
std::string_view to_string(Fault fault);

class Tally {
public:
    void add(Fault fault, std::uint64_t n = 1) { counts_.at(static_cast<std::size_t>(fault)) += n; }
    std::uint64_t operator[](Fault fault) const {
        return counts_.at(static_cast<std::size_t>(fault));
    }
    Tally& operator+=(const Tally& other);

private:
    std::array<std::uint64_t, fault_count> counts_{};
};

// A planted bug: a port that lies. For tests of the simulator.
enum class Lie : std::uint8_t {
    none,
    edge_disk_keeps_nothing,   // says that a batch's folder is there, and it is not
    edge_disk_refuses,         // is full now and then, and nobody filled it
    edge_store_knows_names,    // says of half the popular names that they were released before
    core_store_not_synced,     // says "synced", and a power cut undoes it
    core_forgets_duplicates,   // after each restart
    core_skips_acknowledged,   // answers 202 to events that it throws away
    core_skips_aggregates,     // answers 201 to histograms that it throws away
    core_journals_twice,       // a histogram, under another id
    second_door,               // octets leave that no leaf commits to
    altered_after_ledger,      // a payload is changed on its way out
    part_of_payload,           // a piece of a payload leaves by itself
    part_of_event,             // ... of an event, as a message
    name_in_field,             // a rare name leaves in a field of a request
    name_in_topic,             // ... in a topic
    rare_name_leaks,           // what counts as rare has many clients
    listed_name_leaks,         // ... and is on the list: it leaves in a histogram
    policy_store_not_synced,   // serials go back after a power cut
    policy_changes_no_serial,  // another zone under the same serial
    ledger_altered,            // an octet of a leaf changes on the disk
    feed_issues_twice,         // the core's feed begins again from before
    mqtt_acknowledges_first,   // and then keeps nothing
    policy_drops_rule,         // one of its zone
    policy_weakens_rule,       // one is "passthru" instead
};
inline constexpr std::size_t lie_count = 24;
std::string_view to_string(Lie lie);
std::optional<Lie> lie_named(std::string_view name);

// Times at which nobody reaches something. They may overlap: it is back when all are over.
class Outages {
public:
    void begin() {
        is_felt_ = is_felt_ && depth_ > 0;
        ++depth_;
    }
    // After end_all() those that had begun have no end any more.
    void end() { depth_ -= depth_ > 0 ? 1 : 0; }
    void end_all() { depth_ = 0; }
    bool is_away() const { return depth_ > 0; }
    // Somebody notices: whether he is the first.
    bool feel() { return !std::exchange(is_felt_, true); }

private:
    unsigned depth_ = 0;
    bool is_felt_ = false;
};

// Chance with the questions that a simulator asks.
class Dice {
public:
    explicit Dice(std::uint64_t seed) : chance_(seed) {}
    bool percent(std::uint64_t p) { return chance_.below(100) < p; }
    bool one_in(std::uint64_t n) { return chance_.below(n) == 0; }
    // Both ends included.
    std::uint64_t between(std::uint64_t low, std::uint64_t high) {
        return low + chance_.below(high - low + 1);
    }
    Duration time_between(Duration low, Duration high);
    std::uint64_t seed() { return chance_.u64(); }
    world::Chance& chance() { return chance_; }

private:
    world::SeededChance chance_;
};

}  // namespace tapir::sim
