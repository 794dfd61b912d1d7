#include "event_signer.hpp"

#include <utility>

namespace tapir::edge {

void EventSigner::take(ReadyBatch&& batch) {
    const auto released = std::exchange(batch.released, {});
    auto events =
        privacy::release_events(profile_, released, batch.time, *batch.key, key_, threads_);
    if (events) {
        batch.events = std::move(events->messages);
        for (auto& payload : events->payloads) {
            batch.payloads.push_back(std::move(payload));
        }
    } else {
        metrics_.lost(privacy::Product::new_qname);
        log_.error("signer", "a batch of events could not be made and is lost",
                   {{"events", released.size()}, {"reason", events.error().what()}});
        seen_.settle(std::exchange(batch.names, {}), Seen::Settle::lost);
    }
    behind_.take(std::move(batch));
}

}  // namespace tapir::edge
