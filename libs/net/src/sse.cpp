#include "tapir/net/sse.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace tapir::net {

Result<void> SseParser::feed(ByteView piece, const std::function<void(const SseEvent&)>& on_event) {
    std::string_view rest = as_text(piece);
    while (!rest.empty()) {
        if (after_cr_) {
            after_cr_ = false;
            if (rest.front() == '\n') {
                rest.remove_prefix(1);
                continue;
            }
        }
        const auto end = rest.find_first_of("\r\n");
        TRY(grow_line(rest.substr(0, end)));
        if (end == std::string_view::npos) {
            break;
        }
        after_cr_ = rest[end] == '\r';
        rest.remove_prefix(end + 1);
        TRY(line_ends(on_event));
    }
    return {};
}

Result<void> SseParser::grow_line(std::string_view part) {
    if (part.size() > limits_.line_size_max - line_.size()) {
        return fail(Code::exhausted,
                    fmt::format("an event stream's line is longer than {}", limits_.line_size_max));
    }
    line_ += part;
    return {};
}

Result<void> SseParser::line_ends(const std::function<void(const SseEvent&)>& on_event) {
    if (at_start_ && line_.starts_with("\xEF\xBB\xBF")) {
        line_.erase(0, 3);
    }
    at_start_ = false;
    if (!line_.empty()) {
        const auto colon = line_.find(':');
        const auto name = std::string_view(line_).substr(0, colon);
        auto value = colon == std::string::npos ? std::string_view()
                                                : std::string_view(line_).substr(colon + 1);
        if (value.starts_with(' ')) {
            value.remove_prefix(1);
        }
        TRY(field(name, value));
        line_.clear();
        return {};
    }
    // An empty line ends the event. Only now is its id the last one: a stream that breaks off
    // before this is resumed at the event before.
    last_id_ = id_;
    if (has_data_) {
        on_event({last_id_, event_.empty() ? "message" : std::move(event_), std::move(data_)});
    }
    event_.clear();
    data_.clear();
    has_data_ = false;
    return {};
}

Result<void> SseParser::field(std::string_view name, std::string_view value) {
    if (name == "data") {
        if (value.size() + data_.size() + 1 > limits_.event_size_max) {
            return fail(Code::exhausted,
                        fmt::format("an event's data are longer than {}", limits_.event_size_max));
        }
        if (has_data_) {
            data_ += '\n';
        }
        data_ += value;
        has_data_ = true;
    } else if (name == "event") {
        event_ = value;
    } else if (name == "id" && value.find('\0') == std::string_view::npos) {
        id_ = value;
    } else if (name == "retry") {
        std::uint32_t ms = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), ms);
        if (error == std::errc() && end == value.data() + value.size()) {
            retry_ = std::chrono::milliseconds(ms);
        }
    }
    // A comment has an empty name; what else there is, is not for us.
    return {};
}

}  // namespace tapir::net
