#include "tapir/dnstap/frame_stream.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "control.hpp"

namespace tapir::dnstap {
namespace {

Bytes control(ControlType type, std::initializer_list<std::string_view> content_types = {}) {
    Bytes body;
    append_u32(body, static_cast<std::uint32_t>(type));
    for (const auto name : content_types) {
        append_u32(body, control_field_content_type);
        append_u32(body, static_cast<std::uint32_t>(name.size()));
        append(body, name);
    }
    Bytes out;
    append_u32(out, 0);
    append_u32(out, static_cast<std::uint32_t>(body.size()));
    append(out, body);
    return out;
}

Bytes a_frame(std::string_view text) {
    Bytes out;
    append_u32(out, static_cast<std::uint32_t>(text.size()));
    append(out, text);
    return out;
}

Bytes operator+(Bytes a, const Bytes& b) {
    append(a, b);
    return a;
}

// All frames of `octets`, fed in pieces of at most `piece` octets; then the end.
std::vector<std::string> run(FrameStreamServer& server, ByteView octets, std::size_t piece = 7) {
    std::vector<std::string> frames;
    while (!octets.empty()) {
        const std::size_t count = server.feed(octets.first(std::min(piece, octets.size())));
        EXPECT_GT(count, 0U);
        octets = octets.subspan(count);
        while (const auto frame = server.next()) {
            frames.emplace_back(as_text(*frame));
        }
    }
    server.end();
    return frames;
}

using Texts = std::vector<std::string>;

TEST(FrameStreamServer, ShakesHandsInBothDirectionsAndFinishes) {
    FrameStreamServer server;
    server.feed(control(ControlType::ready, {"other", content_type}));
    EXPECT_FALSE(server.next());
    EXPECT_EQ(as_text(server.to_send()), as_text(control(ControlType::accept, {content_type})));
    server.sent(10);
    server.sent(server.to_send().size());
    EXPECT_TRUE(server.to_send().empty());
    server.feed(control(ControlType::start, {content_type}) + a_frame("one") + a_frame("two"));
    EXPECT_EQ(as_text(*server.next()), "one");
    EXPECT_EQ(as_text(*server.next()), "two");
    EXPECT_FALSE(server.next());
    EXPECT_EQ(server.state(), StreamState::data);
    server.feed(control(ControlType::stop));
    EXPECT_FALSE(server.next());
    EXPECT_EQ(server.state(), StreamState::stopped);
    EXPECT_EQ(as_text(server.to_send()), as_text(control(ControlType::finish)));
    EXPECT_EQ(server.frames(), 2U);
}

TEST(FrameStreamServer, TakesAStartWithoutReadyAndAnswersNothing) {
    FrameStreamServer server;
    const Bytes stream =
        control(ControlType::start, {content_type}) + a_frame("x") + control(ControlType::stop);
    EXPECT_EQ(run(server, stream), Texts({"x"}));
    EXPECT_EQ(server.state(), StreamState::stopped);
    EXPECT_TRUE(server.to_send().empty());
    EXPECT_FALSE(server.is_bidirectional());
}

TEST(FrameStreamServer, TakesReadyAndStartWithoutContentType) {
    FrameStreamServer server;
    const Bytes stream = control(ControlType::ready) + control(ControlType::start) + a_frame("x");
    EXPECT_EQ(run(server, stream), Texts({"x"}));
    EXPECT_EQ(as_text(server.to_send()), as_text(control(ControlType::accept)));
}

TEST(FrameStreamServer, TakesTheEndWithoutStopForUsual) {
    FrameStreamServer server;
    run(server, control(ControlType::start, {content_type}) + a_frame("x"));
    EXPECT_EQ(server.state(), StreamState::cut_off);
    EXPECT_FALSE(server.error());
}

TEST(FrameStreamServer, TellsAnEndInsideAFrame) {
    for (const Bytes& rest : {a_frame("abc"), Bytes(8, std::byte{9})}) {
        FrameStreamServer server;
        Bytes stream = control(ControlType::start, {content_type}) + rest;
        stream.pop_back();
        EXPECT_EQ(run(server, stream), Texts());
        EXPECT_EQ(server.state(), StreamState::truncated);
    }
}

struct Refused {
    Bytes stream;
    StreamError error;
};

TEST(FrameStreamServer, RefusesWhatIsNoDnstapStream) {
    Bytes foreign_field = control(ControlType::ready, {content_type});
    foreign_field[15] = std::byte{2};
    Bytes overrun = control(ControlType::ready, {content_type});
    overrun[19] = std::byte{200};
    const Bytes ready = control(ControlType::ready, {content_type});
    const std::vector<Refused> cases = {
        {control(ControlType::ready, {"protobuf:other"}), StreamError::content_type_refused},
        {control(ControlType::start, {"protobuf:other"}), StreamError::content_type_refused},
        {ready + control(ControlType::start, {"x"}), StreamError::content_type_refused},
        {ready + ready, StreamError::control_unexpected},
        {control(ControlType::stop), StreamError::control_unexpected},
        {control(ControlType::accept, {content_type}), StreamError::control_unexpected},
        {control(ControlType::finish), StreamError::control_unexpected},
        {a_frame("x"), StreamError::data_before_start},
        {ready + a_frame("x"), StreamError::data_before_start},
        {Bytes{std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},
               std::byte{0}, std::byte{3}},
         StreamError::control_too_small},
        {Bytes{std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},
               std::byte{2}, std::byte{1}},
         StreamError::control_too_large},
        {foreign_field, StreamError::control_malformed},
        {overrun, StreamError::control_malformed},
    };
    for (std::size_t i = 0; i < cases.size(); ++i) {
        FrameStreamServer server;
        run(server, cases[i].stream);
        EXPECT_EQ(server.state(), StreamState::failed) << i;
        EXPECT_EQ(server.error(), cases[i].error) << i;
        EXPECT_FALSE(server.space().empty()) << i;
    }
}

TEST(FrameStreamServer, SkipsAnOversizedFrameAndKeepsTheStream) {
    const std::string largest(frame_size_max, 'a');
    const std::string larger(frame_size_max + 1, 'b');
    const std::string largest_of_all(3 * stream_buffer_size, 'c');
    FrameStreamServer server;
    const Bytes stream = control(ControlType::start, {content_type}) + a_frame(larger) +
                         a_frame(largest) + a_frame(largest_of_all) + a_frame("x");
    EXPECT_EQ(run(server, stream, 60'000), Texts({largest, "x"}));
    EXPECT_EQ(server.frames_oversized(), 2U);
    EXPECT_EQ(server.state(), StreamState::cut_off);
}

TEST(FrameStreamServer, SkipsControlFramesThatItDoesNotKnowAfterStart) {
    FrameStreamServer server;
    const Bytes stream = control(ControlType::start, {content_type}) +
                         control(static_cast<ControlType>(77)) + a_frame("x") +
                         control(ControlType::ready, {content_type});
    EXPECT_EQ(run(server, stream), Texts({"x"}));
    EXPECT_EQ(server.controls_skipped(), 2U);
}

TEST(FrameStreamServer, LooksAtNothingAfterStop) {
    FrameStreamServer server;
    const Bytes stream = control(ControlType::start) + control(ControlType::stop) + a_frame("late");
    EXPECT_EQ(run(server, stream, 1000), Texts());
    EXPECT_EQ(server.state(), StreamState::stopped);
}

TEST(FrameStreamServer, HandsOutAllFramesOfABatchAtOnce) {
    FrameStreamServer server;
    server.feed(control(ControlType::start) + a_frame("one") + a_frame("two") + a_frame("three"));
    std::vector<ByteView> frames;
    while (const auto frame = server.next()) {
        frames.push_back(*frame);
    }
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_EQ(as_text(frames[0]), "one");
    EXPECT_EQ(as_text(frames[2]), "three");
}

TEST(FrameStreamWriter, SpeaksWithTheServer) {
    FrameStreamWriter writer(FrameStreamWriter::Form::socket);
    FrameStreamServer server;
    server.feed(writer.take_output());
    server.next();
    EXPECT_FALSE(writer.is_accepting_frames());
    for (const std::byte octet : to_bytes(server.to_send())) {
        ASSERT_TRUE(writer.receive(ByteView(&octet, 1)));
    }
    server.sent(server.to_send().size());
    ASSERT_TRUE(writer.is_accepting_frames());
    writer.write(as_bytes("frame"));
    writer.stop();
    server.feed(writer.take_output());
    EXPECT_EQ(as_text(*server.next()), "frame");
    EXPECT_FALSE(server.next());
    EXPECT_FALSE(writer.is_finished());
    ASSERT_TRUE(writer.receive(server.to_send()));
    EXPECT_TRUE(writer.is_finished());
}

TEST(FrameStreamWriter, TellsThatItWasRefused) {
    FrameStreamWriter writer(FrameStreamWriter::Form::socket);
    EXPECT_EQ(writer.receive(control(ControlType::accept, {"other"})).error(),
              StreamError::content_type_refused);
    FrameStreamWriter second(FrameStreamWriter::Form::socket);
    EXPECT_EQ(second.receive(control(ControlType::finish)).error(),
              StreamError::content_type_refused);
    FrameStreamWriter third(FrameStreamWriter::Form::socket);
    EXPECT_EQ(third.receive(a_frame("what?")).error(), StreamError::control_unexpected);
}

TEST(FstrmReader, TellsHowAFileEnds) {
    const auto end = [](const Bytes& file) {
        FstrmReader reader(file);
        while (reader.next()) {
        }
        return reader.state();
    };
    const Bytes start = control(ControlType::start, {content_type});
    EXPECT_EQ(end(start + a_frame("x") + control(ControlType::stop)), StreamState::stopped);
    EXPECT_EQ(end(start + a_frame("x")), StreamState::cut_off);
    EXPECT_EQ(end(start + Bytes{std::byte{0}}), StreamState::truncated);
    EXPECT_EQ(end(start + Bytes(9, std::byte{1})), StreamState::truncated);
    EXPECT_EQ(end(a_frame("x")), StreamState::failed);
    EXPECT_EQ(end(to_bytes("no such file at all")), StreamState::failed);
    EXPECT_EQ(end(control(ControlType::start, {"x"})), StreamState::failed);
    EXPECT_EQ(end({}), StreamState::cut_off);
    Bytes bad_stop = control(ControlType::stop, {"x"});
    bad_stop[15] = std::byte{2};
    EXPECT_EQ(end(start + bad_stop + a_frame("x")), StreamState::failed);
}

RC_GTEST_PROP(FrameStream, ReadsWhatItWroteHoweverItIsCut, ()) {
    const auto frames = *rc::gen::container<std::vector<std::string>>(
        rc::gen::nonEmpty(rc::gen::string<std::string>()));
    FrameStreamWriter writer(FrameStreamWriter::Form::file);
    for (const auto& frame : frames) {
        writer.write(as_bytes(frame));
    }
    writer.stop();
    RC_ASSERT(writer.is_finished());
    const Bytes file = writer.take_output();
    FrameStreamServer server;
    RC_ASSERT(run(server, file, *rc::gen::inRange<std::size_t>(1, 300)) == frames);
    RC_ASSERT(server.state() == StreamState::stopped);
    FstrmReader reader(file);
    Texts read;
    while (const auto frame = reader.next()) {
        read.emplace_back(as_text(*frame));
    }
    RC_ASSERT(read == frames);
    RC_ASSERT(reader.state() == StreamState::stopped);
}

}  // namespace
}  // namespace tapir::dnstap
