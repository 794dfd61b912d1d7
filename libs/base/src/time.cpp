#include "tapir/base/time.hpp"

#include <array>
#include <optional>

#include <fmt/format.h>

namespace tapir {
namespace {

namespace chrono = std::chrono;

std::string civil(UtcTime time, bool with_ns) {
    const chrono::sys_seconds seconds{chrono::seconds(time.seconds())};
    const auto day = chrono::floor<chrono::days>(seconds);
    const chrono::year_month_day date{day};
    const auto of_day = (seconds - day).count();
    std::string out =
        fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                    of_day / 3600, of_day / 60 % 60, of_day % 60);
    if (with_ns) {
        out += fmt::format(".{:09}", time.ns() - time.second().ns());
    }
    return out + "Z";
}

// A cursor over the text: each step fails for good once one has failed.
class Scanner {
public:
    explicit Scanner(std::string_view text) : text_(text) {}

    int digits(std::size_t count) {
        int value = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const char c = next();
            if (c < '0' || c > '9') {
                ok_ = false;
                return 0;
            }
            value = value * 10 + (c - '0');
        }
        return value;
    }
    char next() {
        if (text_.empty()) {
            ok_ = false;
            return '\0';
        }
        const char c = text_.front();
        text_.remove_prefix(1);
        return c;
    }
    void expect(std::string_view one_of) {
        ok_ = one_of.find(next()) != std::string_view::npos && ok_;
    }
    char peek() const { return text_.empty() ? '\0' : text_.front(); }
    bool at_end() const { return text_.empty(); }
    bool ok() const { return ok_; }

private:
    std::string_view text_;
    bool ok_ = true;
};

std::int64_t fraction_ns(Scanner& in) {
    if (in.peek() != '.') {
        return 0;
    }
    in.expect(".");
    std::int64_t value = 0;
    std::int64_t unit = 100'000'000;
    do {
        value += unit * in.digits(1);
        unit /= 10;
    } while (unit > 0 && in.peek() >= '0' && in.peek() <= '9');
    return value;
}

std::int64_t offset_seconds(Scanner& in) {
    const char sign = in.next();
    if (sign == 'Z' || sign == 'z') {
        return 0;
    }
    const int hours = in.digits(2);
    in.expect(":");
    const int minutes = in.digits(2);
    if ((sign != '+' && sign != '-') || hours > 23 || minutes > 59) {
        in.expect("");
    }
    const std::int64_t seconds = std::int64_t{hours} * 3600 + std::int64_t{minutes} * 60;
    return sign == '-' ? -seconds : seconds;
}

}  // namespace

Result<UtcTime> UtcTime::parse(std::string_view text) {
    Scanner in(text);
    const int year = in.digits(4);
    in.expect("-");
    const int month = in.digits(2);
    in.expect("-");
    const int day = in.digits(2);
    in.expect("Tt");
    const int hour = in.digits(2);
    in.expect(":");
    const int minute = in.digits(2);
    in.expect(":");
    const int second = in.digits(2);
    const std::int64_t fraction = fraction_ns(in);
    const std::int64_t offset = offset_seconds(in);
    const chrono::year_month_day date{chrono::year(year),
                                      chrono::month(static_cast<unsigned>(month)),
                                      chrono::day(static_cast<unsigned>(day))};
    if (!in.ok() || !in.at_end() || !date.ok() || hour > 23 || minute > 59 || second > 60 ||
        year < 1678 || year > 2261) {
        return fail(Code::invalid,
                    fmt::format("expected an RFC 3339 time, got '{}'", text.substr(0, 64)));
    }
    const std::int64_t days = chrono::sys_days(date).time_since_epoch().count();
    const std::int64_t seconds =
        days * 86'400 + std::int64_t{hour} * 3600 + std::int64_t{minute} * 60 + second - offset;
    return from_ns(seconds * 1'000'000'000 + fraction);
}

std::string UtcTime::to_string() const {
    return civil(*this, false);
}
std::string UtcTime::to_string_ns() const {
    return civil(*this, true);
}

}  // namespace tapir
