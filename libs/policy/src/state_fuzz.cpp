// A state on the disk that is not what was written: refused, or served. The input is the entries
// of a store (store/fuzzing.hpp). What the engine opens it can serve: each rule is a name, and the
// zone goes out over AXFR and IXFR.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "state.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/dns/message.hpp"
#include "tapir/dns/message_writer.hpp"
#include "tapir/policy/engine.hpp"
#include "tapir/rpz/answer.hpp"
#include "tapir/rpz/trigger.hpp"
#include "tapir/store/fuzzing.hpp"

namespace {

using namespace tapir;
using namespace tapir::policy;

const UtcTime now = UtcTime::from_seconds(1'780'000'000);
const std::vector<std::string> families = {std::string(meta_family), std::string(zone_family),
                                           std::string(history_family), std::string(doubts_family)};
constexpr std::uint32_t stored_serial = 1'700'000'000;

std::unique_ptr<store::Store> store_of(ByteView input, ByteView zone_name) {
    auto store = store::open_memory(store_families());
    store::Batch batch;
    save_meta(batch, rpz::Serial(stored_serial), "17", zone_name);
    store::fuzzing::add_entries(batch, families, input);
    TAPIR_ASSERT(store->write(batch, store::Durability::buffered).has_value());
    return store;
}

Bytes query(ByteView zone, dns::RrType type, std::uint32_t serial) {
    const auto name = dns::NameView::parse(zone);
    TAPIR_ASSERT(name.has_value());
    dns::MessageWriter writer({.id = 7});
    TAPIR_ASSERT(writer.add_question(*name, type, dns::RrClass::in));
    const Bytes soa = dns::soa_rdata(*name, *name, serial, 1, 1, 1, 1);
    TAPIR_ASSERT(type != dns::RrType::ixfr ||
                 writer.add_record(dns::Section::authority, *name, dns::RrType::soa,
                                   dns::RrClass::in, 0, soa));
    return to_bytes(writer.view());
}

void check_transfer(const rpz::Apex& apex, const std::shared_ptr<const rpz::Snapshot>& snapshot,
                    ByteView request) {
    const std::vector<rpz::TsigKey> no_keys;
    auto answer = rpz::answer(apex, snapshot, no_keys, request,
                              {.transport = rpz::Transport::tcp, .plain_allowed = true}, now);
    Bytes message;
    dns::NameBuffer scratch;
    while (answer.next(message, now)) {
        const auto read = dns::Message::parse(message, dns::Depth::compatible, scratch);
        TAPIR_ASSERT(read.has_value());
    }
}

void check_served(const rpz::Apex& apex, const std::shared_ptr<const rpz::Snapshot>& snapshot) {
    auto cursor = snapshot->zone.begin();
    std::string last;
    while (const auto record = cursor.next()) {
        const auto trigger = rpz::Trigger::parse(rpz::key_to_text(record->key));
        TAPIR_ASSERT(trigger && trigger->key() == record->key && last < record->key);
        last = record->key;
    }
    check_transfer(apex, snapshot, query(apex.zone, dns::RrType::axfr, 0));
    for (const auto& step : snapshot->history) {
        check_transfer(apex, snapshot, query(apex.zone, dns::RrType::ixfr, step.from.value()));
    }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max, seed, store::fuzzing::change_store);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const rpz::Apex apex = *rpz::Apex::create("dnstapir.");
    const auto store = store_of(std::as_bytes(std::span(data, size)), apex.zone);
    std::string logged;
    const Log log = Log::to_string(logged);
    Counters counters;
    EngineSettings settings;
    settings.apex = apex;
    settings.rules.mode = rpz::Mode::enforce;
    settings.rules.subdomains = true;
    settings.rules.tag_actions.fill(rpz::Action::nxdomain);
    const auto engine = Engine::open(std::move(settings), *store, log, counters, now);
    if (!engine) {
        return 0;
    }
    check_served(apex, (*engine)->snapshot());
    (*engine)->expire(now);
    (*engine)->commit(now);
    check_served(apex, (*engine)->snapshot());
    return 0;
}
