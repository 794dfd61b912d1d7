// What the core says, behind its signature: lines of the input are observations, signed by the test
// key and taken by the engine: the first three that are well formed, and one that is not. After
// each the serial has gone on exactly if the zone is another; after a restart, which every second
// input gets, everything is as it was. Answers to the snapshot request are read too.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "feed_reader.hpp"
#include "state.hpp"
#include "tapir/crypto/signature.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/policy/engine.hpp"
#include "tapir/products/observation.hpp"
#include "tapir/rpz/trigger.hpp"

namespace {

using namespace tapir;
using namespace tapir::policy;

const UtcTime now = UtcTime::from_seconds(1'780'000'000);

const jose::PrivateJwk& core_key() {
    static const jose::PrivateJwk key(
        crypto::SigningKey::from_seed(crypto::Secret::copy_of(Bytes(32, std::byte{7}))).value(),
        "core.example");
    return key;
}

// The payload as a message of the core; nothing if it is larger than one may be. Those of late are
// kept, for inputs repeat what others had.
std::optional<std::string> signed_message(std::string_view payload) {
    constexpr std::size_t known_max = 4096;
    static std::map<std::string, std::string, std::less<>> known;
    if (const auto found = known.find(payload); found != known.end()) {
        return found->second;
    }
    auto message = jose::sign_jws(core_key(), as_bytes(payload));
    if (!message) {
        return std::nullopt;
    }
    if (known.size() == known_max) {
        known.clear();
    }
    return known[std::string(payload)] = *std::move(message);
}

struct Bench {
    std::unique_ptr<store::Store> store = store::open_memory(store_families());
    std::string logged;
    Log log = Log::to_string(logged);
    Counters counters;
    std::unique_ptr<Engine> engine;

    Bench() { restart(); }
    void restart() {
        engine.reset();
        EngineSettings settings;
        settings.apex = *rpz::Apex::create("dnstapir.");
        settings.rules.mode = rpz::Mode::enforce;
        settings.rules.subdomains = true;
        settings.rules.tag_actions.fill(rpz::Action::nxdomain);
        TAPIR_ASSERT(settings.trusted_keys.add(core_key().public_jwk()).has_value());
        auto opened = Engine::open(std::move(settings), *store, log, counters, now);
        TAPIR_ASSERT(opened.has_value());
        engine = *std::move(opened);
    }
    // True if the message was believed.
    bool take(std::string_view payload, const std::string& id) {
        const auto message = signed_message(payload);
        if (!message) {
            return false;  // larger than a message may be
        }
        const bool is_taken = engine->take(*message, id, now);
        const auto before = engine->snapshot();
        const bool is_new = engine->commit(now);
        const auto after = engine->snapshot();
        TAPIR_ASSERT(is_new != (after->zone == before->zone));
        TAPIR_ASSERT(after->serial == (is_new ? before->serial.next() : before->serial));
        TAPIR_ASSERT(!engine->is_dirty() && engine->feed_id() == id);
        return is_taken;
    }
};

void check_restart(Bench& bench) {
    const auto before = bench.engine->snapshot();
    const std::size_t doubts = bench.engine->doubt_count();
    const std::string id = bench.engine->feed_id();
    bench.restart();
    bench.engine->commit(now);
    const auto after = bench.engine->snapshot();
    TAPIR_ASSERT(after->zone == before->zone && after->serial == before->serial);
    TAPIR_ASSERT(bench.engine->doubt_count() == doubts && bench.engine->feed_id() == id);
}

void check_zone(const rpz::Snapshot& snapshot) {
    auto cursor = snapshot.zone.begin();
    while (const auto record = cursor.next()) {
        const auto trigger = rpz::Trigger::parse(rpz::key_to_text(record->key));
        TAPIR_ASSERT(trigger && trigger->key() == record->key);
    }
}

void check_snapshot(std::string_view text) {
    const auto snapshot = parse_snapshot(text);
    if (!snapshot || snapshot->messages.empty()) {
        return;
    }
    Bench bench;
    bench.engine->take_all(snapshot->messages, snapshot->last_id, now);
    bench.engine->commit(now);
    check_restart(bench);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr int good_count_max = 3;
    constexpr int line_count_max = 16;
    std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    check_snapshot(text);
    Bench bench;
    int good_count = 0;
    int bad_count = 0;
    for (int i = 1; i <= line_count_max && !text.empty(); ++i) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
        const bool is_good = products::Observation::parse(line).has_value();
        if (is_good ? good_count++ < good_count_max : bad_count++ == 0) {
            const bool is_taken = bench.take(line, std::to_string(i));
            TAPIR_ASSERT(is_good || !is_taken);
        }
        static_cast<void>(bench.engine->explain(line));
    }
    if (!bench.engine->feed_id().empty() && size % 2 == 0) {
        check_restart(bench);
    }
    check_zone(*bench.engine->snapshot());
    // When the time of everything is over, nothing is left.
    const UtcTime later = now + std::chrono::hours(24 * 400);
    bench.engine->expire(later);
    bench.engine->commit(later);
    TAPIR_ASSERT(bench.engine->snapshot()->zone.size() == 0 && bench.engine->doubt_count() == 0);
    return 0;
}
