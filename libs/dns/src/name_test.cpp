#include "tapir/dns/name.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/dns/testing.hpp"

namespace tapir::dns {
namespace {

using testing::folded;
using testing::name;

Bytes wire_of(const std::vector<std::string>& labels) {
    Bytes wire;
    for (const auto& label : labels) {
        append_u8(wire, static_cast<std::uint8_t>(label.size()));
        append(wire, std::string_view(label));
    }
    append_u8(wire, 0);
    return wire;
}

bool under(NameView a, NameView zone) {
    return a.is_under(zone);
}

Bytes octets(std::initializer_list<unsigned> values) {
    Bytes out;
    for (const unsigned value : values) {
        out.push_back(static_cast<std::byte>(value));
    }
    return out;
}

NameError error_of(const Result<NameView, NameError>& result) {
    return result.has_value() ? NameError{255} : result.error();
}

// Any name: labels of any octets, within the limits.
rc::Gen<Bytes> any_wire() {
    const auto label = rc::gen::mapcat(rc::gen::inRange(1, 20), [](int size) {
        return rc::gen::container<std::string>(
            static_cast<std::size_t>(size),
            rc::gen::oneOf(rc::gen::arbitrary<char>(), rc::gen::elementOf(std::string("aZ.\\-9"))));
    });
    return rc::gen::map(rc::gen::container<std::vector<std::string>>(label),
                        [](std::vector<std::string> labels) {
                            if (labels.size() > 12) {
                                labels.resize(12);
                            }
                            return wire_of(labels);
                        });
}

TEST(Name, IsReadFromTheFrontOfTheOctets) {
    Bytes wire = wire_of({"www", "Example", "com"});
    wire.push_back(std::byte{99});
    const auto view = NameView::parse(wire);
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(view->wire_size(), 17U);
    EXPECT_EQ(view->label_count(), 3U);
    EXPECT_EQ(to_text(*view), "www.Example.com.");
    EXPECT_EQ(to_text(*view, Case::lower), "www.example.com.");
    std::vector<std::string> labels;
    for (const ByteView label : view->labels()) {
        labels.emplace_back(as_text(label));
    }
    EXPECT_THAT(labels, ::testing::ElementsAre("www", "Example", "com"));
}

TEST(Name, OfTheRootHasNoLabel) {
    const NameView root;
    EXPECT_TRUE(root.is_root());
    EXPECT_EQ(root.wire_size(), 1U);
    EXPECT_EQ(to_text(root), ".");
    EXPECT_EQ(root.labels().begin(), root.labels().end());
    EXPECT_EQ(NameView::parse(octets({0}))->label_count(), 0U);
    EXPECT_TRUE(under(name("example"), root));
    EXPECT_FALSE(under(root, name("example")));
}

TEST(Name, IsRefusedWhereTheRulesAreBroken) {
    EXPECT_EQ(error_of(NameView::parse({})), NameError::truncated);
    EXPECT_EQ(error_of(NameView::parse(octets({3, 'a', 'b'}))), NameError::truncated);
    EXPECT_EQ(error_of(NameView::parse(octets({1, 'a'}))), NameError::truncated);
    EXPECT_EQ(error_of(NameView::parse(octets({64, 'a'}))), NameError::label_type);
    EXPECT_EQ(error_of(NameView::parse(octets({0xC0, 0}))), NameError::label_type);
}

TEST(Name, HasAtMost255Octets) {
    const std::string a(63, 'a');
    EXPECT_TRUE(NameView::parse(wire_of({a, a, a, std::string(61, 'a')})).has_value());
    EXPECT_EQ(error_of(NameView::parse(wire_of({a, a, a, std::string(62, 'a')}))),
              NameError::name_too_long);
    const std::vector<std::string> ones(127, "x");
    EXPECT_EQ(NameView::parse(wire_of(ones))->label_count(), label_count_max);
    EXPECT_EQ(error_of(NameView::parse(wire_of(std::vector<std::string>(128, "x")))),
              NameError::name_too_long);
}

TEST(Name, TextEscapesAsTheExistingMinimiserDoes) {
    const Bytes wire = wire_of({"a.b", "sp ace", "q\"u(o)t;e@$'", "back\\slash",
                                std::string("\x00\x01\xff\x7f\x1f~", 6), "_dmarc"});
    EXPECT_EQ(to_text(*NameView::parse(wire)),
              "a\\.b.sp\\ ace.q\\\"u\\(o\\)t\\;e\\@$\\'.back\\\\slash.\\000\\001\\255\\127\\031~."
              "_dmarc.");
}

TEST(Name, TextOfTheLongestNameFits) {
    const std::string a(63, '\xff');
    const Bytes wire = wire_of({a, a, a, std::string(61, '\xff')});
    EXPECT_EQ(to_text(*NameView::parse(wire)).size(), name_text_size_max);
}

TEST(Name, IsReadFromTextWithAndWithoutTheFinalDot) {
    EXPECT_EQ(name("Example.COM"), name("example.com."));
    EXPECT_EQ(to_text(name("Example.COM")), "Example.COM.");
    EXPECT_EQ(name("."), Name());
    EXPECT_EQ(to_text(name("a\\.b\\065\\\\.x")), "a\\.bA\\\\.x.");
    EXPECT_EQ(to_text(name("with space.example")), "with\\ space.example.");
}

TEST(Name, TextIsRefusedWhereTheRulesAreBroken) {
    const auto error = [](std::string_view text) {
        const auto parsed = Name::from_text(text);
        return parsed ? NameError{255} : parsed.error();
    };
    EXPECT_EQ(error(""), NameError::empty_label);
    EXPECT_EQ(error(".."), NameError::empty_label);
    EXPECT_EQ(error(".com"), NameError::empty_label);
    EXPECT_EQ(error("a..b"), NameError::empty_label);
    EXPECT_EQ(error("a.b.."), NameError::empty_label);
    EXPECT_EQ(error("a\\"), NameError::escape);
    EXPECT_EQ(error("a\\25"), NameError::escape);
    EXPECT_EQ(error("a\\256"), NameError::escape);
    EXPECT_EQ(error("a\\2x5"), NameError::escape);
    EXPECT_EQ(error(std::string(64, 'a')), NameError::label_too_long);
    std::string longest;
    for (int i = 0; i < 127; ++i) {
        longest += "x.";
    }
    EXPECT_EQ(error(longest), NameError{255});
    EXPECT_EQ(error(longest + "x"), NameError::name_too_long);
}

RC_GTEST_PROP(NameLaw, TextReadBackIsTheName, ()) {
    const Bytes wire = *any_wire();
    const auto view = NameView::parse(wire);
    RC_ASSERT(view.has_value());
    const auto back = Name::from_text(to_text(*view));
    RC_ASSERT(back.has_value());
    RC_ASSERT(to_bytes(back->view().wire()) == wire);
}

RC_GTEST_PROP(NameLaw, FoldingKeepsEqualityAndFingerprints, ()) {
    const Bytes wire = *any_wire();
    const NameView view = *NameView::parse(wire);
    const FoldedName once(view);
    const FoldedName twice(once.view());
    RC_ASSERT(once.view() == view);
    RC_ASSERT(once.fingerprint() == twice.fingerprint());
    for (std::size_t labels = 0; labels <= view.label_count(); ++labels) {
        RC_ASSERT(once.suffix(labels) == view.suffix(labels));
        RC_ASSERT(once.fingerprint(labels) == FoldedName(view.suffix(labels)).fingerprint());
        RC_ASSERT(view.is_under(view.suffix(labels)));
    }
}

RC_GTEST_PROP(NameLaw, OrderIsTheOrderOfReversedFoldedLabels, ()) {
    const Bytes x = *any_wire();
    const Bytes y = *any_wire();
    const auto reversed = [](NameView view) {
        std::vector<std::vector<unsigned>> labels;
        for (const ByteView label : view.labels()) {
            std::vector<unsigned> octets_of;
            for (const std::byte octet : label) {
                octets_of.push_back(std::to_integer<unsigned>(to_lower(octet)));
            }
            labels.insert(labels.begin(), octets_of);
        }
        return labels;
    };
    const NameView a = *NameView::parse(x);
    const NameView b = *NameView::parse(y);
    RC_ASSERT((a < b) == (reversed(a) < reversed(b)));
    RC_ASSERT((a == b) == (reversed(a) == reversed(b)));
}

TEST(Name, OrderIsThatOfRfc4034) {
    const std::vector<std::string> sorted = {
        "example",   "a.example",       "yljkjljk.a.example", "Z.a.example",    "zABC.a.EXAMPLE",
        "z.example", "\\001.z.example", "*.z.example",        "\\200.z.example"};
    for (std::size_t i = 0; i + 1 < sorted.size(); ++i) {
        EXPECT_LT(name(sorted[i]), name(sorted[i + 1])) << sorted[i];
    }
}

TEST(Name, IsUnderZonesAtLabelBoundariesOnly) {
    EXPECT_TRUE(under(name("www.Example.com"), name("example.COM")));
    EXPECT_TRUE(under(name("example.com"), name("example.com")));
    EXPECT_FALSE(under(name("notexample.com"), name("example.com")));
    EXPECT_FALSE(under(name("com"), name("example.com")));
    EXPECT_FALSE(under(name("a\\.example.com"), name("example.com")));
}

TEST(FoldedName, FingerprintsAreTheSameOnEveryMachine) {
    // They stand in index files: a change of these numbers is a change of that format.
    EXPECT_EQ(folded(".").fingerprint(), 0x7461706972303031U);
    EXPECT_EQ(folded("Example.COM").fingerprint(), folded("example.com").fingerprint());
    EXPECT_EQ(folded("com").fingerprint(), 4217514216352990783U);
    EXPECT_EQ(folded("www.example.com").fingerprint(), 13812457493696956509U);
}

TEST(FoldedName, FoldsEveryOctetAtEveryPlaceAndNoOther) {
    for (std::size_t size = 1; size <= label_size_max; ++size) {
        for (unsigned value = 0; value < 256; ++value) {
            Bytes wire(1, static_cast<std::byte>(size));
            wire.resize(1 + size, static_cast<std::byte>(value));
            wire.push_back(std::byte{0});
            const FoldedName folded(NameView::parse(wire).value());
            const ByteView label = *folded.view().labels().begin();
            ASSERT_EQ(label.size(), size);
            for (const std::byte octet : label) {
                ASSERT_EQ(octet, to_lower(static_cast<std::byte>(value))) << value;
            }
        }
    }
}

TEST(FoldedName, FoldsAPartOfItself) {
    FoldedName folded(Name::from_text("A.Long.Enough.Example.Com").value());
    folded.assign(folded.suffix(2));
    EXPECT_EQ(to_text(folded.view()), "example.com.");
    EXPECT_EQ(folded.fingerprint(),
              FoldedName(Name::from_text("example.com").value()).fingerprint());
}

TEST(FoldedName, FingerprintsTellLabelBoundariesApart) {
    const std::set<std::uint64_t> all = {folded("a.b").fingerprint(), folded("ab").fingerprint(),
                                         folded("a\\.b").fingerprint(), folded("b.a").fingerprint(),
                                         folded("a.b.a").fingerprint()};
    EXPECT_EQ(all.size(), 5U);
}

TEST(NameBuffer, RefusesWhatDoesNotFitAndStaysAsItWas) {
    NameBuffer buffer;
    const Bytes label(63, std::byte{'a'});
    EXPECT_TRUE(buffer.append(label) && buffer.append(label) && buffer.append(label));
    EXPECT_FALSE(buffer.append(ByteView(label).first(62)));
    EXPECT_EQ(buffer.view().wire_size(), 193U);
    EXPECT_TRUE(buffer.append(ByteView(label).first(61)));
    EXPECT_EQ(buffer.view().wire_size(), name_size_max);
    EXPECT_TRUE(NameView::parse(buffer.view().wire()).has_value());
}

// "a.example" at 0, a pointer to "example" at 11, "b" and that pointer at 13.
Bytes compressed_message() {
    Bytes message = wire_of({"a", "example"});
    append(message, octets({0xC0, 2, 1, 'b', 0xC0, 11, 0xFF}));
    return message;
}

TEST(ReadName, FollowsPointersBackwards) {
    const Bytes message = compressed_message();
    NameBuffer buffer;
    const auto plain = read_name(message, 0, buffer);
    ASSERT_TRUE(plain.has_value());
    EXPECT_EQ(to_text(plain->name), "a.example.");
    EXPECT_EQ(plain->name.wire().data(), message.data());
    EXPECT_EQ(plain->end, 11U);
    const auto pointed = read_name(message, 13, buffer);
    ASSERT_TRUE(pointed.has_value());
    EXPECT_EQ(to_text(pointed->name), "b.example.");
    EXPECT_EQ(pointed->end, 17U);
    EXPECT_EQ(*skip_name(message, 13), 17U);
    EXPECT_EQ(*skip_name(message, 0), 11U);
}

TEST(ReadName, RefusesPointersThatDoNotGoBack) {
    NameBuffer buffer;
    const auto error = [&](const Bytes& message, std::size_t offset, Pointers pointers) {
        const auto read = read_name(message, offset, buffer, pointers);
        return read ? NameError{255} : read.error();
    };
    const Bytes to_itself = octets({0xC0, 0});
    EXPECT_EQ(error(to_itself, 0, Pointers::backwards), NameError::pointer);
    EXPECT_EQ(error(to_itself, 0, Pointers::anywhere), NameError::pointer_count);
    const Bytes forwards = octets({0xC0, 2, 1, 'a', 0});
    EXPECT_EQ(error(forwards, 0, Pointers::backwards), NameError::pointer);
    EXPECT_EQ(error(forwards, 0, Pointers::anywhere), NameError{255});
    const Bytes into_own_labels = octets({1, 'a', 0xC0, 0});
    EXPECT_EQ(error(into_own_labels, 0, Pointers::backwards), NameError::pointer);
    EXPECT_EQ(error(into_own_labels, 0, Pointers::anywhere), NameError::pointer_count);
    EXPECT_EQ(error(octets({1, 'a', 0xC0}), 0, Pointers::anywhere), NameError::truncated);
    EXPECT_EQ(error(octets({0xC0, 9}), 0, Pointers::anywhere), NameError::truncated);
    EXPECT_EQ(error(octets({0x80, 9}), 0, Pointers::anywhere), NameError::label_type);
    EXPECT_EQ(error(octets({0}), 7, Pointers::anywhere), NameError::truncated);
}

TEST(ReadName, AllowsAtMost126Pointers) {
    // The root at 0, then a chain of pointers, each to the one before.
    for (const std::size_t count : {126U, 127U}) {
        Bytes message(1, std::byte{0});
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t target = i == 0 ? 0 : message.size() - 2;
            append_u16(message, static_cast<std::uint16_t>(0xC000U | target));
        }
        NameBuffer buffer;
        const auto read = read_name(message, message.size() - 2, buffer);
        EXPECT_EQ(read.has_value(), count <= pointer_count_max) << count;
    }
}

TEST(ReadName, CountsDecompressedOctets) {
    Bytes message = wire_of({std::string(63, 'a'), std::string(63, 'b'), std::string(63, 'c')});
    const std::size_t fits = message.size();
    append_u8(message, 61);
    append(message, std::string(61, 'd'));
    append_u16(message, 0xC000);
    const std::size_t too_long = message.size();
    append_u8(message, 62);
    append(message, std::string(62, 'd'));
    append_u16(message, 0xC000);
    NameBuffer buffer;
    EXPECT_EQ(read_name(message, fits, buffer)->name.wire_size(), name_size_max);
    EXPECT_EQ(read_name(message, too_long, buffer).error(), NameError::name_too_long);
}

// Cutting a text is cutting the name.
RC_GTEST_PROP(NameText, HasTheSuffixesOfTheName, ()) {
    NameBuffer buffer;
    for (const auto& label : *rc::gen::container<std::vector<std::string>>(
             rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::arbitrary<char>())))) {
        buffer.append(as_bytes(std::string_view(label).substr(0, label_size_max)));
    }
    const std::string text = to_text(buffer.view());
    RC_ASSERT(suffix_text(text, 0).empty());
    for (std::size_t labels = 1; labels <= buffer.view().label_count(); ++labels) {
        RC_ASSERT(suffix_text(text, labels) == to_text(buffer.view().suffix(labels)));
    }
    RC_ASSERT(suffix_text(text, buffer.view().label_count() + 1) == text);
}

}  // namespace
}  // namespace tapir::dns
