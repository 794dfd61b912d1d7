#include "tapir/rpz/trigger.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tapir/rpz/action.hpp"

namespace tapir::rpz {
namespace {

std::string key(std::string_view text) {
    const auto trigger = Trigger::parse(text);
    return trigger ? trigger->key()
                   : std::string("refused: ") + std::string(to_string(trigger.error()));
}

TEST(Trigger, IsTheSameWithAndWithoutAFinalDotAndInAnyCase) {
    EXPECT_EQ(key("Bad.Example"), std::string("example\0bad\0", 12));
    EXPECT_EQ(key("bad.example."), key("BAD.EXAMPLE"));
}

TEST(Trigger, RefusesWhatCannotBeAnOwner) {
    EXPECT_EQ(key(""), "refused: empty");
    EXPECT_EQ(key("."), "refused: empty");
    EXPECT_EQ(key("a..example"), "refused: bad_label");
    EXPECT_EQ(key(".lead.example"), "refused: bad_label");
    EXPECT_EQ(key("x.example.."), "refused: bad_label");
    EXPECT_EQ(key(std::string(64, 'a') + ".example"), "refused: bad_label");
    EXPECT_EQ(key("a\\000b.example"), "refused: nul");
    EXPECT_EQ(key(std::string_view("a\0b.example", 11)), "refused: nul");
    EXPECT_EQ(key("abc.example\\"), "refused: bad_escape");
    EXPECT_EQ(key("a\\25"), "refused: bad_escape");
    EXPECT_EQ(key("a\\256.example"), "refused: bad_escape");
    std::string name;
    for (int i = 0; i < 127; ++i) {
        name += "a.";
    }
    EXPECT_EQ(key(name).size(), 254U);
    EXPECT_EQ(key("a." + name), "refused: too_long");
    EXPECT_EQ(key(std::string(5'000, 'a')), "refused: too_long");
}

TEST(Trigger, KnowsWildcards) {
    EXPECT_TRUE(Trigger::parse("*.example")->is_wildcard());
    EXPECT_FALSE(Trigger::parse("*a.example")->is_wildcard());
    EXPECT_FALSE(Trigger::parse("a.*.example")->is_wildcard());
    EXPECT_EQ(Trigger::parse("example")->wildcard_below().to_text(), "*.example");
}

TEST(Trigger, TellsKeysFromOtherOctets) {
    EXPECT_TRUE(is_key(Trigger::parse("*.a.example")->key()));
    EXPECT_TRUE(is_key(Trigger::parse("\\255.example")->key()));
    EXPECT_TRUE(is_key(std::string(63, 'a') + std::string(1, '\0')));
    for (const auto& octets :
         {std::string(), std::string("\0", 1), std::string("a"), std::string("a\0b", 3),
          std::string("a\0\0", 3), std::string("\0a\0", 3), std::string("a\0B\0", 4),
          std::string(64, 'a') + std::string(1, '\0')}) {
        EXPECT_FALSE(is_key(octets));
    }
    std::string key;
    for (int i = 0; i < 127; ++i) {
        key += std::string("a\0", 2);
    }
    EXPECT_TRUE(is_key(key));
    EXPECT_FALSE(is_key(key + std::string("a\0", 2)));
}

RC_GTEST_PROP(Trigger, TextIsReadBackAsTheSameTrigger, ()) {
    const auto labels = *rc::gen::resize(
        20, rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(rc::gen::resize(
                20, rc::gen::nonEmpty(
                        rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127)))))));
    Bytes wire;
    for (const auto& label : labels) {
        append_u8(wire, static_cast<std::uint8_t>(label.size()));
        append(wire, label);
    }
    append_u8(wire, 0);
    RC_PRE(wire.size() <= owner_size_max);
    const auto trigger = Trigger::from_wire(wire);
    RC_ASSERT(trigger.has_value());
    RC_ASSERT(*Trigger::parse(trigger->to_text()) == *trigger);
    RC_ASSERT(*Trigger::parse(trigger->to_text() + ".") == *trigger);
    Bytes back;
    append_labels(trigger->key(), back);
    append_u8(back, 0);
    RC_ASSERT(*Trigger::from_wire(back) == *trigger);
}

TEST(Trigger, ReadsNoWireNameThatIsCutOrCompressed) {
    EXPECT_FALSE(Trigger::from_wire(as_bytes("\x03"
                                             "ab"))
                     .has_value());
    EXPECT_FALSE(Trigger::from_wire(as_bytes("\xc0\x0c")).has_value());
    EXPECT_FALSE(Trigger::from_wire({}).has_value());
}

TEST(Action, HasTheTargetsOfTheRpzConvention) {
    EXPECT_EQ(to_hex(target_wire(Action::nxdomain)), "00");
    EXPECT_EQ(to_hex(target_wire(Action::nodata)), "012a00");
    EXPECT_EQ(as_text(target_wire(Action::drop)), std::string_view("\x08rpz-drop\0", 10));
    EXPECT_EQ(as_text(target_wire(Action::passthru)), std::string_view("\x0crpz-passthru\0", 14));
    EXPECT_EQ(as_text(target_wire(Action::tcp_only)), std::string_view("\x0crpz-tcp-only\0", 14));
    for (const Action action :
         {Action::passthru, Action::tcp_only, Action::nodata, Action::nxdomain, Action::drop}) {
        EXPECT_EQ(action_of_target(target_wire(action)), action);
        EXPECT_EQ(parse_action(to_string(action)), action);
    }
    EXPECT_EQ(parse_action("NXDOMAIN"), Action::nxdomain);
    EXPECT_EQ(parse_action("redirect"), std::nullopt);
    EXPECT_EQ(action_of_target(as_bytes("\x01x")), std::nullopt);
}

TEST(Tag, HasTheNamesOfTheCoreAndOfTheProcessor) {
    EXPECT_EQ(tag_bit("globally_new"), 0U);
    EXPECT_EQ(tag_bit("NewName"), 0U);
    EXPECT_EQ(tag_bit("badip"), 2U);
    EXPECT_EQ(tag_bit("looptest"), 10U);
    EXPECT_EQ(tag_bit("31"), 31U);
    EXPECT_EQ(tag_bit("32"), std::nullopt);
    EXPECT_EQ(tag_bit("malware"), std::nullopt);
    EXPECT_EQ(tag_bit(""), std::nullopt);
    for (unsigned bit = 0; bit < tag_count; ++bit) {
        EXPECT_EQ(tag_bit(tag_name(bit)), bit);
    }
}

}  // namespace
}  // namespace tapir::rpz
