// What each answer of a core means for a payload, over HTTPS (upload rows of the existing one).
#include <gtest/gtest.h>

#include "outlet.hpp"
#include "setup.hpp"
#include "tapir/net/http_client.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

// A core that gives one answer to everything.
struct Core {
    net::HttpResponse answer = net::HttpResponse::error(201);
    std::size_t calls = 0;
    net::HttpRoutes routes;
    jose::PrivateJwk key = public_test_signing_key();
    std::unique_ptr<net::HttpClient> client;
    std::unique_ptr<Outlet> outlet;

    Core() {
        net::HttpRoute route;
        route.method = "POST";
        route.path = "/api/v1/aggregate/histogram";
        route.body_size_max = 1U << 20U;
        route.handle = [this](const net::HttpRequest&) {
            ++calls;
            return answer;
        };
        routes.add(std::move(route));
        client = net::open_memory_http_client(routes, "edge-1.example");
        auto opened = Outlet::over(*client,
                                   {.url = "https://core.example:8443",
                                    .ca_file = {},
                                    .certificate_file = {},
                                    .key_file = {}},
                                   key);
        EXPECT_TRUE(opened.has_value());
        outlet = std::move(*opened);
    }
    SendOutcome send(int status, std::string_view field = {}, std::string_view value = {}) {
        answer = net::HttpResponse::error(status);
        if (!field.empty()) {
            answer.fields.add(field, value);
        }
        const Day day(0, public_test_day_key());
        privacy::RowCandidate row;
        row.entry = "a.se.";
        row.row.v4client_count = 500;
        row.v4_networks = 3;
        const UtcTime start = UtcTime::from_seconds(1'790'000'040);
        auto histogram =
            privacy::release_histogram({}, {.start = start, .stop = start + 60s}, {row}, *day.gate);
        EXPECT_TRUE(histogram.has_value() && histogram->payload.has_value());
        return outlet->send(*histogram->payload, {.created = start});
    }
};

TEST(HttpsOutlet, TakesCreatedAndConflictForDone) {
    Core core;
    EXPECT_EQ(core.send(201).sent, Sent::accepted);
    EXPECT_EQ(core.send(409).sent, Sent::accepted) << "it was there before, and not heard of";
    EXPECT_EQ(core.send(200).sent, Sent::refused) << "that is no receiver of histograms";
    EXPECT_EQ(core.calls, 3U);
}

TEST(HttpsOutlet, ABadLocationIsNoFailure) {
    Core core;
    EXPECT_EQ(core.send(201, "Location", "http://[:::/%zz").sent, Sent::accepted);
}

TEST(HttpsOutlet, TellsWhatMaySucceedLaterFromWhatNeverWill) {
    Core core;
    for (const int status : {400, 404, 413, 422}) {
        EXPECT_EQ(core.send(status).sent, Sent::refused) << status;
    }
    for (const int status : {408, 429, 500, 502, 503}) {
        EXPECT_EQ(core.send(status).sent, Sent::busy) << status;
    }
    for (const int status : {401, 403}) {
        EXPECT_EQ(core.send(status).sent, Sent::denied) << status;
    }
}

TEST(HttpsOutlet, PassesOnHowLongTheCoreWantsToBeLeftAlone) {
    Core core;
    EXPECT_EQ(core.send(503, "Retry-After", "120").retry_after, 120s);
    EXPECT_EQ(core.send(503).retry_after, Duration());
    for (const char* odd : {"-1", "1.5", "soon", "99999999999", "", "1 "}) {
        EXPECT_EQ(core.send(503, "Retry-After", odd).retry_after, Duration()) << odd;
    }
}

}  // namespace
}  // namespace tapir::edge
