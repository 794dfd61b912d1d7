// Requests of edges, behind their signatures: the input's first line is the Aggregate-Interval of
// an upload; if it is empty, each further line is the payload of an event, signed by the test key.
// Nothing crashes; what is taken is a duplicate the second time, after a restart or over the broker
// as the input's size has it, and the numbers add up.
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fixture.hpp"
#include "tapir/text/json.hpp"

namespace {

using namespace tapir;
using namespace tapir::intake;

constexpr std::size_t event_count_max = 3;

const jose::PrivateJwk& edge_key() {
    static const jose::PrivateJwk key = test_key("edge-1.example", 7);
    return key;
}

struct Counts {
    std::int64_t accepted = 0;
    std::int64_t duplicate = 0;
    std::int64_t rejected = 0;
};

Counts counts_of(const net::HttpResponse& answer) {
    TAPIR_ASSERT(answer.status == 202 || answer.status == 400);
    const auto json = text::Json::parse(as_text(answer.body));
    TAPIR_ASSERT(json.has_value());
    return {.accepted = json->integer("accepted").value(),
            .duplicate = json->integer("duplicate").value(),
            .rejected = static_cast<std::int64_t>(json->array_of("rejected").value().size())};
}

// The payload as a message of the edge; nothing if it is larger than one may be. Those of late are
// kept, for inputs repeat what others had.
std::optional<std::string> signed_event(const std::string& payload) {
    constexpr std::size_t known_max = 4096;
    static std::map<std::string, std::string> known;
    if (const auto found = known.find(payload); found != known.end()) {
        return found->second;
    }
    auto message = jose::sign_jws(edge_key(), as_bytes(payload));
    if (!message) {
        return std::nullopt;
    }
    if (known.size() == known_max) {
        known.clear();
    }
    return known[payload] = *std::move(message);
}

// Over the broker the same are duplicates too; and a topic of another shape brings nothing in.
void check_broker(Bench& bench, const std::vector<std::string>& messages,
                  const std::string& topic) {
    std::vector<mqtt::Message> from_broker;
    for (const std::string& message : messages) {
        for (const std::string& name : {"events/up/" + edge_key().kid() + "/new_qname", topic}) {
            from_broker.push_back({.topic = name, .payload = to_bytes(message)});
        }
    }
    const std::int64_t accepted = bench.events("outcome=\"accepted\"");
    TAPIR_ASSERT(bench.intake->take(from_broker).has_value());
    TAPIR_ASSERT(bench.events("outcome=\"accepted\"") == accepted);
}

void check_events(Bench& bench, const std::vector<std::string>& payloads, bool over_broker) {
    std::vector<std::string> messages;
    for (const std::string& payload : payloads) {
        if (auto message = signed_event(payload)) {
            messages.push_back(*std::move(message));
        }
    }
    const auto request = signed_request(edge_key(), bench.clock.now(), "/api/v1/event/new_qname",
                                        "application/jose+json", jose::join_batch(messages, 4096));
    const Counts first = counts_of(bench.intake->events(request));
    const auto count = static_cast<std::int64_t>(messages.size());
    TAPIR_ASSERT(first.accepted + first.duplicate + first.rejected == count);
    if (over_broker) {
        check_broker(bench, messages, payloads.front());
    } else {
        bench.restart();
        const Counts second = counts_of(bench.intake->events(request));
        TAPIR_ASSERT(second.accepted == 0 && second.rejected == first.rejected);
        TAPIR_ASSERT(second.duplicate == first.accepted + first.duplicate);
    }
    while (bench.intake->publish()) {
    }
}

// What is refused is tried a second time only if `again`: nothing was kept that could matter.
void check_upload(Bench& bench, std::string_view interval, bool again) {
    const auto request = signed_request(
        edge_key(), bench.clock.now(), "/api/v1/aggregate/histogram",
        "application/vnd.apache.parquet", "PAR1", {{"Aggregate-Interval", std::string(interval)}});
    const int first = bench.intake->aggregate(request).status;
    TAPIR_ASSERT(first == 201 || (first >= 400 && first < 500));
    while (bench.intake->seal()) {
    }
    if (first == 201 || again) {
        bench.restart();
        const int second = bench.intake->aggregate(request).status;
        TAPIR_ASSERT(second < 500 && (second < 300) == (first < 300));
        while (bench.intake->seal()) {
        }
    }
    TAPIR_ASSERT(bench.lake.admitted().size() == (first == 201 ? 1 : 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    std::vector<std::string> lines;
    while (!text.empty() && lines.size() <= event_count_max) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
        lines.emplace_back(line);
    }
    const bool is_upload = !lines.empty() && !lines.front().empty();
    if (!is_upload && lines.size() < 2) {
        return 0;
    }
    Bench bench;
    bench.keys_are("edges", {&edge_key()});
    bench.restart();
    if (is_upload) {
        check_upload(bench, lines.front(), size % 4 == 0);
    } else {
        lines.erase(lines.begin());
        check_events(bench, lines, size % 2 == 0);
    }
    return 0;
}
