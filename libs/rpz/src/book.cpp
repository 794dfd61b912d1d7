#include "tapir/rpz/book.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>
#include <ranges>
#include <utility>

#include "tapir/base/assert.hpp"

namespace tapir::rpz {

namespace {

constexpr std::string_view wildcard_label{"*\0", 2};

// Calls `see` for each wildcard that covers `key`, the nearest first, until it returns true.
template <class F>
bool any_wildcard_above(std::string_view key, F&& see) {
    std::string wildcard;
    for (std::string_view parent = key_parent(key); !parent.empty(); parent = key_parent(parent)) {
        wildcard.assign(parent).append(wildcard_label);
        if (wildcard != key && see(std::string_view(wildcard))) {
            return true;
        }
    }
    return false;
}

}  // namespace

NameSet NameSet::from(std::vector<Entry> entries) {
    std::ranges::sort(entries, {}, [](const Entry& e) { return std::string_view(e.key); });
    NameSet set;
    std::string_view last;
    for (const Entry& entry : entries) {
        TAPIR_ASSERT(!entry.key.empty() && entry.key.back() == '\0');
        if (entry.key != last) {
            TAPIR_ASSERT(set.text_.size() <= std::numeric_limits<std::uint32_t>::max());
            set.starts_.push_back(static_cast<std::uint32_t>(set.text_.size()));
            set.text_ += entry.key;
            set.flags_.push_back(0);
            last = entry.key;
        }
        set.flags_.back() |= entry.suffix ? suffix_flag : exact_flag;
        set.has_suffixes_ = set.has_suffixes_ || entry.suffix;
    }
    set.text_.shrink_to_fit();
    set.starts_.shrink_to_fit();
    set.flags_.shrink_to_fit();
    return set;
}

std::string_view NameSet::key(std::size_t index) const {
    const std::size_t end = index + 1 < starts_.size() ? starts_[index + 1] : text_.size();
    return std::string_view(text_).substr(starts_[index], end - starts_[index]);
}

std::size_t NameSet::lower_bound(std::string_view wanted) const {
    const auto numbers = std::views::iota(std::size_t{0}, size());
    return static_cast<std::size_t>(
        std::ranges::lower_bound(numbers, wanted, {}, [this](std::size_t i) { return key(i); }) -
        numbers.begin());
}

bool NameSet::has(std::string_view wanted, std::uint8_t flag) const {
    const std::size_t at = lower_bound(wanted);
    return at < size() && key(at) == wanted && (flags_[at] & flag) != 0;
}

bool NameSet::mentions(std::string_view wanted) const {
    return has(wanted, exact_flag) ||
           (has_suffixes_ && key_is_wildcard(wanted) && has(key_parent(wanted), suffix_flag));
}

std::optional<NameSet::Match> NameSet::find(std::string_view wanted) const {
    if (has(wanted, exact_flag)) {
        return Match{lower_bound(wanted), false};
    }
    if (has_suffixes_) {
        for (auto above = key_parent(wanted); !above.empty(); above = key_parent(above)) {
            if (has(above, suffix_flag)) {
                return Match{lower_bound(above), true};
            }
        }
    }
    return std::nullopt;
}

std::string_view to_string(DoubtOutcome outcome) {
    switch (outcome) {
        case DoubtOutcome::added:
            return "added";
        case DoubtOutcome::replaced:
            return "replaced";
        case DoubtOutcome::removed:
            return "removed";
        case DoubtOutcome::unknown:
            return "unknown";
        case DoubtOutcome::stale:
            return "stale";
        case DoubtOutcome::expired:
            return "expired";
        case DoubtOutcome::exhausted:
            return "exhausted";
    }
    return "unknown";
}

bool Book::Sooner::operator()(Doubts::const_iterator a, Doubts::const_iterator b) const {
    return std::tie(a->second.expires, a->first) < std::tie(b->second.expires, b->first);
}

Book::Book(Rules rules, std::size_t labels_size_max)
    : rules_(std::move(rules)), labels_size_max_(labels_size_max) {}

void Book::set_lists(Lists lists) {
    lists_ = std::move(lists);
    suffix_wildcards_.clear();
    for (const auto* group : {&lists_.allow, &lists_.deny, &lists_.doubt}) {
        for (const NamedSet& set : *group) {
            for (std::size_t i = 0; i < set.names->size(); ++i) {
                if (set.names->is_suffix(i)) {
                    suffix_wildcards_.push_back(
                        std::string(set.names->key(i)).append(wildcard_label));
                }
            }
        }
    }
    std::ranges::sort(suffix_wildcards_);
    const auto repeated = std::ranges::unique(suffix_wildcards_);
    suffix_wildcards_.erase(repeated.begin(), repeated.end());
}

void Book::put(const DoubtKey& key, const Doubt& doubt) {
    if (const auto old = doubts_.find(key); old != doubts_.end()) {
        expiries_.erase(old);
        old->second = doubt;
        expiries_.insert(old);
    } else {
        expiries_.insert(doubts_.emplace(key, doubt).first);
    }
}

void Book::erase(Doubts::iterator entry) {
    expiries_.erase(entry);
    doubts_.erase(entry);
}

void Book::restore(const DoubtKey& key, const Doubt& doubt) {
    put(key, doubt);
}

const Doubt* Book::doubt(const DoubtKey& key) const {
    const auto found = doubts_.find(key);
    return found == doubts_.end() ? nullptr : &found->second;
}

DoubtOutcome Book::observe(const DoubtKey& key, const Doubt& doubt, UtcTime now) {
    const auto old = doubts_.find(key);
    const bool known = old != doubts_.end() && !old->second.removed;
    if (old != doubts_.end() && doubt.stamp < old->second.stamp) {
        return DoubtOutcome::stale;
    }
    if (old == doubts_.end() && doubts_.size() >= doubt_entries_max) {
        return DoubtOutcome::exhausted;
    }
    if (doubt.expires <= now) {
        if (old != doubts_.end()) {
            erase(old);
        }
        return DoubtOutcome::expired;
    }
    put(key, doubt);
    if (doubt.removed) {
        return known ? DoubtOutcome::removed : DoubtOutcome::unknown;
    }
    return known ? DoubtOutcome::replaced : DoubtOutcome::added;
}

std::vector<DoubtKey> Book::expire(UtcTime now) {
    std::vector<DoubtKey> ended;
    while (!expiries_.empty() && (*expiries_.begin())->second.expires <= now) {
        const auto entry = doubts_.find((*expiries_.begin())->first);
        ended.push_back(entry->first);
        erase(entry);
    }
    return ended;
}

std::optional<UtcTime> Book::next_expiry() const {
    return expiries_.empty() ? std::nullopt : std::optional((*expiries_.begin())->second.expires);
}

template <class F>
void Book::each_doubt(std::string_view key, F&& see) const {
    const auto at = [&](std::string_view trigger) {
        for (auto entry = doubts_.lower_bound({std::string(trigger), {}});
             entry != doubts_.end() && entry->first.trigger == trigger; ++entry) {
            if (!entry->second.removed) {
                see(entry->first, entry->second);
            }
        }
    };
    at(key);
    if (rules_.subdomains && key_is_wildcard(key)) {
        at(key_parent(key));
    }
}

Facts Book::own_facts(std::string_view key) const {
    const auto said_by = [&](const NamedSet& set) { return set.names->find(key).has_value(); };
    Facts facts;
    facts.allowed = std::ranges::any_of(lists_.allow, said_by);
    facts.denied = std::ranges::any_of(lists_.deny, said_by);
    facts.doubting_sources = static_cast<unsigned>(std::ranges::count_if(lists_.doubt, said_by));
    std::string_view last_source;
    bool any = false;
    each_doubt(key, [&](const DoubtKey& who, const Doubt& doubt) {
        // An entry that carries nothing but the loop test says nothing at all.
        if (doubt.tags == looptest_tag) {
            return;
        }
        facts.doubting_sources += any && who.source == last_source ? 0U : 1U;
        any = true;
        last_source = who.source;
        if (rules_.tag_source.empty() || who.source == rules_.tag_source) {
            facts.tags |= doubt.tags & ~looptest_tag;
        }
    });
    return facts;
}

bool Book::blocking_wildcard_above(std::string_view key) const {
    return any_wildcard_above(key, [&](std::string_view wildcard) {
        if (wildcard.size() > labels_size_max_) {
            return false;
        }
        const Facts facts = own_facts(wildcard);
        return mentioned(wildcard, facts) && !facts.allowed && blocks(decide(rules_, facts).action);
    });
}

Facts Book::facts(std::string_view key) const {
    Facts facts = own_facts(key);
    facts.under_blocking_wildcard = facts.allowed && blocking_wildcard_above(key);
    return facts;
}

Decision Book::decide_for(std::string_view key) const {
    return decide(rules_, facts(key));
}

// Only names that a source mentions themselves get a rule: what a suffix entry covers, its wildcard
// does already. A name that is allowed gets one only if an allow list mentions it.
bool Book::mentioned(std::string_view key, const Facts& facts) const {
    const auto mentions = [&](const NamedSet& set) { return set.names->mentions(key); };
    if (facts.allowed) {
        return std::ranges::any_of(lists_.allow, mentions);
    }
    if (std::ranges::any_of(lists_.deny, mentions) || std::ranges::any_of(lists_.doubt, mentions)) {
        return true;
    }
    bool doubted = false;
    each_doubt(key, [&](const DoubtKey&, const Doubt&) { doubted = true; });
    return doubted;
}

Action Book::action_for(std::string_view key) const {
    if (key.size() > labels_size_max_) {
        return Action::none;
    }
    const Facts said = facts(key);
    return mentioned(key, said) ? decide(rules_, said).action : Action::none;
}

Zone Book::evaluate() const {
    // All keys that could have a rule, each once and in order, from sorted sources side by side.
    struct Source {
        std::function<std::optional<std::string_view>()> next;
        std::optional<std::string_view> head;
    };
    std::vector<Source> sources;
    for (const auto* group : {&lists_.allow, &lists_.deny, &lists_.doubt}) {
        for (const NamedSet& set : *group) {
            sources.push_back({[names = set.names.get(), i = std::size_t{0}]() mutable {
                                   return i < names->size() ? std::optional(names->key(i++))
                                                            : std::nullopt;
                               },
                               {}});
        }
    }
    sources.push_back({[this, i = suffix_wildcards_.begin()]() mutable {
                           return i == suffix_wildcards_.end()
                                      ? std::nullopt
                                      : std::optional<std::string_view>(*i++);
                       },
                       {}});
    sources.push_back({[this, i = doubts_.begin()]() mutable {
                           return i == doubts_.end()
                                      ? std::nullopt
                                      : std::optional<std::string_view>((i++)->first.trigger);
                       },
                       {}});
    std::vector<std::string> below;  // what `subdomains` adds
    if (rules_.subdomains) {
        for (const auto& [key, doubt] : doubts_) {
            if (!doubt.removed && !key_is_wildcard(key.trigger)) {
                below.push_back(key.trigger + std::string(wildcard_label));
            }
        }
        std::ranges::sort(below);
        sources.push_back({[i = below.begin(), end = below.end()]() mutable {
                               return i == end ? std::nullopt
                                               : std::optional<std::string_view>(*i++);
                           },
                           {}});
    }
    for (Source& source : sources) {
        source.head = source.next();
    }
    Zone::Builder zone;
    for (;;) {
        std::optional<std::string_view> least;
        for (const Source& source : sources) {
            if (source.head && (!least || *source.head < *least)) {
                least = source.head;
            }
        }
        if (!least) {
            return std::move(zone).finish();
        }
        if (const Action action = action_for(*least); action != Action::none) {
            zone.add(*least, action);
        }
        for (Source& source : sources) {
            while (source.head && *source.head == *least) {
                source.head = source.next();
            }
        }
    }
}

// A wildcard came or went: allowed names below it may need a rule of their own, or need it no
// longer.
void Book::add_allowed_below(std::string_view wildcard, Touched& touched) const {
    const std::string parent(key_parent(wildcard));
    for (const NamedSet& set : lists_.allow) {
        for (std::size_t i = set.names->lower_bound(parent);
             i < set.names->size() && set.names->key(i).starts_with(parent); ++i) {
            if (set.names->is_exact(i)) {
                touched.insert(std::string(set.names->key(i)));
            }
            if (set.names->is_suffix(i)) {
                touched.insert(std::string(set.names->key(i)).append(wildcard_label));
            }
        }
    }
}

Delta Book::evaluate(const Touched& touched, const Zone& zone) const {
    Touched all = touched;
    if (rules_.subdomains) {
        for (const std::string& key : touched) {
            if (!key_is_wildcard(key)) {
                all.insert(key + std::string(wildcard_label));
            }
        }
    }
    const Touched asked = all;
    for (const std::string& key : asked) {
        if (key_is_wildcard(key)) {
            add_allowed_below(key, all);
        }
    }
    Delta delta;
    for (const std::string& key : all) {
        const Action before = zone.find(key);
        const Action after = action_for(key);
        if (before == after) {
            continue;
        }
        if (before != Action::none) {
            delta.removed.push_back({key, before});
        }
        if (after != Action::none) {
            delta.added.push_back({key, after});
        }
    }
    return delta;
}

std::size_t Book::would_be_count() const {
    std::size_t count = 0;
    std::string_view last;
    for (const auto& [key, doubt] : doubts_) {
        if (key.trigger != last) {
            const Decision decision = decide_for(key.trigger);
            count += decision.action != decision.would_be ? 1 : 0;
            last = key.trigger;
        }
    }
    return count;
}

std::vector<Book::Word> Book::words(std::string_view key) const {
    std::vector<Word> out;
    const auto lists = [&](std::string_view kind, const std::vector<NamedSet>& sets) {
        for (const NamedSet& set : sets) {
            if (const auto at = set.names->find(key)) {
                const std::string text = key_to_text(set.names->key(at->index));
                out.push_back({.kind = std::string(kind),
                               .source = set.source,
                               .entry = (at->suffix ? "." : "") + text});
            }
        }
    };
    lists("allow", lists_.allow);
    lists("deny", lists_.deny);
    lists("doubt", lists_.doubt);
    each_doubt(key, [&](const DoubtKey& who, const Doubt& doubt) {
        out.push_back({.kind = "doubt",
                       .source = who.source,
                       .entry = key_to_text(who.trigger),
                       .tags = doubt.tags,
                       .time_added = doubt.time_added,
                       .expires = doubt.expires});
    });
    return out;
}

}  // namespace tapir::rpz
