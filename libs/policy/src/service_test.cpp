#include "tapir/policy/service.hpp"

#include <map>
#include <thread>

#include <gtest/gtest.h>

#include "feed_reader.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/mqtt/memory_broker.hpp"
#include "tapir/policy/engine.hpp"
#include "tapir/products/observation.hpp"
#include "tapir/text/json.hpp"

namespace tapir::policy {
namespace {

using namespace std::chrono_literals;

Bytes soa_query() {
    Bytes out;
    append_u16(out, 7);
    append_u16(out, 0);
    append_u16(out, 1);
    append_u32(out, 0);
    append_u16(out, 0);
    append(out, std::string_view("\x08"
                                 "dnstapir\0\0\x06\0\x01",
                                 14));
    return out;
}

// Waits for a condition of another thread, with a deadline.
template <class F>
bool soon(F&& condition) {
    for (const auto end = std::chrono::steady_clock::now() + 20s;
         std::chrono::steady_clock::now() < end;) {
        if (condition()) {
            return true;
        }
        std::this_thread::yield();
    }
    return false;
}

// A resolver that is told of changes: acknowledges, or is silent.
class Resolver final : public net::DnsClient {
public:
    std::atomic<bool> silent{false};
    std::atomic<unsigned> told{0};

    Result<Bytes> query_udp(const net::Endpoint&, ByteView message, const net::UdpTry&) override {
        ++told;
        if (silent) {
            return fail(Code::unavailable, "no answer");
        }
        Bytes reply = to_bytes(message);
        reply[2] |= std::byte{0x80};
        return reply;
    }
    Result<std::unique_ptr<net::DnsConnection>> connect_tcp(const net::Endpoint&,
                                                            std::chrono::milliseconds) override {
        return fail(Code::unavailable, "no TCP");
    }
};

// A core that cannot be reached.
class NoCore final : public net::HttpClient {
public:
    std::atomic<int> asked{0};

    Result<net::HttpResponse> send(const net::HttpCall&, const net::Cancel*) override {
        ++asked;
        return fail(Code::unavailable, "connection refused");
    }
    Result<void> subscribe(const net::HttpCall&, const net::Cancel&,
                           const std::function<void(const net::SseEvent&)>&, const StreamLimits&,
                           const std::function<void()>&) override {
        return fail(Code::unavailable, "connection refused");
    }
};

struct ServiceTest : testing::Test {
    std::unique_ptr<store::Store> store = store::open_memory(store_families());
    world::MemoryFiles files;
    world::SystemClock clock;
    world::SeededChance chance{1};
    Resolver resolver;
    NoCore no_core;
    std::string log_text;
    Log log = Log::to_nowhere();
    Counters counters;
    std::atomic<std::uint64_t> stamp{1};
    mqtt::MemoryBroker broker;
    mqtt::SubscriberSettings followed;  // as it was asked for
    std::unique_ptr<Service> service;

    void write(const std::string& path, std::string_view text) {
        ASSERT_TRUE(files.write_atomically(path, as_bytes(text)).has_value());
    }
    Result<void> start(const std::string& toml) {
        const auto settings = text::Settings::parse(toml, "policy.toml", setting_table());
        EXPECT_TRUE(settings.has_value()) << settings.error().what();
        Config config = TRY(read_config(*settings, files));
        followed = config.follow;
        service = TRY(Service::open(
            std::move(config), {.store = *store,
                                .files = files,
                                .clock = clock,
                                .chance = chance,
                                .dns_client = resolver,
                                .http_client = &no_core,
                                .open_subscriber =
                                    [this](mqtt::Handlers handlers) {
                                        return Result<std::unique_ptr<mqtt::Subscriber>>(
                                            broker.subscriber(followed, std::move(handlers)));
                                    },
                                .file_stamp = [this](const std::string&) { return stamp.load(); },
                                .log = log,
                                .counters = counters}));
        return service->start();
    }
    std::optional<Bytes> ask(std::string_view from) {
        const Bytes query = soa_query();
        return service
            ->dns_handler()({.message = query,
                             .peer = *net::PeerAddress::parse(from),
                             .transport = net::DnsTransport::udp})
            .next();
    }
    std::int64_t serial() { return counters.value("tapir_policy_serial"); }
};

constexpr const char* lists = "lists.deny = [\"deny.txt\"]\nlists.check = \"100ms\"\n";

// Fact 8: the existing processor served nothing before it had reached its broker once.
TEST_F(ServiceTest, FaultServesWhileTheCoreCannotBeReached) {
    write("deny.txt", "bad.example\n");
    write("keys.jwks", R"({"keys":[]})");
    ASSERT_TRUE(start(std::string(lists) +
                      "core.url = \"http://127.0.0.1:1\"\ncore.trusted_keys = \"keys.jwks\"\n")
                    .has_value());
    ASSERT_TRUE(ask("127.0.0.1").has_value());
    EXPECT_EQ(counters.value("tapir_policy_zone_rules"), 1);
    EXPECT_TRUE(soon([&] { return counters.value("tapir_policy_feed_interruptions_total") >= 1; }));
    EXPECT_EQ(counters.value("tapir_policy_queries_total{outcome=\"soa\"}"), 1);
}

constexpr const char* over_mqtt =
    "feed.transport = \"mqtt\"\ncore.trusted_keys = \"keys.jwks\"\npolicy.mode = \"enforce\"\n"
    "policy.rules = { globally_new = \"nxdomain\" }\nrpz.notify = [\"127.0.0.1:5301\"]\n"
    "mqtt = { url = \"mqtts://broker\", client_id = \"policy.example\" }\n";

TEST_F(ServiceTest, ObservationsByMqttReachTheZoneAndTheResolver) {
    const Bytes seed(crypto::ed25519_size, std::byte{9});
    const jose::PrivateJwk key(*crypto::SigningKey::from_seed(crypto::Secret::copy_of(seed)),
                               "core.example");
    write("keys.jwks", key.public_jwk().to_json());
    ASSERT_TRUE(start(over_mqtt).has_value());
    EXPECT_TRUE(soon([&] { return resolver.told >= 1; }));
    const unsigned told = resolver.told;
    const auto before = serial();
    auto observation = products::Observation::of_core("tapir-core", clock.now());
    observation.added.push_back({.name = "bad.example",
                                 .time_added = clock.now(),
                                 .ttl_s = 1,
                                 .tag_mask = products::flag::globally_new,
                                 .extended_tags = {},
                                 .reasons = {},
                                 .confidence = {}});
    const std::string json = observation.to_json();
    const mqtt::Message message{.topic = "observations/down/tapir-pop",
                                .payload = to_bytes(*jose::sign_jws(key, as_bytes(json)))};
    EXPECT_EQ(broker.publisher("core")->publish({&message, 1}).at(0), mqtt::Published::accepted);
    EXPECT_EQ(broker.deliver(), 1U);
    EXPECT_EQ(serial(), before + 1);
    EXPECT_TRUE(soon([&] { return resolver.told > told; }));
    // The worker has been told of the new time to wake up at: it ends by itself.
    EXPECT_TRUE(soon([&] { return serial() == before + 2; }));
    service->stop();
    EXPECT_EQ(broker.publisher("core")->publish({&message, 1}).at(0), mqtt::Published::accepted);
    EXPECT_EQ(broker.deliver(), 0U) << "it waits for the next run";
    EXPECT_EQ(broker.waiting(), 1U);
}

TEST_F(ServiceTest, OverMqttACoreIsAskedForSnapshotsOnly) {
    write("keys.jwks", R"({"keys":[]})");
    ASSERT_TRUE(start(std::string(over_mqtt) + "core.url = \"http://127.0.0.1:1\"\n").has_value());
    EXPECT_EQ(counters.value("tapir_policy_feed_gap"), 1);
    EXPECT_TRUE(ask("127.0.0.1").has_value());
    // Who followed the stream too would have been interrupted by then: the third comes after a
    // pause.
    EXPECT_TRUE(soon([&] { return no_core.asked >= 3; }));
    EXPECT_EQ(counters.value("tapir_policy_feed_interruptions_total"), 0);
}

TEST_F(ServiceTest, ABrokerNeedsAUrlATopicAndTrustedKeys) {
    write("keys.jwks", R"({"keys":[]})");
    for (const auto& [toml, expected] : std::map<std::string, std::string>{
             {"", "policy.toml: mqtt.url: expected a value"},
             {"mqtt = { url = \"mqtts://b\", topic = \"\" }\n",
              "policy.toml:2: mqtt.topic: expected a value"},
             {"mqtt = { url = \"mqtts://b\", ca = \"nowhere\" }\n",
              "policy.toml:2: mqtt.ca: expected a readable file"},
             {"mqtt = { url = \"mqtts://b\" }\n", "policy.toml: core.trusted_keys: expected"}}) {
        const auto settings = text::Settings::parse("feed.transport = \"mqtt\"\n" + toml,
                                                    "policy.toml", setting_table());
        ASSERT_TRUE(settings.has_value());
        const auto config = read_config(*settings, files);
        ASSERT_FALSE(config.has_value()) << toml;
        EXPECT_TRUE(config.error().what().starts_with(expected)) << config.error().what();
    }
}

// Fact 6: changes of a source after the start never reached the zone.
TEST_F(ServiceTest, FaultAChangedListReachesTheZoneAndTheResolver) {
    write("deny.txt", "bad.example\n");
    ASSERT_TRUE(start(std::string(lists) + "rpz.notify = [\"127.0.0.1:5301\"]\n").has_value());
    EXPECT_TRUE(soon([&] { return resolver.told >= 1; }));  // what it missed before the start
    const auto before = serial();
    const unsigned told = resolver.told;
    write("deny.txt", "other.example\nmore.example\n");
    ++stamp;
    EXPECT_TRUE(soon([&] { return serial() == before + 1; }));
    EXPECT_TRUE(soon([&] { return resolver.told > told; }));
    EXPECT_EQ(counters.value("tapir_policy_zone_rules"), 2);
}

TEST_F(ServiceTest, ASilentResolverHoldsNothingUp) {
    resolver.silent = true;
    write("deny.txt", "bad.example\n");
    ASSERT_TRUE(
        start(std::string(lists) + "rpz.notify = [\"127.0.0.1:5301\", \"127.0.0.1:5302\"]\n")
            .has_value());
    const auto before = serial();
    write("deny.txt", "other.example\n");
    ++stamp;
    EXPECT_TRUE(soon([&] { return serial() == before + 1; }));
    EXPECT_TRUE(soon([&] {
        return counters.value(
                   "tapir_policy_notifies_total{target=\"127.0.0.1:5301\",result="
                   "\"unanswered\"}") >= 1;
    }));
}

TEST_F(ServiceTest, AReloadThatFailsKeepsTheOldLists) {
    write("deny.txt", "bad.example\n");
    ASSERT_TRUE(start(lists).has_value());
    write("deny.txt", "fine.example\na..b\n");
    service->reload();
    EXPECT_TRUE(
        soon([&] { return counters.value("tapir_policy_reloads_total{result=\"failed\"}") == 1; }));
    EXPECT_EQ(counters.value("tapir_policy_zone_rules"), 1);
}

// Fact 10: no access control.
TEST_F(ServiceTest, FaultOnlyWhoMayAskPlainGetsAnAnswerWithoutTsig) {
    ASSERT_TRUE(start("rpz.allow_plain = [\"192.0.2.1\"]\n").has_value());
    EXPECT_EQ((*ask("192.0.2.1"))[3], std::byte{0});
    EXPECT_EQ((*ask("127.0.0.1"))[3], std::byte{5});
    EXPECT_EQ((*ask("2001:db8::1"))[3], std::byte{5});
}

TEST_F(ServiceTest, ExplainsOverHttp) {
    write("deny.txt", ".bad.example\n");
    ASSERT_TRUE(start(lists).has_value());
    net::HttpRoutes routes;
    service->add_routes(routes);
    const auto client = net::open_memory_http_client(routes, "");
    net::HttpCall call;
    call.url = "http://policy/explain?name=www.bad.example";
    const auto answer = client->send(call);
    ASSERT_TRUE(answer.has_value());
    const auto json = text::Json::parse(as_text(answer->body));
    ASSERT_TRUE(json.has_value());
    EXPECT_EQ(json->string("action"), "nxdomain");
    EXPECT_EQ(json->string("rule"), "deny");
    EXPECT_EQ(json->string("via"), "*.bad.example");
    EXPECT_EQ(json->array_of("sources")->size(), 1U);
    call.url = "http://policy/explain";
    EXPECT_EQ(client->send(call)->status, 400);
    call.url = "http://policy/metrics";
    EXPECT_NE(as_text(client->send(call)->body).find("tapir_policy_serial"),
              std::string_view::npos);
}

TEST_F(ServiceTest, AStartThatCannotBeSaysWhereAndWhy) {
    write("deny.txt", "fine.example\na..b\n");
    const auto bad_line = start(lists);
    ASSERT_FALSE(bad_line.has_value());
    EXPECT_TRUE(bad_line.error().what().starts_with("deny.txt:2: expected"))
        << bad_line.error().what();
    for (const auto& [toml, expected] : std::map<std::string, std::string>{
             {"lists.allow = [\"nowhere\"]", "policy.toml:1: lists.allow: expected"},
             {"policy.rules = { looptest = \"drop\" }", "policy.toml:1: policy.rules: expected"},
             {"policy.rules = { globally_new = \"redirect\" }",
              "policy.toml:1: policy.rules: expected"},
             {"rpz.allow_plain = [\"here\"]", "policy.toml:1: rpz.allow_plain: expected"},
             {"rpz.notify = [\"127.0.0.1\"]", "policy.toml:1: rpz.notify: expected"},
             {"tsig.name = \"k\"", "policy.toml: tsig.secret_file: expected"},
             {"core.url = \"ftp://x\"", "policy.toml: core.trusted_keys: expected"}}) {
        const auto settings = text::Settings::parse(toml, "policy.toml", setting_table());
        ASSERT_TRUE(settings.has_value());
        const auto config = read_config(*settings, files);
        ASSERT_FALSE(config.has_value()) << toml;
        EXPECT_TRUE(config.error().what().starts_with(expected)) << config.error().what();
    }
}

TEST_F(ServiceTest, TheInstalledPolicyIsShadow) {
    const auto settings = text::Settings::parse("", "policy.toml", setting_table());
    ASSERT_TRUE(settings.has_value());
    const auto config = read_config(*settings, files);
    ASSERT_TRUE(config.has_value());
    EXPECT_EQ(config->rules.mode, rpz::Mode::shadow);
    EXPECT_EQ(config->rules.tag_actions, rpz::Rules().tag_actions);
    EXPECT_FALSE(config->rules.subdomains);
}

TEST(FeedSnapshot, IsReadWithMessagesAsObjectsOrText) {
    const auto snapshot = parse_snapshot(
        R"({"last_id":"17","observations":[{"payload":"a","protected":"b","signature":"c"},"x.y.z"]})");
    ASSERT_TRUE(snapshot.has_value());
    EXPECT_EQ(snapshot->last_id, "17");
    EXPECT_EQ(
        snapshot->messages,
        (std::vector<std::string>{R"({"payload":"a","protected":"b","signature":"c"})", "x.y.z"}));
    EXPECT_FALSE(parse_snapshot(R"({"last_id":"x","observations":[]})").has_value());
    EXPECT_FALSE(parse_snapshot(R"({"observations":[]})").has_value());
    EXPECT_FALSE(parse_snapshot("[]").has_value());
}

}  // namespace
}  // namespace tapir::policy
