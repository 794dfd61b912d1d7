// Whatever is sent, in whatever pieces: the server gives what the reader of whole files gives
// (where both apply), and never asks for more memory.
#include <algorithm>
#include <vector>

#include "tapir/dnstap/frame_stream.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tapir;
    using namespace tapir::dnstap;
    if (size == 0) {
        return 0;
    }
    const std::size_t piece = data[0] + std::size_t{1};
    const ByteView octets = std::as_bytes(std::span(data, size)).subspan(0);
    FrameStreamServer server;
    std::vector<Bytes> frames;
    for (ByteView rest = octets; !rest.empty();) {
        const std::size_t count = server.feed(rest.first(std::min(piece, rest.size())));
        TAPIR_ASSERT(count > 0);
        rest = rest.subspan(count);
        while (const auto frame = server.next()) {
            TAPIR_ASSERT(!frame->empty() && frame->size() <= frame_size_max);
            frames.push_back(to_bytes(*frame));
        }
    }
    server.end();
    TAPIR_ASSERT(!server.is_open());
    TAPIR_ASSERT(server.to_send().size() < 128);

    if (!server.is_bidirectional()) {
        FstrmReader reader(octets);
        for (const Bytes& expected : frames) {
            const auto frame = reader.next();
            TAPIR_ASSERT(frame && as_text(*frame) == as_text(expected));
        }
        TAPIR_ASSERT(!reader.next());
    }
    FrameStreamWriter writer(FrameStreamWriter::Form::socket);
    static_cast<void>(writer.receive(octets));
    return 0;
}
