// The live edge as steps, on ports in memory.
#include "tapir/edge/station.hpp"

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "live_keys.hpp"
#include "setup.hpp"
#include "tapir/edge/settings.hpp"
#include "tapir/net/http_client.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

constexpr const char* settings_text = R"(
lists.public_suffixes = "/lists/public_suffixes.dat"
keys.signing = "/keys/edge.jwk"
core.url = "http://core.invalid"
state.dir = "/state"
workers = 0
)";
constexpr const char* day_key_path = "/state/day.key";
const UtcTime noon = UtcTime::from_seconds(1'780'056'000);  // 2026-05-29

// Refuses to change files whose path begins like `refused`.
class RefusingFiles final : public world::MemoryFiles {
public:
    Result<void> write_atomically(const std::string& path, ByteView content,
                                  world::FileMode mode) override {
        if (!refused.empty() && path.starts_with(refused)) {
            return fail(Code::exhausted, "No space left on device");
        }
        return MemoryFiles::write_atomically(path, content, mode);
    }
    std::string refused;
};

class StationTest : public ::testing::Test {
protected:
    StationTest() {
        put("/lists/public_suffixes.dat", "// ===BEGIN ICANN DOMAINS===\nse\n");
        const crypto::Secret key = public_test_signing_key().to_json();
        put("/keys/edge.jwk", as_text(key.bytes()));
        EXPECT_TRUE(files_.make_directories("/state").has_value());
        settings_ = text::Settings::parse(settings_text, "edge.toml", settings_table(), {}).take();
        core_.add({.method = "POST",
                   .path = "/api/v1/event/new_qname",
                   .body_size_max = 1U << 20U,
                   .handle =
                       [this](const net::HttpRequest&) {
                           taken_.push_back(clock_.now());
                           return net::HttpResponse::text(202, "{}");
                       },
                   .subscribe = {}});
        client_ = net::open_memory_http_client(core_, "edge");
    }

    void put(const std::string& path, std::string_view content) {
        ASSERT_TRUE(files_.make_directories(path.substr(0, path.rfind('/'))).has_value());
        ASSERT_TRUE(
            files_.write_atomically(path, as_bytes(content), world::mode_private).has_value());
    }

    std::unique_ptr<Station> open() {
        auto station = Station::open(*settings_, "test",
                                     {.clock = clock_,
                                      .files = files_,
                                      .chance = chance_,
                                      .store = *store_,
                                      .http_client = client_.get(),
                                      .log = log_,
                                      .counters = counters_},
                                     {});
        EXPECT_TRUE(station.has_value()) << station.error().what();
        return std::move(station).take();
    }

    RefusingFiles files_;
    world::ManualClock clock_{noon};
    world::SeededChance chance_{5};
    std::unique_ptr<store::Store> store_ = store::open_memory(store_families());
    net::HttpRoutes core_;
    std::unique_ptr<net::HttpClient> client_;
    std::string lines_;
    Log log_ = Log::to_string(lines_);
    Counters counters_;
    std::optional<text::Settings> settings_;
    std::vector<UtcTime> taken_;  // when the core took a batch
};

TEST_F(StationTest, SendsWhatWaitedOverARestartAtTheDaysSecondToo) {
    {
        const auto station = open();
        ASSERT_TRUE(station->begin().has_value());
        clock_.advance(60s);
        EXPECT_TRUE(station->tick());
        station->end();
        EXPECT_GT(station->waiting(), 0U);
    }
    const auto keys = open_day_keys(files_, day_key_path, clock_.now(), chance_);
    const unsigned second = keys->current()->gate->batch_second();
    ASSERT_NE(second, 0U) << "choose another seed";
    const auto station = open();
    // The sender may run before lists and keys are read.
    for (int i = 0; i < 90 && station->waiting() > 0; ++i) {
        station->send();
        clock_.advance(1s);
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
    const Bytes yesterday = *files_.read(day_key_path, 64);
    files_.refused = day_key_path;
    clock_.advance(12h);
    for (int i = 0; i < 3; ++i) {
        clock_.advance(1s);
        EXPECT_TRUE(station->tick());
    }
    EXPECT_EQ(*files_.read(day_key_path, 64), yesterday);
    const std::string said = "the new day's key cannot be written";
    EXPECT_NE(lines_.find(said), std::string::npos);
    EXPECT_EQ(lines_.find(said), lines_.rfind(said)) << "once";
    files_.refused.clear();
    clock_.advance(1s);
    EXPECT_TRUE(station->tick());
    EXPECT_NE(*files_.read(day_key_path, 64), yesterday) << "as soon as the disk takes it";
}

TEST_F(StationTest, KeepsTheSignOfACrashOverAStartThatFails) {
    put("/state/running", "2026-05-29T11:00:00Z");
    put("/lists/public_suffixes.dat", std::string(1, '\0'));
    {
        const auto station = open();
        EXPECT_FALSE(station->begin().has_value());
    }
    EXPECT_TRUE(files_.exists("/state/running"));
    put("/lists/public_suffixes.dat", "// ===BEGIN ICANN DOMAINS===\nse\n");
    {
        const auto station = open();
        ASSERT_TRUE(station->begin().has_value());
        EXPECT_EQ(counters_.value("tapir_edge_unclean_starts_total"), 1);
    }
    EXPECT_FALSE(files_.exists("/state/running"));
}

}  // namespace
}  // namespace tapir::edge
