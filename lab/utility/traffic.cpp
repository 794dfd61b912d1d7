#include "traffic.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>

#include <fmt/format.h>

#include "tapir/base/assert.hpp"

namespace tapir::utility {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t hour_s = 3600;
// How busy each hour of the day is.
constexpr std::array<std::uint64_t, 24> activity_of_hour = {4, 3, 2, 2, 2, 3, 5,  7,  8,  8, 8, 8,
                                                            8, 8, 8, 8, 8, 9, 10, 10, 10, 9, 7, 5};
constexpr std::int64_t shortest_s = 600;
constexpr std::uint64_t doublings = 8;  // 10 minutes to 21 h 20 min

// No name that lab/bench makes has a "q" in it.
std::string name_of(std::uint32_t domain) {
    constexpr std::array<std::string_view, 4> tops = {"com", "net", "org", "se"};
    return fmt::format("{}q{}.{}", domain % 2 == 0 ? "www." : "", domain,
                       tops.at(domain / 2 % tops.size()));
}

}  // namespace

DayTraffic::DayTraffic(const DayPlan& plan, const std::vector<std::string_view>& list)
    : plan_(plan),
      list_(list),
      chance_(plan.seed),
      name_rank_(list.size(), 19, 20),
      client_rank_(plan.clients, 4, 5),
      names_(bench::shuffled(list.size(), chance_)),
      clients_(bench::shuffled(plan.clients, chance_)) {
    TAPIR_ASSERT(plan.seconds > 0 && plan.clients <= made_up_client_count_max &&
                 plan.reach_max <= plan.clients / 2);
    const bench::Zipf reach(plan.reach_max, plan.exponent_tenths, 10);
    for (std::uint32_t domain = 0; domain < plan.new_domains; ++domain) {
        spread(domain, reach);
    }
    std::ranges::sort(asks_);
    of_second_ = listed_in(0);
    find_listed();
}

std::uint64_t DayTraffic::activity_before(std::int64_t second) const {
    std::uint64_t sum = 0;
    for (std::int64_t hour = 0; hour * hour_s < second; ++hour) {
        const std::int64_t seconds = std::min(second - hour * hour_s, hour_s);
        sum += activity_of_hour.at(static_cast<std::size_t>(hour % 24)) *
               static_cast<std::uint64_t>(seconds);
    }
    return sum;
}

std::int64_t DayTraffic::second_of(std::uint64_t activity) const {
    std::int64_t hour = 0;
    for (;; ++hour) {
        const std::uint64_t weight = activity_of_hour.at(static_cast<std::size_t>(hour % 24));
        if (activity < weight * hour_s) {
            return hour * hour_s + static_cast<std::int64_t>(activity / weight);
        }
        activity -= weight * hour_s;
    }
}

void DayTraffic::spread(std::uint32_t domain, const bench::Zipf& reach) {
    const std::size_t count = 1 + reach.draw(chance_);
    const std::int64_t start = second_of(chance_.below(activity_before(plan_.seconds)));
    const std::int64_t length_s = shortest_s << chance_.below(doublings);
    std::unordered_set<std::uint32_t> reached;
    while (reached.size() < count) {
        const std::uint32_t client = clients_[client_rank_.draw(chance_)];
        if (!reached.insert(client).second) {
            continue;
        }
        const double part = chance_.uniform();
        const double offset_ns = static_cast<double>(length_s * second_ns) * (part * part);
        const std::int64_t ns = start * second_ns + static_cast<std::int64_t>(offset_ns);
        if (ns < plan_.seconds * second_ns) {
            asks_.push_back({.ns = ns, .client = client, .domain = domain});
        }
    }
}

std::uint64_t DayTraffic::listed_in(std::int64_t second) const {
    if (list_.empty()) {
        return 0;
    }
    const std::uint64_t all = plan_.queries_a_s * static_cast<std::uint64_t>(plan_.seconds);
    const std::uint64_t activity = std::max<std::uint64_t>(activity_before(plan_.seconds), 1);
    return all * activity_before(second + 1) / activity - all * activity_before(second) / activity;
}

void DayTraffic::find_listed() {
    while (second_ < plan_.seconds && in_second_ == of_second_) {
        ++second_;
        in_second_ = 0;
        of_second_ = second_ < plan_.seconds ? listed_in(second_) : 0;
    }
    listed_ns_ = second_ == plan_.seconds
                     ? never
                     : second_ * second_ns +
                           static_cast<std::int64_t>(in_second_ * second_ns /
                                                     std::max<std::uint64_t>(of_second_, 1));
}

bool DayTraffic::next(Query& query) {
    if (next_ask_ < asks_.size() && asks_[next_ask_].ns <= listed_ns_) {
        take_ask(query);
        return true;
    }
    if (listed_ns_ == never) {
        return false;
    }
    take_listed(query);
    return true;
}

void DayTraffic::take_ask(Query& query) {
    const Ask& ask = asks_[next_ask_];
    query.time = UtcTime::from_ns(day_start_s * second_ns + ask.ns);
    query.client = made_up_client(ask.client);
    query.name = name_of(ask.domain);
    query.type = has_asked_a_ ? dns::RrType::aaaa : dns::RrType::a;
    query.rcode = 0;
    next_ask_ += has_asked_a_ ? 1 : 0;
    has_asked_a_ = !has_asked_a_;
}

void DayTraffic::take_listed(Query& query) {
    query.time = UtcTime::from_ns(day_start_s * second_ns + listed_ns_);
    query.client = made_up_client(clients_[client_rank_.draw(chance_)]);
    const std::string_view entry = list_[names_[name_rank_.draw(chance_)]];
    query.name = entry.starts_with('.') ? "www" : "";
    query.name += entry;
    query.type = chance_.happens(300) ? dns::RrType::aaaa : dns::RrType::a;
    query.rcode = 0;
    ++in_second_;
    find_listed();
}

}  // namespace tapir::utility
