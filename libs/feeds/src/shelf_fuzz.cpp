// A shelf on a disk that is not what was written: corrupt, or read. What is handed out stands in
// the log, in order and without gaps; forgetting ends; what is put on it afterwards is there.
#include <cstdint>
#include <span>
#include <string>

#include "shelf.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/store/fuzzing.hpp"

namespace {

using namespace tapir;
using namespace tapir::feeds;
using store::fuzzing::is_explained;

constexpr std::size_t size_max = 4096;
constexpr std::size_t count_max = 4;
const UtcTime now = UtcTime::from_seconds(1'780'000'000);

void check_in_log(const store::Store& store, const Shelved& shelved) {
    const auto stored = store.get("feeds_log", store::number(shelved.id));
    TAPIR_ASSERT(stored && *stored && (*stored)->size() >= 8);
    TAPIR_ASSERT(as_text(ByteView(**stored).subspan(8)) == shelved.message);
}

void check_after(const store::Store& store, const Shelf& shelf, std::uint64_t id) {
    const auto found = shelf.after(id, size_max);
    TAPIR_ASSERT(is_explained(found));
    if (!found || !*found) {
        return;
    }
    std::uint64_t last = id;
    for (const Shelved& shelved : **found) {
        TAPIR_ASSERT(shelved.id > last && (last != id || shelved.id == id + 1));
        check_in_log(store, shelved);
        last = shelved.id;
    }
}

void check_owed(const store::Store& store, Shelf& shelf) {
    const auto owed = shelf.owed(count_max, size_max);
    TAPIR_ASSERT(is_explained(owed));
    if (!owed) {
        return;
    }
    TAPIR_ASSERT(owed->messages.size() <= count_max);
    for (const Shelved& shelved : owed->messages) {
        TAPIR_ASSERT(shelved.id >= owed->first && shelved.id <= shelf.last_id());
        check_in_log(store, shelved);
    }
}

// Each call that forgets as many as it may has taken so many entries away.
void check_forget(Shelf& shelf, std::size_t entry_count) {
    for (std::size_t calls = 0;; ++calls) {
        TAPIR_ASSERT(calls <= entry_count);
        const auto forgotten = shelf.forget(now, now, count_max);
        TAPIR_ASSERT(is_explained(forgotten) && (!forgotten || *forgotten <= 2 * count_max));
        if (!forgotten || *forgotten == 0) {
            return;
        }
    }
}

void check_add(const store::Store& store, Shelf& shelf) {
    auto observation = products::Observation::of_core("core.example", now);
    products::ObservationItem item;
    item.name = "A.example.";
    item.time_added = now;
    item.ttl_s = 60;
    observation.added.push_back(item);
    item.name = "b.example";
    observation.removed.push_back(item);
    const std::uint64_t id = shelf.last_id() + 1;
    const auto added = shelf.add(id, observation, "message", now);
    TAPIR_ASSERT(is_explained(added));
    if (added) {
        check_in_log(store, {id, "message"});
        const auto live = store.get("feeds_live", as_bytes("a.example"));
        TAPIR_ASSERT(live && *live && as_text(**live).ends_with("message"));
        TAPIR_ASSERT(!*store.get("feeds_live", as_bytes("b.example")));
        TAPIR_ASSERT(shelf.sync().has_value() && shelf.last_id() == id);
    }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max_of_input, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max_of_input, seed, store::fuzzing::change_store);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input = std::as_bytes(std::span(data, size));
    const auto store = store::fuzzing::store_of(Shelf::families(), input);
    Shelf shelf(*store);
    const auto opened = shelf.open();
    const auto live = shelf.live(now, size_max);
    TAPIR_ASSERT(is_explained(opened));
    TAPIR_ASSERT(is_explained(live) || live.error().code() == Code::exhausted);
    if (!opened) {
        return 0;
    }
    for (const std::uint64_t id : {std::uint64_t{0}, shelf.last_id() / 2, shelf.last_id()}) {
        check_after(*store, shelf, id);
    }
    check_owed(*store, shelf);
    check_add(*store, shelf);
    check_owed(*store, shelf);
    check_forget(shelf, store::fuzzing::read_entries(input).size() + 3);
    return 0;
}
