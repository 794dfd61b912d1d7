#include "tapir/dns/public_suffix.hpp"

#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpsl.h>

#include "punycode.hpp"
#include "tapir/dns/testing.hpp"

namespace tapir::dns {
namespace {

using testing::folded;
using testing::name;

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

const PublicSuffixes& golden() {
    static const PublicSuffixes suffixes =
        PublicSuffixes::parse(read_file(TAPIR_GOLDEN "/psl/public_suffix_list.dat"), "psl").value();
    return suffixes;
}

// "www.食狮.公司.cn" as a name.
Name from_unicode(const std::string& text) {
    std::string out;
    std::istringstream labels(text);
    for (std::string label; std::getline(labels, label, '.');) {
        out += to_a_label(label).value() + ".";
    }
    return name(out);
}

struct View {
    SuffixSection section = SuffixSection::none;
    std::string domain;        // by the rule that prevails
    std::string icann_domain;  // by ICANN rules alone
};
View look_up(std::string_view text) {
    const FoldedName at = folded(text);
    const RegisteredDomain found = golden().registered_domain(at);
    const auto shown = [&](std::size_t labels) {
        return labels == 0 ? std::string() : to_text(at.suffix(labels));
    };
    return {found.section, shown(found.label_count), shown(found.icann_label_count)};
}

TEST(PublicSuffixes, TellTheSectionsApart) {
    const View icann = look_up("www.Example.co.uk");
    EXPECT_EQ(icann.section, SuffixSection::icann);
    EXPECT_EQ(icann.domain, "example.co.uk.");
    EXPECT_EQ(icann.icann_domain, "example.co.uk.");
    const View home = look_up("camera.somebody.dyndns.org");
    EXPECT_EQ(home.section, SuffixSection::private_domain);
    EXPECT_EQ(home.domain, "somebody.dyndns.org.");
    EXPECT_EQ(home.icann_domain, "dyndns.org.");
    // The private suffix itself: shared by its customers, so nothing registered by that rule.
    const View itself = look_up("dyndns.org");
    EXPECT_EQ(itself.section, SuffixSection::private_domain);
    EXPECT_EQ(itself.domain, "");
    EXPECT_EQ(itself.icann_domain, "dyndns.org.");
}

TEST(PublicSuffixes, KnowNoDefaultRule) {
    const View unlisted = look_up("www.example.internal-network");
    EXPECT_EQ(unlisted.section, SuffixSection::none);
    EXPECT_EQ(unlisted.domain, "");
    EXPECT_EQ(unlisted.icann_domain, "");
    EXPECT_EQ(look_up(".").section, SuffixSection::none);
    const View top = look_up("com");
    EXPECT_EQ(top.section, SuffixSection::icann);
    EXPECT_EQ(top.domain, "");
}

TEST(PublicSuffixes, FollowWildcardsAndExceptions) {
    EXPECT_EQ(look_up("a.b.c.ck").domain, "b.c.ck.");
    EXPECT_EQ(look_up("c.ck").domain, "");
    EXPECT_EQ(look_up("a.www.ck").domain, "www.ck.");
    EXPECT_EQ(look_up("x.city.kobe.jp").domain, "city.kobe.jp.");
    EXPECT_EQ(look_up("b.c.kobe.jp").domain, "b.c.kobe.jp.");
}

TEST(PublicSuffixes, PassTheVectorsOfTheList) {
    std::istringstream lines(read_file(TAPIR_GOLDEN "/psl/tests.txt"));
    int checked = 0;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string asked;
        std::string expected;
        words >> asked >> expected;
        if (asked.empty() || asked.starts_with("//") || asked == "null" || asked[0] == '.') {
            continue;
        }
        const FoldedName at(from_unicode(asked));
        // The vectors assume the default rule "*", which we do not have.
        const bool is_unlisted =
            to_text(at.view()).ends_with("example.") && to_text(at.suffix(1)) == "example.";
        const RegisteredDomain found = golden().registered_domain(at);
        const Name wanted = expected == "null" ? Name() : from_unicode(expected);
        if (is_unlisted) {
            EXPECT_EQ(found, RegisteredDomain{}) << asked;
        } else {
            EXPECT_EQ(at.suffix(found.label_count), wanted.view()) << asked;
        }
        ++checked;
    }
    EXPECT_GT(checked, 70);
}

// libpsl on the same list, on every rule and on names made from rules.
TEST(PublicSuffixes, AgreeWithLibpsl) {
    psl_ctx_t* const psl = psl_load_file(TAPIR_GOLDEN "/psl/public_suffix_list.dat");
    ASSERT_NE(psl, nullptr);
    const auto suffix_labels = [&](const FoldedName& at, int type) {
        for (std::size_t labels = at.label_count(); labels > 0; --labels) {
            std::string text = to_text(at.suffix(labels));
            text.pop_back();
            if (psl_is_public_suffix2(psl, text.c_str(), type) != 0) {
                return labels;
            }
        }
        return std::size_t{0};
    };
    std::istringstream lines(read_file(TAPIR_GOLDEN "/psl/public_suffix_list.dat"));
    const std::vector<std::string> prefixes = {"", "x.", "www.x.", "city.", "com."};
    std::size_t checked = 0;
    for (std::string line; std::getline(lines, line);) {
        if (line.empty() || line.starts_with("//")) {
            continue;
        }
        std::string rule = line.substr(0, line.find_first_of(" \t\r"));
        rule.erase(0, rule.starts_with("!") ? 1 : rule.starts_with("*.") ? 2 : 0);
        for (const auto& prefix : prefixes) {
            if (prefix.empty() && line.starts_with("*.")) {
                continue;  // libpsl takes "*.ck" as a rule for "ck" too; the list's algorithm not
            }
            const FoldedName at(from_unicode(prefix + rule));
            const RegisteredDomain found = golden().registered_domain(at);
            const auto registered = [&](std::size_t suffix) {
                return suffix == 0 || suffix == at.label_count() ? 0 : suffix + 1;
            };
            const std::size_t all = suffix_labels(at, PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE);
            const std::size_t icann = suffix_labels(at, PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE);
            ASSERT_EQ(found.suffix_label_count, all) << prefix << rule;
            ASSERT_EQ(found.label_count, registered(all)) << prefix << rule;
            ASSERT_EQ(found.icann_label_count, registered(icann)) << prefix << rule;
            ++checked;
        }
    }
    psl_free(psl);
    EXPECT_GT(checked, 40'000U);
    EXPECT_GT(golden().rule_count(), 9'000U);
}

TEST(PublicSuffixes, AreReadFromDebiansFileToo) {
    const std::string text = read_file("/usr/share/publicsuffix/public_suffix_list.dat");
    ASSERT_FALSE(text.empty()) << "scripts/setup installs the package publicsuffix";
    const auto suffixes = PublicSuffixes::parse(text, "debian");
    ASSERT_TRUE(suffixes.has_value()) << suffixes.error().what();
    EXPECT_EQ(suffixes->registered_domain(folded("www.example.se")).label_count, 2);
}

TEST(PublicSuffixes, RefuseABadListWithItsLine) {
    const auto error = [](std::string_view text) {
        const auto parsed = PublicSuffixes::parse(text, "list.dat");
        return parsed ? std::string("ok") : parsed.error().what();
    };
    EXPECT_EQ(error("// ===BEGIN ICANN DOMAINS===\ncom\nco..uk\n"),
              "list.dat:3: expected a rule, got 'co..uk'");
    EXPECT_EQ(error("// ===BEGIN ICANN DOMAINS===\na.*.b\n"),
              "list.dat:2: expected a rule, got 'a.*.b'");
    EXPECT_EQ(error("// ===BEGIN ICANN DOMAINS===\n!com\n"),
              "list.dat:2: expected a rule, got '!com'");
    EXPECT_EQ(error("com\n"),
              "list.dat:1: expected rules between the markers of a section, got 'com'");
    EXPECT_EQ(error(""), "list.dat: expected a public suffix list, got no rule");
    EXPECT_EQ(error("// ===BEGIN ICANN DOMAINS===\r\ncom\r\n// ===END ICANN DOMAINS===\r\n"), "ok");
}

TEST(Punycode, EncodesAsRfc3492Says) {
    EXPECT_EQ(to_a_label("plain"), "plain");
    EXPECT_EQ(to_a_label("bücher"), "xn--bcher-kva");
    EXPECT_EQ(to_a_label("公司"), "xn--55qx5d");
    EXPECT_EQ(to_a_label("ليهمابتكلموشعربي؟"), "xn--egbpdaj6bu4bxfgehfvwxn");
    EXPECT_EQ(to_a_label("3年b組金八先生"), "xn--3b-ww4c5e180e575a65lsy2b");
    EXPECT_EQ(to_a_label("\xc3"), std::nullopt);
    EXPECT_EQ(to_a_label("\xc0\x80"), std::nullopt);
    EXPECT_EQ(to_a_label("\xed\xa0\x80"), std::nullopt);
    EXPECT_EQ(to_a_label(std::string(64, 'a')), std::nullopt);
}

TEST(SpecialUse, IsWhatNeverBecomesPublic) {
    for (const char* text : {".", "com", "router", "1.2.0.192.in-addr.arpa", "Home.ARPA", "a.test",
                             "x.localhost", "a.invalid", "printer.local", "abc.onion", "a.alt",
                             "a.example", "example.com", "www.Example.NET", "a.b.example.org"}) {
        EXPECT_TRUE(is_special_use(name(text))) << text;
    }
    for (const char* text : {"www.se", "example.se", "notexample.com", "example.com.se", "test.se",
                             "arpa.se", "onion.example.se"}) {
        EXPECT_FALSE(is_special_use(name(text))) << text;
    }
}

}  // namespace
}  // namespace tapir::dns
