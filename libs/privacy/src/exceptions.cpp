#include "tapir/privacy/exceptions.hpp"

#include <utility>

namespace tapir::privacy {
namespace {

constexpr std::int64_t day_s = 86'400;

std::int64_t hour_of(const Rule& rule, UtcTime time) {
    return time.seconds() / static_cast<std::int64_t>(rule.time_s);
}

}  // namespace

Exceptions::Exceptions(Profile profile, ExceptionsBefore before)
    : profile_(profile),
      rule_(rule_for(Product::by_exception, profile)),
      day_(before.day),
      granted_today_(before.granted) {}

void Exceptions::turn(UtcTime time) {
    time_ = time;
    has_begun_ = true;
    // A clock that is put back opens no day again.
    if (const std::int64_t day = time.seconds() / day_s; day > day_) {
        day_ = day;
        granted_today_ = 0;
        domains_.clear();
    }
}

Exceptions::Answer Exceptions::offer(std::string_view domain, const ExceptionGrounds& grounds,
                                     const dns::PublicSuffixes& suffixes) {
    if (domains_.contains(domain)) {
        return {.outcome = ExceptionOutcome::granted_before};
    }
    if (!has_begun_ || (!grounds.is_pinned && grounds.networks < rule_.threshold.networks_min)) {
        return {.outcome = ExceptionOutcome::too_few};
    }
    if (rule_.a_day_max && granted_today_ >= *rule_.a_day_max) {
        return {.outcome = ExceptionOutcome::over_the_day};
    }
    auto released = release_by_exception(profile_, domain, grounds, suffixes, time_);
    if (!released) {
        return {.outcome = ExceptionOutcome::never};
    }
    ++granted_today_;
    domains_.emplace(domain);
    waiting_.push_back({.hour = hour_of(rule_, time_),
                        .number = ++granted_,
                        .exception = {.name = *std::move(released), .grounds = grounds}});
    return {.outcome = ExceptionOutcome::granted, .number = granted_};
}

std::vector<Exception> Exceptions::take(UtcTime batch_time, std::uint64_t written) {
    std::vector<Exception> out;
    const std::int64_t hour = hour_of(rule_, batch_time);
    while (!waiting_.empty() && waiting_.front().hour < hour &&
           waiting_.front().number <= written) {
        out.push_back(std::move(waiting_.front().exception));
        waiting_.pop_front();
    }
    return out;
}

}  // namespace tapir::privacy
