#include "session_rows.hpp"

#include <array>
#include <limits>
#include <utility>

#include "tapir/dns/client_options.hpp"

namespace tapir::edge {
namespace {

template <class Small>
std::optional<Small> fitting(std::optional<std::uint32_t> value) {
    if (!value || *value > std::numeric_limits<Small>::max()) {
        return std::nullopt;
    }
    return static_cast<Small>(*value);
}

SessionFamily family_of(const dnstap::Message& message) {
    switch (message.family.value_or(dnstap::SocketFamily::inet)) {
        case dnstap::SocketFamily::inet:
            return SessionFamily::inet;
        case dnstap::SocketFamily::inet6:
            return SessionFamily::inet6;
    }
    return SessionFamily::unknown;
}

}  // namespace

std::string_view to_string(SessionMessage message) {
    switch (message) {
        case SessionMessage::none:
            return "none";
        case SessionMessage::without_ecs:
            return "without_ecs";
        case SessionMessage::full:
            return "full";
    }
    return "none";
}

std::optional<SessionMessage> session_message_named(std::string_view word) {
    for (const auto message :
         {SessionMessage::none, SessionMessage::without_ecs, SessionMessage::full}) {
        if (to_string(message) == word) {
            return message;
        }
    }
    return std::nullopt;
}

SessionMaker::SessionMaker(std::shared_ptr<const SessionSource> source)
    : source_(std::move(source)), pan_(source_->key) {}

SessionRows& SessionMaker::rows_of(Minute minute) {
    for (SessionRows& rows : rows_) {
        if (rows.minute == minute) {
            return rows;
        }
    }
    SessionRows& rows = rows_.emplace_back();
    rows.minute = minute;
    return rows;
}

void SessionMaker::add(ByteView frame, const FrameItem& item, dns::NameView name) {
    SessionRows& to = rows_of(item.minute);
    SessionRow row;
    row.response_time_us = item.response_minute.us();
    std::array<dnstap::ClientAddress, 2> addresses = {item.client, {}};
    ByteView server_id;
    if (const auto message = dnstap::Message::parse(frame)) {
        row.response_time_us = message->response_time().value_or(UtcTime()).us();
        row.family = family_of(*message);
        row.source_port = fitting<std::uint16_t>(message->query_port);
        row.dest_port = fitting<std::uint16_t>(message->response_port);
        if (const auto protocol = message->protocol) {
            row.protocol = fitting<std::uint8_t>(static_cast<std::uint32_t>(*protocol));
        }
        addresses = {message->query_address, message->response_address};
        server_id = message->identity;
    }
    std::array<client::Pseudonym, 2> pseudonyms;
    pan_.pseudonymise(addresses, pseudonyms);
    row.source = pseudonyms[0];
    row.dest = pseudonyms[1];
    if (frame.empty() && row.source.kind() == client::Pseudonym::Kind::ipv6) {
        row.family = SessionFamily::inet6;
    }
    row.start = static_cast<std::uint32_t>(to.octets.size());
    row.name_size = static_cast<std::uint8_t>(name.wire_size());
    append(to.octets, name.wire());
    add_message(item.response, to, row);
    row.server_id_size = static_cast<std::uint32_t>(server_id.size());
    append(to.octets, server_id);
    to.rows.push_back(row);
}

void SessionMaker::add_message(ByteView message, SessionRows& to, SessionRow& row) const {
    if (source_->message == SessionMessage::none) {
        return;
    }
    const std::size_t start = to.octets.size();
    append(to.octets, message);
    if (source_->message == SessionMessage::without_ecs) {
        const auto kept = dns::clear_client_options(std::span(to.octets).subspan(start));
        to.octets.resize(start + kept.value_or(0));
        if (!kept) {
            ++to.messages_unreadable;
            return;
        }
    }
    row.has_message = true;
    row.message_size = static_cast<std::uint32_t>(to.octets.size() - start);
}

std::vector<SessionRows> SessionMaker::take() {
    return std::exchange(rows_, {});
}

}  // namespace tapir::edge
