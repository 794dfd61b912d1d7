// Measures the policy's own engine; lab/bench/programs.py makes the table:
//
//     bench_policy LIST-FILE [STORE-FOLDER]
//
// Loads the list, evaluates it, takes observations one by one and many at a time, and writes
// transfers. STORE-FOLDER is for RocksDB, as the daemon has it, and is not there yet; without it
// nothing is kept, so that what is measured is the engine alone. Steps are timed by the CPU clock
// of the engine's thread: what the store does behind it has no end that could be waited for, and is
// told for all of it together. Prints one JSON object.
#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <malloc.h>

#include "stopwatch.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/policy/engine.hpp"
#include "tapir/policy/lists.hpp"
#include "tapir/products/observation.hpp"
#include "tapir/rpz/answer.hpp"

namespace tapir::bench {
namespace {

constexpr std::size_t single_changes = 300;
constexpr std::size_t names_in_message = 200;
constexpr std::size_t large_messages = 50;
constexpr std::size_t changes = single_changes + large_messages * names_in_message;
constexpr std::size_t zones = single_changes + large_messages;  // that the changes made
const UtcTime start = UtcTime::from_seconds(1'790'000'000);

// A store that keeps nothing: what the engine takes without it is the engine's.
class NoStore final : public store::Store {
public:
    Result<std::optional<Bytes>> get(std::string_view /*family*/, ByteView /*key*/) const override {
        return std::optional<Bytes>();
    }
    Result<std::unique_ptr<store::Cursor>> scan(std::string_view /*family*/, ByteView /*prefix*/,
                                                ByteView /*from*/) const override {
        return std::unique_ptr<store::Cursor>(std::make_unique<AtTheEnd>());
    }
    std::unique_ptr<store::Reader> snapshot() const override { return std::make_unique<NoStore>(); }
    Result<void> write(const store::Batch& /*batch*/, store::Durability /*durability*/) override {
        return {};
    }

private:
    class AtTheEnd final : public store::Cursor {
    public:
        bool valid() const override { return false; }
        void next() override {}
        ByteView key() const override { return {}; }
        ByteView value() const override { return {}; }
        Result<void> status() const override { return {}; }
    };
};

jose::PrivateJwk core_key() {
    auto seed = crypto::Secret::copy_of(Bytes(crypto::ed25519_size, std::byte{7}));
    return {*crypto::SigningKey::from_seed(std::move(seed)), "core-1"};
}

std::string message_of(const jose::PrivateJwk& key, std::size_t first, std::size_t count) {
    auto observation = products::Observation::of_core("bench", start);
    observation.timestamp = start;
    for (std::size_t i = first; i < first + count; ++i) {
        products::ObservationItem item;
        item.name = fmt::format("observed-{}.example", i);
        item.time_added = start;
        item.ttl_s = 3600;
        item.tag_mask = 1;
        observation.added.push_back(std::move(item));
    }
    return *jose::sign_jws(key, as_bytes(observation.to_json()));
}

// Those with one name first.
std::vector<std::string> all_messages(const jose::PrivateJwk& key) {
    std::vector<std::string> messages;
    messages.reserve(single_changes + large_messages);
    for (std::size_t i = 0; i < single_changes; ++i) {
        messages.push_back(message_of(key, i, 1));
    }
    for (std::size_t i = 0; i < large_messages; ++i) {
        messages.push_back(
            message_of(key, single_changes + i * names_in_message, names_in_message));
    }
    return messages;
}

struct Transfer {
    rpz::QueryOutcome outcome{};
    double cpu_s = 0;
    std::uint64_t messages = 0;
    std::uint64_t records = 0;
    std::uint64_t octets = 0;
};

// A whole transfer into memory; records are counted in the messages' headers.
Transfer transfer(const rpz::Apex& apex, const std::shared_ptr<const rpz::Snapshot>& snapshot,
                  ByteView query) {
    const std::vector<rpz::TsigKey> keys;
    Transfer sum;
    const Times begun = now();
    auto answer = rpz::answer(apex, snapshot, keys, query,
                              {.transport = rpz::Transport::tcp, .plain_allowed = true}, start);
    sum.outcome = answer.outcome();
    Bytes message;
    while (answer.next(message, start)) {
        ++sum.messages;
        sum.octets += message.size();
        ByteReader in(message);
        in.bytes(6);
        sum.records += in.u16();
    }
    sum.cpu_s = (now() - begun).thread_s;
    return sum;
}

// The one of the median among several: one alone may take a millisecond. An error if it is not
// what was asked for, whole.
Result<Transfer> usual_transfer(const rpz::Apex& apex,
                                const std::shared_ptr<const rpz::Snapshot>& snapshot,
                                ByteView query, rpz::QueryOutcome outcome, std::size_t records) {
    std::array<Transfer, 9> all;
    for (Transfer& one : all) {
        one = transfer(apex, snapshot, query);
        if (one.outcome != outcome || one.records != records) {
            return fail(Code::internal,
                        fmt::format("expected {} of {} records, got {} of {}", to_string(outcome),
                                    records, to_string(one.outcome), one.records));
        }
    }
    const auto middle = all.begin() + all.size() / 2;
    std::ranges::nth_element(all, middle, {}, &Transfer::cpu_s);
    return *middle;
}

Bytes query_for(std::uint16_t type, const std::string& soa) {
    Bytes query;
    append(query, std::string_view("\0\1\0\0\0\1\0\0", 8));
    append_u16(query, soa.empty() ? 0 : 1);
    append(query, std::string_view("\0\0\x08"
                                   "dnstapir\0",
                                   12));
    append_u16(query, type);
    append_u16(query, 1);
    append(query, soa);
    return query;
}

// The authority record of an IXFR: the zone as of `serial`.
std::string soa_of(std::uint32_t serial) {
    Bytes soa;
    append(soa, std::string_view("\xC0\x0C\0\6\0\1\0\0\0\0\0\x16\0\0", 14));
    append_u32(soa, serial);
    append(soa, Bytes(16));
    return std::string(as_text(soa));
}

// AXFR, and IXFR since `serial`, as members of the report.
Result<std::string> measure_transfers(const rpz::Apex& apex,
                                      const std::shared_ptr<const rpz::Snapshot>& snapshot,
                                      std::uint32_t serial, std::size_t entries) {
    if (snapshot->zone.size() != entries + changes) {
        return fail(Code::internal, fmt::format("the zone has {} rules", snapshot->zone.size()));
    }
    // SOA first and last, the NS records, and one record for each name; in an IXFR two SOA for each
    // change of the zone.
    const Transfer axfr =
        TRY(usual_transfer(apex, snapshot, query_for(252, ""), rpz::QueryOutcome::axfr,
                           entries + changes + 2 + apex.ns.size()));
    const Transfer ixfr = TRY(usual_transfer(apex, snapshot, query_for(251, soa_of(serial)),
                                             rpz::QueryOutcome::ixfr, changes + 2 * zones + 2));
    return fmt::format(
        "\"axfr_records_per_s\": {:.0f}, \"axfr_messages_per_s\": {:.0f}, "
        "\"axfr_octets\": {}, \"ixfr_records_per_s\": {:.0f}, "
        "\"ixfr_messages_per_s\": {:.0f}",
        static_cast<double>(axfr.records) / axfr.cpu_s,
        static_cast<double>(axfr.messages) / axfr.cpu_s, axfr.octets,
        static_cast<double>(ixfr.records) / ixfr.cpu_s,
        static_cast<double>(ixfr.messages) / ixfr.cpu_s);
}

Result<std::string> measure(const std::string& list, store::Store& store) {
    world::SystemFiles files;
    const Log log = Log::to_nowhere();
    Counters counters;
    const jose::PrivateJwk key = core_key();
    policy::EngineSettings settings;
    settings.apex = TRY(rpz::Apex::create("dnstapir."));
    settings.rules.mode = rpz::Mode::enforce;
    settings.rules.tag_actions[0] = rpz::Action::nxdomain;
    TRY(settings.trusted_keys.add(key.public_jwk()));
    const rpz::Apex apex = settings.apex;
    const auto engine = TRY(policy::Engine::open(std::move(settings), store, log, counters, start));

    const std::uint64_t before_kib = status_kib(files, "RssAnon");
    const Times t0 = now();
    auto loaded = TRY(policy::load_lists({.allow = {}, .deny = {list}, .doubt = {}}, files));
    const std::size_t entries = loaded.entries;
    const Times t1 = now();
    engine->set_lists(std::move(loaded.lists));
    if (!engine->commit(start)) {
        return fail(Code::internal, "the list made no zone");
    }
    const Times t2 = now();
    const std::uint64_t after_kib = status_kib(files, "RssAnon");
    const std::uint64_t peak_kib = status_kib(files, "VmHWM");
    malloc_trim(0);
    const std::uint64_t in_use_kib = status_kib(files, "RssAnon");

    const std::vector<std::string> messages = all_messages(key);
    const std::uint32_t serial = engine->snapshot()->serial.value();
    bool is_taken = true;
    const auto take = [&](std::size_t first, std::size_t count) {
        const Times begun = now();
        for (std::size_t i = first; i < first + count; ++i) {
            is_taken = is_taken && engine->take(messages[i], "", start) && engine->commit(start);
        }
        return now() - begun;
    };
    const Times single = take(0, single_changes);
    const Times large = take(single_changes, large_messages);
    const Times all = now() - t0;
    if (!is_taken) {
        return fail(Code::internal, "an observation was refused");
    }

    const std::string transfers = TRY(measure_transfers(apex, engine->snapshot(), serial, entries));
    return fmt::format(
        "{{\"entries\": {}, \"load_cpu_s\": {:.6f}, \"evaluate_cpu_s\": {:.6f}, "
        "\"store_threads_cpu_s\": {:.6f}, \"peak_octets\": {}, "
        "\"anonymous_octets\": {}, \"anonymous_octets_in_use\": {}, "
        "\"single_changes_per_cpu_s\": {:.1f}, \"single_changes_per_s\": {:.1f}, "
        "\"batched_changes_per_cpu_s\": {:.1f}, {}}}",
        entries, (t1 - t0).thread_s, (t2 - t1).thread_s, all.cpu_s - all.thread_s, peak_kib * 1024,
        (after_kib - before_kib) * 1024, (in_use_kib - before_kib) * 1024,
        single_changes / single.thread_s, single_changes / single.wall_s,
        large_messages * names_in_message / large.thread_s, transfers);
}

Result<std::string> run(const std::string& list, const std::string& folder) {
    if (folder.empty()) {
        NoStore none;
        return measure(list, none);
    }
    const auto store = TRY(store::open_rocksdb(folder, policy::store_families()));
    return measure(list, *store);
}

}  // namespace
}  // namespace tapir::bench

int main(int count, char** words) {
    if (count != 2 && count != 3) {
        std::fputs("usage: bench_policy LIST-FILE [STORE-FOLDER]\n", stderr);
        return 2;
    }
    const auto line = tapir::bench::run(words[1], count == 3 ? words[2] : "");
    if (!line) {
        std::fprintf(stderr, "bench_policy: %s\n", line.error().what().c_str());
        return 1;
    }
    std::puts(line->c_str());
    return 0;
}
