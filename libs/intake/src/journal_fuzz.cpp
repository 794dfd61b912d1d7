// A journal on a disk that is not what was written: corrupt, or read. No id leads outside the
// journal's folder; what goes out stands in the outbox, in order; what is taken afterwards is
// known.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "journal.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/store/fuzzing.hpp"

namespace {

using namespace tapir;
using namespace tapir::intake;
using store::fuzzing::is_explained;

constexpr std::size_t count_max = 4;
const UtcTime now = UtcTime::from_seconds(1'780'000'000);

bool is_id(std::string_view id) {
    return id.size() == 24 && id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void check_outgoing(const store::Store& store, const Journal& journal) {
    const auto outgoing = journal.outgoing(0, count_max);
    TAPIR_ASSERT(is_explained(outgoing));
    std::uint64_t last = 0;
    for (const Outgoing& message : outgoing ? *outgoing : std::vector<Outgoing>()) {
        TAPIR_ASSERT(message.sequence > last);
        last = message.sequence;
        const auto stored = store.get("intake_outbox", store::number(last));
        TAPIR_ASSERT(stored && *stored == message.message);
    }
}

void check_aggregates(Journal& journal, world::Files& files) {
    const auto ids = journal.unsealed(count_max);
    TAPIR_ASSERT(is_explained(ids));
    for (const std::string& id : ids ? *ids : std::vector<std::string>()) {
        TAPIR_ASSERT(is_id(id));
        TAPIR_ASSERT(
            files.write_atomically("/state/aggregates/" + id + ".payload", as_bytes("payload"))
                .has_value());
        TAPIR_ASSERT(is_explained(journal.metadata(id)));
        const auto state = id[0] < '8' ? AggregateState::quarantined : AggregateState::sealed;
        const auto settled = journal.settle(id, state, "detail");
        // Without an entry there is nothing to settle; a `created` that is none is `invalid`.
        TAPIR_ASSERT(is_explained(settled) || settled.error().code() == Code::not_found ||
                     settled.error().code() == Code::invalid);
    }
    for (const auto& entry : files.list("/").value()) {
        TAPIR_ASSERT(entry.name == "state");
    }
    for (const auto& entry : files.list("/state").value()) {
        TAPIR_ASSERT(entry.name == "aggregates" || entry.name == "quarantine");
    }
}

void check_add(Journal& journal) {
    Aggregate aggregate;
    aggregate.edge = "e";
    aggregate.type = "test";
    aggregate.digest = "d";
    aggregate.received = now;
    for (const bool any_interval : {false, true}) {
        const auto found = journal.find(aggregate, any_interval);
        TAPIR_ASSERT(is_explained(found));
        TAPIR_ASSERT(!found || !*found || is_id(**found));
    }
    const auto added = journal.add(aggregate, as_bytes("payload"));
    TAPIR_ASSERT(is_explained(added));
    if (added) {
        const auto again = journal.add(aggregate, as_bytes("payload"));
        TAPIR_ASSERT(again && again->is_duplicate && again->id == added->id);
    }
    const std::vector<Event> events = {{.edge = "e", .identity = "i", .payload = "{}"}};
    const auto first = journal.add_events(events, now);
    TAPIR_ASSERT(is_explained(first));
    const auto second = journal.add_events(events, now);
    TAPIR_ASSERT(second.has_value() == first.has_value() && (!second || !second->front()));
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max, seed, store::fuzzing::change_store);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input = std::as_bytes(std::span(data, size));
    const auto store = store::fuzzing::store_of(Journal::families(), input);
    world::MemoryFiles files;
    Journal journal(*store, files, "/state");
    const auto opened = journal.open();
    TAPIR_ASSERT(is_explained(opened));
    if (!opened) {
        return 0;
    }
    check_outgoing(*store, journal);
    check_aggregates(journal, files);
    check_add(journal);
    TAPIR_ASSERT(is_explained(journal.acknowledge(3)));
    check_outgoing(*store, journal);
    const std::size_t entry_count = store::fuzzing::read_entries(input).size() + 1;
    for (std::size_t calls = 0;; ++calls) {
        TAPIR_ASSERT(calls <= entry_count);
        const auto forgotten = journal.forget(now, count_max);
        TAPIR_ASSERT(is_explained(forgotten));
        if (!forgotten || *forgotten == 0) {
            return 0;
        }
    }
}
