// What the core says, behind its signature: each line of the input is an observation, signed by the
// test key and taken by the engine. After each the serial has gone on exactly if the zone is
// another; after a restart everything is as it was. Answers to the snapshot request are read too.
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "feed_reader.hpp"
#include "state.hpp"
#include "tapir/crypto/signature.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/policy/engine.hpp"
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
        const auto message = jose::sign_jws(core_key(), as_bytes(payload));
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
    if (!snapshot) {
        return;
    }
    Bench bench;
    bench.engine->take_all(snapshot->messages, snapshot->last_id, now);
    bench.engine->commit(now);
    check_restart(bench);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr int message_count_max = 8;
    std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    check_snapshot(text);
    Bench bench;
    for (int i = 1; i <= message_count_max && !text.empty(); ++i) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
        bench.take(line, std::to_string(i));
        static_cast<void>(bench.engine->explain(line));
    }
    if (!bench.engine->feed_id().empty()) {
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
