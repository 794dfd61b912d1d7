// Verdicts on a disk that are not what was written: corrupt, or read. What goes out stands in the
// outbox, in order; names end, each once; what is decided afterwards goes out under a new id.
#include <cstdint>
#include <span>
#include <string>

#include "tapir/base/assert.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/products/observation.hpp"
#include "tapir/store/fuzzing.hpp"
#include "tapir/text/json.hpp"
#include "verdicts.hpp"

namespace {

using namespace tapir;
using namespace tapir::analysis;
using store::fuzzing::is_explained;

constexpr std::size_t count_max = 4;
const UtcTime now = UtcTime::from_seconds(1'780'000'000);

void check_outgoing(const store::Store& store, const Verdicts& verdicts, std::uint64_t after) {
    const auto outgoing = verdicts.outgoing(after, count_max);
    TAPIR_ASSERT(is_explained(outgoing));
    if (!outgoing) {
        return;
    }
    for (const Outgoing& message : *outgoing) {
        TAPIR_ASSERT(message.id > after);
        after = message.id;
        const auto stored = store.get("analysis_outbox", store::number(message.id));
        TAPIR_ASSERT(stored && *stored == message.message);
    }
}

void check_expire(Verdicts& verdicts, std::size_t entry_count) {
    for (std::size_t calls = 0;; ++calls) {
        TAPIR_ASSERT(calls <= entry_count);
        const auto ended = verdicts.expire(now, count_max);
        TAPIR_ASSERT(is_explained(ended));
        if (!ended || *ended == 0) {
            return;
        }
    }
}

// What is decided of a name now goes out as an observation that can be read.
void check_take(const store::Store& store, Verdicts& verdicts) {
    const auto before = store.get("analysis_meta", as_bytes("next_id"));
    const std::uint64_t id = *before ? store::number_of(**before) : 1;
    store::Batch batch;
    const std::uint64_t sequence = verdicts.last_event() / 2 + 1;
    const auto taken = verdicts.take(sequence, "a.example", 5, now, batch);
    TAPIR_ASSERT(is_explained(taken));
    if (!taken) {
        return;
    }
    TAPIR_ASSERT(verdicts.last_event() == sequence);
    const auto message = store.get("analysis_outbox", store::number(id));
    TAPIR_ASSERT(message && *message);
    const auto json = text::Json::parse(as_text(**message));
    const auto observation = products::Observation::parse(json->string("observation").value());
    TAPIR_ASSERT(observation && observation->added.size() == 1);
    const auto& item = observation->added.front();
    TAPIR_ASSERT(item.name == "a.example" && (item.tag_mask & 5U) == 5U && item.ttl_s > 0);
    TAPIR_ASSERT(json->integer("id").value() == static_cast<std::int64_t>(id));
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max, seed, store::fuzzing::change_store);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input = std::as_bytes(std::span(data, size));
    const auto store = store::fuzzing::store_of(Verdicts::families(), input);
    Verdicts verdicts(*store, std::chrono::hours(1), "core.example");
    const auto opened = verdicts.open();
    TAPIR_ASSERT(is_explained(opened));
    if (!opened) {
        return 0;
    }
    check_outgoing(*store, verdicts, 0);
    check_take(*store, verdicts);
    const auto withdrawn = verdicts.withdraw("b.example", "why", now);
    TAPIR_ASSERT(is_explained(withdrawn) || withdrawn.error().code() == Code::not_found);
    check_expire(verdicts, store::fuzzing::read_entries(input).size() + 2);
    check_outgoing(*store, verdicts, 1);
    TAPIR_ASSERT(is_explained(verdicts.acknowledge(3)));
    check_outgoing(*store, verdicts, 0);
    TAPIR_ASSERT(verdicts.sync().has_value());
    return 0;
}
