#include "observe.hpp"

namespace tapir::edge {

std::optional<dnstap::MessageError> observe(ByteView frame, Observer& observer) {
    const auto message = dnstap::Message::parse(frame);
    if (!message) {
        return message.error();
    }
    const auto& wire =
        dnstap::is_query(message->type) ? message->query_message : message->response_message;
    dns::NameBuffer scratch;
    std::optional<dns::Message> dns;
    if (wire) {
        if (auto parsed = dns::Message::parse(*wire, dns::Depth::standard, scratch)) {
            dns = *parsed;
        }
    }
    Observed seen{.frame = *message};
    if (dns) {
        seen.dns = &*dns;
        seen.edns = dns::edns_of(*dns);
    }
    switch (message->type) {
        case dnstap::MessageType::client_query:
            observer.on_client_query(seen);
            break;
        case dnstap::MessageType::client_response:
            observer.on_client_response(seen);
            break;
        case dnstap::MessageType::resolver_query:
            observer.on_resolver_query(seen);
            break;
        case dnstap::MessageType::resolver_response:
            observer.on_resolver_response(seen);
            break;
        default:
            observer.on_other(seen);
    }
    return std::nullopt;
}

}  // namespace tapir::edge
