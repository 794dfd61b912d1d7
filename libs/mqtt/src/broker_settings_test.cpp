#include "tapir/mqtt/broker_settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tapir::mqtt {
namespace {

using testing::StartsWith;

Result<Broker> read(const std::string& toml) {
    world::MemoryFiles files;
    for (const char* name : {"ca.pem", "cert.pem", "key.pem"}) {
        TAPIR_ASSERT(files.write_atomically(name, as_bytes(std::string_view("PEM"))).has_value());
    }
    const auto settings = text::Settings::parse(toml, "core.toml", broker_settings());
    TAPIR_ASSERT(settings.has_value());
    return read_broker(*settings, files);
}

TEST(BrokerSettings, AreThoseOfTheBroker) {
    const auto broker = read(
        "mqtt = { url = \"mqtts://b:8883\", ca = \"ca.pem\", cert = \"cert.pem\", key = "
        "\"key.pem\" }\n");
    ASSERT_TRUE(broker);
    EXPECT_EQ(broker->url, "mqtts://b:8883");
    EXPECT_EQ(broker->ca_file, "ca.pem");
    EXPECT_EQ(broker->certificate_file, "cert.pem");
    EXPECT_EQ(broker->key_file, "key.pem");
}

TEST(BrokerSettings, WithoutABrokerNothingIsReadAndNothingIsWrong) {
    EXPECT_TRUE(read("")->url.empty());
    EXPECT_TRUE(read("mqtt.ca = \"nowhere.pem\"\n"));
}

TEST(BrokerSettings, SayWhichFileCannotBeRead) {
    const std::string url = "mqtt.url = \"mqtts://b\"\n";
    for (const char* key : {"mqtt.ca", "mqtt.cert", "mqtt.key"}) {
        const auto refused = read(url + key + " = \"nowhere.pem\"\n");
        ASSERT_FALSE(refused);
        EXPECT_THAT(refused.error().what(),
                    StartsWith(std::string("core.toml:2: ") + key + ": expected a readable file"));
    }
    EXPECT_THAT(read(url + "mqtt.cert = \"cert.pem\"\n").error().what(),
                StartsWith("core.toml: mqtt.key: expected both"));
    EXPECT_THAT(read(url + "mqtt.key = \"key.pem\"\n").error().what(),
                StartsWith("core.toml: mqtt.cert: expected both"));
}

TEST(BrokerSettings, RefuseAKeyThatOthersCanRead) {
    world::MemoryFiles files;
    ASSERT_TRUE(files.write_atomically("cert.pem", as_bytes(std::string_view("PEM"))));
    ASSERT_TRUE(files.write_atomically("key.pem", as_bytes(std::string_view("PEM")), 0644));
    const auto settings = text::Settings::parse(
        "mqtt = { url = \"mqtts://b\", cert = \"cert.pem\", key = \"key.pem\" }\n", "core.toml",
        broker_settings());
    ASSERT_TRUE(settings);
    const auto refused = read_broker(*settings, files);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().what(), StartsWith("core.toml:1: mqtt.key: expected"));
    EXPECT_THAT(refused.error().what(), testing::HasSubstr("mode 0644"));
    files.set_mode("key.pem", 0600);
    EXPECT_TRUE(read_broker(*settings, files));
}

class ClientNames : public testing::Test {
protected:
    Result<ClientName> read(const std::string& toml, int seed = 1) {
        text::SettingTable table = broker_settings();
        table.push_back(text::Setting::string("mqtt.client_id", "", "Our name."));
        world::SeededChance chance(static_cast<std::uint64_t>(seed));
        const auto settings = text::Settings::parse(toml, "core.toml", table);
        TAPIR_ASSERT(settings.has_value());
        return read_client_name(*settings, files, chance, "state", "tapir-core");
    }
    world::MemoryFiles files;
};

TEST_F(ClientNames, AreGivenOrMadeByChanceAndKept) {
    ASSERT_TRUE(files.make_directories("state"));
    const auto given = read("mqtt.client_id = \"core.example\"\n");
    EXPECT_EQ(given->id, "core.example");
    EXPECT_EQ(given->label, "core.example");
    EXPECT_FALSE(files.exists("state/mqtt-client-id"));
    const auto made = read("");
    EXPECT_THAT(made->id, testing::MatchesRegex("tapir-[0-9a-f]{32}"));
    EXPECT_EQ(made->label, "tapir-core");
    EXPECT_EQ(*files.mode("state/mqtt-client-id"), 0600U);
    EXPECT_EQ(read("", 2)->id, made->id) << "the mailbox is found again";
    ASSERT_TRUE(files.remove("state/mqtt-client-id"));
    EXPECT_NE(read("", 2)->id, made->id);
}

TEST_F(ClientNames, ThatCannotBeKeptAreRefused) {
    ASSERT_TRUE(files.make_directories("state"));
    for (const char* bad : {"", "\n", "a b\n", "a\nb\n"}) {
        ASSERT_TRUE(
            files.write_atomically("state/mqtt-client-id", as_bytes(std::string_view(bad))));
        const auto refused = read("");
        ASSERT_FALSE(refused) << bad;
        EXPECT_THAT(refused.error().what(), StartsWith("core.toml: mqtt.client_id: expected"));
    }
    ASSERT_TRUE(files.write_atomically("state/mqtt-client-id", as_bytes(std::string_view("a"))));
    EXPECT_TRUE(read(""));
    files.set_mode("state/mqtt-client-id", 0644);
    EXPECT_FALSE(read("")) << "others can read it";
    ASSERT_TRUE(files.remove("state/mqtt-client-id"));
    files.fail_changes(Error(Code::exhausted, "No space left on device"));
    EXPECT_FALSE(read(""));
}

TEST(BrokerSettings, SayWhereTheBrokerIsThatCannotBe) {
    const auto settings =
        text::Settings::parse("\nmqtt.url = \"ftp://b\"\n", "core.toml", broker_settings());
    EXPECT_THAT(refuse_broker(*settings, Error(Code::invalid, "no such scheme")).error.what(),
                StartsWith("core.toml:2: mqtt.url: expected a broker"));
}

}  // namespace
}  // namespace tapir::mqtt
