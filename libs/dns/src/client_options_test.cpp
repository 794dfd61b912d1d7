// What says who asked is gone, and all else is where it was.
#include "tapir/dns/client_options.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tapir/dns/message.hpp"
#include "tapir/dns/message_writer.hpp"

namespace tapir::dns {
namespace {

const std::string address("\xC0\x00\x02\x4D", 4);  // 192.0.2.77

Bytes option(std::uint16_t code, std::string_view data) {
    Bytes out;
    append_u16(out, code);
    append_u16(out, static_cast<std::uint16_t>(data.size()));
    append(out, data);
    return out;
}

Bytes subnet() {
    return option(8, std::string("\0\1\x20\0", 4) + address);
}

Bytes response_with(const Bytes& options, bool has_record_behind = false) {
    MessageWriter writer({.id = 7, .flags = 0x8180});
    const Name name = *Name::from_text("www.example.com.");
    EXPECT_TRUE(writer.add_question(name, RrType::a, RrClass::in));
    EXPECT_TRUE(writer.add_record(Section::answer, name, RrType::a, RrClass::in, 60,
                                  as_bytes(std::string_view("\x01\x02\x03\x04"))));
    EXPECT_TRUE(writer.add_opt(1232, Rcode::noerror, false, options));
    if (has_record_behind) {
        EXPECT_TRUE(writer.add_record(Section::additional, name, RrType::txt, RrClass::in, 0,
                                      as_bytes(std::string_view("\x01x"))));
    }
    return to_bytes(writer.view());
}

bool contains(ByteView octets, std::string_view what) {
    return as_text(octets).find(what) != std::string_view::npos;
}

TEST(ClientOptions, BecomePaddingOfTheSameLength) {
    for (const unsigned number :
         {1U, 2U, 5U, 8U, 10U, 12U, 13U, 14U, 20U, 20292U, 26946U, 65001U, 65535U}) {
        const auto code = static_cast<std::uint16_t>(number);
        const Bytes before = response_with(option(code, address + "who"), true);
        Bytes after = before;
        EXPECT_EQ(clear_client_options(after), before.size()) << code;
        EXPECT_EQ(after, response_with(option(12, std::string(7, '\0')), true)) << code;
    }
}

TEST(ClientOptions, OfTheServerStay) {
    for (const unsigned number : {3U, 9U, 11U, 15U, 18U, 19U}) {
        const auto code = static_cast<std::uint16_t>(number);
        const Bytes before = response_with(option(code, "server"));
        Bytes after = before;
        EXPECT_EQ(clear_client_options(after), before.size());
        EXPECT_EQ(after, before) << code;
    }
}

TEST(ClientOptions, AreClearedAmongOthersAndInEverySection) {
    Bytes options = option(3, "ns1");
    append(options, subnet());
    append(options, option(15, std::string("\0\x12", 2)));
    append(options, subnet());
    Bytes message = response_with(options);
    ASSERT_TRUE(contains(message, address));
    EXPECT_TRUE(clear_client_options(message).has_value());
    EXPECT_FALSE(contains(message, address));
    EXPECT_TRUE(contains(message, "ns1"));

    MessageWriter all({.id = 7, .flags = 0x8180});
    for (const Section section : {Section::answer, Section::authority, Section::additional}) {
        MessageWriter one({.id = 7, .flags = 0x8180});
        EXPECT_TRUE(one.add_record(section, Name(), RrType::opt, RrClass{1232}, 0, subnet()));
        EXPECT_TRUE(all.add_record(section, Name(), RrType::opt, RrClass{1232}, 0, subnet()));
        message = to_bytes(one.view());
        EXPECT_TRUE(clear_client_options(message).has_value());
        EXPECT_FALSE(contains(message, address));
    }
    message = to_bytes(all.view());
    EXPECT_EQ(clear_client_options(message), std::nullopt);
}

TEST(ClientOptions, LeaveNothingBehindTheMessage) {
    Bytes message = response_with({});
    const std::size_t size = message.size();
    append(message, address);
    EXPECT_EQ(clear_client_options(message), size);
    // Also where the counts say less than is there.
    Bytes fewer = response_with(subnet());
    fewer[11] = std::byte{0};  // no additional record
    const auto kept = clear_client_options(fewer);
    ASSERT_TRUE(kept.has_value());
    EXPECT_FALSE(contains(ByteView(fewer).first(*kept), address));
}

TEST(ClientOptions, AreNotSearchedForInWhatCannotBeRead) {
    const Bytes whole = response_with(subnet());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        Bytes cut = to_bytes(ByteView(whole).first(size));
        const auto kept = clear_client_options(cut);
        EXPECT_TRUE(!kept || !contains(ByteView(cut).first(*kept), address.substr(0, 3))) << size;
    }
    Bytes beyond = response_with(subnet());
    beyond[beyond.size() - address.size() - 5] = std::byte{9};  // one octet more than there is
    EXPECT_EQ(clear_client_options(beyond), std::nullopt);
    Bytes half = response_with(Bytes(3));
    EXPECT_EQ(clear_client_options(half), std::nullopt);
    EXPECT_EQ(clear_client_options({}), std::nullopt);
    // The fifth question's name goes on in what follows the message.
    Bytes reaching = to_bytes(std::string(
        "\075\007\265\020\000\005\000\001\000\000\000\000\001\052\000\000\001\000\001\000"
        "\000\000\000\000\001\072\001\052\000\000\001\000\001\000\000\000\000\000\001\054"
        "\003\167\167\167\001\000\003\167\167\167\300\033\000\000\000\000\000\000\001\000"
        "\001\000\000\000\000\000\000\001\000\001\000\000\000",
        73));
    EXPECT_EQ(clear_client_options(reaching), std::nullopt);
}

// The OPT's own name leads to a label that ends where the option's code is read as the next one's
// length: 8, with a root behind it; when it is 12, for padding, the name goes on past the message.
TEST(ClientOptions, AreNotKeptWhereANameReachesIntoThem) {
    Bytes message =
        to_bytes(std::string("\0\7\x81\x80\0\0\0\0\0\0\0\2"        // two records
                             "\0\0\x10\0\1\0\0\0\0\0\1\x0D"        // at 23 a label of 13
                             "\xC0\x17\0\x29\4\xD0\0\0\0\0\0\x0C"  // OPT, its name at 23
                             "\0\x08\0\x08\0\1\x20\0\xC0\0\0\x4D",
                             48));
    Bytes server = message;
    server[37] = std::byte{9};  // EXPIRE: stays, and so does the name
    server[47] = std::byte{0};
    EXPECT_EQ(clear_client_options(message), std::nullopt);
    EXPECT_EQ(clear_client_options(server), server.size());
}

}  // namespace
}  // namespace tapir::dns
