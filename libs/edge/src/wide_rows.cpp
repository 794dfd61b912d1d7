#include "wide_rows.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

namespace tapir::edge {
namespace {

struct Rank {
    std::uint32_t index;
    std::uint32_t number;
    std::size_t memory;
};

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
    // Most rows have one client or two, so rows with as many are put in order only where the limit
    // falls among them: by the list's entry, which unlike the row's number is always the same.
    std::map<std::uint64_t, std::vector<Rank>, std::greater<>> by_clients;
    for (const std::uint32_t number : numbers) {
        const Row& row = rows[number];
        by_clients[rows.estimate(row.v4) + rows.estimate(row.v6)].push_back(
            {.index = row.index, .number = number, .memory = rows.memory_of(row)});
    }
    const std::size_t all = numbers.size();
    numbers.clear();
    memory = 0;
    for (auto& [clients, ranks] : by_clients) {
        std::size_t of_these = 0;
        for (const Rank& rank : ranks) {
            of_these += rank.memory;
        }
        const bool is_cut =
            numbers.size() + ranks.size() > limits.rows || memory + of_these > limits.memory;
        if (is_cut) {
            std::ranges::sort(ranks, {}, &Rank::index);
        }
        for (const Rank& rank : ranks) {
            memory += rank.memory;
            if (numbers.size() == limits.rows || memory > limits.memory) {
                return all - numbers.size();
            }
            numbers.push_back(rank.number);
        }
    }
    return all - numbers.size();
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
    rows_.add_all(from, numbers);
    std::vector<std::uint32_t> staying(rows_.size());
    std::iota(staying.begin(), staying.end(), 0U);
    const std::size_t going = keep_most_asked(staying, rows_, limits_);
    if (going == 0) {
        return;
    }
    evicted_ += going;
    RowTable kept(hll_);
    kept.add_all(rows_, staying);
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
