// What all sources say: allow and deny lists, doubt lists, and the doubt entries of observations.
//
//     Book book(rules, zone_size);
//     book.set_lists(lists);                              // lists replace each other whole
//     const auto touched = book.observe(entry);           // one entry, newest state wins
//     Zone zone = book.evaluate();                        // everything
//     Delta delta = book.evaluate(touched, *snapshot);    // only what may have changed
//
// Both evaluations go through the same `decide`, so they agree: evaluating what was touched and
// applying the difference gives the same zone as evaluating everything. Not for sharing between
// threads; the immutable NameSets inside may be shared.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/time.hpp"
#include "tapir/rpz/policy.hpp"
#include "tapir/rpz/trigger.hpp"
#include "tapir/rpz/zone.hpp"

namespace tapir::rpz {

// An immutable set of names, about as large as their text. An exact entry covers its name; a suffix
// entry (a leading dot in lists) covers every name strictly below its own, as the wildcard *.x
// does.
class NameSet {
public:
    struct Entry {
        std::string key;
        bool suffix = false;
    };
    struct Match {
        std::size_t index = 0;
        bool suffix = false;  // by the suffix entry of that name
    };
    // Sorts and folds duplicates.
    static NameSet from(std::vector<Entry> entries);

    // Names; one may be both an exact and a suffix entry.
    std::size_t size() const { return flags_.size(); }
    std::string_view key(std::size_t index) const;
    bool is_exact(std::size_t index) const { return (flags_[index] & exact_flag) != 0; }
    bool is_suffix(std::size_t index) const { return (flags_[index] & suffix_flag) != 0; }
    // Whether an entry speaks of exactly this key; the suffix entry of x speaks of *.x.
    bool mentions(std::string_view key) const;
    // The entry that covers this key: the exact one, else the longest suffix.
    std::optional<Match> find(std::string_view key) const;
    // The first name that is not before `key`.
    std::size_t lower_bound(std::string_view key) const;

private:
    static constexpr std::uint8_t exact_flag = 1;
    static constexpr std::uint8_t suffix_flag = 2;
    bool has(std::string_view key, std::uint8_t flag) const;

    std::string text_;
    std::vector<std::uint32_t> starts_;
    std::vector<std::uint8_t> flags_;
    bool has_suffixes_ = false;
};

struct NamedSet {
    std::string source;
    std::shared_ptr<const NameSet> names;
};

struct Lists {
    std::vector<NamedSet> allow;
    std::vector<NamedSet> deny;
    std::vector<NamedSet> doubt;
};

inline constexpr std::size_t doubt_entries_max = 20'000'000;

// One source's latest word on one name, from an observation. Times: when the thing was seen, when
// the entry ends, and the time of the message that said so (later words win over earlier ones).
struct Doubt {
    std::uint32_t tags = 0;
    UtcTime time_added;
    UtcTime expires;
    UtcTime stamp;
    bool removed = false;  // kept until `expires` so that an old message cannot bring the name back

    friend bool operator==(const Doubt&, const Doubt&) = default;
};

struct DoubtKey {
    std::string trigger;  // a trigger's key
    std::string source;
    friend auto operator<=>(const DoubtKey&, const DoubtKey&) = default;
};

// What became of one entry of a message. Each value names a counter.
enum class DoubtOutcome : std::uint8_t {
    added,
    replaced,
    removed,
    unknown,
    stale,
    expired,
    exhausted
};
std::string_view to_string(DoubtOutcome outcome);

class Book {
public:
    using Touched = std::set<std::string, std::less<>>;  // trigger keys

    // `labels_size_max`: octets that a trigger's labels may have under this zone; longer ones are
    // left out of the zone, and counted in `too_long`.
    Book(Rules rules, std::size_t labels_size_max);

    void set_rules(Rules rules) { rules_ = std::move(rules); }
    const Rules& rules() const { return rules_; }
    void set_lists(Lists lists);
    const Lists& lists() const { return lists_; }

    // Takes one word about one name. A removal is a Doubt with `removed` set.
    DoubtOutcome observe(const DoubtKey& key, const Doubt& doubt, UtcTime now);
    // Drops what has ended by `now` (removals too) and says which names that touches.
    std::vector<DoubtKey> expire(UtcTime now);
    std::optional<UtcTime> next_expiry() const;
    // Puts back what was stored, as it was.
    void restore(const DoubtKey& key, const Doubt& doubt);
    const std::map<DoubtKey, Doubt>& doubts() const { return doubts_; }
    // The stored word of this source on this name, if any (removals included).
    const Doubt* doubt(const DoubtKey& key) const;
    std::size_t doubt_count() const { return doubts_.size(); }

    Facts facts(std::string_view key) const;
    Decision decide_for(std::string_view key) const;
    // The whole zone from nothing.
    Zone evaluate() const;
    // The difference that these names make to `zone`, with the allowed names below a touched
    // wildcard.
    Delta evaluate(const Touched& touched, const Zone& zone) const;
    // How many names `enforce` would act on and `shadow` does not. A pass over all doubts.
    std::size_t would_be_count() const;

    // One line of an explanation.
    struct Word {
        std::string kind;  // allow, deny, doubt
        std::string source;
        std::string entry{};  // what matched, as text; a leading dot for a suffix entry
        std::uint32_t tags = 0;
        std::optional<UtcTime> time_added{};
        std::optional<UtcTime> expires{};
    };
    std::vector<Word> words(std::string_view key) const;

private:
    using Doubts = std::map<DoubtKey, Doubt>;
    struct Sooner {
        bool operator()(Doubts::const_iterator a, Doubts::const_iterator b) const;
    };

    // Calls `see` for each living doubt about this key, also those that reach it by `subdomains`.
    template <class F>
    void each_doubt(std::string_view key, F&& see) const;
    void put(const DoubtKey& key, const Doubt& doubt);
    void erase(Doubts::iterator entry);
    Facts own_facts(std::string_view key) const;
    bool blocking_wildcard_above(std::string_view key) const;
    bool mentioned(std::string_view key, const Facts& facts) const;
    Action action_for(std::string_view key) const;
    void add_allowed_below(std::string_view wildcard, Touched& touched) const;

    Rules rules_;
    std::size_t labels_size_max_;
    Lists lists_;
    std::vector<std::string>
        suffix_wildcards_;  // "*.x" for each suffix entry x of any list, sorted
    Doubts doubts_;
    std::set<Doubts::const_iterator, Sooner> expiries_;
};

}  // namespace tapir::rpz
