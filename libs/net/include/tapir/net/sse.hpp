// Server-sent events, read piece by piece (WHATWG HTML, "Server-sent events").
//
//     SseParser parser;
//     TRY(parser.feed(chunk, [&](const SseEvent& event) { ... }));
//
// However the octets are cut into pieces, the events are the same. Pure: no socket, no clock.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"

namespace tapir::net {

struct SseLimits {
    std::size_t line_size_max = 256U << 10U;   // octets
    std::size_t event_size_max = 512U << 10U;  // octets of data in one event
};

struct SseEvent {
    std::string id;     // the last id seen on the stream, also before this event
    std::string event;  // "message" if the sender gave none
    std::string data;   // lines joined by '\n'
    friend bool operator==(const SseEvent&, const SseEvent&) = default;
};

class SseParser {
public:
    explicit SseParser(SseLimits limits = {}) : limits_(limits) {}

    // `exhausted` once a line or an event is too long; then the parser must not be fed again.
    // An event without data is none, and what an unfinished stream ends with is none either.
    Result<void> feed(ByteView piece, const std::function<void(const SseEvent&)>& on_event);

    const std::string& last_id() const { return last_id_; }
    // What the sender last asked for with "retry:".
    std::optional<std::chrono::milliseconds> retry() const { return retry_; }

private:
    Result<void> grow_line(std::string_view part);
    Result<void> line_ends(const std::function<void(const SseEvent&)>& on_event);
    Result<void> field(std::string_view name, std::string_view value);

    SseLimits limits_;
    std::string line_;
    bool at_start_ = true;   // a byte order mark may come
    bool after_cr_ = false;  // a line feed now belongs to the line that has ended
    std::string event_;
    std::string data_;
    bool has_data_ = false;
    std::string id_;  // of the event being read; becomes last_id_ with it
    std::string last_id_;
    std::optional<std::chrono::milliseconds> retry_;
};

}  // namespace tapir::net
