// A public suffix list from hostile text: refused, or each of its rules is found under itself.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "tapir/base/assert.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/dns/public_suffix.hpp"

using namespace tapir;
using namespace tapir::dns;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    const auto suffixes = PublicSuffixes::parse(text, "fuzz");
    if (!suffixes) {
        return 0;
    }
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        if (const auto name = Name::from_text(text.substr(0, end))) {
            const FoldedName folded(*name);
            const RegisteredDomain domain = suffixes->registered_domain(folded);
            TAPIR_ASSERT(domain.suffix_label_count <= folded.label_count());
            TAPIR_ASSERT(domain.label_count <= folded.label_count());
            TAPIR_ASSERT(domain.icann_label_count <= folded.label_count());
            TAPIR_ASSERT((domain.section == SuffixSection::none) ==
                         (domain.suffix_label_count == 0));
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return 0;
}
