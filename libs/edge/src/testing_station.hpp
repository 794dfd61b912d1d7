// A live edge as steps, on ports in memory: what the tests of Station and around it share.
//
//     StationRig rig;
//     rig.put("/state/requests/1.json", text);
//     auto station = rig.open();
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "setup.hpp"
#include "tapir/edge/settings.hpp"
#include "tapir/edge/station.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"

namespace tapir::edge::testing {

// Refuses to change files whose path begins like `refused`.
class RefusingFiles final : public world::MemoryFiles {
public:
    Result<void> write_atomically(const std::string& path, ByteView content,
                                  world::FileMode mode) override {
        return is_refused(path) ? full() : MemoryFiles::write_atomically(path, content, mode);
    }
    Result<void> remove(const std::string& path) override {
        return is_refused(path) ? full() : MemoryFiles::remove(path);
    }
    Result<void> append(const std::string& path, ByteView content, world::FileMode mode) override {
        return !refuse_appends_to.empty() && path.starts_with(refuse_appends_to)
                   ? full()
                   : MemoryFiles::append(path, content, mode);
    }
    std::string refused;
    std::string refuse_appends_to;

private:
    bool is_refused(const std::string& path) const {
        return !refused.empty() && path.starts_with(refused);
    }
    static Result<void> full() { return fail(Code::exhausted, "No space left on device"); }
};

struct StationRig {
    // Without a core, unless there is a client.
    StationRig() {
        put("/lists/public_suffixes.dat", "// ===BEGIN ICANN DOMAINS===\nse\n");
        const crypto::Secret key = public_test_signing_key().to_json();
        put("/keys/edge.jwk", as_text(key.bytes()));
        EXPECT_TRUE(files.make_directories("/state").has_value());
    }

    void put(const std::string& path, std::string_view content) {
        ASSERT_TRUE(files.make_directories(path.substr(0, path.rfind('/'))).has_value());
        ASSERT_TRUE(
            files.write_atomically(path, as_bytes(content), world::mode_private).has_value());
    }
    std::string read(const std::string& path) {
        const auto octets = files.read(path, 1U << 20U);
        return octets ? std::string(as_text(*octets)) : std::string();
    }

    std::unique_ptr<Station> open() {
        auto station = Station::open(settings, "test",
                                     {.clock = clock,
                                      .files = files,
                                      .chance = chance,
                                      .store = *store,
                                      .http_client = client,
                                      .log = log,
                                      .counters = counters},
                                     {});
        EXPECT_TRUE(station.has_value()) << station.error().what();
        return std::move(station).take();
    }

    RefusingFiles files;
    world::ManualClock clock{UtcTime::from_seconds(1'780'056'000)};  // 2026-05-29, noon
    world::SeededChance chance{5};
    std::unique_ptr<store::Store> store = store::open_memory(store_families());
    net::HttpClient* client = nullptr;
    std::string lines;
    Log log = Log::to_string(lines);
    Counters counters;
    text::Settings settings = text::Settings::parse(R"(
lists.public_suffixes = "/lists/public_suffixes.dat"
keys.signing = "/keys/edge.jwk"
core.url = "http://core.invalid"
state.dir = "/state"
workers = 0
)",
                                                    "edge.toml", settings_table(), {})
                                  .take();
};

}  // namespace tapir::edge::testing
