// What is written is read back the same, and a peek at the type sees what reading sees.
#include "tapir/dnstap/frame_writer.hpp"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tapir/dnstap/frame_stream.hpp"
#include "tapir/dnstap/testing.hpp"

namespace tapir::dnstap {
namespace {

Bytes some_octets(std::size_t size) {
    const auto start = *rc::gen::inRange<unsigned>(0, 256);
    Bytes out(size);
    for (std::size_t i = 0; i < size; ++i) {
        out[i] = static_cast<std::byte>(start + 7 * i);
    }
    return out;
}

template <class T>
std::optional<T> maybe(T value) {
    return *rc::gen::arbitrary<bool>() ? std::optional(std::move(value)) : std::nullopt;
}

RC_GTEST_PROP(FrameWriter, IsReadBackTheSame, ()) {
    const Bytes client = some_octets(*rc::gen::element<std::size_t>(0, 4, 16));
    const Bytes server = some_octets(*rc::gen::element<std::size_t>(0, 4, 16));
    const Bytes identity = some_octets(*rc::gen::inRange<std::size_t>(0, 300));
    const Bytes message = some_octets(*rc::gen::element<std::size_t>(0, 12, 100, 200, 17'000));
    MessageParts parts;
    parts.type = *rc::gen::element(MessageType::client_query, MessageType::client_response);
    parts.protocol = maybe(SocketProtocol::dot);
    parts.query_address = client;
    parts.response_address = server;
    parts.query_port = maybe<std::uint32_t>(53);
    parts.response_port = maybe<std::uint32_t>(65'535);
    parts.query_time = maybe(UtcTime::from_ns(*rc::gen::inRange<std::int64_t>(0, INT64_MAX / 2)));
    parts.response_time =
        maybe(UtcTime::from_ns(*rc::gen::inRange<std::int64_t>(0, 5'000'000'000)));
    parts.query_message = maybe(ByteView(message));
    parts.response_message = maybe(ByteView(message));
    parts.identity = identity;
    Bytes frame;
    append_frame(frame, parts);
    RC_ASSERT(frame.size() <= frame_overhead_max + 2 * message.size());
    const auto read = Message::parse(frame);
    RC_ASSERT(read.has_value());
    RC_ASSERT(read->type == *parts.type);
    RC_ASSERT(read->protocol == parts.protocol);
    RC_ASSERT(read->family.has_value() == !client.empty());
    RC_ASSERT(read->query_address.is_absent() == client.empty());
    RC_ASSERT(read->response_address.is_absent() == server.empty());
    RC_ASSERT(read->query_port == parts.query_port);
    RC_ASSERT(read->response_port == parts.response_port);
    RC_ASSERT(read->query_time() == parts.query_time);
    RC_ASSERT(read->response_time() == parts.response_time);
    const auto same = [](const auto& a, const auto& b) {
        return a.has_value() == b.has_value() && (!a || as_text(*a) == as_text(*b));
    };
    RC_ASSERT(same(read->query_message, parts.query_message));
    RC_ASSERT(same(read->response_message, parts.response_message));
    RC_ASSERT(as_text(read->identity) ==
              (identity.size() <= identity_size_max ? as_text(identity) : ""));
}

TEST(FrameWriter, CanWriteWhatIsNoFrame) {
    Bytes frame;
    append_frame(frame, {});
    EXPECT_EQ(Message::parse(frame).error(), MessageError::message_type_missing);
    EXPECT_EQ(Message::parse(undecodable_frame).error(), MessageError::undecodable);
}

TEST(FrameRing, KeepsTheLastFrames) {
    FrameRing ring;
    std::vector<ByteView> views;
    const auto port = [](std::size_t i) { return static_cast<std::uint32_t>(i); };
    for (std::size_t i = 0; i < 3 * frames_kept; ++i) {
        views.push_back(ring.make({.type = MessageType::client_query, .query_port = port(i)}));
        for (std::size_t back = 0; back <= std::min(i, frames_kept); ++back) {
            ASSERT_EQ(Message::parse(views[i - back])->query_port, port(i - back));
        }
    }
}

}  // namespace
}  // namespace tapir::dnstap
