// A day of a site that does not exist: what is on the list is asked for as the lab's mixes ask
// (lab/bench), and new registered domains spread among the clients.
//
//     DayTraffic day(plan, lines_of(list));
//     while (day.next(query)) { ... }
//
// Listed names: Zipf's law of exponent 0.95 over the list, clients by Zipf's law of 0.8, more by
// day than by night. New domains: nobody asked before this day. How many clients one reaches is
// drawn from a law with a heavy tail, P(k) ~ k^-exponent for 1 to reach_max: AN ASSUMPTION, as is
// how one spreads: it begins when clients are awake, lasts 10 minutes to 21 hours, each doubling
// of that as likely as the others, and half of its clients come in the first quarter. Clients are
// drawn as for listed names; each asks for A and AAAA, once. Whoever would come after the day does
// not.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "chance.hpp"
#include "query.hpp"

namespace tapir::utility {

inline constexpr std::int64_t day_start_s = 1'789'948'800;  // 2026-09-21T00:00:00Z

struct DayPlan {
    std::uint64_t seed = 1;
    std::uint32_t clients = 20'000;   // a quarter of them IPv6
    std::uint64_t queries_a_s = 250;  // for listed names, on the day's average
    std::uint32_t new_domains = 20'000;
    unsigned exponent_tenths = 19;  // of how many clients a new domain reaches; 0 to 19
    std::size_t reach_max = 5'000;  // clients; at most half of all
    std::int64_t seconds = 86'400;  // of the day, from its first
};

class DayTraffic final : public Source {
public:
    // `list`: entries as they stand in a list, a leading dot for a suffix; must outlive it.
    DayTraffic(const DayPlan& plan, const std::vector<std::string_view>& list);

    bool next(Query& query) override;

private:
    static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

    // Somebody asks for a new domain.
    struct Ask {
        std::int64_t ns = 0;  // of the day
        std::uint32_t client = 0;
        std::uint32_t domain = 0;
        friend auto operator<=>(const Ask&, const Ask&) = default;
    };
    void spread(std::uint32_t domain, const bench::Zipf& reach);
    void take_ask(Query& query);
    void take_listed(Query& query);
    void find_listed();
    // How much of the day's activity lies before a second of it, and in which second lies what.
    std::uint64_t activity_before(std::int64_t second) const;
    std::int64_t second_of(std::uint64_t activity) const;
    // Queries for listed names in a second.
    std::uint64_t listed_in(std::int64_t second) const;

    DayPlan plan_;
    const std::vector<std::string_view>& list_;
    bench::Chance chance_;
    bench::Zipf name_rank_;
    bench::Zipf client_rank_;
    std::vector<std::uint32_t> names_;    // of the list, the most popular first
    std::vector<std::uint32_t> clients_;  // the busiest first
    std::vector<Ask> asks_;               // by time
    std::size_t next_ask_ = 0;
    bool has_asked_a_ = false;     // the next ask did; AAAA is to come
    std::int64_t second_ = 0;      // which the next query for a listed name is of
    std::uint64_t in_second_ = 0;  // and how many of its second come before it
    std::uint64_t of_second_ = 0;
    std::int64_t listed_ns_ = 0;  // when it comes
};

// The queries of a list, for tests and for logs that were read as a whole.
class GivenTraffic final : public Source {
public:
    explicit GivenTraffic(const std::vector<Query>& queries) : queries_(queries) {}
    bool next(Query& query) override {
        if (at_ == queries_.size()) {
            return false;
        }
        query = queries_[at_++];
        return true;
    }

private:
    const std::vector<Query>& queries_;  // must outlive it
    std::size_t at_ = 0;
};

}  // namespace tapir::utility
