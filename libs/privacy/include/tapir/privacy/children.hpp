// How many distinct names were asked below a parent (R4): the valve against floods. A parent with
// more than 256 is a wildcard, and its children are counted as one.
//
//     Children children(parent_count);
//     if (children.add(parent, child, [&] { return store.was_wildcard(name); }) ==
//         ParentKind::wildcard) { ... }        // count "*.parent" and nothing below it
//     children.start_day();
//
// Fingerprints alone, under the day's key, in a table whose size never changes: 1 024 bits a
// parent, one of them for each child; two children may share a bit, so it becomes a wildcard at
// about 257 children, and at 227 at the least. Where the table is full, the parent with the fewest
// children of its set goes, counted. One thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tapir/privacy/pending.hpp"

namespace tapir::privacy {

inline constexpr unsigned wildcard_children_min = 257;
inline constexpr std::size_t parent_count_max = 1U << 20U;

enum class ParentKind : std::uint8_t {
    plain,
    wildcard,
    became_wildcard,  // with this child: said once a day
};

class Children {
public:
    // Rounded up to 2^n, at least 8; 152 octets each.
    explicit Children(std::size_t parent_count);

    // What `parent` is once `child` has been asked below it. `was_wildcard` is asked where the
    // parent is new here: what a day before has found.
    template <class WasWildcard>
    ParentKind add(Fingerprint parent, Fingerprint child, const WasWildcard& was_wildcard) {
        Parent* known = find(parent);
        if (known == nullptr) {
            known = &start(parent);
            known->is_wildcard = was_wildcard();
        }
        return known->is_wildcard ? ParentKind::wildcard : count(*known, child);
    }
    bool is_wildcard(Fingerprint parent) const;

    void start_day();

    // Parents that fell out of the table before they were wildcards, since this object was made.
    std::uint64_t evicted() const { return evicted_; }
    // How many places are taken, of how many. Looks at all of them.
    std::size_t used() const {
        std::size_t taken = 0;
        for (const Parent& parent : parents_) {
            taken += parent.key == Fingerprint{} ? 0 : 1;
        }
        return taken;
    }
    std::size_t parent_count() const { return parents_.size(); }
    std::size_t memory_size() const { return parents_.size() * sizeof(Parent); }

private:
    struct Parent {
        Fingerprint key{};  // 0: free
        std::array<std::uint64_t, 16> bits{};
        std::uint16_t count = 0;  // of bits
        bool is_wildcard = false;
    };

    const Parent* set_of(Fingerprint parent) const;
    Parent* find(Fingerprint parent);
    Parent& start(Fingerprint parent);
    static ParentKind count(Parent& parent, Fingerprint child);

    std::vector<Parent> parents_;  // sets of 4
    std::uint64_t evicted_ = 0;
};

}  // namespace tapir::privacy
