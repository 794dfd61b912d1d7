// Names of rules from hostile text and octets, and stored changes: what is read is printed and read
// again as the same, and what a change says can be put into a zone and taken out again.
#include <cstdint>
#include <span>

#include "tapir/base/assert.hpp"
#include "tapir/dns/name.hpp"
#include "tapir/rpz/trigger.hpp"
#include "tapir/rpz/zone.hpp"

using namespace tapir;

namespace {

void check_trigger(const rpz::Trigger& trigger) {
    const auto again = rpz::Trigger::parse(trigger.to_text());
    TAPIR_ASSERT(again && *again == trigger);
    Bytes wire;
    rpz::append_labels(trigger.key(), wire);
    append_u8(wire, 0);
    const auto from_wire = rpz::Trigger::from_wire(wire);
    TAPIR_ASSERT(from_wire && *from_wire == trigger);
    TAPIR_ASSERT(rpz::Trigger::from_key(trigger.key()) == trigger);
    // The reader of names in messages agrees about what a name is.
    const auto name = dns::NameView::parse(wire);
    TAPIR_ASSERT(name && name->wire_size() == wire.size());
}

// A change whose removals are all there and whose additions are not, applied and reversed.
void check_delta(const rpz::Delta& delta) {
    for (const auto* list : {&delta.removed, &delta.added}) {
        for (const auto& change : *list) {
            check_trigger(rpz::Trigger::from_key(change.key));
        }
    }
    rpz::Zone::Builder builder;
    for (const auto& change : delta.removed) {
        builder.add(change.key, change.action);
    }
    const rpz::Zone before = std::move(builder).finish();
    const rpz::Zone after = before.apply(delta);
    TAPIR_ASSERT(after.size() == delta.added.size());
    const rpz::Delta found = rpz::difference(before, after);
    TAPIR_ASSERT(before.apply(found) == after);
    TAPIR_ASSERT(after.apply(rpz::Delta{.removed = found.added, .added = found.removed}) == before);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView octets = std::as_bytes(std::span(data, size));
    if (const auto trigger = rpz::Trigger::parse(as_text(octets))) {
        check_trigger(*trigger);
    }
    if (const auto trigger = rpz::Trigger::from_wire(octets)) {
        check_trigger(*trigger);
    }
    if (const auto delta = rpz::Delta::decode(octets)) {
        TAPIR_ASSERT(as_text(delta->encode()) == as_text(octets));
        check_delta(*delta);
    }
    return 0;
}
