// Every key of the existing minimiser finds its place here, or its reason.
#include "tapir/edge/migrate.hpp"

#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "migrate_source.hpp"
#include "setup.hpp"
#include "tapir/edge/settings.hpp"

namespace tapir::edge {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Migration migrated(const std::string& toml, std::vector<std::string> arguments = {},
                   std::vector<std::pair<std::string, std::string>> environment = {}) {
    return migrate({.toml = toml,
                    .file = "old.toml",
                    .environment = std::move(environment),
                    .arguments = std::move(arguments)});
}

// Reads what came out by our own table.
text::Settings read_back(const Migration& migration) {
    auto settings = text::Settings::parse(migration.settings, "new.toml", settings_table());
    EXPECT_TRUE(settings.has_value()) << settings.error().what() << '\n' << migration.settings;
    return std::move(settings).value();
}

struct KeyCase {
    const char* toml;    // the key under test first
    const char* expect;  // in the new file
    const char* remark;  // in a remark; empty: no matter
};

// One at least for each key.
const KeyCase key_cases[] = {
    {"config-file = \"x\"", "Superseded: the file is named with --config alone.", ""},
    {"disable-session-files = true", "sessions.enabled = false\n", ""},
    {"disable-session-files = false", "kept for ever", "session files are on there by default"},
    {"disable-histogram-sender = true", "\ncore.url = \"\"\n", ""},
    {"disable-mqtt = true", "\nmqtt.url = \"\"\n", "there no events leave at all"},
    {"disable-mqtt-filequeue = true", "Superseded: events wait in the outbox", ""},
    {"enable-manual-parquet-rotation = true", "Superseded: a file ends at its minute",
     "never by request"},
    {"pebble-sync = true", "Superseded: what was accepted is always on the disk", ""},
    {"input-unix = \"/run/x.sock\"", "\ninput.unix = \"/run/x.sock\"\n", ""},
    {"input-tcp = \"192.0.2.1:6000\"", "\ninput.tcp = \"192.0.2.1:6000\"\n", "plain text"},
    {"input-tcp = \":6000\"", "\ninput.tcp = \"[::]:6000\"\n", "every address"},
    {"input-tcp = \"resolver:6000\"", "# input.tcp = \"resolver:6000\"", "no host name"},
    {"input-tls = \"[2001:db8::1]:6000\"", "input.tls = \"[2001:db8::1]:6000\"\n", ""},
    {"input-tls-cert-file = \"c\"", "input.tls_cert = \"c\"\n", ""},
    {"input-tls-key-file = \"k\"", "input.tls_key = \"k\"\n", ""},
    {"input-tls-client-ca-file = \"a\"", "input.tls_client_ca = \"a\"\n", ""},
    {"cryptopan-key = \"key1\"", "# cryptopan-key = (not shown)", "is not copied"},
    {"cryptopan-key-salt = \"edm-kdf-salt-val\"", "public default", "public default"},
    {"cryptopan-key-salt = \"mine\"", "sessions.cryptopan_salt = \"mine\"\n", ""},
    {"well-known-domains-file = \"/l.dawg\"", "\nlists.well_known = \"/l.dawg\"\n", ""},
    {"well-known-domains-file = \"l.dawg\"", "\nlists.well_known = \"l.dawg\"\n",
     "not an absolute path"},
    {"ignored-client-ips-file = \"/i\"", "\nlists.ignored_clients = \"/i\"\n", ""},
    {"ignored-question-names-file = \"/i\"", "\nlists.ignored_names = \"/i\"\n", ""},
    {"data-dir = \"/var/lib/dnstapir/edm\"", "\nstate.dir = \"/var/lib/tapir/edge\"\n", ""},
    {"minimiser-workers = 4", "\nworkers = 4\n", ""},
    {"minimiser-workers = 0", "# workers = 1\n", "all processors"},
    {"minimiser-workers = 100", "\nworkers = 64\n", "at most 64"},
    {"mqtt-signing-key-file = \"/k.jwk\"", "\nkeys.signing = \"/k.jwk\"\n", ""},
    {"mqtt-client-key-file = \"/k\"", "\nmqtt.key = \"/k\"\n", ""},
    {"mqtt-client-cert-file = \"/c\"", "\nmqtt.cert = \"/c\"\n", ""},
    {"mqtt-server = \"broker.example:8883\"", "\nmqtt.url = \"mqtts://broker.example:8883\"\n",
     "KID-tapir here"},
    {"mqtt-server = \"tcp://127.0.0.1:1883\"", "\nmqtt.url = \"mqtt://127.0.0.1:1883\"\n",
     "plain text"},
    {"mqtt-server = \"tcps://b:1\"", "\nmqtt.url = \"mqtts://b:1\"\n", ""},
    {"mqtt-server = \"wss://b:1\"", "# mqtt.url = \"mqtts://b:1\"", "spoken here"},
    {"mqtt-ca-file = \"/ca\"", "\nmqtt.ca = \"/ca\"\n", ""},
    {"mqtt-keepalive = 10", "Superseded: the connection is kept alive", ""},
    {"mqtt-sign-workers = 2", "Superseded: names that leave are few", ""},
    {"qname-seen-entries = 5", "Superseded: names that wait have fixed memory", ""},
    {"cryptopan-address-entries = 0", "Superseded: no table of clients", ""},
    {"newqname-buffer = 0", "Superseded: nothing waits in a buffer", ""},
    {"histogram-hll-explicit-threshold = 30", "\nhistogram.hll_explicit_threshold = 30\n", ""},
    {"http-ca-file = \"/ca\"", "\ncore.ca = \"/ca\"\n", ""},
    {"http-signing-key-file = \"/k.jwk\"\ndisable-mqtt = true", "\nkeys.signing = \"/k.jwk\"\n",
     ""},
    {"http-signing-key-file = \"/other\"", "# keys.signing = \"/other\"", "another key than"},
    {"http-client-key-file = \"/k\"", "\ncore.key = \"/k\"\n", ""},
    {"http-client-cert-file = \"/c\"", "\ncore.cert = \"/c\"\n", ""},
    {"http-url = \"https://a.example/x\"", "\ncore.url = \"https://a.example/x\"\n", ""},
    {"http-url = \"http://a.example\"", "# core.url = \"http://a.example\"", "only https"},
    {"debug = true", "Superseded: the log has one level", "tapir-edge top"},
    {"debug-dnstap-filename = \"/d\"", "Superseded: frames with client addresses", "fstrm_capture"},
    {"debug-enable-blockprofiling = true", "Superseded:", ""},
    {"debug-enable-mutexprofiling = true", "Superseded:", ""},
};

std::string key_of(std::string_view toml) {
    return std::string(toml.substr(0, toml.find(' ')));
}

TEST(Migrate, KnowsEveryKeyAndSaysWhatBecomesOfIt) {
    std::set<std::string> tested;
    for (const KeyCase& one : key_cases) {
        SCOPED_TRACE(one.toml);
        tested.insert(key_of(one.toml));
        const Migration migration = migrated(one.toml);
        EXPECT_THAT(migration.faults, IsEmpty());
        EXPECT_THAT(migration.settings, HasSubstr(one.expect));
        EXPECT_THAT(migration.remarks, Contains(Field(&Remark::what, HasSubstr(one.remark))));
        EXPECT_THAT(migration.settings, HasSubstr("(old.toml:1)"));
        read_back(migration);
    }
    for (const text::Setting& setting : old_settings_table()) {
        EXPECT_TRUE(tested.contains(setting.key)) << setting.key;
    }
}

TEST(Migrate, GivesWhatTheOldOneWouldRunWith) {
    const Migration migration = migrated(
        "cryptopan-key = \"key1\"\n"
        "input-unix = \"/run/dnstap.sock\"\n"
        "disable-session-files = true\n"
        "mqtt-signing-key-file = \"/k.jwk\"\n"
        "http-signing-key-file = \"/k.jwk\"\n"
        "mqtt-server = \"broker.example:8883\"\n"
        "http-url = \"https://aggrec.example\"\n");
    ASSERT_THAT(migration.faults, IsEmpty());
    const text::Settings settings = read_back(migration);
    EXPECT_EQ(settings.strings("input.unix"), std::vector<std::string>{"/run/dnstap.sock"});
    EXPECT_EQ(settings.string("keys.signing"), "/k.jwk");
    EXPECT_EQ(settings.string("mqtt.url"), "mqtts://broker.example:8883");
    EXPECT_EQ(settings.string("core.url"), "https://aggrec.example");
    EXPECT_EQ(settings.string("core.cert"), "edm-http-client.pem");  // its default acts there too
    EXPECT_EQ(settings.string("lists.well_known"), "well-known-domains.dawg");
    EXPECT_EQ(settings.string("release.profile"), "standard");
    EXPECT_EQ(migration.files.signing_key, "/k.jwk");
    EXPECT_EQ(migration.files.other_signing_key, "");
    EXPECT_THAT(migration.remarks,
                Contains(Field(&Remark::what, HasSubstr("client_networks: the networks"))));
}

TEST(Migrate, OneInputThereIsNoSecondOneHere) {
    const text::Settings settings = read_back(migrated("input-tcp = \"127.0.0.1:6000\"\n"));
    EXPECT_THAT(settings.strings("input.unix"), IsEmpty());
    EXPECT_EQ(settings.strings("input.tcp"), std::vector<std::string>{"127.0.0.1:6000"});
}

TEST(Migrate, CommandLineBeforeEnvironmentBeforeFile) {
    const std::string toml = "minimiser-workers = 2\ndata-dir = \"/a\"\nhttp-url = \"https://a\"\n";
    const Migration migration =
        migrated(toml, {"run", "--minimiser-workers=8", "-disable-mqtt", "--input-unix", "/s"},
                 {{"DNSTAPIR_EDM_MINIMISER_WORKERS", "4"}, {"DNSTAPIR_EDM_DATA_DIR", "/b"}});
    ASSERT_THAT(migration.faults, IsEmpty());
    const text::Settings settings = read_back(migration);
    EXPECT_EQ(settings.integer("workers"), 8);
    EXPECT_EQ(settings.strings("input.unix"), std::vector<std::string>{"/s"});
    EXPECT_EQ(settings.string("mqtt.url"), "");
    EXPECT_EQ(migration.files.data_dir, "/b");
    EXPECT_THAT(migration.settings, HasSubstr("(--minimiser-workers)"));
    EXPECT_THAT(migration.settings, HasSubstr("(environment DNSTAPIR_EDM_DATA_DIR)"));
    EXPECT_THAT(migration.settings, HasSubstr("(old.toml:3)"));
}

TEST(Migrate, AnEmptyVariableCountsAsSet) {
    const Migration migration =
        migrated("input-unix = \"/s\"\n", {}, {{"DNSTAPIR_EDM_INPUT_UNIX", ""}});
    ASSERT_THAT(migration.faults, IsEmpty());
    EXPECT_THAT(migration.settings, Not(HasSubstr("\"/s\"")));
}

TEST(Migrate, RefusesWhatItDoesNotKnowAndSaysWhere) {
    EXPECT_THAT(migrated("debug = true\ninput-unx = \"/s\"\n").faults,
                ElementsAre(HasSubstr("old.toml:2: input-unx: expected a known setting (perhaps "
                                      "input-unix)")));
    EXPECT_THAT(migrated("[table]\nx = 1\n").faults, ElementsAre(HasSubstr("old.toml:1: table")));
    EXPECT_THAT(migrated("debug = 1\n").faults, ElementsAre(HasSubstr("old.toml:1: debug")));
    EXPECT_THAT(migrated("mqtt-keepalive = 70000\n").faults,
                ElementsAre(HasSubstr("expected 0 to 65535 seconds")));
    EXPECT_THAT(migrated("", {"--colour"}).faults, ElementsAre(HasSubstr("--colour: expected")));
    EXPECT_THAT(migrated("", {"--mqtt-sign-workers=3"}).faults,
                ElementsAre(HasSubstr("--mqtt-sign-workers: expected a flag")));
    EXPECT_THAT(migrated("", {"--http-url"}).faults, ElementsAre(HasSubstr("a value after it")));
    EXPECT_THAT(migrated("", {"stray"}).faults, ElementsAre(HasSubstr("stray: expected a flag")));
    EXPECT_THAT(migrated("", {"--debug=maybe"}).faults,
                ElementsAre(HasSubstr("--debug: debug: expected true or false, got 'maybe'")));
    EXPECT_THAT(migrated("", {}, {{"DNSTAPIR_EDM_NONE", "1"}}).faults,
                ElementsAre(HasSubstr("environment DNSTAPIR_EDM_NONE: expected a variable")));
    EXPECT_THAT(migrated("", {}, {{"DNSTAPIR_EDM_MINIMISER_WORKERS", "x"}}).faults,
                ElementsAre(HasSubstr("environment DNSTAPIR_EDM_MINIMISER_WORKERS: ")));
    EXPECT_EQ(migrated("debug = 1\n").settings, "");
}

TEST(Migrate, TellsNoSecret) {
    const std::string secret = "s3cr3t-key";
    for (const Migration& migration :
         {migrated("cryptopan-key = \"" + secret + "\"\n"),
          migrated("cryptopan-key = [\"" + secret + "\"]\n"),
          migrated("cryptopan-key = 73537353\n"), migrated("", {"--cryptopan-key=" + secret})}) {
        std::string all = migration.settings;
        for (const Remark& remark : migration.remarks) {
            all += remark.what;
        }
        for (const std::string& fault : migration.faults) {
            all += fault;
        }
        EXPECT_THAT(all, Not(HasSubstr(secret)));
        EXPECT_THAT(all, Not(HasSubstr("73537353")));
    }
}

TEST(Migrate, ValuesReadBackWhateverIsInThem) {
    const Migration migration =
        migrated("", {"--input-unix", "/a\"b\\c\n# x = 1\n[y]", "--http-url=https://a\"\n"});
    ASSERT_THAT(migration.faults, IsEmpty());
    EXPECT_EQ(read_back(migration).strings("input.unix"),
              std::vector<std::string>{"/a\"b\\c\n# x = 1\n[y]"});
}

struct OldPlace {
    world::MemoryFiles files;
    void put(const std::string& path, std::string_view text) {
        ASSERT_TRUE(files.make_directories(path.substr(0, path.rfind('/'))).has_value());
        ASSERT_TRUE(files.write_atomically(path, as_bytes(text), world::mode_private).has_value());
    }
};

TEST(MigrateFiles, KeysAndListsAreLookedAt) {
    OldPlace old;
    const auto key = public_test_signing_key();
    const crypto::Secret json = key.to_json();
    old.put("/e/key.jwk", as_text(json.bytes()));
    old.put("/e/public.jwk", key.public_jwk().to_json());
    old.put("/e/open.jwk", as_text(json.bytes()));
    old.files.set_mode("/e/open.jwk", 0644);
    old.put("/e/names.txt", "example.com.\n");
    old.put("/e/empty", "");
    old.put("/e/clients", "192.0.2.0/24\nnonsense\n");
    const auto said = look_at_files({.signing_key = "/e/key.jwk",
                                     .other_signing_key = "/e/public.jwk",
                                     .well_known = "/e/names.txt",
                                     .ignored_clients = "/e/clients",
                                     .ignored_names = "/e/empty",
                                     .data_dir = "/none"},
                                    old.files, false);
    ASSERT_EQ(said.size(), 5U);
    EXPECT_THAT(said[0].what, HasSubstr("can be used as keys.signing: offline.invalid"));
    EXPECT_EQ(said[1].kind, RemarkKind::decision);
    EXPECT_THAT(said[1].what, HasSubstr("cannot be used as keys.signing"));
    EXPECT_THAT(said[2].what, HasSubstr("1 entries"));
    EXPECT_THAT(said[3].what, HasSubstr("nothing is ignored"));
    EXPECT_THAT(said[4].what, HasSubstr("/e/clients:2"));
    const auto open = look_at_files({.signing_key = "/e/open.jwk"}, old.files, false);
    ASSERT_EQ(open.size(), 1U);
    EXPECT_EQ(open[0].kind, RemarkKind::decision);
}

TEST(MigrateFiles, TellsWhatIsLeftBehind) {
    OldPlace old;
    const std::string dir = "/var/lib/dnstapir/edm";
    old.put(dir + "/parquet/histograms/outbox/dns_histogram-a_b.parquet", "12345");
    old.put(dir + "/parquet/histograms/outbox/other", "1");
    old.put(dir + "/parquet/sessions/dns_session_block-a_b.parquet", "1");
    old.put(dir + "/mqtt/queue/queue1.msg", "12");
    old.put(dir + "/mqtt/queue/queue2.msg", "12");
    old.put(dir + "/pebble/000001.sst", "1");
    const auto said = look_at_files({.data_dir = dir}, old.files, true);
    ASSERT_EQ(said.size(), 4U);
    EXPECT_THAT(said[0].what, HasSubstr("1 histograms not sent yet (5 octets)"));
    EXPECT_THAT(said[0].what, HasSubstr("under profile compatible only"));
    EXPECT_THAT(said[1].what, HasSubstr("2 events not sent yet (4 octets)"));
    EXPECT_THAT(said[2].what, HasSubstr("1 session files"));
    EXPECT_THAT(said[3].what, HasSubstr("files of names seen"));
    EXPECT_THAT(look_at_files({.data_dir = dir}, old.files, false), IsEmpty());
    EXPECT_THAT(look_at_files({.data_dir = "/none"}, old.files, true),
                ElementsAre(Field(&Remark::what, HasSubstr("nothing is left behind"))));
}

}  // namespace
}  // namespace tapir::edge
