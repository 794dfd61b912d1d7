// The Public Suffix List (publicsuffix.org), with its ICANN and its PRIVATE section told apart.
//
//     const PublicSuffixes suffixes = TRY(PublicSuffixes::parse(text, "public_suffix_list.dat"));
//     const FoldedName name(question.name);
//     const RegisteredDomain domain = suffixes.registered_domain(name);
//     if (domain.section == SuffixSection::icann && domain.label_count > 0) {
//         use(name.suffix(domain.label_count));
//     }
//
// Only rules that stand in the list count: there is no default rule "*", so under an unlisted
// top-level domain nothing is registered. Look-ups compare names, not only hashes; they allocate
// nothing. Immutable; threads may share it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/dns/name.hpp"

namespace tapir::dns {

inline constexpr std::size_t suffix_rule_count_max = 1'000'000;
inline constexpr std::size_t suffix_list_size_max = 64U << 20U;  // octets

// Which section the rule came from.
enum class SuffixSection : std::uint8_t { none, icann, private_domain };
std::string_view to_string(SuffixSection section);

struct RegisteredDomain {
    // Of the rule that prevails when both sections count. `private_domain`: the name is, or lies
    // below, a suffix that its owner shares with others (dynamic DNS, hosting): treat it as a host.
    SuffixSection section = SuffixSection::none;
    // The public suffix by that rule: so many labels. 0: no rule.
    std::uint8_t suffix_label_count = 0;
    // The registered domain by that rule: suffix and one label. 0: the name is itself a suffix.
    std::uint8_t label_count = 0;
    // The same when only the ICANN section counts: who is a customer of a registry.
    std::uint8_t icann_label_count = 0;

    friend bool operator==(const RegisteredDomain&, const RegisteredDomain&) = default;
};

class PublicSuffixes {
public:
    // `text` as published (UTF-8; names in it become A-labels). Errors name `file` and the line.
    static Result<PublicSuffixes> parse(std::string_view text, std::string_view file);

    RegisteredDomain registered_domain(const FoldedName& name) const;
    std::size_t rule_count() const { return rule_count_; }

private:
    struct Slot {
        std::uint64_t fingerprint = 0;
        std::uint32_t name_offset = 0;  // into names_
        std::uint8_t name_size = 0;     // 0: an empty slot
        std::uint8_t rules = 0;         // bits; none for a name that only has rules below it
    };
    PublicSuffixes();
    void add(const FoldedName& name, std::uint8_t rules);
    // The slot of a suffix of `name`, or the empty slot where it belongs.
    std::size_t slot_of(const FoldedName& name, std::size_t label_count) const;
    void grow();

    std::vector<Slot> slots_;  // open addressing, 2^n; every parent of a rule has a slot too
    Bytes names_;
    std::size_t used_ = 0;
    std::size_t rule_count_ = 0;
};

// Names that never become known in public: the root, single labels, everything under arpa, and the
// special-use names of RFC 6761 and those registered by it since (test, localhost, invalid, local,
// onion, alt, example, example.com, .net and .org), with all that lies below them.
bool is_special_use(NameView name);

}  // namespace tapir::dns
