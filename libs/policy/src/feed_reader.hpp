// Follows the core's feed: a snapshot when there is no place to go on from, then the stream.
//
//     FeedReader reader(parts, last_id);
//     const Duration pause = reader.follow();     // until the stream ends; again after the pause
//     for (const FeedInput& input : reader.take()) { ... }     // any thread
//     reader.cancel();
//
// What is read goes into the queue, which is bounded: a full queue stops the reading, not the core.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
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
// Asks the core at `url` for it.
Result<FeedSnapshot> fetch_snapshot(net::HttpClient& client, const std::string& url,
                                    const net::Cancel& cancel);

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
    FeedReader(const FeedReader&) = delete;
    FeedReader& operator=(const FeedReader&) = delete;

    // One attempt: until the stream ends or fails. How long to wait before the next. One thread.
    Duration follow();
    // Ends a follow() that waits, and all later ones.
    void cancel();
    // All that has been read since.
    std::deque<FeedInput> take();

private:
    Result<void> read_stream();
    Result<void> fetch_snapshot();
    void put(FeedInput input);

    Parts parts_;
    std::string last_id_;  // of the reading thread
    Duration pause_{};     // likewise
    net::Cancel cancel_;
    std::mutex mutex_;
    std::condition_variable room_;
    std::deque<FeedInput> queue_;
    bool stopping_ = false;  // guarded by mutex_
};

}  // namespace tapir::policy
