// Requests of any kind: no crash, answers within their sizes, and every answer readable again.
#include <cstdint>
#include <span>

#include "query.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/rpz/answer.hpp"
#include "tapir/rpz/trigger.hpp"

using namespace tapir;

namespace {

struct Fixture {
    rpz::Apex apex = *rpz::Apex::create("dnstapir.");
    std::shared_ptr<const rpz::Snapshot> snapshot;
    std::vector<rpz::TsigKey> keys;

    Fixture() {
        rpz::Delta delta;
        for (int i = 0; i < 9; ++i) {
            const auto name = rpz::Trigger::parse("n" + std::to_string(i) + ".example");
            delta.added.push_back({name->key(), rpz::Action::nxdomain});
        }
        snapshot = std::make_shared<const rpz::Snapshot>(rpz::publish(rpz::Snapshot(), delta));
        keys.push_back(
            *rpz::TsigKey::from_base64("rpz-key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="));
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Fixture fixture;
    const ByteView query = std::as_bytes(std::span(data, size));
    const UtcTime now = UtcTime::from_seconds(1'700'000'000);
    for (const auto transport : {rpz::Transport::udp, rpz::Transport::tcp}) {
        auto answer = rpz::answer(fixture.apex, fixture.snapshot, fixture.keys, query,
                                  {.transport = transport, .plain_allowed = true}, now);
        Bytes message;
        while (answer.next(message, now)) {
            TAPIR_ASSERT(message.size() <= rpz::message_size_max);
            TAPIR_ASSERT(transport == rpz::Transport::tcp || message.size() <= 2'048);
            TAPIR_ASSERT(rpz::find_last_record(message).has_value());
        }
    }
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (const auto trigger = rpz::Trigger::parse(text)) {
        const auto again = rpz::Trigger::parse(trigger->to_text());
        TAPIR_ASSERT(again && *again == *trigger);
    }
    if (const auto delta = rpz::Delta::decode(query)) {
        TAPIR_ASSERT(delta->encode() == to_bytes(query));
    }
    return 0;
}
