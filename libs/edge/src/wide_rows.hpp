// Rows of which too few clients are known in one interval, on their way into a wider one (R5).
//
//     WideRows ten(10, 1, {.rows = 1000, .memory = 1 << 20}, hll);
//     if (auto over = ten.begin(minute, gate)) { ... }    // a minute ended; what was open may have
//     ten.add(minute_rows, numbers_of_those_short);       // whole: counters, clients, networks
//     if (auto over = ten.end(minute)) { ... }            // with the last minute of an interval
//     if (auto over = ten.close()) { ... }                // early: its true length
//
// Of more rows than it may hold, or memory than they may take, those with the fewest clients go,
// counted: which those are does not depend on the order of rows, so the same frames give the same
// rows whatever the number of workers. One thread at a time.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "data_clock.hpp"
#include "rows.hpp"
#include "tapir/privacy/gate_key.hpp"
#include "tapir/products/histogram.hpp"

namespace tapir::edge {

struct WideLimits {
    std::size_t rows = 1U << 17U;
    std::size_t memory = std::numeric_limits<std::size_t>::max();  // octets, as memory_of() says
};

class WideRows {
public:
    // An interval of `minutes` begins where the day's minute is a multiple of it; `minutes` divides
    // the day, so no interval has two days' keys. `narrower`: minutes of the interval before.
    WideRows(std::int64_t minutes, std::int64_t narrower, const WideLimits& limits,
             const sketch::HllSettings& hll)
        : minutes_(minutes), narrower_(narrower), limits_(limits), hll_(hll), rows_(hll) {}

    // What was counted of an interval that is over.
    struct Over {
        products::Interval interval;
        RowTable rows;
        std::shared_ptr<const privacy::GateKey> gate;
        // Whether it is more than one of the narrower ones: else its rows are short here too, and
        // its name is taken.
        bool is_wider = true;
    };

    // What is added from now on is of `minute`; what was open before its interval is over.
    std::optional<Over> begin(Minute minute, const std::shared_ptr<const privacy::GateKey>& gate);
    // The rows of `from` with these numbers.
    void add(const RowTable& from, std::vector<std::uint32_t> numbers);
    // All of `minute` has been added.
    std::optional<Over> end(Minute minute);
    std::optional<Over> close();

    std::size_t size() const { return rows_.size(); }
    // Rows that there was no room for, since this object was made.
    std::uint64_t evicted() const { return evicted_; }

private:
    struct Open {
        Minute first = 0;
        Minute last = 0;
        bool is_wider = false;
        std::shared_ptr<const privacy::GateKey> gate;
    };

    std::int64_t minutes_;
    std::int64_t narrower_;
    WideLimits limits_;
    sketch::HllSettings hll_;
    RowTable rows_;
    std::optional<Open> open_;
    std::optional<Minute> since_;  // no interval begins before it
    std::int64_t narrow_ = 0;      // the first narrower interval of what is open
    std::uint64_t evicted_ = 0;
};

}  // namespace tapir::edge
