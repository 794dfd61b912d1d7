// The live edge as steps, on ports in memory.
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "live_keys.hpp"
#include "tapir/net/http_client.hpp"
#include "testing_station.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

constexpr const char* day_key_path = "/state/day.key";

class StationTest : public ::testing::Test, protected testing::StationRig {
protected:
    StationTest() {
        core_.add({.method = "POST",
                   .path = "/api/v1/event/new_qname",
                   .body_size_max = 1U << 20U,
                   .handle =
                       [this](const net::HttpRequest&) {
                           taken_.push_back(clock.now());
                           return net::HttpResponse::text(202, "{}");
                       },
                   .subscribe = {}});
        to_core_ = net::open_memory_http_client(core_, "edge");
        client = to_core_.get();
    }

    net::HttpRoutes core_;
    std::unique_ptr<net::HttpClient> to_core_;
    std::vector<UtcTime> taken_;  // when the core took a batch
};

TEST_F(StationTest, SendsWhatWaitedOverARestartAtTheDaysSecondToo) {
    {
        const auto station = open();
        ASSERT_TRUE(station->begin().has_value());
        clock.advance(60s);
        EXPECT_TRUE(station->tick());
        station->end();
        EXPECT_GT(station->waiting(), 0U);
    }
    const auto keys = open_day_keys(files, day_key_path, clock.now(), chance);
    const unsigned second = keys->current()->gate->batch_second();
    ASSERT_NE(second, 0U) << "choose another seed";
    const auto station = open();
    // The sender may run before lists and keys are read.
    for (int i = 0; i < 90 && station->waiting() > 0; ++i) {
        station->send();
        clock.advance(1s);
        if (i == 1) {
            ASSERT_TRUE(station->begin().has_value());
        }
    }
    ASSERT_FALSE(taken_.empty());
    for (const UtcTime time : taken_) {
        EXPECT_EQ(time.seconds() % 60, second);
    }
}

TEST_F(StationTest, DoesNotLeaveYesterdaysKeyOnTheDisk) {
    const auto station = open();
    ASSERT_TRUE(station->begin().has_value());
    const Bytes yesterday = *files.read(day_key_path, 64);
    files.refused = day_key_path;
    clock.advance(12h);
    for (int i = 0; i < 3; ++i) {
        clock.advance(1s);
        EXPECT_TRUE(station->tick());
    }
    EXPECT_EQ(*files.read(day_key_path, 64), yesterday);
    const std::string said = "the new day's key cannot be written";
    EXPECT_NE(lines.find(said), std::string::npos);
    EXPECT_EQ(lines.find(said), lines.rfind(said)) << "once";
    files.refused.clear();
    clock.advance(1s);
    EXPECT_TRUE(station->tick());
    EXPECT_NE(*files.read(day_key_path, 64), yesterday) << "as soon as the disk takes it";
}

TEST_F(StationTest, BeginsAnewWhenTheClockIsSetBack) {
    const auto station = open();
    ASSERT_TRUE(station->begin().has_value());
    clock.advance(60s);
    EXPECT_TRUE(station->tick());
    clock.step_to(clock.now() - 60s);
    EXPECT_TRUE(station->tick()) << "frames may be as late as that";
    const std::size_t before = station->waiting();
    clock.step_to(clock.now() - 10min);
    EXPECT_FALSE(station->tick());
    station->end();
    EXPECT_GT(station->waiting(), before) << "what was counted goes out";
    ASSERT_TRUE(station->begin().has_value());
    const std::size_t anew = station->waiting();
    clock.advance(60s);
    EXPECT_TRUE(station->tick());
    EXPECT_GT(station->waiting(), anew) << "minutes end again";
}

TEST_F(StationTest, WaitsWhenTheClockIsSetBackOverMidnight) {
    const auto station = open();
    ASSERT_TRUE(station->begin().has_value());
    clock.advance(60s);
    EXPECT_TRUE(station->tick());
    const UtcTime then = clock.now();
    clock.step_to(then - 24h);
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(station->tick()) << "the key of that day is gone";
    }
    const std::string said = "the clock was set back over midnight";
    EXPECT_NE(lines.find(said), std::string::npos);
    EXPECT_EQ(lines.find(said), lines.rfind(said)) << "once";
    const std::size_t before = station->waiting();
    clock.step_to(then + 60s);
    EXPECT_TRUE(station->tick());
    EXPECT_GT(station->waiting(), before);
}

TEST_F(StationTest, KeepsTheSignOfACrashOverAStartThatFails) {
    put("/state/running", "2026-05-29T11:00:00Z");
    put("/lists/public_suffixes.dat", std::string(1, '\0'));
    {
        const auto station = open();
        EXPECT_FALSE(station->begin().has_value());
    }
    EXPECT_TRUE(files.exists("/state/running"));
    put("/lists/public_suffixes.dat", "// ===BEGIN ICANN DOMAINS===\nse\n");
    {
        const auto station = open();
        ASSERT_TRUE(station->begin().has_value());
        EXPECT_EQ(counters.value("tapir_edge_unclean_starts_total"), 1);
    }
    EXPECT_FALSE(files.exists("/state/running"));
}

}  // namespace
}  // namespace tapir::edge
