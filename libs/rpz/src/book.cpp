#include "tapir/rpz/book.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>
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
    // For one name the suffix entry comes first, and the first is kept.
    std::ranges::sort(entries, [](const Entry& a, const Entry& b) {
        return std::pair(std::string_view(a.key), !a.suffix) <
               std::pair(std::string_view(b.key), !b.suffix);
    });
    NameSet set;
    set.starts_.reserve(entries.size() + 1);
    for (const Entry& entry : entries) {
        TAPIR_ASSERT(!entry.key.empty() && entry.key.back() == '\0');
        if (set.suffix_.empty() ||
            set.text_.compare(set.starts_.back(), std::string::npos, entry.key) != 0) {
            set.starts_.push_back(static_cast<std::uint32_t>(set.text_.size()));
            set.text_ += entry.key;
            set.suffix_.push_back(entry.suffix);
            set.has_suffixes_ = set.has_suffixes_ || entry.suffix;
        }
    }
    TAPIR_ASSERT(set.text_.size() <= std::numeric_limits<std::uint32_t>::max());
    set.starts_.push_back(static_cast<std::uint32_t>(set.text_.size()));
    set.text_.shrink_to_fit();
    set.starts_.shrink_to_fit();
    return set;
}

std::string_view NameSet::key(std::size_t index) const {
    return std::string_view(text_).substr(starts_[index], starts_[index + 1] - starts_[index]);
}

std::size_t NameSet::lower_bound(std::string_view wanted) const {
    std::size_t low = 0;
    std::size_t high = size();
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (key(middle) < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool NameSet::mentions(std::string_view wanted) const {
    const std::size_t at = lower_bound(wanted);
    if (at < size() && key(at) == wanted) {
        return true;
    }
    if (!has_suffixes_ || !key_is_wildcard(wanted)) {
        return false;
    }
    const std::string_view parent = key_parent(wanted);
    const std::size_t above = lower_bound(parent);
    return above < size() && key(above) == parent && suffix_[above];
}

std::optional<std::size_t> NameSet::find(std::string_view wanted) const {
    for (std::string_view name = wanted; !name.empty(); name = key_parent(name)) {
        const std::size_t at = lower_bound(name);
        if (at < size() && key(at) == name && (suffix_[at] || name.size() == wanted.size())) {
            return at;
        }
        if (!has_suffixes_) {
            break;
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

Facts Book::own_facts(std::string_view key) const {
    const auto said_by = [&](const NamedSet& set) { return set.names->find(key).has_value(); };
    Facts facts;
    facts.allowed = std::ranges::any_of(lists_.allow, said_by);
    facts.denied = std::ranges::any_of(lists_.deny, said_by);
    facts.doubting_sources = static_cast<unsigned>(std::ranges::count_if(lists_.doubt, said_by));
    for (auto entry = doubts_.lower_bound({std::string(key), {}});
         entry != doubts_.end() && entry->first.trigger == key; ++entry) {
        const Doubt& doubt = entry->second;
        // An entry that carries nothing but the loop test says nothing at all.
        if (doubt.removed || doubt.tags == looptest_tag) {
            continue;
        }
        ++facts.doubting_sources;
        if (rules_.tag_source.empty() || entry->first.source == rules_.tag_source) {
            facts.tags |= doubt.tags & ~looptest_tag;
        }
    }
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
    for (auto entry = doubts_.lower_bound({std::string(key), {}});
         entry != doubts_.end() && entry->first.trigger == key; ++entry) {
        if (!entry->second.removed) {
            return true;
        }
    }
    return false;
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
            touched.insert(std::string(set.names->key(i)));
            if (set.names->is_suffix(i)) {
                touched.insert(std::string(set.names->key(i)).append(wildcard_label));
            }
        }
    }
}

Delta Book::evaluate(const Touched& touched, const Zone& zone) const {
    Touched all = touched;
    for (const std::string& key : touched) {
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
                const std::string text = key_to_text(set.names->key(*at));
                out.push_back({.kind = std::string(kind),
                               .source = set.source,
                               .entry = (set.names->is_suffix(*at) ? "." : "") + text});
            }
        }
    };
    lists("allow", lists_.allow);
    lists("deny", lists_.deny);
    lists("doubt", lists_.doubt);
    for (auto entry = doubts_.lower_bound({std::string(key), {}});
         entry != doubts_.end() && entry->first.trigger == key; ++entry) {
        if (!entry->second.removed) {
            out.push_back({.kind = "doubt",
                           .source = entry->first.source,
                           .entry = key_to_text(key),
                           .tags = entry->second.tags,
                           .time_added = entry->second.time_added,
                           .expires = entry->second.expires});
        }
    }
    return out;
}

}  // namespace tapir::rpz
