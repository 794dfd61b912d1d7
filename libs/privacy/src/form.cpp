#include "tapir/privacy/form.hpp"

#include <algorithm>
#include <array>

#include "tapir/base/assert.hpp"
#include "tapir/privacy/identifier.hpp"

namespace tapir::privacy {
namespace {

// Octets of a label behind its text: an escape is one of them.
std::size_t wire_size_of(std::string_view label) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < label.size(); ++size) {
        if (label[i] != '\\') {
            ++i;
        } else {
            const bool is_number =
                i + 1 < label.size() && label[i + 1] >= '0' && label[i + 1] <= '9';
            i += is_number ? 4 : 2;
        }
    }
    return size;
}

}  // namespace

std::string_view to_string(NeverReleased reason) {
    static constexpr std::array<std::string_view, never_released_count> names{
        "single_label", "reverse", "special_use", "unlisted_suffix", "is_suffix"};
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
    if (domain.section == dns::SuffixSection::none) {
        return fail(NeverReleased::unlisted_suffix);
    }
    if (domain.icann_label_count == 0) {
        // By the ICANN rules nothing is registered here: the name is a suffix, or its top-level
        // domain has PRIVATE rules alone.
        return fail(domain.section == dns::SuffixSection::icann ? NeverReleased::is_suffix
                                                                : NeverReleased::unlisted_suffix);
    }
    return std::size_t{domain.icann_label_count};
}

Ladder::Ladder(std::string_view text, std::size_t domain_start)
    : start_(size_max - (text.size() - domain_start)),
      wire_size_(1 + wire_size_of(text.substr(domain_start))),
      rest_(text.substr(0, domain_start)) {
    TAPIR_ASSERT(text.size() <= dns::name_text_size_max && domain_start <= text.size());
    std::ranges::copy(text.substr(domain_start),
                      octets_.begin() + static_cast<std::ptrdiff_t>(start_));
}

bool Ladder::climb() {
    if (rest_.empty()) {
        return false;
    }
    const std::size_t at = rest_.size() - dns::suffix_text(rest_, 1).size();
    std::string_view label = rest_.substr(at, rest_.size() - 1 - at);
    if (const auto found = identifier_in(label)) {
        label = token_of(*found);
    }
    const std::size_t wire_size = wire_size_ + 1 + wire_size_of(label);
    if (wire_size > dns::name_size_max) {
        return false;
    }
    wire_size_ = wire_size;
    rest_ = rest_.substr(0, at);
    octets_[--start_] = '.';
    start_ -= label.size();
    std::ranges::copy(label, octets_.begin() + static_cast<std::ptrdiff_t>(start_));
    return true;
}

}  // namespace tapir::privacy
