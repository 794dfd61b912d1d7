#include "tapir/columns/table_writer.hpp"

#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include "tapir/columns/testing.hpp"

namespace tapir::columns {
namespace {

using testing::Duck;

// One file on disk while it lives.
class TemporaryFile {
public:
    explicit TemporaryFile(const Bytes& octets)
        : path_(std::filesystem::temp_directory_path() /
                ("tapir_columns_" + std::to_string(::getpid()) + "_" + std::to_string(++count_) +
                 ".parquet")) {
        std::ofstream(path_, std::ios::binary) << as_text(octets);
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    ~TemporaryFile() { std::filesystem::remove(path_); }
    std::string quoted() const { return std::string("'").append(path_.string()).append("'"); }

private:
    static inline int count_ = 0;
    std::filesystem::path path_;
};

std::vector<Column> histogram_columns() {
    std::vector<Column> columns = {{"start_time", Type::timestamp_us}};
    for (int i = 0; i < 10; ++i) {
        columns.push_back(
            {std::string("label").append(std::to_string(i)), Type::string, Presence::optional});
    }
    for (const char* name :
         {"a_count", "aaaa_count", "mx_count", "ns_count", "other_type_count", "non_in_count",
          "ok_count", "nx_count", "fail_count", "other_rcode_count", "edm_status_bits",
          "v4client_count", "v6client_count"}) {
        columns.push_back({name, Type::uint64});
    }
    columns.push_back({"v4client_count_hll", Type::bytes, Presence::optional});
    columns.push_back({"v6client_count_hll", Type::bytes, Presence::optional});
    return columns;
}

Bytes histogram(std::size_t rows, const FinishOptions& options = {}) {
    TableWriter table("histogramData", histogram_columns());
    for (std::size_t r = 0; r < rows; ++r) {
        table.int64(0, 1'780'000'000'000'000);
        table.string(1, "com");
        table.string(2, "");
        for (std::size_t c = 3; c < 11; ++c) {
            table.null(c);
        }
        for (std::size_t c = 11; c < 24; ++c) {
            table.uint64(c, r * 100 + c);
        }
        table.bytes(24, as_bytes(std::string_view("\x13\x6a\x44\x00", 4)));
        table.null(25);
    }
    auto file = table.finish(options);
    EXPECT_TRUE(file);
    return *std::move(file);
}

TEST(TableWriter, HasTheSchemaOfTheReferenceHistogramInEveryColumn) {
    const TemporaryFile ours(histogram(3));
    Duck duck;
    const auto schema = [&duck](const std::string& file) {
        return duck.query(
            "SELECT name, type, type_length, repetition_type, num_children, converted_type, scale, "
            "precision, field_id, logical_type FROM parquet_schema(" +
            file + ")");
    };
    const auto expected = schema("'" TAPIR_GOLDEN "/histogram.parquet'");
    EXPECT_EQ(expected.size(), 27U);
    EXPECT_EQ(schema(ours.quoted()), expected);
    const auto types = [&duck](const std::string& file) {
        return duck.query("DESCRIBE SELECT * FROM read_parquet(" + file + ")");
    };
    EXPECT_EQ(types(ours.quoted()), types("'" TAPIR_GOLDEN "/histogram.parquet'"));
}

TEST(TableWriter, IsReadBackWithNullAndEmptyToldApart) {
    const TemporaryFile file(histogram(2));
    Duck duck;
    const Duck::Rows expected = {
        {"1780000000000000", "com", "", "NULL", "11", "23", "136A4400", "NULL"},
        {"1780000000000000", "com", "", "NULL", "111", "123", "136A4400", "NULL"}};
    EXPECT_EQ(duck.query("SELECT epoch_us(start_time), label0, label1, label2, a_count, "
                         "v6client_count, hex(v4client_count_hll), v6client_count_hll FROM "
                         "read_parquet(" +
                         file.quoted() + ")"),
              expected);
}

TEST(TableWriter, WritesEveryTypeAtItsLimits) {
    TableWriter table("all", {{"ts", Type::timestamp_us},
                              {"i64", Type::int64},
                              {"u64", Type::uint64},
                              {"i32", Type::int32},
                              {"u32", Type::uint32},
                              {"u16", Type::uint16},
                              {"u8", Type::uint8},
                              {"f64", Type::float64},
                              {"b", Type::boolean, Presence::optional},
                              {"s", Type::string},
                              {"o", Type::bytes}});
    for (const bool top : {false, true}) {
        table.int64(0, top ? 1'000'000 : -1);
        table.int64(1, top ? std::numeric_limits<std::int64_t>::max()
                           : std::numeric_limits<std::int64_t>::min());
        table.uint64(2, top ? std::numeric_limits<std::uint64_t>::max() : 0);
        table.int32(3, top ? std::numeric_limits<std::int32_t>::max()
                           : std::numeric_limits<std::int32_t>::min());
        table.uint32(4, top ? std::numeric_limits<std::uint32_t>::max() : 0);
        table.uint32(5, top ? 65'535 : 0);
        table.uint32(6, top ? 255 : 0);
        table.float64(7, top ? 0.1 : -2.5e300);
        if (top) {
            table.boolean(8, true);
        } else {
            table.null(8);
        }
        table.string(9, top ? "räksmörgås" : "");
        table.bytes(10, to_bytes(top ? "x" : ""));
    }
    const TemporaryFile file(*table.finish());
    Duck duck;
    const Duck::Rows expected = {
        {"-1", "-9223372036854775808", "0", "-2147483648", "0", "0", "0", "-2.5e+300", "NULL", "",
         ""},
        {"1000000", "9223372036854775807", "18446744073709551615", "2147483647", "4294967295",
         "65535", "255", "0.1", "true", "räksmörgås", "78"}};
    EXPECT_EQ(duck.query("SELECT epoch_us(ts), i64, u64, i32, u32, u16, u8, f64, b, s, hex(o) FROM "
                         "read_parquet(" +
                         file.quoted() + ")"),
              expected);
}

TEST(TableWriter, PacksBooleansAcrossOctets) {
    TableWriter table("t", {{"b", Type::boolean}});
    for (int i = 0; i < 1'000; ++i) {
        table.boolean(0, i % 3 == 0);
    }
    const TemporaryFile file(*table.finish());
    Duck duck;
    const Duck::Rows expected = {{"334", "1000"}};
    EXPECT_EQ(
        duck.query("SELECT count(*) FILTER (b), count(*) FROM read_parquet(" + file.quoted() + ")"),
        expected);
}

TEST(TableWriter, SplitsALongColumnIntoPages) {
    TableWriter table("t", {{"n", Type::int64, Presence::optional}, {"s", Type::string}});
    constexpr int rows = 400'000;
    for (int i = 0; i < rows; ++i) {
        if (i % 5 == 0) {
            table.null(0);
        } else {
            table.int64(0, i);
        }
        table.string(1, std::string("row ").append(std::to_string(i)));
    }
    EXPECT_EQ(table.row_count(), 400'000U);
    const TemporaryFile file(*table.finish());
    Duck duck;
    const Duck::Rows expected = {{"400000", "320000", "64000000000", "row 399999", "0"}};
    EXPECT_EQ(duck.query("SELECT count(*), count(n), sum(n)::BIGINT, max_by(s, n), "
                         "count(*) FILTER (s <> 'row ' || n) FROM read_parquet(" +
                         file.quoted() + ")"),
              expected);
}

TEST(TableWriter, WritesAFileOfNoRows) {
    const TemporaryFile file(histogram(0));
    Duck duck;
    EXPECT_EQ(duck.query("SELECT * FROM read_parquet(" + file.quoted() + ")"), Duck::Rows());
}

TEST(TableWriter, StatesRowGroupCompressionAndMetadata) {
    const TemporaryFile file(histogram(2, {.pad_to = 0, .metadata = {{"profile", "standard"}}}));
    Duck duck;
    const Duck::Rows groups = {{"26", "1", "1", "2"}};
    EXPECT_EQ(
        duck.query("SELECT count(*), count(DISTINCT row_group_id), count(DISTINCT compression), "
                   "max(num_values) FROM parquet_metadata(" +
                   file.quoted() + ") WHERE compression = 'SNAPPY'"),
        groups);
    const Duck::Rows metadata = {{"profile", "standard"}};
    EXPECT_EQ(duck.query("SELECT decode(key), decode(value) FROM parquet_kv_metadata(" +
                         file.quoted() + ")"),
              metadata);
    const Duck::Rows creator = {{"tapir", "2", "2"}};
    EXPECT_EQ(duck.query("SELECT created_by, num_rows, format_version FROM parquet_file_metadata(" +
                         file.quoted() + ")"),
              creator);
}

TEST(TableWriter, FillsUpToAMultipleOfEverySize) {
    Duck duck;
    for (std::size_t pad_to = 1; pad_to < 700; ++pad_to) {
        const Bytes file = histogram(1, {.pad_to = pad_to, .metadata = {}});
        ASSERT_EQ(file.size() % pad_to, 0U) << pad_to;
    }
    const Bytes padded = histogram(5, {.pad_to = 4096, .metadata = {}});
    EXPECT_EQ(padded.size(), 4096U);
    const TemporaryFile file(padded);
    EXPECT_EQ(duck.query("SELECT * FROM read_parquet(" + file.quoted() + ")").size(), 5U);
}

TEST(TableWriter, GivesTheSameOctetsForTheSameCalls) {
    EXPECT_EQ(histogram(1'000), histogram(1'000));
}

TEST(TableWriter, RefusesColumnsOfDifferentLengthAndIsEmptyAfterwards) {
    TableWriter table("t", {{"a", Type::int64}, {"b", Type::int64}});
    table.int64(0, 1);
    const auto refused = table.finish();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::invalid);
    EXPECT_NE(refused.error().what().find("column b has 0 values, not 1"), std::string::npos);
    EXPECT_EQ(table.row_count(), 0U);
}

RC_GTEST_PROP(TableWriter, IsReadBackAsItWasWritten, (std::vector<std::int64_t> numbers)) {
    static Duck duck;
    TableWriter table("t", {{"n", Type::int64, Presence::optional}});
    Duck::Rows expected;
    for (const auto number : numbers) {
        if (number % 3 == 0) {
            table.null(0);
            expected.push_back({"NULL"});
        } else {
            table.int64(0, number);
            expected.push_back({std::to_string(number)});
        }
    }
    const TemporaryFile file(*table.finish());
    RC_ASSERT(duck.query("SELECT n FROM read_parquet(" + file.quoted() + ")") == expected);
}

}  // namespace
}  // namespace tapir::columns
