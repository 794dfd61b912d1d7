// The policy: from what all sources say about a name to one action, by one path only.
//
//     const Decision d = decide(rules, book.facts(trigger));
//     // d.action goes into the zone, d.would_be is what `enforce` would do, d.rule says why
//
// Order: (1) on an allow list: never blocked, whatever else is said; (2) on a deny list: the deny
// action; (3) doubted: of the rules that fire the most severe action; (4) else nothing. In `shadow`
// what (3) finds is counted and explained, and not put into the zone. The tag `looptest` is removed
// before anything looks at an entry.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "tapir/rpz/action.hpp"

namespace tapir::rpz {

enum class Mode : std::uint8_t { shadow, enforce };

struct Rules {
    Mode mode = Mode::shadow;
    Action deny_action = Action::nxdomain;
    // One action for each tag bit; none: the tag decides nothing.
    std::array<Action, tag_count> tag_actions{};
    // Fires when at least `sources_limit` sources doubt the name; 0: never.
    unsigned sources_limit = 0;
    Action sources_action = Action::none;
    // Fires when at least `tags_limit` tags are set; 0: never.
    unsigned tags_limit = 0;
    Action tags_action = Action::none;

    // Whether what an observation says of x it says of all names below x too (a second rule, *.x).
    bool subdomains = false;
    // Tags of this source alone are looked at; empty: those of all sources together.
    std::string tag_source = "dns-tapir";

    friend bool operator==(const Rules&, const Rules&) = default;
};

// All that the sources say about one trigger.
struct Facts {
    bool allowed = false;
    bool denied = false;
    // The name lies under a wildcard that blocks: then only a rule of its own keeps it free.
    bool under_blocking_wildcard = false;
    unsigned doubting_sources = 0;
    std::uint32_t tags = 0;
};

// Which rule decided. Each value is the label of a counter.
enum class Rule : std::uint8_t { none, allow, deny, tag, sources, tags };
std::string_view to_string(Rule rule);

struct Decision {
    Action action = Action::none;    // what the zone says
    Action would_be = Action::none;  // what it would say in `enforce`
    Rule rule = Rule::none;
    unsigned tag = 0;  // the bit that decided, if rule is tag

    friend bool operator==(const Decision&, const Decision&) = default;
};

Decision decide(const Rules& rules, const Facts& facts);

}  // namespace tapir::rpz
