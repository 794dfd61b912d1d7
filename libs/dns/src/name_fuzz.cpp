// Names from hostile octets: wire form, compressed, and text. What was read is written and read
// again; views, folded names and text agree, and so does a reader that is slow and plain.
#include <cstddef>
#include <cstdint>
#include <optional>
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

// RFC 1035 §4.1.4, a step at a time: the name uncompressed, or nothing.
std::optional<Bytes> read_slowly(ByteView octets, std::size_t at, Pointers pointers) {
    Bytes name;
    std::size_t part = at;  // where the octets that are being read begin
    for (std::size_t pointer_count = 0; at < octets.size();) {
        const auto size = std::to_integer<std::size_t>(octets[at]);
        if (size >= 192) {
            if (at + 1 >= octets.size() || ++pointer_count > pointer_count_max) {
                return std::nullopt;
            }
            const std::size_t target =
                (size - 192) * 256 + std::to_integer<std::size_t>(octets[at + 1]);
            if (pointers == Pointers::backwards && target >= part) {
                return std::nullopt;
            }
            at = part = target;
            continue;
        }
        if (size > label_size_max || at + 1 + size > octets.size() ||
            name.size() + 1 + size > name_size_max) {
            return std::nullopt;
        }
        append(name, octets.subspan(at, 1 + size));
        if (size == 0) {
            return name;
        }
        at += 1 + size;
    }
    return std::nullopt;
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
        const auto slow = read_slowly(octets, offset, pointers);
        const auto name = read_name(octets, offset, buffer, pointers);
        TAPIR_ASSERT(slow.has_value() == name.has_value());
        if (name) {
            TAPIR_ASSERT(as_text(*slow) == as_text(name->name.wire()));
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
