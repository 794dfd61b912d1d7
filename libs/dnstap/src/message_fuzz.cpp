// No frame makes the parser read outside it; what it accepts has views inside.
#include "tapir/dnstap/message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tapir;
    const ByteView frame = std::as_bytes(std::span(data, size));
    const auto message = dnstap::Message::parse(frame);
    if (!message) {
        return 0;
    }
    const auto is_inside = [frame](ByteView view) {
        return view.empty() || (view.data() >= frame.data() &&
                                view.data() + view.size() <= frame.data() + frame.size());
    };
    TAPIR_ASSERT(is_inside(message->identity) && is_inside(message->version));
    TAPIR_ASSERT(is_inside(message->query_message.value_or(ByteView())));
    TAPIR_ASSERT(is_inside(message->response_message.value_or(ByteView())));
    static_cast<void>(message->query_time());
    static_cast<void>(message->response_time());
    return 0;
}
