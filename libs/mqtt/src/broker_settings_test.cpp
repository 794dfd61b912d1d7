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

TEST(BrokerSettings, SayWhereTheBrokerIsThatCannotBe) {
    const auto settings =
        text::Settings::parse("\nmqtt.url = \"ftp://b\"\n", "core.toml", broker_settings());
    EXPECT_THAT(refuse_broker(*settings, Error(Code::invalid, "no such scheme")).error.what(),
                StartsWith("core.toml:2: mqtt.url: expected a broker"));
}

}  // namespace
}  // namespace tapir::mqtt
