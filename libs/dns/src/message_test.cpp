#include "tapir/dns/message.hpp"

#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lzma.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/dns/message_writer.hpp"
#include "tapir/dns/testing.hpp"

namespace tapir::dns {
namespace {

using testing::name;

Bytes header(unsigned flags, unsigned questions, unsigned answers = 0, unsigned authorities = 0,
             unsigned additionals = 0) {
    Bytes out;
    for (const unsigned value : {0x1234U, flags, questions, answers, authorities, additionals}) {
        append_u16(out, static_cast<std::uint16_t>(value));
    }
    return out;
}

Bytes operator+(Bytes a, const Bytes& b) {
    append(a, b);
    return a;
}

Bytes question(std::string_view qname, unsigned qtype = 1, unsigned qclass = 1) {
    const Name asked = name(qname);
    Bytes out = to_bytes(asked.view().wire());
    append_u16(out, static_cast<std::uint16_t>(qtype));
    append_u16(out, static_cast<std::uint16_t>(qclass));
    return out;
}

Bytes opt(unsigned extended_rcode) {
    Bytes out(1, std::byte{0});
    append_u16(out, 41);
    append_u16(out, 1232);
    append_u8(out, static_cast<std::uint8_t>(extended_rcode));
    append_u8(out, 0);
    append_u32(out, 0);
    return out;
}

Bytes cut(Bytes octets, std::size_t size) {
    octets.resize(size);
    return octets;
}

// "ok", or the name of the error.
std::string verdict(const Bytes& wire, Depth depth) {
    NameBuffer scratch;
    const auto message = Message::parse(wire, depth, scratch);
    return message ? "ok" : std::string(to_string(message.error()));
}

TEST(Message, ShowsHeaderAndFirstQuestion) {
    NameBuffer scratch;
    const Bytes wire = header(0x8583, 1) + question("Www.Example.com", 28, 3);
    const auto message = Message::parse(wire, Depth::compatible, scratch);
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(message->id, 0x1234);
    EXPECT_EQ(message->flags, 0x8583);
    EXPECT_EQ(opcode_of(message->flags), Opcode::query);
    EXPECT_EQ(message->rcode, Rcode::nxdomain);
    EXPECT_EQ(message->question_count, 1);
    EXPECT_EQ(to_text(message->question.name), "Www.Example.com.");
    EXPECT_EQ(message->question.qtype, RrType::aaaa);
    EXPECT_EQ(message->question.qclass, RrClass::ch);
    EXPECT_EQ(message->question.name.wire().data(), wire.data() + header_size);
}

TEST(Message, MergesTheExtendedRcode) {
    NameBuffer scratch;
    for (const Depth depth : {Depth::standard, Depth::compatible}) {
        const Bytes wire = header(0x8187, 1, 0, 0, 1) + question("a.example") + opt(1);
        EXPECT_EQ(Message::parse(wire, depth, scratch)->rcode, Rcode::badcookie);
        // The last OPT counts; an OPT that is no additional record does not.
        const Bytes two = header(0x8180, 1, 0, 0, 2) + question("a.example") + opt(7) + opt(1);
        EXPECT_EQ(Message::parse(two, depth, scratch)->rcode, Rcode::badvers);
        const Bytes answer = header(0x8180, 1, 1, 0, 0) + question("a.example") + opt(1);
        EXPECT_EQ(Message::parse(answer, depth, scratch)->rcode, Rcode::noerror);
    }
}

TEST(Message, ToleratesWhatTheExistingMinimiserTolerates) {
    const Bytes whole = header(0x8180, 1) + question("a.example");
    for (const Depth depth : {Depth::standard, Depth::compatible}) {
        NameBuffer scratch;
        EXPECT_EQ(verdict(whole + Bytes{std::byte{1}, std::byte{2}}, depth), "ok");
        EXPECT_EQ(verdict(header(0x8180, 1, 5, 5, 5) + question("a.example"), depth), "ok");
        EXPECT_EQ(verdict(header(0x8180, 1, 0, 0, 3) + question("a.example") + opt(0), depth),
                  "ok");
        // Only a header: no question, whatever the counts say.
        const Bytes lone_header = header(0x8185, 1, 2, 3, 4);
        const auto lone = Message::parse(lone_header, depth, scratch);
        ASSERT_TRUE(lone.has_value());
        EXPECT_EQ(lone->question_count, 0);
        EXPECT_EQ(lone->rcode, Rcode::refused);
        // Cut after the name, and after the type.
        const Bytes no_type = cut(whole, whole.size() - 4);
        const auto after_name = Message::parse(no_type, depth, scratch);
        ASSERT_TRUE(after_name.has_value());
        EXPECT_EQ(after_name->question_count, 1);
        EXPECT_EQ(static_cast<int>(after_name->question.qtype), 0);
        const Bytes no_class = cut(whole, whole.size() - 2);
        const auto after_type = Message::parse(no_class, depth, scratch);
        ASSERT_TRUE(after_type.has_value());
        EXPECT_EQ(after_type->question.qtype, RrType::a);
        EXPECT_EQ(static_cast<int>(after_type->question.qclass), 0);
    }
}

TEST(Message, RefusesEachKindOfBrokenQuestion) {
    const Bytes whole = header(0x8180, 1) + question("a.example");
    const std::map<std::string, Bytes> cases = {
        {"truncated_header", cut(whole, 11)},
        {"name_truncated", cut(whole, 20)},
        {"truncated_question", cut(whole, whole.size() - 1)},
        {"name_label_type", header(0x8180, 1) + Bytes{std::byte{0x41}, std::byte{0}}},
        {"name_too_long", header(0x8180, 1) + Bytes(64 * 5, std::byte{63}) + Bytes{std::byte{0}}},
    };
    for (const auto& [expected, wire] : cases) {
        EXPECT_EQ(verdict(wire, Depth::standard), expected);
        EXPECT_EQ(verdict(wire, Depth::compatible), expected);
    }
    EXPECT_EQ(verdict({}, Depth::standard), "truncated_header");
    EXPECT_EQ(verdict(cut(whole, whole.size() - 3), Depth::standard), "truncated_question");
    EXPECT_EQ(verdict(header(0x8180, 2) + question("a.example"), Depth::compatible),
              "truncated_question");
    const Bytes loop = header(0x8180, 1) + Bytes{std::byte{0xC0}, std::byte{12}, std::byte{0},
                                                 std::byte{1},    std::byte{0},  std::byte{1}};
    EXPECT_EQ(verdict(loop, Depth::standard), "name_pointer");
    EXPECT_EQ(verdict(loop, Depth::compatible), "name_pointer_count");
}

TEST(Message, JudgesRecordsOnlyAtDepthCompatible) {
    const Bytes base = header(0x8180, 1, 1) + question("a.example");
    const std::map<std::string, Bytes> cases = {
        {"truncated_record", base + cut(opt(0), 5)},
        {"truncated_rdata", base + cut(opt(0), 10) + Bytes{std::byte{9}}},
        {"name_truncated", base + Bytes{std::byte{5}}},
        {"name_label_type", base + Bytes{std::byte{0x80}}},
        {"name_pointer_count", base + Bytes{std::byte{0xC0}, std::byte{27}}},
    };
    NameBuffer scratch;
    for (const auto& [expected, wire] : cases) {
        EXPECT_EQ(verdict(wire, Depth::compatible), expected);
        const auto tolerated = Message::parse(wire, Depth::standard, scratch);
        ASSERT_TRUE(tolerated.has_value()) << expected;
        EXPECT_TRUE(tolerated->records_broken) << expected;
        EXPECT_EQ(to_text(tolerated->question.name), "a.example.");
    }
}

// An owner that points at the question is one pointer more than the question's own name.
TEST(Message, CountsThePointersOfAnOwnerBehindThoseOfTheQuestion) {
    constexpr std::size_t chain_start = header_size + 6 + 11;  // in the RDATA of the first record
    for (const std::size_t in_chain : {pointer_count_max - 2, pointer_count_max - 1}) {
        Bytes wire = header(0x8180, 1, 2);
        append_u16(wire, 0xC000 | chain_start);
        append_u32(wire, 0x0001'0001);
        wire = wire + Bytes{std::byte{0}, std::byte{0}, std::byte{16}, std::byte{0}, std::byte{1}};
        append_u32(wire, 0);
        append_u16(wire, static_cast<std::uint16_t>(2 * in_chain + 1));
        for (std::size_t i = 1; i <= in_chain; ++i) {
            append_u16(wire, static_cast<std::uint16_t>(0xC000 | (chain_start + 2 * i)));
        }
        append_u8(wire, 0);
        append_u16(wire, 0xC000 | header_size);
        wire = wire + Bytes(10, std::byte{0});
        EXPECT_EQ(verdict(wire, Depth::compatible),
                  in_chain + 2 > pointer_count_max ? "name_pointer_count" : "ok");
    }
}

TEST(Message, ShowsAllQuestions) {
    // The second question's name is the first's last label by a pointer.
    const Bytes wire = header(0x8180, 2) + question("a.example", 1) +
                       Bytes{std::byte{0xC0}, std::byte{14}} +
                       Bytes{std::byte{0}, std::byte{28}, std::byte{0}, std::byte{1}};
    NameBuffer scratch;
    const auto message = Message::parse(wire, Depth::standard, scratch);
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(message->question_count, 2);
    QuestionReader questions(*message);
    std::vector<std::string> seen;
    while (const auto next = questions.next(scratch)) {
        seen.push_back(to_text(next->name) + to_text(next->qtype));
    }
    EXPECT_THAT(seen, ::testing::ElementsAre("a.example.A", "example.AAAA"));
}

TEST(Message, PutsACompressedQuestionNameIntoTheScratchBuffer) {
    // A pointer into the header: odd, but backwards. ID 0x0161 and flags 0x0000 read as "a.".
    Bytes wire = header(0, 1) + Bytes{std::byte{1}, std::byte{'x'}, std::byte{0xC0}, std::byte{0}} +
                 Bytes{std::byte{0}, std::byte{1}, std::byte{0}, std::byte{1}};
    wire[0] = std::byte{1};
    wire[1] = std::byte{'a'};
    NameBuffer scratch;
    const auto message = Message::parse(wire, Depth::standard, scratch);
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(to_text(message->question.name), "x.a.");
    EXPECT_EQ(message->question.name.wire().data(), scratch.view().wire().data());
}

TEST(MessageWriter, WritesWhatTheReaderReads) {
    MessageWriter writer({.id = 7, .flags = flag::qr | flag::aa});
    const Name zone = name("rpz.example");
    ASSERT_TRUE(writer.add_question(zone, RrType::axfr, RrClass::in));
    const Bytes soa = soa_rdata(zone, name("hostmaster.rpz.example"), 42, 1, 2, 3, 4);
    ASSERT_TRUE(writer.add_record(Section::answer, zone, RrType::soa, RrClass::in, 60, soa));
    ASSERT_TRUE(writer.add_record(Section::answer, name("bad.test.rpz.example"), RrType::cname,
                                  RrClass::in, 3600, NameView().wire()));
    ASSERT_TRUE(writer.add_record(Section::answer, name("*.bad.test.rpz.example"), RrType::cname,
                                  RrClass::in, 3600, NameView().wire()));
    ASSERT_TRUE(writer.add_opt(1232, Rcode::badvers));
    NameBuffer scratch;
    const auto message = Message::parse(writer.view(), Depth::compatible, scratch);
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(message->rcode, Rcode::badvers);
    RecordReader records(*message);
    std::vector<std::string> seen;
    while (records.next()) {
        const Record& record = records.record();
        seen.push_back(to_text(record.name) + " " + to_text(record.type) + " " +
                       std::to_string(record.ttl_s));
        if (record.type == RrType::soa) {
            const auto mname = read_name(message->wire, record.rdata_offset, scratch);
            EXPECT_EQ(mname->name, zone.view());
        }
    }
    EXPECT_FALSE(records.error().has_value());
    EXPECT_THAT(seen,
                ::testing::ElementsAre("rpz.example. SOA 60", "bad.test.rpz.example. CNAME 3600",
                                       "*.bad.test.rpz.example. CNAME 3600", ". OPT 16777216"));
    // The last two owners cost a label and a pointer each.
    MessageWriter plain({.id = 7}, message_size_max, Compression::off);
    ASSERT_TRUE(plain.add_record(Section::answer, name("a.example"), RrType::a, RrClass::in, 1,
                                 to_bytes("1234")));
    EXPECT_EQ(plain.size(), header_size + 11 + 10 + 4);
}

TEST(MessageWriter, WritesNothingOfWhatDoesNotFit) {
    MessageWriter writer({}, 64);
    const Name owner = name("a.example");
    ASSERT_TRUE(writer.add_question(owner, RrType::a, RrClass::in));
    const Bytes before = to_bytes(writer.view());
    const Bytes rdata(64, std::byte{0});
    EXPECT_FALSE(writer.add_record(Section::answer, owner, RrType::txt, RrClass::in, 1, rdata));
    EXPECT_EQ(to_bytes(writer.view()), before);
    EXPECT_TRUE(writer.add_record(Section::answer, owner, RrType::txt, RrClass::in, 1,
                                  ByteView(rdata).first(10)));
    writer.reset({.id = 9});
    EXPECT_EQ(writer.size(), header_size);
}

RC_GTEST_PROP(MessageWriterLaw, ManyOwnersComeBackAsTheyWere, ()) {
    const auto labels = *rc::gen::container<std::vector<std::vector<unsigned>>>(
        rc::gen::container<std::vector<unsigned>>(rc::gen::inRange(0U, 6U)));
    const std::vector<std::string> words = {"a", "B", "b", "example", "longer-label", "x\\.y"};
    MessageWriter writer({});
    std::vector<std::string> written;
    for (const auto& indices : labels) {
        std::string text;
        for (const unsigned i : indices) {
            text += words[i] + ".";
        }
        const auto owner = Name::from_text(text.empty() ? "." : text);
        if (owner && writer.add_record(Section::answer, *owner, RrType::a, RrClass::in, 5, {})) {
            written.push_back(to_text(*owner));
        }
    }
    NameBuffer scratch;
    const auto message = Message::parse(writer.view(), Depth::compatible, scratch);
    RC_ASSERT(message.has_value());
    RecordReader records(*message);
    std::size_t i = 0;
    while (records.next()) {
        RC_ASSERT(to_text(records.record().name) == written[i++]);
    }
    RC_ASSERT(i == written.size());
}

TEST(RrNames, AreThoseOfTheStandards) {
    EXPECT_EQ(to_text(RrType::https), "HTTPS");
    EXPECT_EQ(to_text(static_cast<RrType>(65280)), "TYPE65280");
    EXPECT_EQ(rr_type_from_text("aaaa"), RrType::aaaa);
    EXPECT_EQ(rr_type_from_text("TYPE1"), RrType::a);
    EXPECT_EQ(rr_type_from_text("TYPE65536"), std::nullopt);
    EXPECT_EQ(rr_type_from_text("TYPE"), std::nullopt);
    EXPECT_EQ(rr_type_from_text("TYPE1x"), std::nullopt);
    EXPECT_EQ(to_text(Rcode::nxdomain), "NXDOMAIN");
    EXPECT_EQ(to_text(static_cast<Rcode>(12)), "RCODE12");
    EXPECT_EQ(to_text(static_cast<Rcode>(4000)), "RCODE4000");
    EXPECT_EQ(to_text(RrClass::in), "IN");
    EXPECT_EQ(to_text(static_cast<RrClass>(7)), "CLASS7");
}

Bytes unpacked(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string packed((std::istreambuf_iterator<char>(file)), {});
    lzma_stream stream = LZMA_STREAM_INIT;
    EXPECT_EQ(lzma_stream_decoder(&stream, UINT64_MAX, 0), LZMA_OK);
    stream.next_in = reinterpret_cast<const std::uint8_t*>(packed.data());
    stream.avail_in = packed.size();
    Bytes out;
    lzma_ret state = LZMA_OK;
    while (state == LZMA_OK) {
        Bytes chunk(1U << 20U);
        stream.next_out = reinterpret_cast<std::uint8_t*>(chunk.data());
        stream.avail_out = chunk.size();
        state = lzma_code(&stream, LZMA_FINISH);
        append(out, ByteView(chunk).first(chunk.size() - stream.avail_out));
    }
    lzma_end(&stream);
    EXPECT_EQ(state, LZMA_STREAM_END);
    return out;
}

std::uint64_t varint(ByteReader& in) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const std::uint64_t octet = in.u8();
        value |= (octet & 0x7FU) << shift;
        if ((octet & 0x80U) == 0) {
            break;
        }
    }
    return value;
}

// Just enough protobuf: the last length-delimited field 14 of `octets`, and the varint field 1.
struct Fields {
    std::optional<ByteView> body;
    std::uint64_t type = 0;
};
std::optional<Fields> fields_of(ByteView octets) {
    Fields fields;
    ByteReader in(octets);
    while (!in.failed() && in.remaining() > 0) {
        const std::uint64_t key = varint(in);
        switch (key & 7U) {
            case 0: {
                const std::uint64_t value = varint(in);
                fields.type = key >> 3U == 1 ? value : fields.type;
                break;
            }
            case 2: {
                const ByteView value = in.bytes(varint(in));
                if (key >> 3U == 14) {
                    fields.body = value;
                }
                break;
            }
            case 5:
                in.bytes(4);
                break;
            default:
                return std::nullopt;
        }
    }
    return in.failed() ? std::nullopt : std::optional(fields);
}

// What SOURCE.txt says the existing minimiser counted: 7 parse errors, 2 of them frames without a
// message; 2 empty question sections.
TEST(Golden, CapturesOfTheExistingMinimiserCountAsThere) {
    const Bytes capture = unpacked(TAPIR_GOLDEN "/edm/cases.fstrm.xz");
    ByteReader in(capture);
    in.u32();
    in.bytes(in.u32());  // START
    std::size_t frames = 0;
    std::size_t without_dns = 0;
    std::size_t empty = 0;
    std::map<std::string, std::size_t> errors;
    NameBuffer scratch;
    for (std::uint32_t size = in.u32(); size != 0; size = in.u32()) {
        ++frames;
        const auto outer = fields_of(in.bytes(size));
        if (!outer) {
            continue;  // not protobuf: never reaches the parser
        }
        const auto inner = outer->body ? fields_of(*outer->body) : std::nullopt;
        if (!outer->body || (inner && inner->type % 2 == 0 && inner->type > 0 && !inner->body)) {
            ++without_dns;
            continue;
        }
        if (!inner || inner->type == 0 || inner->type % 2 == 1) {
            continue;  // no type, or a query
        }
        const auto message = Message::parse(*inner->body, Depth::compatible, scratch);
        if (!message) {
            ++errors[std::string(to_string(message.error()))];
        } else if (message->question_count == 0) {
            ++empty;
        }
        // At the other depth the same, but for the loop: there it is a pointer not going back.
        EXPECT_EQ(Message::parse(*inner->body, Depth::standard, scratch).has_value(),
                  message.has_value());
    }
    EXPECT_FALSE(in.failed());
    EXPECT_EQ(frames, 32'172U);
    EXPECT_EQ(empty, 2U);
    EXPECT_EQ(without_dns, 2U);
    const std::map<std::string, std::size_t> expected = {{"truncated_header", 2},
                                                         {"name_truncated", 1},
                                                         {"truncated_question", 1},
                                                         {"name_pointer_count", 1}};
    EXPECT_EQ(errors, expected);
}

}  // namespace
}  // namespace tapir::dns
