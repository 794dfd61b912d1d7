#include "event_desk.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "tapir/crypto/digest.hpp"
#include "tapir/dns/name.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/products/new_qname.hpp"

namespace tapir::intake {

namespace {

constexpr std::string_view media_type = "application/jose+json";
constexpr std::string_view topic_before = "events/up/";
constexpr std::string_view topic_after = "/new_qname";
constexpr Duration look_again = std::chrono::seconds(1);

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return out;
}

// Whose topic it is: "events/up/KID/new_qname". Nothing if it is of another shape.
std::optional<std::string> sender_of(std::string_view topic) {
    if (!topic.starts_with(topic_before) || !topic.ends_with(topic_after) ||
        topic.size() < topic_before.size() + topic_after.size()) {
        return std::nullopt;
    }
    topic.remove_prefix(topic_before.size());
    topic.remove_suffix(topic_after.size());
    return jose::is_key_id(topic) ? std::optional<std::string>(topic) : std::nullopt;
}

// The same text for the same event of the same edge. A key id holds no line feed.
std::string identity_of(const std::string& edge, const products::NewQname& event,
                        ByteView payload) {
    if (!event.message_id.empty()) {
        return edge + "\nm" + lower(event.message_id);
    }
    return edge + "\nd" + to_hex(crypto::sha256(payload));
}

}  // namespace

EventDesk::EventDesk(const IntakeSettings& settings, const IntakeParts& parts, Journal& journal)
    : settings_(settings),
      parts_(parts),
      journal_(journal),
      fates_(parts.counters, "tapir_core_events_total", "Events by what became of them."),
      from_broker_(parts.counters.counter("tapir_core_mqtt_events_total",
                                          "Events that came by MQTT; they count in "
                                          "tapir_core_events_total too.")) {}

net::HttpResponse EventDesk::post(const net::HttpRequest& request) {
    auto counts = take(request);
    if (!counts) {
        const Refusal& refusal = counts.error();
        fates_.reject(refusal.reason);
        parts_.log.warn("intake", "a batch of events was refused",
                        {{"reason", refusal.reason},
                         {"detail", refusal.detail},
                         {"peer", request.peer.to_string()},
                         {"certificate", request.client_name}});
        return refuse(refusal);
    }
    fates_.count("accepted", counts->accepted);
    fates_.count("duplicate", counts->duplicate);
    const bool all_bad = counts->rejected_count > 0 && counts->accepted + counts->duplicate == 0;
    return json_answer(all_bad ? 400 : 202,
                       text::Json::object({{"accepted", counts->accepted},
                                           {"duplicate", counts->duplicate},
                                           {"rejected", std::move(counts->rejected)}}));
}

Result<EventDesk::Counts, Refusal> EventDesk::take(const net::HttpRequest& request) {
    const auto type = TRY(single_field(request, "Content-Type"));
    if (lower(type.value_or("")) != media_type) {
        return fail(Refusal{.status = 415,
                            .reason = "content_type",
                            .detail = "content type: expected application/jose+json"});
    }
    const UtcTime now = parts_.clock.now();
    const auto keys = parts_.keys.current();
    // Each event is signed by itself; a signature over the request is for who wants to give one.
    std::string sender = settings_.certificates ? request.client_name : "";
    const bool has_signature = request.fields.find("Signature").has_value() ||
                               request.fields.find("Signature-Input").has_value();
    if (has_signature) {
        sender = TRY(signer_of(request, *keys, now, settings_.certificates));
    }
    if (settings_.certificates && keys->find(sender) == nullptr) {
        return fail(Refusal{.status = 403,
                            .reason = "unknown_key",
                            .detail = "no key is known of the name in the certificate"});
    }
    TRY(check_profile(request, settings_.accept_compatible));
    const auto texts = jose::split_batch(as_text(request.body));
    if (!texts) {
        return fail(Refusal{.status = 400,
                            .reason = jose::to_string(texts.error()),
                            .detail = jose::to_error(texts.error()).what()});
    }
    Counts counts;
    std::vector<Event> events;
    for (std::size_t index = 0; index < texts->size(); ++index) {
        auto event = check((*texts)[index], sender, *keys, now);
        if (event) {
            events.push_back(*std::move(event));
            continue;
        }
        reject(event.error(), sender);
        if (counts.rejected_count++ < rejected_listed_max) {
            counts.rejected.push(text::Json::object({{"index", index}, {"reason", event.error()}}));
        }
    }
    const auto kept = keep(events, now);
    if (!kept) {
        return fail(trouble(kept.error()));
    }
    std::tie(counts.accepted, counts.duplicate) = *kept;
    return counts;
}

Result<void> EventDesk::take(std::span<const mqtt::Message> messages) {
    const UtcTime now = parts_.clock.now();
    auto keys = parts_.keys.current();
    std::vector<Event> events;
    std::vector<std::pair<std::string_view, std::string>> refused;  // reason, sender
    for (const auto& message : messages) {
        const auto sender = sender_of(message.topic);
        if (!sender) {
            refused.emplace_back("topic", "");
            continue;
        }
        // The broker's access list may be wrong: the signature says who sends.
        auto event = check(as_text(message.payload), *sender, *keys, now);
        if (!event && event.error() == jose::to_string(jose::JwsError::unknown_key) &&
            look_for_keys()) {
            // Once acknowledged it is gone, and the key may have been installed just now.
            keys = parts_.keys.current();
            event = check(as_text(message.payload), *sender, *keys, now);
        }
        if (event) {
            events.push_back(*std::move(event));
        } else {
            refused.emplace_back(event.error(), *sender);
        }
    }
    const auto [accepted, duplicate] = TRY(keep(events, now));
    // Counted only now: what the store refuses comes again, all of it.
    for (const auto& [reason, sender] : refused) {
        reject(reason, sender);
    }
    fates_.count("accepted", accepted);
    fates_.count("duplicate", duplicate);
    from_broker_.add(messages.size());
    return {};
}

bool EventDesk::look_for_keys() {
    const Duration now = parts_.clock.monotonic();
    // Whoever sends what nobody knows must not keep us reading.
    const bool is_due = looked_.with([&](std::optional<Duration>& last) {
        const bool due = !last || now - *last >= look_again;
        if (due) {
            last = now;
        }
        return due;
    });
    if (!is_due) {
        return false;
    }
    const auto read = parts_.keys.refresh();
    if (!read) {
        parts_.log.error("keys", "the folder of keys cannot be read; the old ones stay",
                         {{"reason", read.error().what()}});
    }
    return read.has_value();
}

void EventDesk::reject(std::string_view reason, const std::string& sender) {
    fates_.reject(reason);
    parts_.log.warn("intake", "an event was refused", {{"reason", reason}, {"sender", sender}});
}

Result<std::pair<std::uint64_t, std::uint64_t>> EventDesk::keep(std::span<const Event> events,
                                                                UtcTime now) {
    const auto is_new = journal_.add_events(events, now);
    if (!is_new) {
        parts_.log.error("intake", "events could not be stored",
                         {{"reason", is_new.error().what()}});
        return fail(is_new.error());
    }
    const auto accepted = static_cast<std::uint64_t>(std::ranges::count(*is_new, true));
    return std::pair(accepted, is_new->size() - accepted);
}

// `sender` is empty if nothing but the event itself says who it is from.
Result<Event, std::string_view> EventDesk::check(std::string_view text, const std::string& sender,
                                                 const jose::KeySet& keys, UtcTime now) const {
    const auto claimed = jose::UnverifiedJws::parse(text);
    if (!claimed) {
        return fail(jose::to_string(claimed.error()));
    }
    if (!sender.empty() && claimed->claimed_kid() != sender) {
        return fail(std::string_view("sender_mismatch"));
    }
    const auto verified = claimed->verify(keys);
    if (!verified) {
        return fail(jose::to_string(verified.error()));
    }
    const auto event = products::NewQname::parse(verified->payload_text());
    if (!event) {
        return fail(products::to_string(event.error()));
    }
    if (!dns::Name::from_text(event->qname)) {
        return fail(std::string_view("bad_qname"));
    }
    if (const auto time = event->timestamp) {
        // Older than what we remember of duplicates, it could be the second time. The limits are
        // moved, not the time: what it says may be as far away as time can be.
        if (*time < now - std::chrono::seconds(event_age_s_max)) {
            return fail(std::string_view("too_old"));
        }
        if (*time > now + std::chrono::seconds(event_ahead_s_max)) {
            return fail(std::string_view("in_future"));
        }
    }
    return Event{.edge = verified->kid(),
                 .identity = identity_of(verified->kid(), *event, verified->payload()),
                 .payload = std::string(verified->payload_text())};
}

}  // namespace tapir::intake
