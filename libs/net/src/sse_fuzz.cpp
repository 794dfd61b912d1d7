// The events are the same however the stream is cut, and writing one again gives it back.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tapir/base/assert.hpp"
#include "tapir/net/http.hpp"
#include "tapir/net/sse.hpp"

using tapir::net::SseEvent;
using tapir::net::SseParser;

namespace {

constexpr tapir::net::SseLimits limits{.line_size_max = 64, .event_size_max = 128};

// Events of `input`, fed in pieces of `step` octets; `failed` tells of a limit.
std::vector<SseEvent> events_of(tapir::ByteView input, std::size_t step, bool& failed) {
    SseParser parser(limits);
    std::vector<SseEvent> out;
    failed = false;
    while (!input.empty() && !failed) {
        const auto piece = input.first(std::min(step, input.size()));
        input = input.subspan(piece.size());
        failed = !parser.feed(piece, [&](const SseEvent& event) { out.push_back(event); });
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const tapir::ByteView input(reinterpret_cast<const std::byte*>(data), size);
    bool failed = false;
    const auto whole = events_of(input, input.size(), failed);
    for (const std::size_t step : {1U, 7U}) {
        bool failed_too = false;
        TAPIR_ASSERT(events_of(input, step, failed_too) == whole);
        TAPIR_ASSERT(failed == failed_too);
    }
    for (const SseEvent& event : whole) {
        const auto text = tapir::net::sse_event(event.id, event.event, event.data);
        SseParser parser;
        std::vector<SseEvent> again;
        const auto fed =
            parser.feed(tapir::as_bytes(text), [&](const SseEvent& e) { again.push_back(e); });
        // What has a carriage return or a NUL inside cannot be sent as one line.
        const bool is_plain = event.event.find('\0') == std::string::npos;
        TAPIR_ASSERT(fed && again.size() == 1 && again[0].data == event.data);
        TAPIR_ASSERT(!is_plain || again[0] == event);
    }
    return 0;
}
