// What was accepted, on the disk: aggregates with their payloads, events, and what is still to be
// done with them. Answers 201 and 202 are given only after this returned.
//
// Families of the store, and what is true of them after every write:
//  1. intake_aggregates: id → what is known of the aggregate. Its payload is a file as long as its
//     state is `stored` or `quarantined`.
//  2. intake_digests: edge, type, digest, interval → id. One for each aggregate: how duplicates
//     are found.
//  3. intake_unsealed: id → nothing, for each aggregate in state `stored`.
//  4. intake_events: identity of an event → when it came; intake_event_times: the same by time.
//     Both are forgotten after event_memory_s.
//  5. intake_outbox: sequence → message for the bus, until acknowledged. Sequences only grow.
//
// A crash between payload and aggregate leaves a payload file that the same upload overwrites.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/products/histogram.hpp"
#include "tapir/store/store.hpp"
#include "tapir/text/json.hpp"
#include "tapir/world/files.hpp"

namespace tapir::intake {

inline constexpr std::int64_t event_memory_s = 8L * 86'400;  // longer than an edge's outbox: 7 days
inline constexpr std::size_t quarantine_files_max = 100;     // the oldest go first

struct Aggregate {
    std::string edge;
    std::string type;    // histogram, vector, test
    std::string digest;  // SHA-256 of the payload, hexadecimal
    std::optional<products::Interval> interval;
    std::string content_type;
    std::string content_encoding;  // recorded, never undone
    std::string user_agent;
    UtcTime received;
};

enum class AggregateState : std::uint8_t { stored, sealed, quarantined };

struct Event {
    std::string edge;
    std::string identity;  // the same for the same event of the same edge
    std::string payload;   // verified JSON
};

struct Outgoing {
    std::uint64_t sequence = 0;
    Bytes message;  // {"sequence":1,"edge":"…","event":"…"}
};

class Journal {
public:
    // The families to open the store with.
    static const std::vector<std::string>& families();

    Journal(store::Store& store, world::Files& files, std::string directory)
        : store_(store), files_(files), directory_(std::move(directory)) {}

    // Reads where it stopped. Call once, before anything else.
    Result<void> open();

    // The aggregate of this edge, type and digest: of the same interval, or of any if there is none
    // to compare (nullopt).
    Result<std::optional<std::string>> find(const Aggregate& aggregate, bool any_interval) const;

    struct Added {
        std::string id;  // 24 hexadecimal digits
        bool is_duplicate = false;
    };
    Result<Added> add(const Aggregate& aggregate, ByteView payload);
    Result<std::optional<text::Json>> metadata(std::string_view id) const;

    // Ids of what is still to be sealed, in no particular order.
    Result<std::vector<std::string>> unsealed(std::size_t count_max) const;
    Result<Bytes> payload(std::string_view id) const;
    // The end of an aggregate's way: `detail` is the file in the lake, or why there is none.
    Result<void> settle(std::string_view id, AggregateState state, std::string_view detail);

    // True for each event that is new, in the order given. All new ones are kept, or none.
    Result<std::vector<bool>> add_events(std::span<const Event> events, UtcTime now);
    Result<std::vector<Outgoing>> outgoing(std::uint64_t after, std::size_t count_max) const;
    // Nothing up to `sequence` will be asked for again.
    Result<void> acknowledge(std::uint64_t sequence);
    // Forgets identities of events older than event_memory_s; how many.
    Result<std::size_t> forget(UtcTime now, std::size_t count_max);

private:
    std::string payload_path(std::string_view id) const;
    Result<void> quarantine(std::string_view id);

    store::Store& store_;
    world::Files& files_;
    std::string directory_;
    std::mutex mutex_;  // of every change
    std::uint64_t next_sequence_ = 1;
};

// The names of the states, as metadata shows them.
std::string_view to_string(AggregateState state);

}  // namespace tapir::intake
