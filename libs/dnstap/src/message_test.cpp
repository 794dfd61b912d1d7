#include "tapir/dnstap/message.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include <gtest/gtest.h>
#include <protozero/pbf_reader.hpp>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/dnstap/frame_stream.hpp"
#include "tapir/dnstap/testing.hpp"

namespace tapir::dnstap {
namespace {

using testing::encode;
using testing::Fields;

Bytes golden(const std::string& name) {
    std::ifstream in(TAPIR_GOLDEN "/" + name + ".fstrm", std::ios::binary);
    EXPECT_TRUE(in) << name;
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    return to_bytes(text);
}

// What one resolver's capture shows.
struct Census {
    std::map<std::string, int> types;
    int frames = 0;
    int errors = 0;
    int responses_without_message = 0;
    int responses_without_time = 0;
    int client_responses_with_query_time = 0;
    int without_address = 0;
    int without_protocol = 0;
    std::string version;
};

Census census(const Bytes& file) {
    Census c;
    FstrmReader reader(file);
    while (const auto frame = reader.next()) {
        ++c.frames;
        const auto message = Message::parse(*frame);
        if (!message) {
            ++c.errors;
            continue;
        }
        ++c.types[std::string(to_string(message->type))];
        c.version = as_text(message->version);
        c.without_address += message->query_address.is_absent() ? 1 : 0;
        c.without_protocol += message->protocol ? 0 : 1;
        if (!is_query(message->type)) {
            c.responses_without_message += message->response_message ? 0 : 1;
            c.responses_without_time += message->response_time() ? 0 : 1;
            c.client_responses_with_query_time +=
                message->type == MessageType::client_response && message->query_time() ? 1 : 0;
        }
    }
    EXPECT_EQ(reader.state(), StreamState::stopped);
    return c;
}

struct Capture {
    std::string name;
    std::map<std::string, int> types;
    bool responses_show_query_time;
    std::string version;
};

void PrintTo(const Capture& capture, std::ostream* out) {
    *out << capture.name;
}

class Captures : public ::testing::TestWithParam<Capture> {};

TEST_P(Captures, AreReadWithoutErrorAndWithTheTypesThatTheResolverSends) {
    const Census c = census(golden(GetParam().name));
    EXPECT_EQ(c.frames, 130);
    EXPECT_EQ(c.errors, 0);
    EXPECT_EQ(c.types, GetParam().types);
    EXPECT_EQ(c.responses_without_message, 0);
    EXPECT_EQ(c.responses_without_time, 0);
    EXPECT_EQ(c.without_address, 0);
    EXPECT_EQ(c.without_protocol, 0);
    EXPECT_EQ(c.client_responses_with_query_time > 0, GetParam().responses_show_query_time);
    EXPECT_EQ(c.version, GetParam().version);
}

INSTANTIATE_TEST_SUITE_P(
    OfResolvers, Captures,
    ::testing::Values(Capture{"unbound-1.17.1-all",
                              {{"client_query", 39},
                               {"client_response", 38},
                               {"forwarder_query", 27},
                               {"forwarder_response", 26}},
                              false,
                              "unbound 1.17.1"},
                      Capture{"bind-9.18.49-all",
                              {{"client_query", 37},
                               {"client_response", 33},
                               {"resolver_query", 31},
                               {"resolver_response", 29}},
                              false,
                              "BIND 9.18"},
                      Capture{"bind-9.18.49-client-manyaddr",
                              {{"client_query", 65}, {"client_response", 65}},
                              false,
                              "BIND 9.18"},
                      Capture{"kresd-5.6.0-client",
                              {{"client_query", 65}, {"client_response", 65}},
                              false,
                              "Knot Resolver 5.6.0"},
                      Capture{"pdns-recursor-4.8.8-resolver",
                              {{"resolver_query", 65}, {"resolver_response", 65}},
                              false,
                              "pdns-recursor 4.8.8"},
                      Capture{"dnsdist-1.7.3-client",
                              {{"client_query", 65}, {"client_response", 65}},
                              true,
                              "dnsdist 1.7.3"}),
    [](const auto& capture) {
        std::string name = capture.param.name;
        std::replace_if(name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
        return name;
    });

TEST(Message, ReadsEveryFieldAndPointsIntoTheFrame) {
    Fields f;
    f.family = 2;
    f.protocol = 7;
    f.query_address = to_bytes("aaaabbbbccccdddd");
    f.response_address = to_bytes("rrrr");
    f.query_port = 65'535;
    f.response_port = 53;
    f.query_time_s = 1'780'000'000;
    f.query_time_ns = 1;
    f.query_message = to_bytes("query");
    f.query_zone = to_bytes("zone");
    f.response_time_s = 1'780'000'001;
    f.response_time_ns = 999'999'999;
    f.response_message = to_bytes("response");
    f.identity = to_bytes("ns1");
    f.version = to_bytes("v1");
    const Bytes frame = encode(f);
    const auto m = Message::parse(frame);
    ASSERT_TRUE(m);
    EXPECT_EQ(m->type, MessageType::client_response);
    EXPECT_EQ(m->family, SocketFamily::inet6);
    EXPECT_EQ(m->protocol, SocketProtocol::doq);
    EXPECT_FALSE(m->query_address.is_absent());
    EXPECT_FALSE(m->response_address.is_absent());
    EXPECT_EQ(m->query_port, 65'535U);
    EXPECT_EQ(m->response_port, 53U);
    EXPECT_EQ(m->query_time()->to_string_ns(), "2026-05-28T20:26:40.000000001Z");
    EXPECT_EQ(m->response_time()->to_string_ns(), "2026-05-28T20:26:41.999999999Z");
    EXPECT_EQ(as_text(*m->query_message), "query");
    EXPECT_EQ(as_text(m->query_zone), "zone");
    EXPECT_EQ(as_text(*m->response_message), "response");
    EXPECT_GE(m->response_message->data(), frame.data());
    EXPECT_LE(m->response_message->data(), frame.data() + frame.size());
    EXPECT_EQ(as_text(m->identity), "ns1");
    EXPECT_EQ(as_text(m->version), "v1");
}

TEST(Message, ToleratesTheAbsenceOfAllThatIsNotRequired) {
    const Bytes frame = encode({});
    const auto m = Message::parse(frame);
    ASSERT_TRUE(m);
    EXPECT_FALSE(m->protocol);
    EXPECT_TRUE(m->query_address.is_absent());
    EXPECT_FALSE(m->response_time());
    EXPECT_FALSE(m->response_message);
}

TEST(Message, SaysWhichRequiredPartIsMissing) {
    Fields f;
    f.outer_type.reset();
    EXPECT_EQ(Message::parse(encode(f)).error(), MessageError::type_missing);
    f = {};
    f.has_message = false;
    EXPECT_EQ(Message::parse(encode(f)).error(), MessageError::message_missing);
    f = {};
    f.type.reset();
    EXPECT_EQ(Message::parse(encode(f)).error(), MessageError::message_type_missing);
    EXPECT_EQ(Message::parse({}).error(), MessageError::type_missing);
}

TEST(Message, KeepsTypeNumbersThatNobodyListed) {
    Fields f;
    f.type = static_cast<MessageType>(4'000'000'000U);
    const Bytes frame = encode(f);
    EXPECT_EQ(Message::parse(frame)->type, static_cast<MessageType>(4'000'000'000U));
    EXPECT_EQ(to_string(Message::parse(frame)->type), "unknown");
    EXPECT_FALSE(is_query(static_cast<MessageType>(15)));
    EXPECT_TRUE(is_query(MessageType::update_query));
    EXPECT_FALSE(is_query(MessageType::auth_response));
}

TEST(Message, HasNoTimeWhereThePointCannotBeSaid) {
    Fields f;
    f.response_time_s = ~std::uint64_t{0};
    f.response_time_ns = ~std::uint32_t{0};
    EXPECT_FALSE(Message::parse(encode(f))->response_time());
    f.response_time_s = 9'223'372'031;
    EXPECT_TRUE(Message::parse(encode(f))->response_time());
}

Bytes octets(std::initializer_list<unsigned> values) {
    Bytes out;
    for (const unsigned value : values) {
        out.push_back(static_cast<std::byte>(value));
    }
    return out;
}

TEST(Message, SkipsUnknownFieldsGroupsAndForeignWireTypes) {
    Bytes frame =
        octets({0x83, 0x01, 0x0B, 0x08, 0x01, 0x0C, 0x84, 0x01,          // group 16 with group 1
                0x0D, 1,    2,    3,    4,                               // identity as fixed32
                0xF9, 0x7F, 1,    2,    3,    4,    5,    6,    7, 8});  // field 2047, fixed64
    append(frame, encode({}));
    ASSERT_TRUE(Message::parse(frame));
    EXPECT_TRUE(Message::parse(frame)->identity.empty());
}

TEST(Message, MergesARepeatedMessageAsProtobufDoes) {
    Fields first;
    first.query_port = 1;
    first.response_port = 2;
    Fields second;
    second.type.reset();
    second.query_port = 3;
    Bytes frame = encode(first);
    append(frame, encode(second));
    const auto m = Message::parse(frame);
    ASSERT_TRUE(m);
    EXPECT_EQ(m->query_port, 3U);
    EXPECT_EQ(m->response_port, 2U);
}

TEST(Message, RefusesWhatIsNotProtobuf) {
    const std::vector<Bytes> cases = {
        octets({0x78}),                    // a tag without value
        octets({0x78, 0x80}),              // a number without end
        octets({0x72, 0x05, 0x08, 0x01}),  // longer than the frame
        octets({0x72, 0x02, 0x08, 0x80}),  // the same inside
        octets({0x07, 0x01}),              // field 0
        octets({0x0E, 0x01}),              // wire type 6
        octets({0x0C}),                    // end of a group that is not open
        octets({0x0B, 0x14}),              // end of another group
        octets({0x0B}),                    // a group without end
        octets({0x78, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2}),  // over 64 bits
        octets({0x78, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}),
        Bytes(group_depth_max + 1, std::byte{0x0B}),
        octets({0x72, 0x03, 0x7A, 0x01, 0x08}),  // a policy that is none
    };
    for (std::size_t i = 0; i < cases.size(); ++i) {
        const auto m = Message::parse(cases[i]);
        ASSERT_FALSE(m) << i;
        EXPECT_EQ(m.error(), MessageError::undecodable) << i;
    }
}

// The other reader of the same octets: protozero, which throws.
bool protozero_agrees(ByteView frame) {
    const auto ours = Message::parse(frame);
    try {
        bool has_type = false;
        bool has_message = false;
        std::uint32_t type = 0;
        std::string_view response;
        protozero::pbf_reader outer(as_text(frame).data(), frame.size());
        while (outer.next()) {
            if (outer.tag_and_type() ==
                protozero::tag_and_type(15, protozero::pbf_wire_type::varint)) {
                outer.get_int32();
                has_type = true;
            } else if (outer.tag_and_type() ==
                       protozero::tag_and_type(14, protozero::pbf_wire_type::length_delimited)) {
                auto inner = outer.get_message();
                while (inner.next()) {
                    switch (inner.tag_and_type()) {
                        case protozero::tag_and_type(1, protozero::pbf_wire_type::varint):
                            type = static_cast<std::uint32_t>(inner.get_uint64());
                            has_message = true;
                            break;
                        case protozero::tag_and_type(14,
                                                     protozero::pbf_wire_type::length_delimited):
                            response = {inner.get_view().data(), 0};
                            break;
                        default:
                            inner.skip();
                    }
                }
            } else {
                outer.skip();
            }
        }
        static_cast<void>(response);
        return ours.has_value() == (has_type && has_message) &&
               (!ours || static_cast<std::uint32_t>(ours->type) == type);
    } catch (const protozero::exception&) {
        return true;  // it also refuses groups, reserved field numbers: no word against ours
    }
}

// The short reader accepts and refuses what the whole one does, and says the same.
bool fields_agree(ByteView frame) {
    const auto whole = Message::parse(frame);
    const auto fields = ResponseFields::parse(frame);
    if (!whole || !fields) {
        return !whole && !fields && whole.error() == fields.error();
    }
    const auto place = [](const std::optional<ByteView>& view) {
        return view ? std::pair(view->data(), view->size()) : std::pair(nullptr, SIZE_MAX);
    };
    return whole->type == fields->type && whole->response_time() == fields->response_time() &&
           place(whole->response_message) == place(fields->response_message);
}

// The octets of a number may be read eight at a time or one by one: whatever follows it, the number
// is the same.
RC_GTEST_PROP(ResponseFields, ReadNumbersOfAnyLengthWhateverFollows, ()) {
    const std::uint64_t number =
        *rc::gen::arbitrary<std::uint64_t>() >> *rc::gen::inRange<unsigned>(0, 64);
    const auto after = *rc::gen::inRange<std::size_t>(0, 12);
    Bytes inner{std::byte{8}, std::byte{6}, std::byte{0x60}};
    testing::append_varint(inner, number);
    if (after > 0) {
        inner.push_back(std::byte{0x7A});  // a policy: bytes that are walked too
        inner.push_back(std::byte{0});
        for (std::size_t i = 1; i < after; ++i) {
            inner.push_back(std::byte{0x08});
            inner.push_back(std::byte{6});
        }
    }
    Bytes frame;
    testing::append_octets(frame, 14, inner);
    testing::append_number(frame, 15, 1);
    const auto fields = ResponseFields::parse(frame);
    RC_ASSERT(fields.has_value());
    RC_ASSERT(fields->response_time_s == number);
    // At the very end of the frame.
    Bytes last{std::byte{0x78}, std::byte{1}, std::byte{0x72}};
    last.push_back(static_cast<std::byte>(inner.size()));
    append(last, inner);
    const auto again = ResponseFields::parse(last);
    RC_ASSERT(again.has_value());
    RC_ASSERT(again->response_time_s == number);
}

TEST(ResponseFields, AreThoseOfTheWholeMessage) {
    for (const char* name : {"unbound-1.17.1-all", "bind-9.18.49-all", "kresd-5.6.0-client",
                             "pdns-recursor-4.8.8-resolver", "dnsdist-1.7.3-client"}) {
        const Bytes file = golden(name);
        FstrmReader reader(file);
        while (const auto frame = reader.next()) {
            EXPECT_TRUE(fields_agree(*frame)) << name;
        }
    }
}

RC_GTEST_PROP(Message, AgreesWithProtozeroWhateverIsChanged, ()) {
    static const Bytes file = golden("dnsdist-1.7.3-client");
    FstrmReader reader(file);
    Bytes frame = to_bytes(*reader.next());
    const auto changes = *rc::gen::inRange(0, 4);
    for (int i = 0; i < changes; ++i) {
        frame[*rc::gen::inRange<std::size_t>(0, frame.size())] =
            static_cast<std::byte>(*rc::gen::inRange(0, 256));
    }
    frame.resize(frame.size() - *rc::gen::inRange<std::size_t>(0, 3));
    RC_ASSERT(protozero_agrees(frame));
    RC_ASSERT(fields_agree(frame));
}

}  // namespace
}  // namespace tapir::dnstap
