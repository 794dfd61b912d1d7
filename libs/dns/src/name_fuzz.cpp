// Names from hostile octets: wire form, compressed, and text. What was read is written and read
// again; views, folded names and text agree.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "tapir/base/assert.hpp"
#include "tapir/dns/name.hpp"

namespace {

using namespace tapir;
using namespace tapir::dns;

void check(NameView name) {
    TAPIR_ASSERT(name.wire_size() <= name_size_max);
    const auto again = NameView::parse(name.wire());
    TAPIR_ASSERT(again && *again == name && again->label_count() == name.label_count());
    const NameText text(name);
    const auto from_text = Name::from_text(text.view());
    TAPIR_ASSERT(from_text && from_text->view() == name);
    const FoldedName folded(name);
    TAPIR_ASSERT(folded.view() == name);
    TAPIR_ASSERT((folded.view() <=> name) == 0);
    for (std::size_t labels = 0; labels <= name.label_count(); ++labels) {
        TAPIR_ASSERT(folded.suffix(labels) == name.suffix(labels));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView octets = std::as_bytes(std::span(data, size));
    if (const auto plain = NameView::parse(octets)) {
        check(*plain);
    }
    const std::size_t offset = size == 0 ? 0 : data[0];
    NameBuffer buffer;
    for (const Pointers pointers : {Pointers::backwards, Pointers::anywhere}) {
        if (const auto name = read_name(octets, offset, buffer, pointers)) {
            TAPIR_ASSERT(name->end <= size);
            const auto skipped = skip_name(octets, offset);
            TAPIR_ASSERT(skipped && *skipped == name->end);
            check(name->name);
        }
    }
    if (const auto name = Name::from_text(as_text(octets))) {
        check(*name);
    }
    return 0;
}
