#include "tapir/powerdns/stream.hpp"

#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <protozero/pbf_writer.hpp>
#include <rapidcheck/gtest.h>

#include "tapir/dns/message.hpp"
#include "tapir/dnstap/message.hpp"

namespace tapir::powerdns {
namespace {

using dnstap::MessageType;

Bytes golden(const std::string& name) {
    std::ifstream in(std::string(TAPIR_GOLDEN) + "/" + name, std::ios::binary);
    EXPECT_TRUE(in.good()) << name;
    const std::string octets((std::istreambuf_iterator<char>(in)), {});
    return to_bytes(octets);
}

// What a frame says, as a line.
std::string line_of(ByteView frame) {
    const auto message = dnstap::Message::parse(frame);
    if (!message) {
        return std::string(dnstap::to_string(message.error()));
    }
    std::string line(dnstap::to_string(message->type));
    line += message->protocol == dnstap::SocketProtocol::tcp ? " tcp" : " udp";
    if (message->response_message) {
        dns::NameBuffer scratch;
        const auto dns =
            dns::Message::parse(*message->response_message, dns::Depth::compatible, scratch);
        if (!dns) {
            return line + " " + std::string(dns::to_string(dns.error()));
        }
        line += " " + std::to_string(static_cast<unsigned>(dns->rcode));
        if (dns->question_count > 0) {
            line += " " + dns::to_text(dns->question.name) + " " +
                    std::to_string(static_cast<unsigned>(dns->question.qtype));
        }
    }
    return line;
}

std::vector<std::string> lines_of(ByteView octets, std::size_t piece = SIZE_MAX) {
    MessageStream stream;
    std::vector<std::string> lines;
    while (!octets.empty()) {
        octets = octets.subspan(stream.feed(octets.first(std::min(piece, octets.size()))));
        while (const auto frame = stream.next()) {
            lines.push_back(line_of(*frame));
        }
    }
    EXPECT_FALSE(stream.is_cut());
    return lines;
}

std::map<std::string, int> counted(const std::vector<std::string>& lines) {
    std::map<std::string, int> counts;
    for (const std::string& line : lines) {
        ++counts[line];
    }
    return counts;
}

TEST(PowerDns, ReadsWhatDnsdistSends) {
    const auto counts = counted(lines_of(golden("dnsdist-1.7.3.bin")));
    EXPECT_EQ(counts.at("client_query udp"), 10);
    EXPECT_EQ(counts.at("client_query tcp"), 2);
    for (const char* line :
         {"client_response udp 0 ready.se. 1", "client_response udp 0 www5.one.se. 1",
          "client_response udp 3 nothing.here.invalid. 1", "client_response udp 0 ecs.one.se. 1",
          "client_response tcp 0 we\\ ird.se. 16", "client_response tcp 0 we\\.\\200ird.se. 16"}) {
        EXPECT_TRUE(counts.contains(line)) << line;
    }
}

TEST(PowerDns, ReadsWhatTheRecursorSends) {
    const auto counts = counted(lines_of(golden("pdns-recursor-4.8.8-client.bin")));
    EXPECT_EQ(counts.at("client_query udp"), 10);
    EXPECT_EQ(counts.at("client_response udp 0 www0.one.se. 1"), 1);
    EXPECT_EQ(counts.at("client_response tcp 0 we\\.\\200ird.se. 16"), 1);
    const auto outgoing = counted(lines_of(golden("pdns-recursor-4.8.8-outgoing.bin")));
    EXPECT_EQ(outgoing.at("resolver_query udp"), 12);
    EXPECT_EQ(outgoing.at("resolver_response udp 3 nothing.here.invalid. 1"), 1);
}

TEST(PowerDns, KnowsTimesPortsAndAddresses) {
    const Bytes octets = golden("dnsdist-1.7.3.bin");
    MessageStream stream;
    stream.feed(octets);
    stream.next();
    const auto response = dnstap::Message::parse(*stream.next());
    ASSERT_TRUE(response);
    EXPECT_EQ(response->response_time()->ns(), 1'795'723'107'164'378'000);
    EXPECT_EQ(response->query_time()->ns(), 1'795'723'107'164'063'000);
    EXPECT_EQ(response->query_port, 43'949U);
    EXPECT_EQ(response->response_port, 45'459U);
    EXPECT_EQ(as_text(response->identity), "lab");
    EXPECT_FALSE(response->query_address.is_absent());
    EXPECT_FALSE(response->response_address.is_absent());
    EXPECT_EQ(response->family, dnstap::SocketFamily::inet);
}

RC_GTEST_PROP(PowerDns, ReadsTheSameHoweverItIsCut, ()) {
    static const Bytes octets = golden("pdns-recursor-4.8.8-client.bin");
    static const auto whole = lines_of(octets);
    RC_ASSERT(lines_of(octets, *rc::gen::inRange<std::size_t>(1, 400)) == whole);
}

// A message as somebody could send it.
struct Spec {
    std::optional<std::uint32_t> type = 2;
    std::optional<std::string> qname = "www.one.se.";
    std::uint32_t rcode = 0;
    std::string from = std::string("\x0a\0\0\x01", 4);
};
std::string message_of(const Spec& spec) {
    std::string out;
    protozero::pbf_writer writer(out);
    if (spec.type) {
        writer.add_enum(1, static_cast<std::int32_t>(*spec.type));
    }
    writer.add_bytes(6, spec.from);
    writer.add_uint32(9, 1'790'000'040);
    if (spec.qname) {
        protozero::pbf_writer question(writer, 12);
        question.add_string(1, *spec.qname);
        question.add_uint32(2, 28);
    }
    protozero::pbf_writer response(writer, 13);
    response.add_uint32(1, spec.rcode);
    return out;
}

TEST(PowerDns, SaysWhatIsWrongAsTheFrameDoes) {
    Translator translator;
    const auto line = [&](const std::string& message) {
        return line_of(translator.translate(as_bytes(message)));
    };
    EXPECT_EQ(line(message_of({})), "client_response udp 0 www.one.se. 28");
    EXPECT_EQ(line(message_of({.qname = "."})), "client_response udp 0 . 28");
    EXPECT_EQ(line(message_of({.rcode = 16})), "client_response udp 16 www.one.se. 28")
        << "BADVERS needs an OPT";
    const auto errors = [&](MessageError error) { return translator.errors(error); };
    EXPECT_EQ(line(message_of({.type = {}})), "message_type_missing");
    EXPECT_EQ(line(message_of({.type = 9})), "message_type_missing");
    EXPECT_EQ(errors(MessageError::type_missing), 2U);
    EXPECT_EQ(line(message_of({.qname = {}})), "client_response udp 0");
    EXPECT_EQ(errors(MessageError::question_missing), 1U);
    EXPECT_EQ(line(message_of({.qname = std::string(64, 'x') + ".se."})),
              "client_response udp truncated_header");
    EXPECT_EQ(errors(MessageError::name_malformed), 1U);
    EXPECT_EQ(line(message_of({.rcode = 65'536})), "client_response udp") << "a timeout";
    EXPECT_EQ(errors(MessageError::no_answer), 1U);
    const std::string good = message_of({});
    EXPECT_EQ(line(good.substr(0, good.size() - 1)), "undecodable");
    EXPECT_EQ(line("\xff\xff"), "undecodable");
    EXPECT_EQ(errors(MessageError::undecodable), 2U);
    EXPECT_EQ(line(message_of({.from = std::string(17, 'x')})),
              "client_response udp 0 www.one.se. 28")
        << "an address that is none is left out";
}

TEST(PowerDns, HoldsALengthOf16Bits) {
    std::string large(message_size_max, '\0');
    std::string octets("\xff\xff", 2);
    octets += large;
    octets += std::string("\0\0\0\2\x08\x01", 6);
    EXPECT_EQ(lines_of(as_bytes(octets), 10'000),
              (std::vector<std::string>{"undecodable", "client_query udp"}));
    MessageStream stream;
    stream.feed(as_bytes(std::string_view("\0\5x", 3)));
    EXPECT_FALSE(stream.next());
    EXPECT_TRUE(stream.is_cut());
}

}  // namespace
}  // namespace tapir::powerdns
