#include <array>
#include <memory>
#include <string>
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

TEST(InCopy, IsThePartWhereTheCopyIs) {
    const Bytes whole = to_bytes(std::string_view("one two three"));
    const Bytes copy = whole;
    const ByteView two = ByteView(whole).subspan(4, 3);
    const ByteView there = in_copy(two, whole, copy);
    EXPECT_EQ(there.data(), copy.data() + 4);
    EXPECT_EQ(as_text(there), "two");
    EXPECT_EQ(in_copy(whole, whole, copy).size(), copy.size());
    EXPECT_TRUE(in_copy(ByteView(), whole, copy).empty());
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

UtcTime log_time;  // what the log under test takes for now

TEST(Log, HoldsBackWhatComesTooOftenAndSaysSo) {
    std::string sink;
    log_time = UtcTime::from_seconds(1'780'056'780);
    {
        const Log log = Log::to_string(sink, {.service = "s", .version = "1", .hostname = "h"},
                                       [] { return log_time; });
        for (unsigned i = 0; i < Log::burst_max + 5; ++i) {
            log.warn("input", "bad frame", {{"i", i}});
            log.info("input", "other");
        }
        EXPECT_EQ(log.counts().written, 2 * Log::burst_max);
        EXPECT_EQ(log.counts().held_back, 10U);
        ASSERT_EQ(log.troubles().size(), Log::troubles_max);
        EXPECT_EQ(
            log.troubles().back(),
            "{\"time\":\"2026-05-29T12:13:00.000000000Z\",\"level\":\"warn\",\"service\":\"s\","
            "\"version\":\"1\",\"hostname\":\"h\",\"part\":\"input\",\"msg\":\"bad "
            "frame\",\"i\":19}");
        sink.clear();
        log_time = log_time + std::chrono::minutes(1);
        log.info("input", "another");  // the first line of the next minute sums up the last
        EXPECT_NE(sink.find("\"msg\":\"similar lines were held back\",\"of\":\"input/bad frame\","
                            "\"count\":5}"),
                  std::string::npos)
            << sink;
        sink.clear();
        log.warn("input", "bad frame");  // and it is written again
        EXPECT_NE(sink.find("bad frame"), std::string::npos);
        for (unsigned i = 0; i < Log::burst_max; ++i) {
            log.warn("input", "bad frame");
        }
        sink.clear();
    }
    EXPECT_NE(sink.find("\"count\":1}"), std::string::npos) << "the end sums up too";
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

TEST(Counters, HistogramsCountAtMostEachBound) {
    Counters counters;
    const std::array<double, 2> bounds{0.5, 2};
    Histogram& delay = counters.histogram("delay_seconds", "Delay.", bounds, {{"to", "x"}});
    EXPECT_EQ(delay.quantile(0.5), 0);
    for (const double value : {0.5, 0.25, 1.0, 3.0}) {
        delay.observe(value);
    }
    EXPECT_EQ(&delay, &counters.histogram("delay_seconds", "Delay.", bounds, {{"to", "x"}}));
    EXPECT_EQ(delay.count(), 4U);
    EXPECT_EQ(delay.quantile(0.5), 0.5);
    EXPECT_EQ(delay.quantile(0.75), 2);
    EXPECT_EQ(delay.quantile(1), 2);
    counters.real_counter("cpu_seconds_total", "CPU.").set(1.25);
    EXPECT_EQ(counters.to_prometheus(),
              "# HELP cpu_seconds_total CPU.\n# TYPE cpu_seconds_total counter\n"
              "cpu_seconds_total 1.25\n"
              "# HELP delay_seconds Delay.\n# TYPE delay_seconds histogram\n"
              "delay_seconds_bucket{to=\"x\",le=\"0.5\"} 2\n"
              "delay_seconds_bucket{to=\"x\",le=\"2\"} 3\n"
              "delay_seconds_bucket{to=\"x\",le=\"+Inf\"} 4\n"
              "delay_seconds_sum{to=\"x\"} 4.75\ndelay_seconds_count{to=\"x\"} 4\n");
}

TEST(Counters, AreBoundedWhateverTheLabelsAre) {
    Counters counters;
    for (std::size_t i = 0; i < Counters::series_max + 100; ++i) {
        counters.counter("t_total", "T.", {{"peer", std::to_string(i)}}).add();
    }
    EXPECT_EQ(counters.values("t_total").size(), Counters::series_max + 1);
    EXPECT_EQ(counters.value("t_total{overflow=\"true\"}"), 100);
    EXPECT_EQ(counters.value("t_total{peer=\"7\"}"), 1);
    counters.counter("t_total", "T.", {{"peer", "7"}}).add();
    EXPECT_EQ(counters.value("t_total{peer=\"7\"}"), 2);
}

TEST(Guarded, GivesAccessUnderTheLock) {
    Guarded<int> number(1);
    number.with([](int& n) { ++n; });
    EXPECT_EQ(number.with([](const int& n) { return n; }), 2);
}

}  // namespace
}  // namespace tapir
