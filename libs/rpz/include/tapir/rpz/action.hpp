// What a resolver is told to do with a name, and the tags that observations carry.
//
// An action is written into the zone as the target of a CNAME (the RPZ convention):
//     nxdomain "."   nodata "*."   drop "rpz-drop."   passthru "rpz-passthru."   tcp_only
//     "rpz-tcp-only."
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tapir/base/bytes.hpp"

namespace tapir::rpz {

// In order of severity: of several rules that fire the most severe one wins.
enum class Action : std::uint8_t { none, passthru, tcp_only, nodata, nxdomain, drop };

// "nxdomain", "nodata", "drop", "passthru", "tcp-only", "none"; any case is read.
std::string_view to_string(Action action);
std::optional<Action> parse_action(std::string_view text);

// Whether the action takes an answer away from a client.
constexpr bool blocks(Action action) {
    return action >= Action::tcp_only;
}

// The CNAME's RDATA (uncompressed wire form) and its text. Not for `none`.
ByteView target_wire(Action action);
std::string_view target_text(Action action);
// The action of a CNAME target in wire form; nothing if it is none of ours.
std::optional<Action> action_of_target(ByteView rdata);

inline constexpr unsigned tag_count = 32;
inline constexpr std::uint32_t looptest_tag = 1024;  // a test of the loop; never policy

// The bit of a tag by the core's name (globally_new), the processor's (newname) or its number
// ("17").
std::optional<unsigned> tag_bit(std::string_view name);
// The core's name of a bit, else the processor's, else its number.
std::string tag_name(unsigned bit);

}  // namespace tapir::rpz
