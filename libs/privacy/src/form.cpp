#include "tapir/privacy/form.hpp"

#include <algorithm>
#include <array>

namespace tapir::privacy {

std::string_view to_string(NeverReleased reason) {
    static constexpr std::array<std::string_view, never_released_count> names{
        "single_label", "reverse", "special_use", "unlisted_suffix", "private_suffix", "is_suffix"};
    return names.at(static_cast<std::size_t>(reason));
}

Error to_error(NeverReleased reason) {
    return {Code::denied, std::string("never released: ").append(to_string(reason))};
}

Result<std::size_t, NeverReleased> registered_domain_of(const dns::FoldedName& name,
                                                        const dns::PublicSuffixes& suffixes) {
    if (name.label_count() <= 1) {
        return fail(NeverReleased::single_label);
    }
    const dns::NameView top = name.suffix(1);
    if (std::ranges::equal(*top.labels().begin(), as_bytes("arpa"))) {
        return fail(NeverReleased::reverse);
    }
    if (dns::is_special_use(name.view())) {
        return fail(NeverReleased::special_use);
    }
    const dns::RegisteredDomain domain = suffixes.registered_domain(name);
    switch (domain.section) {
        case dns::SuffixSection::none:
            return fail(NeverReleased::unlisted_suffix);
        case dns::SuffixSection::private_domain:
            return fail(NeverReleased::private_suffix);
        case dns::SuffixSection::icann:
            break;
    }
    if (domain.label_count == 0) {
        return fail(NeverReleased::is_suffix);
    }
    return std::size_t{domain.label_count};
}

}  // namespace tapir::privacy
