#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/products/histogram.hpp"
#include "tapir/products/new_qname.hpp"
#include "tapir/products/observation.hpp"

namespace tapir::products {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
}

// The payload of a recorded NATS message: what follows the protocol line and the headers.
std::string payload_of(const fs::path& path) {
    const std::string text = read(path);
    const bool has_headers = text.starts_with("HMSG");
    const std::string end = has_headers ? "\r\n\r\n" : "\r\n";
    std::string payload = text.substr(text.find(end) + end.size());
    if (payload.ends_with("\r\n")) {
        payload.resize(payload.size() - 2);
    }
    return payload;
}

UtcTime at(std::string_view text) {
    return *UtcTime::parse(text);
}

TEST(Golden, EventsThatTheBridgeForwardedAreReadAndWrittenBack) {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(TAPIR_GOLDEN "/up")) {
        const std::string payload = payload_of(entry.path());
        const auto event = NewQname::parse(payload);
        if (entry.path().filename() == "023-bad-timestamp.nats") {
            // The bridge does not assert formats; we do.
            EXPECT_EQ(event.error(), EventError::bad_timestamp);
            continue;
        }
        ASSERT_TRUE(event) << entry.path() << payload;
        if (entry.path().filename() == "001-edm-event.nats") {
            EXPECT_EQ(event->to_json(), payload);
            EXPECT_EQ(event->qname, "edm-event.example.com.");
            EXPECT_EQ(event->qtype, 28);
        }
        ++count;
    }
    EXPECT_GE(count, 6U);
}

TEST(Golden, ObservationsOfTheEncoderAreReadAndWrittenBack) {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(TAPIR_GOLDEN "/down")) {
        const std::string file = entry.path().filename();
        const std::string payload = payload_of(entry.path());
        const auto message = Observation::parse(payload);
        if (file < "016") {  // the encoder's own: one form, ours
            ASSERT_TRUE(message) << file;
            EXPECT_EQ(message->to_json(), payload) << file;
            ++count;
        }
    }
    EXPECT_GE(count, 12U);
}

TEST(Golden, MessagesSentByHandAreTakenOrRefusedForTheirReason) {
    const std::map<std::string, std::optional<ObservationError>> cases = {
        {"016-direct-valid", std::nullopt},
        {"017-direct-removed", std::nullopt},
        {"018-direct-extra-member", std::nullopt},
        {"019-direct-message-id-bad", std::nullopt},
        {"021-direct-wrong-msg-type", ObservationError::bad_msg_type},
        {"022-direct-bad-timestamp", ObservationError::bad_timestamp},
        {"023-direct-ttl-string", ObservationError::bad_item},
        {"024-direct-not-json", ObservationError::not_json},
        {"025-direct-empty", ObservationError::not_json},
    };
    for (const auto& [name, error] : cases) {
        const auto message =
            Observation::parse(payload_of(TAPIR_GOLDEN "/down/" + name + ".south1.nats"));
        EXPECT_EQ(message.has_value(), !error) << name;
        if (!message && error) {
            EXPECT_EQ(message.error(), *error) << name;
        }
    }
}

// What the existing policy processor took (its zone changed, or would have) and what it refused;
// where we differ, the reason stands at the line.
TEST(Golden, FaultyPayloadsHaveTheOutcomeOfTheExistingProcessor) {
    const auto ok = std::optional<ObservationError>();
    using enum ObservationError;
    const std::map<std::string, std::optional<ObservationError>> cases = {
        {"01-wrong-src-name", ok},      // whose lists there are, the policy knows
        {"02-src-name-case", ok},       // the same
        {"03-src-of-other-class", ok},  // the same
        {"04-list-type-unknown", bad_list_type},
        {"05-list-type-upper", bad_list_type},
        {"06-msg-type-unknown", bad_msg_type},
        {"07-msg-type-missing", bad_msg_type},
        {"08-malformed-json", not_json},
        {"09-not-object", not_object},
        {"10-json-null", not_object},
        {"11-trailing-data", not_json},
        {"12-two-objects", not_json},
        {"13-member-case", bad_src_name},  // taken there: Go ignores case; no sender uses it
        {"14-unknown-members", ok},
        {"15-duplicate-member", not_json},  // taken there: which one counts is anybody's guess
        {"16-tag-mask-33-bit", bad_item},
        {"17-tag-mask-negative", bad_item},
        {"18-tag-mask-string", bad_item},
        {"19-tag-mask-float", bad_item},
        {"20-tag-mask-null", ok},
        {"21-tag-mask-missing", ok},
        {"22-ttl-string", bad_item},
        {"23-ttl-huge", ok},  // there it wraps around; here it is cut to a year
        {"24-ttl-float", bad_item},
        {"25-time-bad", bad_item},
        {"26-time-space", bad_item},
        {"27-time-offset", ok},
        {"28-time-future", ok},  // what to believe, the policy decides
        {"29-timestamp-empty", bad_timestamp},
        {"30-timestamp-missing", ok},
        {"31-timestamp-old", ok},
        {"32-added-null", ok},
        {"33-added-object", bad_list},
        {"34-added-missing", ok},
        {"35-removed-null", ok},
        {"36-removed-strings", bad_item},
        {"37-one-bad-entry", bad_name},
        {"38-entry-only-name", ok},
        {"39-ext-null", ok},
        {"40-ext-string", bad_item},
        {"41-src-null", bad_src_name},
        {"42-utf8-bom", ok},        // refused there; RFC 8259 §8.1 lets a parser pass over it
        {"43-bad-utf8", not_json},  // there it becomes U+FFFD and reaches the zone
        {"44-json-escape", ok},
        {"45-big", ok},
        {"46-big-remove", ok},
    };
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(TAPIR_GOLDEN "/payloads")) {
        std::string name = entry.path().filename();
        name = name.substr(0, name.find(".payload.json"));
        const auto expected = cases.find(name);
        ASSERT_NE(expected, cases.end()) << name;
        const auto message = Observation::parse(read(entry.path()));
        EXPECT_EQ(message.has_value(), !expected->second) << name;
        if (!message && expected->second) {
            EXPECT_EQ(message.error(), *expected->second) << name << to_string(message.error());
        }
        ++count;
    }
    EXPECT_EQ(count, cases.size());
}

TEST(NewQname, EscapesAsGoDoes) {
    NewQname event;
    event.qname = R"(a\"<&>.example.)";
    event.qtype = 1;
    event.flags = 1;
    EXPECT_EQ(event.to_json(),
              R"({"flags":1,"qclass":1,"qname":"a\\\"\u003c\u0026\u003e.example.","qtype":1,)"
              R"("type":"new_qname","version":0})");
}

TEST(NewQname, RefusesWrongTypesForTheirReason) {
    const std::map<std::string, EventError> cases = {
        {"", EventError::not_json},
        {"[]", EventError::not_object},
        {R"({"version":0,"qname":"a."})", EventError::wrong_type},
        {R"({"type":"new_aggregate","version":0,"qname":"a."})", EventError::wrong_type},
        {R"({"type":"new_qname","qname":"a."})", EventError::bad_version},
        {R"({"type":"new_qname","version":"0","qname":"a."})", EventError::bad_version},
        {R"({"type":"new_qname","version":0})", EventError::bad_qname},
        {R"({"type":"new_qname","version":0,"qname":""})", EventError::bad_qname},
        {R"({"type":"new_qname","version":0,"qname":"a.","qtype":65536})", EventError::bad_number},
        {R"({"type":"new_qname","version":0,"qname":"a.","flags":1.5})", EventError::bad_number},
        {R"({"type":"new_qname","version":0,"qname":"a.","timestamp":"now"})",
         EventError::bad_timestamp},
        {R"({"type":"new_qname","version":0,"qname":"a.","initiator":1})", EventError::bad_member},
    };
    for (const auto& [json, error] : cases) {
        const auto event = NewQname::parse(json);
        ASSERT_FALSE(event) << json;
        EXPECT_EQ(event.error(), error) << json << to_string(event.error());
    }
    EXPECT_EQ(NewQname::parse(std::string(event_size_max + 1, ' ')).error(), EventError::too_large);
}

RC_GTEST_PROP(NewQname, ParsesWhatItPrints,
              (std::uint16_t qtype, std::uint16_t flags, std::uint32_t seconds)) {
    NewQname event;
    event.qname = "x.example.";
    event.qtype = qtype;
    event.flags = flags;
    event.timestamp = UtcTime::from_seconds(seconds);
    event.message_id = "00112233-4455-8677-8899-aabbccddeeff";
    RC_ASSERT(*NewQname::parse(event.to_json()) == event);
}

TEST(MessageId, IsAUuidThatDependsOnKeyAndContent) {
    const auto key = crypto::Secret::copy_of(as_bytes("key"));
    const auto other = crypto::Secret::copy_of(as_bytes("other"));
    const std::string id = message_id(key, as_bytes("content"));
    EXPECT_TRUE(is_uuid(id));
    EXPECT_EQ(id[14], '8');
    EXPECT_EQ(id, message_id(key, as_bytes("content")));
    EXPECT_NE(id, message_id(other, as_bytes("content")));
    EXPECT_NE(id, message_id(key, as_bytes("contents")));
}

TEST(Observation, PrintsExtensionsOnlyIfSet) {
    Observation message = Observation::of_core("tapir-core", at("2026-01-01T00:00:00Z"));
    message.added.push_back({.name = "a.example",
                             .time_added = at("2026-01-01T00:00:00.5Z"),
                             .ttl_s = 3600,
                             .tag_mask = flag::globally_new,
                             .extended_tags = {},
                             .reasons = {"first sighting"},
                             .confidence = 0.5});
    EXPECT_EQ(message.to_json(),
              R"({"src_name":"dns-tapir","creator":"tapir-core","msg_type":"observation",)"
              R"("list_type":"doubtlist","added":[{"name":"a.example",)"
              R"("time_added":"2026-01-01T00:00:00.5Z","ttl":3600,"tag_mask":1,)"
              R"("extended_tags":[],"reasons":["first sighting"],"confidence":0.5}],)"
              R"("removed":[],"msg":"","timestamp":"2026-01-01T00:00:00Z","time_str":""})");
    EXPECT_EQ(*Observation::parse(message.to_json()), message);
}

TEST(Flags, HaveNames) {
    EXPECT_EQ(flag_names(1 | 1024 | 2048), "globally_new,looptest,bit11");
    EXPECT_EQ(flag_names(0), "");
    EXPECT_EQ(flag_named("looptest"), flag::looptest);
    EXPECT_FALSE(flag_named("nothing"));
}

TEST(FileName, IsReadBack) {
    const Interval interval{at("2024-09-26T18:14:00Z"), at("2024-09-26T18:15:00Z")};
    EXPECT_EQ(histogram_file_name(interval),
              "dns_histogram-2024-09-26T18-14-00Z_2024-09-26T18-15-00Z.parquet");
    EXPECT_EQ(*parse_histogram_file_name(histogram_file_name(interval)), interval);
    for (const auto* bad :
         {"", "dns_histogram-.parquet",
          "dns_histogram-2024-09-26T18:14:00Z_2024-09-26T18-15-00Z.parquet",
          "dns_histogram-2024-09-26T18-14-00Z_2024-09-26t18-15-00Z.parquet",
          "dns_histogram-2024-09-26T18-14-60Z_2024-09-26T18-15-00Z.parquet",
          "dns_histogram-2024-09-26T18-14-00Z_2024-09-26T18-15-00Z.parquet.tmp"}) {
        EXPECT_FALSE(parse_histogram_file_name(bad)) << bad;
    }
}

TEST(AggregateInterval, IsPrintedAsTheExistingEdgeDoes) {
    const UtcTime start = at("2026-05-28T12:13:00Z");
    const std::map<std::int64_t, std::string> cases = {
        {60'000, "PT1M"},    {18'000, "PT18S"},       {59'500, "PT59.5S"},      {0, "PT0S"},
        {3'600'000, "PT1H"}, {3'661'000, "PT1H1M1S"}, {3'600'250, "PT1H0.25S"}, {-5, "PT0S"}};
    for (const auto& [ms, duration] : cases) {
        EXPECT_EQ(aggregate_interval({start, start + std::chrono::milliseconds(ms)}),
                  "2026-05-28T12:13:00Z/" + duration);
    }
}

TEST(AggregateInterval, IsReadAsTheExistingReceiverDoes) {
    const UtcTime start = at("2026-11-23T15:00:00Z");
    const std::map<std::string, std::int64_t> good = {
        {"2026-11-23T15:00:00Z/2026-11-23T15:05:00Z", 300'000},
        {"2026-11-23T16:00:00+01:00/PT1M", 60'000},
        {"2026-11-23T15:00:00Z/PT59.5S", 59'500},
        {"2026-11-23T15:00:00Z/PT0S", 0},
        {"2026-11-23T15:00:00Z/P1M", 30LL * 86'400'000},
        {"2026-11-23T15:00:00Z/P100Y", 36'500LL * 86'400'000},
        {"2026-11-23T15:00:00Z/2126-10-30T15:00:00Z", 36'500LL * 86'400'000},
        {"2026-11-23T15:00:00Z/P1DT1H", 90'000'000}};
    for (const auto& [text, ms] : good) {
        const auto interval = parse_aggregate_interval(text);
        ASSERT_TRUE(interval) << text << interval.error().what();
        EXPECT_EQ((*interval)->start, start) << text;
        EXPECT_EQ((*interval)->stop - (*interval)->start, std::chrono::milliseconds(ms)) << text;
    }
    EXPECT_EQ(*parse_aggregate_interval(""), std::nullopt);
    for (const auto* bad :
         {"PT1M/2026-11-23T15:00:00Z", "2026-11-23T15:00:00/PT1M",
          "2026-11-23T15:00:00Z/2026-11-23T14:00:00Z", "yesterday", "2026-11-23T15:00:00Z",
          "2026-11-23T15:00:00Z/1M", "2026-11-23/P1D", "2026-11-23T15:00:00Z/P",
          "2026-11-23T15:00:00Z/PT", "2026-11-23T15:00:00Z/PT1S1M", "2026-11-23T15:00:00Z/PT1.S",
          "2026-11-23T15:00:00Z/P99999999999999Y", "2026-11-23T15:00:00Z/P100YT1S",
          "2026-11-23T15:00:00Z/2126-10-30T15:00:01Z", "1680-01-01T00:00:00Z/2260-01-01T00:00:00Z",
          "2026-11-23T15:00:00Z/PT1M/PT1M"}) {
        EXPECT_FALSE(parse_aggregate_interval(bad)) << bad;
    }
}

RC_GTEST_PROP(AggregateInterval, ReadsWhatItPrints,
              (std::uint32_t start_s, std::uint16_t length_s)) {
    const UtcTime start = UtcTime::from_seconds(start_s);
    const Interval interval{start, start + std::chrono::seconds(length_s)};
    RC_ASSERT(**parse_aggregate_interval(aggregate_interval(interval)) == interval);
}

TEST(Columns, AreTheTwentySixOfTheReferenceSchema) {
    const auto& columns = histogram_columns();
    EXPECT_EQ(columns.front().name, "start_time");
    EXPECT_EQ(columns[10].name, "label9");
    EXPECT_EQ(columns.back().name, "v6client_count_hll");
    EXPECT_TRUE(columns.back().optional);
    EXPECT_FALSE(columns[11].optional);
}

}  // namespace
}  // namespace tapir::products
