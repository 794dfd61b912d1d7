// What the tests share: a Feeds on simulated ports, and a stream that records.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tapir/feeds/feeds.hpp"
#include "tapir/products/observation.hpp"
#include "tapir/text/json.hpp"

namespace tapir::feeds {

class RecordedStream final : public net::SseStream {
public:
    bool send(std::string_view id, std::string_view event, std::string_view data) override {
        if (open) {
            sent.push_back(event.empty() ? std::string(id)
                                         : fmt::format("{} {} {}", id, event, data));
            last = data;
        }
        return open;
    }
    bool is_open() const override { return open; }
    void close() override { open = false; }

    bool open = true;
    std::vector<std::string> sent;  // ids of messages; "id event data" of others
    std::string last;
};

inline jose::PrivateJwk test_key() {
    const Bytes seed(crypto::ed25519_size, std::byte{9});
    return {*crypto::SigningKey::from_seed(crypto::Secret::copy_of(seed)), "core.example"};
}

// What of a Feeds survives a crash, and the rest around it.
class FeedsFixture : public testing::Test {
protected:
    FeedsFixture() { restart(); }

    void restart() { restart(test_key()); }
    void restart(jose::PrivateJwk key) {
        feeds.reset();
        feeds =
            std::make_unique<Feeds>(FeedSettings{.keep = std::chrono::hours(24)}, std::move(key),
                                    FeedParts{*store, clock, bus, log, counters});
        ASSERT_TRUE(feeds->open());
    }

    void publish(std::uint64_t id, const std::vector<std::string>& added,
                 const std::vector<std::string>& removed = {}) {
        auto observation = products::Observation::of_core("tapir-core", clock.now());
        for (const auto& [names, items] :
             {std::pair(&added, &observation.added), std::pair(&removed, &observation.removed)}) {
            for (const auto& name : *names) {
                products::ObservationItem item;
                item.name = name;
                item.time_added = clock.now();
                item.ttl_s = 3600;
                item.tag_mask = 1;
                items->push_back(item);
            }
        }
        publish_text(id, observation.to_json());
    }
    void publish_text(std::uint64_t id, const std::string& observation) {
        const auto json = text::Json::object({{"id", id}, {"observation", observation}});
        ASSERT_TRUE(bus.publish(observations_subject, to_bytes(json.to_string())));
        feeds->work(Duration(0));
    }

    std::shared_ptr<RecordedStream> subscribe(std::optional<std::string> last_id = {}) {
        net::HttpRequest request;
        if (last_id) {
            request.fields.add("Last-Event-ID", *last_id);
        }
        auto stream = std::make_shared<RecordedStream>();
        EXPECT_FALSE(feeds->subscribe(request, stream));
        return stream;
    }

    world::ManualClock clock{UtcTime::from_seconds(1'780'000'000)};
    std::unique_ptr<store::Store> store = store::open_memory(store_families());
    Counters counters;
    std::string logged;
    Log log = Log::to_string(logged);
    bus::MemoryBus bus{counters};
    std::unique_ptr<Feeds> feeds;
};

}  // namespace tapir::feeds
