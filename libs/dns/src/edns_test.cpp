#include "tapir/dns/edns.hpp"

#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tapir/dns/message_writer.hpp"

namespace tapir::dns {
namespace {

Bytes option(std::uint16_t code, std::string_view data) {
    Bytes out;
    append_u16(out, code);
    append_u16(out, static_cast<std::uint16_t>(data.size()));
    append(out, data);
    return out;
}

Message parsed(ByteView wire, NameBuffer& scratch) {
    return Message::parse(wire, Depth::standard, scratch).take();
}

TEST(Edns, IsWhatTheOptSays) {
    Bytes options = option(8, std::string_view("\0\1\x18\0\xC6\x33\x64", 7));
    append(options, option(10, "cookie!!"));
    append(options, option(12, ""));
    MessageWriter writer({.id = 1, .flags = 0x8180});
    ASSERT_TRUE(writer.add_question(*Name::from_text("a.se"), RrType::a, RrClass::in));
    ASSERT_TRUE(writer.add_opt(1400, Rcode{}, true, options));
    NameBuffer scratch;
    const auto edns = edns_of(parsed(writer.view(), scratch));
    ASSERT_TRUE(edns);
    EXPECT_EQ(edns->udp_size, 1400);
    EXPECT_EQ(edns->version, 0);
    EXPECT_TRUE(edns->dnssec_ok);
    OptionReader reader(edns->options);
    const auto subnet = reader.next();
    ASSERT_TRUE(subnet);
    EXPECT_EQ(subnet->code, EdnsOption::client_subnet);
    EXPECT_EQ(subnet->data.size(), 7U);
    EXPECT_EQ(as_text(reader.next()->data), "cookie!!");
    EXPECT_EQ(reader.next()->code, EdnsOption::padding);
    EXPECT_FALSE(reader.next());
    EXPECT_FALSE(reader.is_cut());
    // One that says more than there is.
    options.resize(options.size() - 1);
    OptionReader cut(options);
    EXPECT_TRUE(cut.next() && cut.next() && !cut.next());
    EXPECT_TRUE(cut.is_cut());
}

TEST(Edns, IsNothingWithoutAnOpt) {
    MessageWriter writer({.id = 1, .flags = 0x8180});
    ASSERT_TRUE(writer.add_question(*Name::from_text("a.se"), RrType::a, RrClass::in));
    NameBuffer scratch;
    EXPECT_FALSE(edns_of(parsed(writer.view(), scratch)));
}

RC_GTEST_PROP(OptionReader, StaysInsideWhateverComes, (const std::vector<std::uint8_t>& octets)) {
    const ByteView all = std::as_bytes(std::span(octets));
    OptionReader reader(all);
    std::size_t size = 0;
    while (const auto found = reader.next()) {
        size += 4 + found->data.size();
    }
    RC_ASSERT(size <= all.size());
    RC_ASSERT(reader.is_cut() == (size < all.size()));
}

}  // namespace
}  // namespace tapir::dns
