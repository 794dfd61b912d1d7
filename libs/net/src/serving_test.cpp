#include "tapir/net/serving.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tapir/net/http_client.hpp"

namespace tapir::net {
namespace {

using ::testing::HasSubstr;

text::Settings settings_of(const std::string& listen) {
    const text::SettingTable table{text::Setting::string("metrics.listen", "", "Where.")};
    const std::vector<std::string> sets{"metrics.listen=" + listen};
    return text::Settings::parse("", "daemon.toml", table, sets).take();
}

TEST(Serving, TakesAnAddressAndAPortAlone) {
    EXPECT_EQ(endpoint_of(settings_of("127.0.0.1:2112"), "metrics.listen")->port(), 2112);
    for (const char* wrong :
         {"unix:/run/metrics.sock", "localhost", "127.0.0.1", "127.0.0.1:99999"}) {
        const auto refused = endpoint_of(settings_of(wrong), "metrics.listen");
        ASSERT_FALSE(refused) << wrong;
        EXPECT_THAT(refused.error().what(), HasSubstr("metrics.listen"));
        EXPECT_THAT(refused.error().what(), HasSubstr("ADDRESS:PORT"));
    }
}

TEST(Serving, ShowsTheCountersOrNothing) {
    Counters counters;
    counters.counter("tapir_tried_total", "Tries.").add(3);
    const Log log = Log::to_nowhere();
    EXPECT_EQ(serve_metrics(settings_of(""), log, counters).value(), nullptr);

    const auto server = serve_metrics(settings_of("127.0.0.1:0"), log, counters).take();
    ASSERT_NE(server, nullptr);
    const auto client = open_http_client({}).take();
    HttpCall call;
    call.method = "GET";
    call.url = "http://127.0.0.1:" + std::to_string(server->port()) + "/metrics";
    const auto answer = client->send(call, nullptr).take();
    EXPECT_EQ(answer.status, 200);
    EXPECT_THAT(std::string(as_text(answer.body)), HasSubstr("tapir_tried_total 3"));

    const auto taken =
        serve_metrics(settings_of("127.0.0.1:" + std::to_string(server->port())), log, counters);
    ASSERT_FALSE(taken);
    EXPECT_THAT(taken.error().what(), HasSubstr("a free address and port"));
}

}  // namespace
}  // namespace tapir::net
