// Whatever is sent, in whatever pieces (the first octet says in which): the server gives what the
// reader of whole files gives, where both apply, and never asks for more memory. What the sender
// writes, both read. The mutator changes frames and keeps their lengths right.
#include <algorithm>
#include <array>
#include <vector>

#include "tapir/base/fuzzing.hpp"
#include "tapir/dnstap/frame_stream.hpp"

namespace {

using namespace tapir;
using namespace tapir::dnstap;
using fuzzing::Dice;

struct Chunk {
    bool is_control = false;
    Bytes body{};
};

// Chunks as long as the octets are some; the rest is left.
std::vector<Chunk> read_chunks(ByteReader& in) {
    std::vector<Chunk> chunks;
    while (in.remaining() >= 4) {
        Chunk chunk;
        std::uint32_t size = in.u32();
        if (size == 0) {
            chunk.is_control = true;
            size = in.u32();
        }
        if (in.failed() || size > in.remaining()) {
            break;
        }
        chunk.body = to_bytes(in.bytes(size));
        chunks.push_back(std::move(chunk));
    }
    return chunks;
}

void append_chunk(Bytes& out, const Chunk& chunk) {
    if (chunk.is_control) {
        append_u32(out, 0);
    } else if (chunk.body.empty()) {
        return;  // it would be read as a control frame
    }
    append_u32(out, static_cast<std::uint32_t>(chunk.body.size()));
    append(out, chunk.body);
}

Bytes control_body(Dice& dice) {
    static constexpr std::array<std::string_view, 4> types = {
        content_type, "protobuf:other", "", std::string_view("protobuf:dnstap.Dnstap\0", 23)};
    Bytes body;
    append_u32(body, static_cast<std::uint32_t>(dice.below(7)));  // ACCEPT to FINISH are 1 to 5
    for (std::size_t left = dice.below(3); left > 0; --left) {
        const std::string_view type = types[dice.below(types.size())];
        append_u32(body, dice.one_in(16) ? 2 : 1);
        append_u32(body, static_cast<std::uint32_t>(type.size()));
        append(body, type);
    }
    return body;
}

void change_chunk(Chunk& chunk, Dice& dice) {
    if (dice.one_in(4)) {
        chunk = {.is_control = true, .body = control_body(dice)};
    } else {
        fuzzing::mutate_blindly(chunk.body);
    }
    if (dice.one_in(16)) {
        chunk.is_control = !chunk.is_control;
    }
}

Bytes change(ByteView input, Dice& dice) {
    ByteReader in(input);
    Bytes out;
    append_u8(out, dice.one_in(4) ? static_cast<std::uint8_t>(dice.next()) : in.u8());
    std::vector<Chunk> chunks = read_chunks(in);
    fuzzing::mutate_list(chunks, dice, [&](Chunk& chunk) { change_chunk(chunk, dice); });
    for (const Chunk& chunk : chunks) {
        append_chunk(out, chunk);
    }
    if (dice.one_in(8)) {
        append_u32(out, static_cast<std::uint32_t>(frame_size_max + dice.below(3)));
        append(out, in.rest());
    }
    return out;
}

std::vector<Bytes> serve(FrameStreamServer& server, ByteView octets, std::size_t piece) {
    std::vector<Bytes> frames;
    while (!octets.empty()) {
        const std::size_t count = server.feed(octets.first(std::min(piece, octets.size())));
        TAPIR_ASSERT(count > 0);
        octets = octets.subspan(count);
        while (const auto frame = server.next()) {
            TAPIR_ASSERT(!frame->empty() && frame->size() <= frame_size_max);
            frames.push_back(to_bytes(*frame));
        }
    }
    server.end();
    TAPIR_ASSERT(!server.is_open());
    TAPIR_ASSERT(server.to_send().size() < 128);
    TAPIR_ASSERT(server.space().size() <= stream_buffer_size);
    return frames;
}

// The frames, sent by our own sender, arrive as they were.
void check_sender(const std::vector<Bytes>& frames) {
    FrameStreamWriter writer(FrameStreamWriter::Form::file);
    for (const Bytes& frame : frames) {
        writer.write(frame);
    }
    writer.stop();
    const Bytes file = writer.take_output();
    FstrmReader reader(file);
    for (const Bytes& expected : frames) {
        const auto frame = reader.next();
        TAPIR_ASSERT(frame && as_text(*frame) == as_text(expected));
    }
    TAPIR_ASSERT(!reader.next() && reader.state() == StreamState::stopped);
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max, seed, change);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const ByteView octets = std::as_bytes(std::span(data, size)).subspan(1);
    FrameStreamServer server;
    const std::vector<Bytes> frames = serve(server, octets, data[0] + std::size_t{1});

    if (!server.is_bidirectional()) {
        FstrmReader reader(octets);
        for (const Bytes& expected : frames) {
            const auto frame = reader.next();
            TAPIR_ASSERT(frame && as_text(*frame) == as_text(expected));
        }
        TAPIR_ASSERT(!reader.next());
        // A READY for others is one more thing that a file does not have.
        const bool is_refused = server.error() == StreamError::content_type_refused &&
                                reader.error() == StreamError::control_unexpected;
        TAPIR_ASSERT(reader.state() == server.state());
        TAPIR_ASSERT(reader.error() == server.error() || is_refused);
        // The server counts such a frame when it begins, the reader when it is there.
        const std::uint64_t cut = server.state() == StreamState::truncated ? 1 : 0;
        TAPIR_ASSERT(reader.frames_oversized() <= server.frames_oversized());
        TAPIR_ASSERT(server.frames_oversized() <= reader.frames_oversized() + cut);
    }
    check_sender(frames);
    FrameStreamWriter writer(FrameStreamWriter::Form::socket);
    static_cast<void>(writer.receive(octets));
    return 0;
}
