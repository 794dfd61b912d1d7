// The forms in which a name may leave (R4): a ladder, from its registered domain up.
//
//     const auto domain = registered_domain_of(folded, suffixes);   // how many labels
//     Ladder ladder(text, domain_start);          // "johns-iphone.eu.example.com.", 16
//     ladder.name();                              // "example.com."
//     ladder.climb(), ladder.name();              // "eu.example.com."
//     ladder.climb(), ladder.name();              // "id--device.eu.example.com."
//     ladder.wildcard();                          // "*.id--device.eu.example.com."
//
// What stands left of the registered domain is coarsened label by label: those that look like
// identifiers are replaced by their class (identifier.hpp). The registered domain is not: it is
// public, and what nobody can pronounce there is what detection looks for. Pure; no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
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
    is_suffix,        // the suffix itself
};
inline constexpr std::size_t never_released_count = 5;
std::string_view to_string(NeverReleased reason);
Error to_error(NeverReleased reason);

// How many labels of the name are its registered domain.
Result<std::size_t, NeverReleased> registered_domain_of(const dns::FoldedName& name,
                                                        const dns::PublicSuffixes& suffixes);

class Ladder {
public:
    // `text`: the whole name in lower case with its final dot; its registered domain begins at
    // `domain_start`.
    Ladder(std::string_view text, std::size_t domain_start);

    // Takes one label more. False: there is none, or the name would be longer than a name may be;
    // then nothing has changed.
    bool climb();
    bool is_whole() const { return rest_.empty(); }

    std::string_view name() const& { return {octets_.data() + start_, size_max - start_}; }
    std::string_view name() const&& = delete;
    // All that lies below the name.
    std::string_view wildcard() & {
        octets_[start_ - 2] = '*';
        octets_[start_ - 1] = '.';
        return {octets_.data() + start_ - 2, size_max - start_ + 2};
    }

private:
    // Written from the end to the front; two octets stay for the wildcard.
    static constexpr std::size_t size_max = dns::name_text_size_max + 2;
    std::array<char, size_max> octets_;
    std::size_t start_;
    std::size_t wire_size_;  // of the name so far
    std::string_view rest_;  // what has not been taken yet, with a dot at its end
};

}  // namespace tapir::privacy
