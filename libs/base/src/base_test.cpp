#include <memory>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/base/bytes.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/guarded.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"

namespace tapir {
namespace {

enum class ToyError : std::uint8_t { broken };
Error to_error(ToyError) {
    return {Code::invalid, "toy is broken"};
}

Result<int, ToyError> toy(bool works) {
    if (!works) {
        return fail(ToyError::broken);
    }
    return 7;
}

Result<std::string> uses_toy(bool works) {
    const int value = TRY(toy(works));
    return std::to_string(value);
}

Result<void> checks_toy(bool works) {
    TRY(uses_toy(works));
    return {};
}

TEST(Result, TryPassesAValueOn) {
    EXPECT_EQ(*uses_toy(true), "7");
    EXPECT_TRUE(checks_toy(true));
}

TEST(Result, TryTurnsAHotPathErrorIntoOneForPeople) {
    EXPECT_EQ(uses_toy(false).error(), Error(Code::invalid, "toy is broken"));
    EXPECT_FALSE(checks_toy(false));
}

TEST(Result, AndThenTakesAFunctionThatReturnsAResult) {
    auto longer = uses_toy(true).and_then(
        [](std::string text) -> Result<std::size_t> { return text.size(); });
    EXPECT_EQ(*longer, 1U);
}

TEST(Result, HoldsWhatCannotBeCopied) {
    auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(3); };
    auto use = [&]() -> Result<int> { return *TRY(make()); };
    EXPECT_EQ(*use(), 3);
}

TEST(Error, NamesThePlace) {
    EXPECT_EQ(Error(Code::invalid, "expected 2").at("a.toml:14").what(), "a.toml:14: expected 2");
}

TEST(ByteReader, StopsAtTheEndAndStaysFailed) {
    const Bytes three{std::byte{1}, std::byte{2}, std::byte{3}};
    ByteReader in(three);
    EXPECT_EQ(in.u16(), 0x0102);
    EXPECT_EQ(in.u16(), 0);
    EXPECT_TRUE(in.failed());
    EXPECT_EQ(in.u8(), 0);
}

RC_GTEST_PROP(ByteReader, ReadsBackWhatWasAppended, (std::uint64_t value)) {
    Bytes out;
    append_u64(out, value);
    append_u32(out, static_cast<std::uint32_t>(value));
    ByteReader in(out);
    RC_ASSERT(in.u64() == value);
    RC_ASSERT(in.u32() == static_cast<std::uint32_t>(value));
    RC_ASSERT(in.remaining() == 0U);
}

TEST(UtcTime, PrintsAsRfc3339) {
    const UtcTime time = UtcTime::from_seconds(1'780'056'780) + std::chrono::nanoseconds(5);
    EXPECT_EQ(time.to_string(), "2026-05-29T12:13:00Z");
    EXPECT_EQ(time.to_string_ns(), "2026-05-29T12:13:00.000000005Z");
}

TEST(UtcTime, ReadsOffsets) {
    EXPECT_EQ(*UtcTime::parse("2026-05-29T13:13:00.5+01:00"),
              UtcTime::from_ns(1'780'056'780'500'000'000));
    for (const auto* bad :
         {"", "2026-05-29", "2026-13-01T00:00:00Z", "2026-05-29T12:13:00", "2026-05-29T12:13:00Zx",
          "2026-05-29T12:13:00+1:00", "2026-05-29T12:13:00+99:00"}) {
        EXPECT_FALSE(UtcTime::parse(bad)) << bad;
    }
}

RC_GTEST_PROP(UtcTime, ParsesWhatItPrints, (std::int32_t seconds, std::uint16_t ns)) {
    const UtcTime time = UtcTime::from_seconds(seconds) + std::chrono::nanoseconds(ns);
    RC_ASSERT(*UtcTime::parse(time.to_string_ns()) == time);
    RC_ASSERT(time.minute() <= time);
    RC_ASSERT(time - time.minute() < std::chrono::minutes(1));
}

TEST(Log, WritesAMessageWithItsFieldsAndEscapesThem) {
    std::string sink;
    const Log log = Log::to_string(sink);
    log.warn("intake", "bad \"thing\"", {{"count", 3}, {"name", "a\nb"}});
    log.debug("intake", "not shown");
    EXPECT_EQ(sink,
              "{\"level\":\"warn\",\"part\":\"intake\",\"msg\":\"bad \\\"thing\\\"\",\"count\":3,"
              "\"name\":\"a\\u000ab\"}\n");
}

TEST(Counters, TellATextInPlaceOfTheOneBefore) {
    Counters counters;
    counters.info("list_info", "Version.", {{"list", "a"}}, "version", "1");
    counters.info("list_info", "Version.", {{"list", "b"}}, "version", "1");
    counters.info("list_info", "Version.", {{"list", "a"}}, "version", "2\"");
    EXPECT_EQ(counters.to_prometheus(),
              "# HELP list_info Version.\n# TYPE list_info gauge\n"
              "list_info{list=\"a\",version=\"2\\\"\"} 1\n"
              "list_info{list=\"b\",version=\"1\"} 1\n");
    EXPECT_EQ(counters.value("list_info{list=\"b\",version=\"1\"}"), 1);
    EXPECT_EQ(counters.value("list_info{list=\"a\",version=\"1\"}"), 0);
}

TEST(Counters, PrintAsPrometheusReadsThem) {
    Counters counters;
    counters.counter("t_total", "Things.", {{"reason", "a\"b"}}).add(2);
    counters.counter("t_total", "Things.", {{"reason", "a\"b"}}).add(1);
    counters.gauge("depth", "Depth.").set(-1);
    EXPECT_EQ(counters.to_prometheus(),
              "# HELP depth Depth.\n# TYPE depth gauge\ndepth -1\n"
              "# HELP t_total Things.\n# TYPE t_total counter\nt_total{reason=\"a\\\"b\"} 3\n");
    EXPECT_EQ(counters.value("depth"), -1);
    EXPECT_EQ(counters.value("t_total{reason=\"a\\\"b\"}"), 3);
}

TEST(Guarded, GivesAccessUnderTheLock) {
    Guarded<int> number(1);
    number.with([](int& n) { ++n; });
    EXPECT_EQ(number.with([](const int& n) { return n; }), 2);
}

}  // namespace
}  // namespace tapir
