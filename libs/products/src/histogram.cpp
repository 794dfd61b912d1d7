#include "tapir/products/histogram.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

namespace tapir::products {
namespace {

constexpr std::string_view file_prefix = "dns_histogram-";
constexpr std::string_view file_suffix = ".parquet";
constexpr std::size_t file_time_size = 20;  // 2024-09-26T18-14-00Z
constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t minute_ns = 60 * second_ns;
constexpr std::int64_t hour_ns = 60 * minute_ns;
constexpr std::size_t number_digits_max = 9;                             // of a part of a duration
constexpr std::int64_t length_s_max = std::int64_t{100} * 365 * 86'400;  // of an interval

constexpr auto text_column = ColumnType::text;
constexpr auto count_column = ColumnType::count;
constexpr std::array<Column, histogram_column_count> columns{{
    {"start_time", ColumnType::timestamp_us, false},
    {"label0", text_column, true},
    {"label1", text_column, true},
    {"label2", text_column, true},
    {"label3", text_column, true},
    {"label4", text_column, true},
    {"label5", text_column, true},
    {"label6", text_column, true},
    {"label7", text_column, true},
    {"label8", text_column, true},
    {"label9", text_column, true},
    {"a_count", count_column, false},
    {"aaaa_count", count_column, false},
    {"mx_count", count_column, false},
    {"ns_count", count_column, false},
    {"other_type_count", count_column, false},
    {"non_in_count", count_column, false},
    {"ok_count", count_column, false},
    {"nx_count", count_column, false},
    {"fail_count", count_column, false},
    {"other_rcode_count", count_column, false},
    {"edm_status_bits", count_column, false},
    {"v4client_count", count_column, false},
    {"v6client_count", count_column, false},
    {"v4client_count_hll", ColumnType::octets, true},
    {"v6client_count_hll", ColumnType::octets, true},
}};

// The colons of a time are dashes in a file name.
std::string file_time(UtcTime time) {
    std::string text = time.to_string();
    std::ranges::replace(text, ':', '-');
    return text;
}

Result<UtcTime> parse_file_time(std::string_view name) {
    std::string text(name);
    if (text.size() != file_time_size || text[13] != '-' || text[16] != '-') {
        return fail(Code::invalid, "histogram file name: expected times like 2024-09-26T18-14-00Z");
    }
    text[13] = ':';
    text[16] = ':';
    return UtcTime::parse(text);
}

// One part of a duration, "15M" or "59.5S", at the front of `text`; the rest stays.
struct Part {
    std::int64_t count = 0;
    std::int64_t fraction_ns = 0;  // of one unit, in 10^-9
    bool has_fraction = false;
    char unit = '\0';
};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::optional<Part> take_part(std::string_view& text) {
    Part part;
    std::size_t at = 0;
    for (; at < text.size() && is_digit(text[at]); ++at) {
        if (at == number_digits_max) {
            return std::nullopt;
        }
        part.count = part.count * 10 + (text[at] - '0');
    }
    if (at == 0) {
        return std::nullopt;
    }
    if (at < text.size() && (text[at] == '.' || text[at] == ',')) {
        part.has_fraction = true;
        std::int64_t unit = second_ns / 10;
        const std::size_t first = ++at;
        for (; at < text.size() && is_digit(text[at]); ++at, unit /= 10) {
            part.fraction_ns += (text[at] - '0') * unit;
        }
        if (at == first || at - first > number_digits_max) {
            return std::nullopt;
        }
    }
    if (at == text.size()) {
        return std::nullopt;
    }
    part.unit = text[at];
    text.remove_prefix(at + 1);
    return part;
}

struct Unit {
    char name;
    bool is_time;  // behind the T
    std::int64_t seconds;
};
constexpr std::array<Unit, 7> units{{{'Y', false, std::int64_t{365} * 86'400},
                                     {'M', false, std::int64_t{30} * 86'400},
                                     {'W', false, std::int64_t{7} * 86'400},
                                     {'D', false, 86'400},
                                     {'H', true, 3'600},
                                     {'M', true, 60},
                                     {'S', true, 1}}};

Failure<Error> bad_duration() {
    return fail(Code::invalid, "interval: expected a duration such as PT1M");
}

// ISO 8601: P, then years, months, weeks, days, then T and hours, minutes, seconds, in that order,
// at least one; only seconds may have a fraction.
Result<Duration> parse_duration(std::string_view text) {
    if (!text.starts_with('P') || text.size() == 1) {
        return bad_duration();
    }
    text.remove_prefix(1);
    std::int64_t seconds = 0;
    std::int64_t fraction_ns = 0;
    bool is_time = false;
    const Unit* next = units.data();
    const Unit* const end = next + units.size();
    while (!text.empty()) {
        if (!is_time && text.front() == 'T') {
            is_time = true;
            text.remove_prefix(1);
        }
        const auto part = take_part(text);
        if (!part) {
            return bad_duration();
        }
        next = std::find_if(next, end, [&](const Unit& unit) {
            return unit.name == part->unit && unit.is_time == is_time;
        });
        if (next == end || (part->has_fraction && part->unit != 'S')) {
            return bad_duration();
        }
        seconds += part->count * next->seconds;  // below 2^55: nine digits times a year
        fraction_ns = part->fraction_ns;
        ++next;
    }
    if (seconds > length_s_max) {
        return bad_duration();
    }
    return Duration(seconds * second_ns + fraction_ns);
}

// Of an interval, its fraction cut off; the whole difference may be more than 64 bits hold.
std::int64_t length_s(const Interval& interval) {
    return (interval.stop.second().ns() / second_ns) - (interval.start.second().ns() / second_ns);
}

// Whether start + duration is a time that UtcTime can hold.
bool is_representable(UtcTime start, Duration duration) {
    return start.ns() <= std::numeric_limits<std::int64_t>::max() - duration.count();
}

Result<UtcTime> parse_time(std::string_view text) {
    auto time = UtcTime::parse(text);
    if (!time) {
        return fail(std::move(time).error().at("interval"));
    }
    return time;
}

}  // namespace

const std::array<Column, histogram_column_count>& histogram_columns() {
    return columns;
}

std::string histogram_file_name(const Interval& interval) {
    return fmt::format("{}{}_{}{}", file_prefix, file_time(interval.start),
                       file_time(interval.stop), file_suffix);
}

Result<Interval> parse_histogram_file_name(std::string_view name) {
    const std::size_t size =
        file_prefix.size() + file_time_size + 1 + file_time_size + file_suffix.size();
    if (name.size() != size || !name.starts_with(file_prefix) || !name.ends_with(file_suffix) ||
        name[file_prefix.size() + file_time_size] != '_') {
        return fail(Code::invalid,
                    "histogram file name: expected dns_histogram-START_STOP.parquet");
    }
    Interval interval;
    interval.start = TRY(parse_file_time(name.substr(file_prefix.size(), file_time_size)));
    interval.stop =
        TRY(parse_file_time(name.substr(file_prefix.size() + file_time_size + 1, file_time_size)));
    // RFC 3339 lets a time be written with a small t, or a second 60: not here, one interval has
    // one name.
    if (histogram_file_name(interval) != name) {
        return fail(Code::invalid, "histogram file name: expected times like 2024-09-26T18-14-00Z");
    }
    return interval;
}

std::string aggregate_interval(const Interval& interval) {
    const std::int64_t length =
        interval.stop > interval.start ? (interval.stop - interval.start).count() : 0;
    std::string duration = "PT";
    if (length >= hour_ns) {
        duration += fmt::format("{}H", length / hour_ns);
    }
    if (length % hour_ns >= minute_ns) {
        duration += fmt::format("{}M", length % hour_ns / minute_ns);
    }
    const std::int64_t seconds_ns = length % minute_ns;
    if (seconds_ns % second_ns != 0) {
        std::string fraction = fmt::format("{:09}", seconds_ns % second_ns);
        fraction.erase(fraction.find_last_not_of('0') + 1);
        duration += fmt::format("{}.{}S", seconds_ns / second_ns, fraction);
    } else if (seconds_ns != 0 || length == 0) {
        duration += fmt::format("{}S", seconds_ns / second_ns);
    }
    return interval.start.to_string() + "/" + duration;
}

Result<std::optional<Interval>> parse_aggregate_interval(std::string_view text) {
    if (text.empty()) {
        return std::optional<Interval>();
    }
    const std::size_t slash = text.find('/');
    if (text.size() > aggregate_interval_size_max || slash == std::string_view::npos) {
        return fail(Code::invalid, "interval: expected START/DURATION or START/END");
    }
    const std::string_view second = text.substr(slash + 1);
    Interval interval;
    interval.start = TRY(parse_time(text.substr(0, slash)));
    if (second.starts_with('P')) {
        const Duration duration = TRY(parse_duration(second));
        if (!is_representable(interval.start, duration)) {
            return fail(Code::invalid, "interval: the end is too far away");
        }
        interval.stop = interval.start + duration;
    } else {
        interval.stop = TRY(parse_time(second));
    }
    if (interval.stop < interval.start) {
        return fail(Code::invalid, "interval: the end lies before the start");
    }
    // What is read in one form is printed in the other.
    if (length_s(interval) > length_s_max) {
        return fail(Code::invalid, "interval: longer than a hundred years of 365 days");
    }
    return std::optional(interval);
}

}  // namespace tapir::products
