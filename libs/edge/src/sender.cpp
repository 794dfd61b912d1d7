#include "sender.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

// A signature may not be older than a day for the core; an old batch is signed anew.
constexpr Duration created_age_max = 12h;
constexpr Duration idle = 60s;
constexpr Duration retry_after_max = 1h;  // whatever the core says

}  // namespace

SendSteps::SendSteps(const SenderParts& parts)
    : parts_(parts),
      batches_(parts.counters.counter("tapir_edge_batches_total",
                                      "Batches that the core has taken whole.")),
      lost_altered_(parts.counters.counter("tapir_edge_batches_lost_total",
                                           "Batches lost, by reason.", {{"reason", "altered"}})),
      rejected_(parts.counters.counter("tapir_edge_events_rejected_total",
                                       "Events that the core will not keep.")) {
    for (std::size_t i = 0; i < sent_count; ++i) {
        uploads_.at(i) = &parts.counters.counter(
            "tapir_edge_uploads_total", "Attempts to send a payload, by what came of them.",
            {{"outcome", std::string(to_string(static_cast<Sent>(i)))}});
    }
}

void SendSteps::cancel() {
    cancelled_ = true;
    parts_.outlet.cancel();
}

Duration SendSteps::until_due() const {
    if (!parts_.second) {
        return {};
    }
    const UtcTime now = parts_.clock.now();
    UtcTime due = now.minute() + std::chrono::seconds(parts_.second());
    if (due < now) {
        due = due + 60s;
    }
    return due - now;
}

Duration SendSteps::back_off() {
    const std::int64_t whole = std::min<std::int64_t>(
        std::int64_t{1} << std::min<std::int64_t>(failures_, 20), retry_s_max);
    ++failures_;
    const auto ms = static_cast<std::uint64_t>(whole) * 1000;
    return std::chrono::milliseconds(ms / 2 + parts_.chance.below(ms / 2 + 1));
}

Duration SendSteps::work() {
    const Duration now = parts_.clock.monotonic();
    if (now < again_) {
        return again_ - now;
    }
    if (parts_.outbox.unsent().empty()) {
        due_.reset();
        return idle;
    }
    // Only the time counts here: being told of yet another batch sends nothing earlier.
    if (!due_) {
        due_ = now + until_due();
    }
    if (now < *due_) {
        return *due_ - now;
    }
    due_.reset();
    if (send_all()) {
        failures_ = 0;
        return {};
    }
    const Duration pause = std::max(back_off(), std::exchange(retry_after_, Duration()));
    again_ = parts_.clock.monotonic() + pause;
    return pause;
}

bool SendSteps::send_all() {
    for (const std::uint64_t index : parts_.outbox.unsent()) {
        if (cancelled_ || !send_batch(index)) {
            return false;
        }
    }
    return true;
}

bool SendSteps::send_batch(std::uint64_t index) {
    auto batch = parts_.outbox.reopen(index);
    if (!batch) {
        const Code code = batch.error().code();
        // What is on the disk is not what the ledger says, and must not leave; or it could not be
        // read this time.
        const bool is_altered = code == Code::denied || code == Code::corrupt ||
                                code == Code::invalid || code == Code::not_found;
        parts_.log.error("sender",
                         is_altered ? "a batch is not as the ledger says and is not sent"
                                    : "a batch cannot be read; again later",
                         {{"batch", index}, {"reason", batch.error().what()}});
        if (is_altered) {
            lost_altered_.add();
            parts_.outbox.settle(index, Settled::refused, parts_.clock.now());
        }
        return is_altered;
    }
    const UtcTime now = parts_.clock.now();
    SendOptions options{.created = batch->time, .is_compatible = batch->is_compatible};
    if (now - batch->time > created_age_max) {
        options.created = now.minute();
    }
    if (std::exchange(done_of_, index) != index) {
        done_.clear();  // an older batch went away half sent
        is_unrouted_ = false;
    }
    bool is_refused = false;
    for (const auto& payload : batch->payloads) {
        const std::string& name = payload.value().name;
        if (done_.contains(name)) {
            continue;
        }
        const SendOutcome outcome = parts_.outlet.send(payload, options);
        uploads_.at(static_cast<std::size_t>(outcome.sent))->add();
        if (outcome.sent == Sent::accepted || outcome.sent == Sent::refused ||
            outcome.sent == Sent::unrouted) {
            done_.insert(name);
            is_unrouted_ |= outcome.sent == Sent::unrouted;
            if (outcome.rejected > 0) {
                rejected_.add(outcome.rejected);
                parts_.log.error(
                    "sender", "the core will not keep some events of a batch",
                    {{"batch", index}, {"events", outcome.rejected}, {"reason", outcome.reason}});
            }
            if (outcome.sent == Sent::refused) {
                is_refused = true;
                parts_.log.error("sender", "the core refuses a payload, which is not sent again",
                                 {{"batch", index}, {"payload", name}, {"answer", outcome.detail}});
            }
            continue;
        }
        retry_after_ = std::clamp<Duration>(outcome.retry_after, Duration(), retry_after_max);
        if (!cancelled_) {
            parts_.log.warn("sender", "the core does not take a payload now; again later",
                            {{"outcome", to_string(outcome.sent)}, {"answer", outcome.detail}});
        }
        return false;
    }
    done_.clear();
    parts_.outbox.settle(index, is_refused ? Settled::refused : Settled::sent, now);
    if (!is_refused && !std::exchange(is_unrouted_, false)) {
        batches_.add();
    }
    return true;
}

}  // namespace tapir::edge
