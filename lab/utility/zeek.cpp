#include "zeek.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace tapir::utility {
namespace {

// What is looked at.
enum class Field : std::uint8_t { ts, client, port, rtt, query, qtype, rcode };
constexpr std::array<std::string_view, 7> field_names = {"ts",    "id.orig_h", "id.resp_p", "rtt",
                                                         "query", "qtype",     "rcode"};
constexpr std::string_view unset = "-";
constexpr std::string_view dns_port = "53";
constexpr std::size_t column_count_max = 256;
constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::uint64_t seconds_max = 9'000'000'000;  // the year 2255: in 64 bits of nanoseconds
constexpr std::size_t fraction_digits = 9;
constexpr unsigned rcode_max = 15;  // what a header can say

std::string_view first_of(std::string_view& rest, char separator) {
    const std::size_t end = std::min(rest.find(separator), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return part;
}

std::optional<std::uint64_t> number(std::string_view text, std::uint64_t max) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_good = error == std::errc() && end == text.data() + text.size() && value <= max;
    return is_good ? std::optional(value) : std::nullopt;
}

// "1521911720.865716": seconds, in nanoseconds.
std::optional<std::int64_t> nanoseconds(std::string_view text) {
    std::string_view fraction = text;
    const auto seconds = number(first_of(fraction, '.'), seconds_max);
    if (!seconds || fraction.size() > fraction_digits) {
        return std::nullopt;
    }
    std::string padded(fraction);
    padded.resize(fraction_digits, '0');
    const auto rest = number(padded, second_ns - 1);
    if (!rest) {
        return std::nullopt;
    }
    return static_cast<std::int64_t>(*seconds) * second_ns + static_cast<std::int64_t>(*rest);
}

class Reader {
public:
    Reader(std::string_view file, ZeekLog& log) : file_(file), log_(log) {}

    Result<void> take(std::string_view line) {
        ++line_;
        if (line.starts_with("#fields\t")) {
            return take_columns(line);
        }
        if (line.empty() || line.starts_with('#')) {
            return {};
        }
        return take_record(line);
    }

private:
    Failure<Error> refuse(Field field, std::string_view expected, std::string_view got) const {
        return fail(Code::invalid, fmt::format("{}:{}: {}: expected {}, got '{}'", file_, line_,
                                               field_names.at(static_cast<std::size_t>(field)),
                                               expected, got.substr(0, 64)));
    }

    Result<void> take_columns(std::string_view line) {
        first_of(line, '\t');
        columns_.clear();
        while (!line.empty() && columns_.size() < column_count_max) {
            columns_.push_back(first_of(line, '\t'));
        }
        for (std::size_t i = 0; i < field_names.size(); ++i) {
            if (std::ranges::find(columns_, field_names.at(i)) == columns_.end()) {
                return refuse(static_cast<Field>(i), "a column of this name", "none");
            }
        }
        return {};
    }

    Result<void> take_record(std::string_view line) {
        std::array<std::string_view, field_names.size()> fields;
        if (columns_.empty()) {
            return fail(Code::invalid,
                        fmt::format("{}:{}: expected a line '#fields' before the first record",
                                    file_, line_));
        }
        const auto tabs = static_cast<std::size_t>(std::ranges::count(line, '\t'));
        if (tabs + 1 != columns_.size()) {
            return fail(Code::invalid, fmt::format("{}:{}: expected {} fields, got {}", file_,
                                                   line_, columns_.size(), tabs + 1));
        }
        for (const std::string_view column : columns_) {
            const auto known = std::ranges::find(field_names, column);
            const std::string_view value = first_of(line, '\t');
            if (known != field_names.end()) {
                fields.at(static_cast<std::size_t>(known - field_names.begin())) = value;
            }
        }
        return take_fields(fields);
    }

    Result<void> take_fields(const std::array<std::string_view, field_names.size()>& fields) {
        const auto text = [&fields](Field field) {
            return fields.at(static_cast<std::size_t>(field));
        };
        ++log_.records;
        if (text(Field::port) != dns_port) {
            ++log_.other_ports;
            return {};
        }
        if (text(Field::rcode) == unset) {
            ++log_.unanswered;
            return {};
        }
        if (text(Field::query) == unset || text(Field::query).empty() ||
            text(Field::qtype) == unset) {
            ++log_.without_name;
            return {};
        }
        const auto time = nanoseconds(text(Field::ts));
        if (!time) {
            return refuse(Field::ts, "seconds since 1970", text(Field::ts));
        }
        const bool has_rtt = text(Field::rtt) != unset;
        const auto rtt = has_rtt ? nanoseconds(text(Field::rtt)) : std::optional<std::int64_t>(0);
        if (!rtt || *rtt > 60 * second_ns) {
            return refuse(Field::rtt, "seconds, at most 60", text(Field::rtt));
        }
        const auto client = client_from_text(text(Field::client));
        if (!client) {
            return refuse(Field::client, "an address", "another text");
        }
        const auto type = number(text(Field::qtype), 65'535);
        if (!type) {
            return refuse(Field::qtype, "a number", text(Field::qtype));
        }
        const auto rcode = number(text(Field::rcode), rcode_max);
        if (!rcode) {
            return refuse(Field::rcode, "0 to 15", text(Field::rcode));
        }
        log_.queries.push_back({.time = UtcTime::from_ns(*time) + Duration(*rtt),
                                .client = *client,
                                .name = std::string(text(Field::query)),
                                .type = static_cast<dns::RrType>(*type),
                                .rcode = static_cast<std::uint16_t>(*rcode)});
        return {};
    }

    std::string file_;
    ZeekLog& log_;
    std::size_t line_ = 0;
    std::vector<std::string_view> columns_;  // of the text
};

}  // namespace

Result<ZeekLog> read_zeek(std::string_view text, std::string_view file) {
    ZeekLog log;
    Reader reader(file, log);
    while (!text.empty()) {
        TRY(reader.take(first_of(text, '\n')));
    }
    // Of one time in the order of the log.
    std::vector<std::pair<UtcTime, std::size_t>> order;
    order.reserve(log.queries.size());
    for (const Query& query : log.queries) {
        order.emplace_back(query.time, order.size());
    }
    std::ranges::sort(order);
    std::vector<Query> sorted;
    sorted.reserve(order.size());
    for (const auto& [time, index] : order) {
        sorted.push_back(std::move(log.queries[index]));
    }
    log.queries = std::move(sorted);
    return log;
}

}  // namespace tapir::utility
