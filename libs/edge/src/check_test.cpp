// check finds what would not work, and says how to mend it.
#include "tapir/edge/check.hpp"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "setup.hpp"
#include "tapir/edge/settings.hpp"
#include "tapir/world/testing.hpp"

namespace tapir::edge {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string private_json() {
    const crypto::Secret json = public_test_signing_key().to_json();
    return std::string(as_text(json.bytes()));
}

struct Place {
    world::TemporaryFolder folder;
    world::SystemFiles files;
    world::SystemClock clock;
    std::string toml;

    Place() {
        put("key.jwk", private_json(), 0600);
        put("names.txt", "example.com\n", 0644);
        std::filesystem::create_directory(at("state"));
        std::filesystem::permissions(at("state"), std::filesystem::perms(0700));
        toml = "keys.signing = \"" + at("key.jwk") + "\"\nstate.dir = \"" + at("state") +
               "\"\ninput.unix = \"" + at("dnstap.sock") + "\"\nlists.well_known = \"" +
               at("names.txt") + "\"\nclient_networks = [\"192.0.2.0/24\"]\n";
    }
    std::string at(const std::string& name) const { return folder.path() + "/" + name; }
    void put(const std::string& name, const std::string& text, unsigned mode) {
        ASSERT_TRUE(files.write_atomically(at(name), as_bytes(text)).has_value());
        std::filesystem::permissions(at(name), static_cast<std::filesystem::perms>(mode));
    }
    std::vector<Finding> found(const std::string& more = {}) {
        const auto settings = text::Settings::parse(toml + more, "edge.toml", settings_table());
        EXPECT_TRUE(settings.has_value()) << settings.error().what();
        CheckOptions options;
        options.etc = at("etc");
        return check(*settings, files, clock, options);
    }
    static const Finding* find(const std::vector<Finding>& all, std::string_view what,
                               Verdict verdict) {
        for (const Finding& one : all) {
            if (one.what == what && one.verdict == verdict) {
                return &one;
            }
        }
        return nullptr;
    }
    // Whether there is such a finding; a bad one says how to mend it.
    bool says(const std::vector<Finding>& all, std::string_view what, Verdict verdict) const {
        return find(all, what, verdict) != nullptr;
    }
};

TEST(Check, APlaceThatIsInOrderHasNoFault) {
    Place place;
    for (const Finding& finding : place.found()) {
        EXPECT_NE(finding.verdict, Verdict::fail) << finding.what << ": " << finding.why;
    }
}

TEST(Check, KeysThatOthersCanReadFail) {
    Place place;
    EXPECT_TRUE(place.says(place.found(), "keys.signing", Verdict::ok));
    std::filesystem::permissions(place.at("key.jwk"), std::filesystem::perms(0644));
    const auto all = place.found();
    const Finding* open = Place::find(all, "keys.signing", Verdict::fail);
    ASSERT_NE(open, nullptr);
    EXPECT_THAT(open->mend, HasSubstr("chmod 600"));
    const auto key = public_test_signing_key();
    place.put("key.jwk", key.public_jwk().to_json(), 0600);
    EXPECT_TRUE(place.says(place.found(), "keys.signing", Verdict::fail)) << "a public key alone";
}

TEST(Check, TheKeysOfCertificatesHaveTheSameRule) {
    Place place;
    const std::string pem = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n";
    place.put("tls.key", pem, 0600);
    const std::string more = "core.key = \"" + place.at("tls.key") + "\"\n";
    EXPECT_TRUE(place.says(place.found(more), "core.key", Verdict::ok));
    std::filesystem::permissions(place.at("tls.key"), std::filesystem::perms(0644));
    EXPECT_TRUE(place.says(place.found(more), "core.key", Verdict::fail));
    place.put("tls.key", "-----BEGIN CERTIFICATE-----", 0600);
    EXPECT_TRUE(place.says(place.found(more), "core.key", Verdict::fail));
}

TEST(Check, FindsEachFaultOfTheSettings) {
    Place place;
    const auto fails = [&place](std::string_view what, const std::string& more) {
        const auto all = place.found(more);
        const Finding* found = Place::find(all, what, Verdict::fail);
        return found != nullptr && !found->mend.empty();
    };
    EXPECT_TRUE(fails("workers", "workers = 0\n"));
    EXPECT_TRUE(fails("release.profile", "release.profile = \"compatible\"\n"));
    EXPECT_TRUE(fails("lists.ignored_names", "lists.ignored_names = \"/nowhere\"\n"));
    EXPECT_TRUE(fails("lists.ignored_clients", "lists.ignored_clients = \"/nowhere\"\n"));
    EXPECT_TRUE(fails("lists.public_suffixes", "lists.public_suffixes = \"/nowhere\"\n"));
    EXPECT_TRUE(fails("core.cert", "core.cert = \"/nowhere\"\n"));
    place.toml.replace(place.toml.find("192.0.2.0/24"), 12, "nonsense");
    EXPECT_TRUE(fails("client_networks", ""));
}

TEST(Check, StateThatOthersCanReadFails) {
    Place place;
    std::filesystem::permissions(place.at("state"), std::filesystem::perms(0755));
    const auto all = place.found();
    const Finding* open = Place::find(all, "state.dir", Verdict::fail);
    ASSERT_NE(open, nullptr);
    EXPECT_THAT(open->why, HasSubstr("mode 755"));
}

TEST(Check, ASocketsPlaceThatIsTakenFails) {
    Place place;
    place.put("dnstap.sock", "not a socket", 0644);
    EXPECT_TRUE(place.says(place.found(), "input.unix", Verdict::fail));
}

TEST(Check, LooksIntoTheResolversSettings) {
    Place place;
    EXPECT_FALSE(place.says(place.found(), "unbound", Verdict::ok));
    std::filesystem::create_directories(place.at("etc/unbound/unbound.conf.d"));
    place.put("etc/unbound/unbound.conf", "server:\n", 0644);
    const auto without = place.found();
    const Finding* warned = Place::find(without, "unbound", Verdict::warn);
    ASSERT_NE(warned, nullptr);
    EXPECT_THAT(warned->mend, HasSubstr("dnstap-socket-path: \"" + place.at("dnstap.sock")));
    place.put("etc/unbound/unbound.conf.d/tapir.conf",
              "dnstap:\n dnstap-socket-path: \"" + place.at("dnstap.sock") + "\"\n", 0644);
    EXPECT_TRUE(place.says(place.found(), "unbound", Verdict::ok));
}

TEST(Check, TellsNoSecret) {
    Place place;
    const std::string json = private_json();
    const std::string secret = json.substr(json.find("\"d\":\"") + 5, 43);
    for (const unsigned mode : {0600U, 0644U}) {
        std::filesystem::permissions(place.at("key.jwk"),
                                     static_cast<std::filesystem::perms>(mode));
        for (const Finding& finding : place.found()) {
            EXPECT_THAT(finding.why + finding.mend, Not(HasSubstr(secret)));
        }
    }
}

TEST(Check, SaysWhatASiteOfAGroupLacks) {
    Place place;
    const auto has = [&place](std::string_view what, Verdict verdict, const std::string& more) {
        return Place::find(place.found(more), what, verdict) != nullptr;
    };
    const std::string url = "aggregation.url = \"https://127.0.0.1:1\"\n";
    EXPECT_TRUE(has("aggregation.url", Verdict::fail, url)) << "no certificate";
    place.put("site.key", "-----BEGIN PRIVATE KEY-----\n", 0600);
    const std::string whole = url + "aggregation.ca = \"" + place.at("ca.pem") +
                              "\"\naggregation.cert = \"" + place.at("site.pem") +
                              "\"\naggregation.key = \"" + place.at("site.key") +
                              "\"\naggregation.group_key = \"" + place.at("group.key") + "\"\n";
    EXPECT_TRUE(has("aggregation.url", Verdict::fail, whole)) << "no group key";
    place.put("group.key", "short", 0600);
    EXPECT_TRUE(has("aggregation.group_key", Verdict::fail, whole));
    place.put("group.key", std::string(40, '\0'), 0644);
    EXPECT_TRUE(has("aggregation.group_key", Verdict::fail, whole)) << "others can read it";
    place.put("group.key", std::string(40, '\0'), 0600);
    EXPECT_TRUE(has("aggregation.group_key", Verdict::ok, whole));
    EXPECT_TRUE(has("aggregation.url", Verdict::ok, whole));
    EXPECT_TRUE(has("aggregation.key", Verdict::ok, whole));
    EXPECT_TRUE(has("aggregation.cert", Verdict::fail, whole)) << "there is none";
    EXPECT_TRUE(
        has("aggregation.url", Verdict::warn, whole + "release.profile = \"compatible\"\n"));
}

}  // namespace
}  // namespace tapir::edge
