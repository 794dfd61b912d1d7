// One row of a session file for each response whose name is not well known: made by a worker, kept
// until its minute is over.
//
//     SessionMaker maker(source);                        // one for each worker
//     maker.add(frame, item, message.question.name);     // as frames are looked at
//     result.sessions = maker.take();                    // in their order, by minute
//
// From here on there is no client address, only its pseudonym. What a response says of who asked is
// taken out unless the operator asked for full messages.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "frame_batch.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/client/crypto_pan.hpp"
#include "tapir/dns/name.hpp"

namespace tapir::edge {

// How much of a DNS message is kept.
enum class SessionMessage : std::uint8_t {
    none,         // nothing
    without_ecs,  // without what says who asked (dns::clear_client_options)
    full,         // as it came: what the existing minimiser does
};
std::string_view to_string(SessionMessage message);
std::optional<SessionMessage> session_message_named(std::string_view word);

// What makers need; shared by them.
struct SessionSource {
    client::CryptoPanKey key;
    SessionMessage message = SessionMessage::without_ecs;
};

enum class SessionFamily : std::uint8_t {
    unknown,  // a number that is neither: no address is shown
    inet,
    inet6,
};

struct SessionRow {
    std::int64_t response_time_us = 0;  // 0: the frame has no time
    client::Pseudonym source;           // who asked
    client::Pseudonym dest;             // who answered
    SessionFamily family = SessionFamily::inet;
    std::optional<std::uint16_t> source_port;
    std::optional<std::uint16_t> dest_port;
    std::optional<std::uint8_t> protocol;
    bool has_message = false;
    // In the octets of its rows, one after the other.
    std::uint32_t start = 0;
    std::uint8_t name_size = 0;  // in wire form, as it was asked
    std::uint32_t message_size = 0;
    std::uint32_t server_id_size = 0;
};

// Rows of one minute, in the order of their frames.
struct SessionRows {
    Minute minute = 0;
    std::vector<SessionRow> rows;
    Bytes octets;
    std::uint64_t messages_unreadable = 0;  // left out: what they say of who asked is not known

    // What it takes in memory, in octets.
    std::size_t memory() const { return rows.capacity() * sizeof(SessionRow) + octets.capacity(); }
    ByteView name(const SessionRow& row) const {
        return ByteView(octets).subspan(row.start, row.name_size);
    }
    ByteView message(const SessionRow& row) const {
        return ByteView(octets).subspan(row.start + std::size_t{row.name_size}, row.message_size);
    }
    ByteView server_id(const SessionRow& row) const {
        return ByteView(octets).subspan(row.start + std::size_t{row.name_size} + row.message_size,
                                        row.server_id_size);
    }
};

class SessionMaker {
public:
    explicit SessionMaker(std::shared_ptr<const SessionSource> source);

    // `frame` is the whole dnstap frame of `item`; empty where the input is of another kind, then
    // the row has what the item has.
    void add(ByteView frame, const FrameItem& item, dns::NameView name);
    // What was added since the last call.
    std::vector<SessionRows> take();

private:
    SessionRows& rows_of(Minute minute);
    void add_message(ByteView message, SessionRows& to, SessionRow& row) const;

    std::shared_ptr<const SessionSource> source_;
    client::CryptoPan pan_;
    std::vector<SessionRows> rows_;
};

}  // namespace tapir::edge
