#include "wide_rows.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace tapir::edge {
namespace {

// Of the rows with these numbers, the `count` with the most clients.
void keep_most_asked(std::vector<std::uint32_t>& numbers, const RowTable& rows, std::size_t count) {
    if (numbers.size() <= count) {
        return;
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
    std::ranges::nth_element(ranks, ranks.begin() + static_cast<std::ptrdiff_t>(count),
                             [](const Rank& a, const Rank& b) {
                                 return a.clients != b.clients ? a.clients > b.clients
                                                               : a.index < b.index;
                             });
    numbers.clear();
    for (std::size_t i = 0; i < count; ++i) {
        numbers.push_back(ranks[i].number);
    }
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
    evicted_ += numbers.size() - std::min(numbers.size(), row_count_max_);
    keep_most_asked(numbers, from, row_count_max_);
    for (const std::uint32_t number : numbers) {
        rows_.add(from, from[number]);
    }
    if (rows_.size() <= row_count_max_) {
        return;
    }
    std::vector<std::uint32_t> staying(rows_.size());
    std::iota(staying.begin(), staying.end(), 0U);
    keep_most_asked(staying, rows_, row_count_max_);
    evicted_ += rows_.size() - staying.size();
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
