#include "wide_rows.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace tapir::edge {
namespace {

// Of the rows with these numbers those with the most clients, as many as there may be. How many go.
std::size_t keep_most_asked(std::vector<std::uint32_t>& numbers, const RowTable& rows,
                            const WideLimits& limits) {
    std::size_t memory = 0;
    for (const std::uint32_t number : numbers) {
        memory += rows.memory_of(rows[number]);
    }
    if (numbers.size() <= limits.rows && memory <= limits.memory) {
        return 0;
    }
    struct Rank {
        std::uint64_t clients;
        std::uint32_t index;  // of the list's entry: unlike the number, it is always the same
        std::uint32_t number;
    };
    std::vector<Rank> ranks;
    ranks.reserve(numbers.size());
    for (const std::uint32_t number : numbers) {
        const Row& row = rows[number];
        ranks.push_back({.clients = rows.estimate(row.v4) + rows.estimate(row.v6),
                         .index = row.index,
                         .number = number});
    }
    std::ranges::sort(ranks, [](const Rank& a, const Rank& b) {
        return a.clients != b.clients ? a.clients > b.clients : a.index < b.index;
    });
    numbers.clear();
    memory = 0;
    for (const Rank& rank : ranks) {
        memory += rows.memory_of(rows[rank.number]);
        if (numbers.size() == limits.rows || memory > limits.memory) {
            break;
        }
        numbers.push_back(rank.number);
    }
    return ranks.size() - numbers.size();
}

}  // namespace

std::optional<WideRows::Over> WideRows::begin(Minute minute,
                                              const std::shared_ptr<const privacy::GateKey>& gate) {
    std::optional<Over> over;
    const Minute start = minute / minutes_ * minutes_;
    if (open_ && open_->first / minutes_ != minute / minutes_) {
        open_->last = open_->first / minutes_ * minutes_ + minutes_ - 1;  // nothing came after
        over = close();
    }
    if (!open_) {
        since_ = since_.value_or(minute);
        open_ = Open{
            .first = std::max(start, *since_), .last = minute, .is_wider = false, .gate = gate};
        narrow_ = minute / narrower_;
    }
    open_->is_wider = open_->is_wider || narrow_ != minute / narrower_;
    open_->last = minute;
    return over;
}

void WideRows::add(const RowTable& from, std::vector<std::uint32_t> numbers) {
    evicted_ += keep_most_asked(numbers, from, limits_);
    for (const std::uint32_t number : numbers) {
        rows_.add(from, from[number]);
    }
    std::vector<std::uint32_t> staying(rows_.size());
    std::iota(staying.begin(), staying.end(), 0U);
    const std::size_t going = keep_most_asked(staying, rows_, limits_);
    if (going == 0) {
        return;
    }
    evicted_ += going;
    RowTable kept(hll_);
    for (const std::uint32_t number : staying) {
        kept.add(rows_, rows_[number]);
    }
    rows_ = std::move(kept);
}

std::optional<WideRows::Over> WideRows::end(Minute minute) {
    return (minute + 1) % minutes_ == 0 ? close() : std::nullopt;
}

std::optional<WideRows::Over> WideRows::close() {
    if (!open_) {
        return std::nullopt;
    }
    Over over{.interval = {.start = start_of(open_->first), .stop = start_of(open_->last + 1)},
              .rows = std::exchange(rows_, RowTable(hll_)),
              .gate = std::move(open_->gate),
              .is_wider = open_->is_wider};
    since_ = open_->last + 1;
    open_.reset();
    return over;
}

}  // namespace tapir::edge
