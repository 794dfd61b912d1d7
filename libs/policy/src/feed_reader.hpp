// Follows the core's feed: a snapshot when there is no place to go on from, then the stream.
//
// What is read goes into the queue, which is bounded: a full queue stops the reading, not the core.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/net/http_client.hpp"
#include "tapir/world/clock.hpp"

namespace tapir::policy {

struct FeedEvent {
    std::string id;
    std::string jws;
};
struct FeedSnapshot {
    std::string last_id;
    std::vector<std::string> messages;
};
using FeedInput = std::variant<FeedEvent, FeedSnapshot>;

// {"last_id":"17","observations":[JWS, …]}; each JWS an object or its text.
Result<FeedSnapshot> parse_snapshot(std::string_view body);

class FeedReader {
public:
    struct Parts {
        net::HttpClient& client;
        std::string url;
        const world::Clock& clock;
        const Log& log;
        Counters& counters;
        std::function<void()> on_input;  // there is something to take
    };
    // Begins after `last_id`; with a snapshot if that is empty.
    FeedReader(Parts parts, std::string last_id);
    ~FeedReader();  // stops
    FeedReader(const FeedReader&) = delete;
    FeedReader& operator=(const FeedReader&) = delete;

    // All that has been read since.
    std::deque<FeedInput> take();

private:
    void run();
    Result<void> follow();
    Result<void> fetch_snapshot();
    void put(FeedInput input);

    Parts parts_;
    std::string last_id_;  // of the reading thread
    net::Cancel cancel_;
    world::Waiter waiter_;
    std::mutex mutex_;
    std::condition_variable room_;
    std::deque<FeedInput> queue_;
    bool stopping_ = false;  // guarded by mutex_
    std::thread thread_;
};

}  // namespace tapir::policy
