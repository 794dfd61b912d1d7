#include "feed_reader.hpp"

#include <algorithm>
#include <utility>

#include "tapir/policy/service.hpp"
#include "tapir/text/json.hpp"

namespace tapir::policy {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view part = "feed";
constexpr Duration pause_min = 500ms;
constexpr Duration pause_max = 30s;
constexpr Duration settled = 60s;  // a stream that lasted so long was no failed attempt
constexpr std::size_t id_size_max = 64;

bool is_id(std::string_view text) {
    return !text.empty() && text.size() <= id_size_max &&
           std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<FeedSnapshot> parse_snapshot(std::string_view body) {
    const text::Json json = TRY(text::Json::parse(body, feed_snapshot_size_max));
    FeedSnapshot snapshot;
    snapshot.last_id = TRY(json.string("last_id"));
    if (!is_id(snapshot.last_id)) {
        return fail(Code::invalid, "member 'last_id': expected a decimal number");
    }
    for (const text::Json& message : TRY(json.array_of("observations"))) {
        const std::string* plain = message.if_string();
        snapshot.messages.push_back(plain != nullptr ? *plain : message.to_string());
    }
    return snapshot;
}

Result<FeedSnapshot> fetch_snapshot(net::HttpClient& client, const std::string& url,
                                    const net::Cancel& cancel) {
    net::HttpCall call;
    call.url = url + "/api/v1/observations";
    call.answer_size_max = feed_snapshot_size_max;
    const net::HttpResponse answer = TRY(client.send(call, &cancel));
    if (answer.status != 200) {
        return fail(Code::unavailable,
                    "the snapshot was answered with status " + std::to_string(answer.status));
    }
    return parse_snapshot(as_text(answer.body));
}

FeedReader::FeedReader(Parts parts, std::string last_id)
    : parts_(std::move(parts)), last_id_(std::move(last_id)), pause_(pause_min) {}

void FeedReader::cancel() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    cancel_.request();
    room_.notify_all();
}

std::deque<FeedInput> FeedReader::take() {
    const std::lock_guard lock(mutex_);
    room_.notify_all();
    return std::exchange(queue_, {});
}

void FeedReader::put(FeedInput input) {
    {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return stopping_ || queue_.size() < feed_queue_max; });
        queue_.push_back(std::move(input));
    }
    parts_.on_input();
}

Result<void> FeedReader::fetch_snapshot() {
    FeedSnapshot snapshot = TRY(policy::fetch_snapshot(parts_.client, parts_.url, cancel_));
    parts_.log.info(part, "snapshot read",
                    {{"observations", snapshot.messages.size()}, {"last_id", snapshot.last_id}});
    last_id_ = snapshot.last_id;
    put(std::move(snapshot));
    return {};
}

Result<void> FeedReader::read_stream() {
    if (last_id_.empty()) {
        TRY(fetch_snapshot());
    }
    net::HttpCall call;
    call.url = parts_.url + "/api/v1/observations/stream";
    call.fields.add("Last-Event-ID", last_id_);
    Gauge& connected =
        parts_.counters.gauge("tapir_policy_feed_connected", "Whether the stream is open.");
    Result<void> snapshot_result;
    const auto on_event = [&](const net::SseEvent& event) {
        if (event.event == "reset") {
            parts_.log.warn(part, "the core cannot go on from our place; a snapshot is taken",
                            {{"id", last_id_}});
            last_id_.clear();
            snapshot_result = fetch_snapshot();
        } else if (snapshot_result && is_id(event.id)) {
            last_id_ = event.id;
            put(FeedEvent{event.id, event.data});
        }
    };
    const auto on_open = [&] {
        connected.set(1);
        parts_.log.info(part, "following the core", {{"url", parts_.url}, {"last_id", last_id_}});
    };
    auto ended = parts_.client.subscribe(call, cancel_, on_event, {}, on_open);
    connected.set(0);
    // After a snapshot that failed the stream was of no use: begin again.
    TRY(snapshot_result);
    return ended;
}

Duration FeedReader::follow() {
    const Duration began = parts_.clock.monotonic();
    const auto ended = read_stream();
    if (cancel_.requested()) {
        return pause_max;
    }
    parts_.counters
        .counter("tapir_policy_feed_interruptions_total",
                 "Ends of the stream, and failed attempts.")
        .add();
    parts_.log.warn(
        part, "the feed is interrupted; what is known stays in force",
        {{"error", ended ? std::string("the core ended the stream") : ended.error().what()}});
    if (parts_.clock.monotonic() - began > settled) {
        pause_ = pause_min;
    }
    return std::exchange(pause_, std::min(pause_ * 2, pause_max));
}

}  // namespace tapir::policy
