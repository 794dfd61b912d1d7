// The name that a rule of the zone acts on: checked once, case folded, without the zone's own name.
//
//     const Trigger bad = TRY(Trigger::parse("Bad.Example"));   // with or without a final dot
//     bad.key();        // "example\0bad\0": the order of these octets is the canonical order of
//     DNS
//
// A trigger with the leftmost label "*" is a wildcard: it acts on every name below its parent, not
// on the parent. Values; threads may share them.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"

namespace tapir::rpz {

inline constexpr std::size_t owner_size_max =
    255;  // octets of trigger and zone together, RFC 1035 §2.3.4

// Why a name cannot be a trigger. Each value names a counter.
enum class TriggerError : std::uint8_t { empty, bad_label, too_long, nul, bad_escape };
std::string_view to_string(TriggerError error);
Error to_error(TriggerError error);

class Trigger {
public:
    // Reads presentation form (RFC 1035 §5.1 escapes). The root and names with a NUL octet are
    // refused.
    static Result<Trigger, TriggerError> parse(std::string_view text);
    // Reads an uncompressed name in wire form, root label included; what follows it is not looked
    // at.
    static Result<Trigger, TriggerError> from_wire(ByteView wire);
    // What key() returned. Asserts that it looks like one.
    static Trigger from_key(std::string_view key);

    // Labels from the root down, each followed by a zero octet.
    const std::string& key() const { return key_; }
    // Octets of the trigger's labels on the wire, without the root label. With the zone's wire size
    // this must not exceed owner_size_max.
    std::size_t labels_size() const { return key_.size(); }
    // Presentation form without a final dot.
    std::string to_text() const;

    bool is_wildcard() const;
    // "*.x" for x, if x itself is not a wildcard.
    Trigger wildcard_below() const;

    friend auto operator<=>(const Trigger&, const Trigger&) = default;

private:
    explicit Trigger(std::string key) : key_(std::move(key)) {}
    std::string key_;
};

// Whether `octets`, from wherever they come, are what key() returns: for those who store keys.
bool is_key(std::string_view octets);

// The same on keys alone, for those who hold many.
bool key_is_wildcard(std::string_view key);
// The key without its leftmost label; empty for one label.
std::string_view key_parent(std::string_view key);
// Appends the labels in wire form, leftmost first, without the root label.
void append_labels(std::string_view key, Bytes& out);
std::string key_to_text(std::string_view key);

}  // namespace tapir::rpz
