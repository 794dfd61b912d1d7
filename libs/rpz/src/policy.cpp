#include "tapir/rpz/policy.hpp"

#include <bit>

namespace tapir::rpz {

std::string_view to_string(Rule rule) {
    switch (rule) {
        case Rule::none:
            return "none";
        case Rule::allow:
            return "allow";
        case Rule::deny:
            return "deny";
        case Rule::tag:
            return "tag";
        case Rule::sources:
            return "sources";
        case Rule::tags:
            return "tags";
    }
    return "none";
}

namespace {

// The most severe of the rules on doubts. Between equals the one that says most: tag, sources,
// tags.
Decision judge_doubts(const Rules& rules, const Facts& facts) {
    Decision best;
    const auto fire = [&](Action action, Rule rule, unsigned tag) {
        if (action > best.would_be) {
            best.would_be = action;
            best.rule = rule;
            best.tag = tag;
        }
    };
    const std::uint32_t tags = facts.tags & ~looptest_tag;
    for (std::uint32_t rest = tags; rest != 0; rest &= rest - 1) {
        const auto bit = static_cast<unsigned>(std::countr_zero(rest));
        fire(rules.tag_actions[bit], Rule::tag, bit);
    }
    if (rules.sources_limit != 0 && facts.doubting_sources >= rules.sources_limit) {
        fire(rules.sources_action, Rule::sources, 0);
    }
    if (rules.tags_limit != 0 && static_cast<unsigned>(std::popcount(tags)) >= rules.tags_limit) {
        fire(rules.tags_action, Rule::tags, 0);
    }
    return best;
}

}  // namespace

Decision decide(const Rules& rules, const Facts& facts) {
    if (facts.allowed) {
        const Action action = facts.under_blocking_wildcard ? Action::passthru : Action::none;
        return {action, action, Rule::allow, 0};
    }
    if (facts.denied && rules.deny_action != Action::none) {
        return {rules.deny_action, rules.deny_action, Rule::deny, 0};
    }
    Decision decision;
    if (facts.doubting_sources > 0) {
        decision = judge_doubts(rules, facts);
        // A rule that only lets pass leaves the name out of the zone, as no rule would.
        if (!blocks(decision.would_be)) {
            decision.would_be = Action::none;
        }
        decision.action = rules.mode == Mode::enforce ? decision.would_be : Action::none;
    }
    return decision;
}

}  // namespace tapir::rpz
