// The files of an edge's state, one of them changed: the input's first octet says which, the others
// are its octets. The edge starts, or says why not; what it then opens of the outbox is, octet for
// octet, what was released before. Where the changed file is the day key or the consent, these are
// opened instead. Beside it: openings.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "batch_leaf.hpp"
#include "edge_ledger.hpp"
#include "live_keys.hpp"
#include "outbox.hpp"
#include "setup.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/world/chance.hpp"

namespace {

using namespace tapir;
using namespace tapir::edge;

using Files = std::map<std::string, Bytes>;

constexpr std::string_view dir = "/state";
constexpr std::int64_t day_s = 86'400;
const UtcTime now = UtcTime::from_seconds(1'780'000'000);

void list_files(world::Files& files, const std::string& folder, Files& out) {
    for (const auto& entry : files.list(folder).value()) {
        const std::string path = folder + "/" + entry.name;
        if (entry.is_directory) {
            list_files(files, path, out);
        } else {
            out[path] = files.read(path, 1U << 24U).value();
        }
    }
}

const jose::PrivateJwk& edge_key() {
    static const jose::PrivateJwk key = public_test_signing_key();
    return key;
}

struct Opened {
    std::string logged;
    Log log = Log::to_string(logged);
    Counters counters;
    const jose::PrivateJwk& key = edge_key();
    std::unique_ptr<EdgeLedger> ledger;
    std::unique_ptr<Outbox> outbox;

    explicit Opened(world::Files& files) {
        auto opened = EdgeLedger::open(files, std::string(dir) + "/ledger", key);
        if (!opened) {
            return;
        }
        ledger = std::move(*opened);
        if (auto box = Outbox::open(files, std::string(dir), *ledger, {}, log, counters)) {
            outbox = std::move(*box);
        }
    }
};

// Two batches with a histogram and events each.
void put_batches(world::MemoryFiles& files) {
    Opened state(files);
    const Day day(0, public_test_day_key());
    for (const std::int64_t minute : {1, 2}) {
        ReadyBatch batch;
        batch.time = UtcTime::from_seconds(minute * 60);
        batch.key = day.gate;
        auto events = privacy::release_events(privacy::Profile::standard, {}, batch.time, *day.gate,
                                              state.key);
        batch.payloads = std::move(events->payloads);
        privacy::RowCandidate row;
        row.entry = "a.se.";
        row.row.v4client_count = 500;
        row.v4_networks = 3;
        auto histogram = privacy::release_histogram(
            {}, {.start = batch.time, .stop = batch.time + std::chrono::seconds(60)}, {row},
            *day.gate);
        batch.payloads.push_back(std::move(*histogram->payload));
        const auto salts = [](std::string_view, std::string_view name) {
            ledger::Salt salt{};
            salt.front() = static_cast<std::byte>(name.size());
            return salt;
        };
        TAPIR_ASSERT(state.outbox->put(batch, {}, salts).has_value());
    }
}

struct World {
    Files before;
    Files released;  // payload by its path in the batch's folder

    World() {
        world::MemoryFiles files;
        put_batches(files);
        list_files(files, std::string(dir), before);
        for (const auto& [path, octets] : before) {
            if (path.ends_with(".parquet") || path.ends_with("new_qname.json")) {
                released[path.substr(path.find("/batches/") + 9)] = octets;
            }
        }
        TAPIR_ASSERT(released.size() == 4);
        // Of today, as recent() has it.
        append_u64(before["/keys/day.key"], static_cast<std::uint64_t>(now.seconds() / day_s));
        before["/keys/day.key"].resize(8 + client::day_key_size);
        before["/keys/consent"] = to_bytes("2026-05-20\n");
    }
};

void check_outbox(const World& world, world::Files& files) {
    const Opened state(files);
    if (!state.outbox) {
        return;
    }
    for (const std::uint64_t index : state.outbox->unsent()) {
        const auto batch = state.outbox->reopen(index);
        if (!batch) {
            continue;
        }
        for (const auto& payload : batch->payloads) {
            const auto found = std::ranges::find_if(world.released, [&](const auto& known) {
                return known.second == payload.value().octets &&
                       known.first.ends_with(payload.value().name);
            });
            TAPIR_ASSERT(found != world.released.end());
        }
    }
}

void check_keys(world::Files& files) {
    world::SeededChance chance(1);
    if (const auto keys = open_day_keys(files, "/keys/day.key", now, chance)) {
        TAPIR_ASSERT(keys->current()->number == now.seconds() / day_s);
        // What is on the disk now opens again, as the same key.
        const Bytes stored = files.read("/keys/day.key", 64).value();
        TAPIR_ASSERT(open_day_keys(files, "/keys/day.key", now, chance).has_value());
        TAPIR_ASSERT(files.read("/keys/day.key", 64).value() == stored);
    }
    if (const auto end = consent_end(files, "/keys/consent", now)) {
        TAPIR_ASSERT(*end <= now + std::chrono::hours(24 * consent_days));
    }
}

// A day key with its day, if that is past, at most some weeks ago: each day since is a step, and
// the steps of many years take milliseconds and teach nothing.
Bytes recent(Bytes stored) {
    constexpr std::uint64_t steps_max = 40;
    const auto today = static_cast<std::uint64_t>(now.seconds() / day_s);
    ByteReader in(stored);
    const std::uint64_t day = in.u64();
    if (!in.failed() && day <= today) {
        Bytes changed;
        append_u64(changed, today - (today - day) % steps_max);
        append(changed, in.rest());
        return changed;
    }
    return stored;
}

// The files below `folder`, with `octets` in place of what is at `path`.
void put_files(const World& world, std::string_view folder, const std::string& path,
               const Bytes& octets, world::Files& files) {
    for (const auto& [name, content] : world.before) {
        if (name.starts_with(folder)) {
            TAPIR_ASSERT(files.make_directories(name.substr(0, name.rfind('/'))).has_value());
            TAPIR_ASSERT(
                files.write_atomically(name, name == path ? octets : content, world::mode_private)
                    .has_value());
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const World world;
    if (size == 0) {
        return 0;
    }
    const Bytes octets = to_bytes(std::as_bytes(std::span(data, size)).subspan(1));
    auto changed = world.before.begin();
    std::advance(changed, data[0] % world.before.size());
    const std::string& path = changed->first;
    world::MemoryFiles files;
    if (path.starts_with("/keys/")) {
        const bool is_day_key = path.ends_with("day.key");
        put_files(world, "/keys/", path, is_day_key ? recent(octets) : octets, files);
        check_keys(files);
    } else {
        put_files(world, dir, path, octets, files);
        check_outbox(world, files);
    }
    static_cast<void>(parse_openings(as_text(octets)));
    return 0;
}
