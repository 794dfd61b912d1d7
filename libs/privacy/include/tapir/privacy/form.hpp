// The form in which a name may leave (R4). Here: its registered domain, or nothing.
//
//     const auto form = registered_domain_of(folded, suffixes);
//     if (form) { candidate = folded.suffix(*form); } else { count(form.error()); }
//
// Pure functions; no allocation.
#pragma once

#include <cstdint>
#include <string_view>

#include "tapir/base/result.hpp"
#include "tapir/dns/name.hpp"
#include "tapir/dns/public_suffix.hpp"

namespace tapir::privacy {

// Why a name is in no form released, whoever asks for it. Each value names a counter.
enum class NeverReleased : std::uint8_t {
    single_label,     // and the root
    reverse,          // arpa and below
    special_use,      // RFC 6761
    unlisted_suffix,  // no rule of the public suffix list
    private_suffix,   // below a suffix of the PRIVATE section: somebody's host
    is_suffix,        // the suffix itself
};
inline constexpr std::size_t never_released_count = 6;
std::string_view to_string(NeverReleased reason);
Error to_error(NeverReleased reason);

// How many labels of the name are its registered domain: one below an explicit ICANN rule.
Result<std::size_t, NeverReleased> registered_domain_of(const dns::FoldedName& name,
                                                        const dns::PublicSuffixes& suffixes);

}  // namespace tapir::privacy
