// The zone as a value: rules in canonical order, each owner once; its serial; what changed between
// two.
//
//     const Delta delta = difference(*old_zone, new_zone);
//     snapshot = publish(*snapshot, delta);      // serial + 1, history longer by one
//
// A Zone never changes, so threads share it and a transfer streams from the one it began with.
// Applying a delta copies only the blocks that it touches.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/rpz/action.hpp"

namespace tapir::rpz {

// A zone's version in the arithmetic of RFC 1982: numbers on a circle, "newer" means within half of
// it.
class Serial {
public:
    constexpr Serial() = default;
    constexpr explicit Serial(std::uint32_t value) : value_(value) {}
    constexpr std::uint32_t value() const { return value_; }
    // The one after this; 0 is left out, as some secondaries take it for "none".
    constexpr Serial next() const { return Serial(value_ + 1 == 0 ? 1 : value_ + 1); }
    constexpr bool newer_than(Serial other) const {
        return value_ != other.value_ && value_ - other.value_ < 0x8000'0000U;
    }
    friend constexpr bool operator==(Serial, Serial) = default;

private:
    std::uint32_t value_ = 1;
};

// One rule: the trigger's key (trigger.hpp) and what is to be done.
struct Record {
    std::string_view key;
    Action action = Action::none;
    friend bool operator==(const Record&, const Record&) = default;
};

// What turns one zone into the next. Both lists are in canonical order, each key at most once in
// each; a changed action is in both.
struct Delta {
    struct Change {
        std::string key;
        Action action = Action::none;
        friend bool operator==(const Change&, const Change&) = default;
    };
    std::vector<Change> removed;
    std::vector<Change> added;

    bool empty() const { return removed.empty() && added.empty(); }
    std::size_t size() const { return removed.size() + added.size(); }
    friend bool operator==(const Delta&, const Delta&) = default;

    // For storage. decode refuses what encode did not write.
    Bytes encode() const;
    static Result<Delta> decode(ByteView bytes);
};

class Zone {
public:
    // Records must come in canonical order, each key once, none with the action `none`.
    class Builder;

    Zone();
    std::size_t size() const { return size_; }
    // The action at exactly this key; none if there is no such rule.
    Action find(std::string_view key) const;
    // Whether a rule lies strictly below this key.
    bool has_below(std::string_view key) const;

    // The records in order. The cursor keeps the zone's blocks alive; its views live as long as it
    // is not moved on.
    class Cursor;
    Cursor begin() const;

    // This zone with the delta applied. Asserts that all of `removed` is there and none of `added`.
    Zone apply(const Delta& delta) const;

    friend bool operator==(const Zone& a, const Zone& b);

private:
    struct Block;
    using Blocks = std::vector<std::shared_ptr<const Block>>;
    explicit Zone(Blocks blocks);
    std::size_t block_for(std::string_view key) const;
    static void append_blocks(Blocks& out, std::vector<Record> records);

    std::shared_ptr<const Blocks> blocks_;
    std::size_t size_ = 0;
};

class Zone::Cursor {
public:
    // The next record, or nothing at the end.
    std::optional<Record> next();

private:
    friend class Zone;
    explicit Cursor(std::shared_ptr<const Blocks> blocks) : blocks_(std::move(blocks)) {}
    std::shared_ptr<const Blocks> blocks_;
    std::size_t block_ = 0;
    std::size_t index_ = 0;
};

class Zone::Builder {
public:
    Builder();
    ~Builder();
    void add(std::string_view key, Action action);
    Zone finish() &&;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// difference(a, b) applied to a gives b.
Delta difference(const Zone& from, const Zone& to);

inline constexpr std::size_t history_deltas_max = 1'000;
inline constexpr std::size_t history_records_max = 1'000'000;

// What is served: one zone, its serial, and the way from earlier serials. Immutable; published as
// shared_ptr<const Snapshot>.
struct Snapshot {
    struct Step {
        Serial from;
        Serial to;
        std::shared_ptr<const Delta> delta;
    };
    Zone zone;
    Serial serial;
    std::vector<Step> history;  // oldest first, without gaps, the last one leads to `serial`
    std::size_t history_records = 0;

    // The steps from `from` to `serial`; nothing if the history does not reach back so far.
    std::optional<std::vector<Step>> steps_from(Serial from) const;
};

// The snapshot after one change: serial + 1, the oldest history dropped where a limit is reached.
// The delta must not be empty.
Snapshot publish(const Snapshot& before, Delta delta);
// Puts a stored step back at the end of the history, without touching the zone. For loading.
void append_history(Snapshot& snapshot, Snapshot::Step step);

}  // namespace tapir::rpz
