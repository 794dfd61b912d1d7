#include "tapir/privacy/form.hpp"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/privacy/identifier.hpp"

namespace tapir::privacy {
namespace {

const dns::PublicSuffixes& suffixes() {
    static const dns::PublicSuffixes list =
        dns::PublicSuffixes::parse(
            "// ===BEGIN ICANN DOMAINS===\nse\nuk\nco.uk\n// ===END ICANN DOMAINS===\n"
            "// ===BEGIN PRIVATE DOMAINS===\nhost.se\nonly.private\n"
            "// ===END PRIVATE DOMAINS===\n",
            "list")
            .take();
    return list;
}

// What the ladder holds from the registered domain up, or why there is none.
std::string ladder_of(const std::string& text) {
    const dns::FoldedName name(*dns::Name::from_text(text));
    const auto domain = registered_domain_of(name, suffixes());
    if (!domain) {
        return std::string(to_string(domain.error()));
    }
    const std::string all = dns::to_text(name.view(), dns::Case::lower);
    const std::string tail = dns::to_text(name.suffix(*domain), dns::Case::lower);
    Ladder ladder(all, all.size() - tail.size());
    std::string found(ladder.name());
    while (ladder.climb()) {
        found += " | " + std::string(ladder.name());
    }
    return found + (ladder.is_whole() ? "" : " …");
}

TEST(Form, BeginsWithTheRegisteredDomainOrNothing) {
    EXPECT_EQ(ladder_of("one.se."), "one.se.");
    EXPECT_EQ(ladder_of("ONE.CO.UK."), "one.co.uk.");
    EXPECT_EQ(ladder_of("co.uk."), "is_suffix");
    EXPECT_EQ(ladder_of("a.b."), "unlisted_suffix");
    EXPECT_EQ(ladder_of("a.only.private."), "unlisted_suffix") << "nobody registers there";
    EXPECT_EQ(ladder_of("se."), "single_label");
    EXPECT_EQ(ladder_of("."), "single_label");
    EXPECT_EQ(ladder_of("1.0.ARPA."), "reverse");
    EXPECT_EQ(ladder_of("x.local."), "special_use");
}

TEST(Form, ClimbsLabelByLabel) {
    EXPECT_EQ(ladder_of("WWW.one.se."), "one.se. | www.one.se.");
    EXPECT_EQ(ladder_of("a.b.c.one.se."), "one.se. | c.one.se. | b.c.one.se. | a.b.c.one.se.");
    EXPECT_EQ(ladder_of("home.host.se."), "host.se. | home.host.se.")
        << "below a private suffix lies somebody's home: a host";
    EXPECT_EQ(ladder_of("a\\.b.x.one.se."), "one.se. | x.one.se. | a\\.b.x.one.se.");
    EXPECT_EQ(ladder_of("a\\\\.b.one.se."), "one.se. | b.one.se. | a\\\\.b.one.se.");
    Ladder ladder("a.one.se.", 2);
    EXPECT_EQ(ladder.wildcard(), "*.one.se.");
    EXPECT_TRUE(ladder.climb());
    EXPECT_EQ(ladder.wildcard(), "*.a.one.se.");
    EXPECT_EQ(ladder.name(), "a.one.se.");
}

TEST(Form, CoarsensWhatStandsLeftOfTheRegisteredDomain) {
    EXPECT_EQ(ladder_of("johns-iphone.lan.one.se."),
              "one.se. | lan.one.se. | id--device.lan.one.se.");
    EXPECT_EQ(ladder_of("www.0f8fad5b-d9cb-469f-a165-70867728950e.one.se."),
              "one.se. | id--uuid.one.se. | www.id--uuid.one.se.");
    EXPECT_EQ(ladder_of("Anna.one.se."), "one.se. | id--person.one.se.");
    EXPECT_EQ(ladder_of("www.a1b2c3d4e5f6.se."), "a1b2c3d4e5f6.se. | www.a1b2c3d4e5f6.se.")
        << "what is registered is public";
}

TEST(Form, StopsWhereATokenWouldMakeTheNameTooLong) {
    std::string name;
    for (int i = 0; i < 48; ++i) {
        name += "anna.";  // a token is six octets longer
    }
    const std::string found = ladder_of(name + "one.se.");
    EXPECT_TRUE(found.ends_with(" …"));
    const std::string last = found.substr(found.rfind('|') + 2);
    EXPECT_TRUE(dns::Name::from_text(last.substr(0, last.find(' '))).has_value());
}

// Whatever is asked: a form lies under the registered domain, and has no identifier left in it.
RC_GTEST_PROP(Form, HoldsNoIdentifier, ()) {
    const auto labels = *rc::gen::container<std::vector<std::string>>(
        rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::elementOf(
            std::string("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")))));
    dns::NameBuffer buffer;
    for (const std::string& label : labels) {
        buffer.append(as_bytes(std::string_view(label).substr(0, dns::label_size_max)));
    }
    for (const char* label : {"one", "se"}) {
        RC_PRE(buffer.append(as_bytes(label)));
    }
    const std::string text = dns::to_text(buffer.view(), dns::Case::lower);
    Ladder ladder(text, text.size() - 7);
    while (ladder.climb()) {
    }
    const auto form = dns::Name::from_text(ladder.name());
    RC_ASSERT(form.has_value());
    RC_ASSERT(form->view().is_under(*dns::Name::from_text("one.se.")));
    RC_ASSERT(!ladder.is_whole() || form->view().label_count() == buffer.view().label_count());
    std::size_t left = form->view().label_count() - 2;
    for (const ByteView label : form->view().labels()) {
        if (left-- == 0) {
            break;
        }
        RC_ASSERT(!identifier_in(as_text(label)));
    }
}

}  // namespace
}  // namespace tapir::privacy
