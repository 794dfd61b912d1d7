// Counters, gauges and histograms, and their Prometheus text (exposition format 0.0.4).
//
//     Counter& dropped = counters.counter("tapir_edge_dropped_total", "Frames dropped.",
//                                         {{"reason", "oversized"}});
//     dropped.add();
//     Histogram& delay = counters.histogram("tapir_edge_delay_seconds", "…", delay_bounds);
//     delay.observe(0.003);
//
// Registering the same name and labels again returns the same counter. References stay valid as
// long as the Counters. A name has at most series_max sets of labels; the rest is counted as one,
// {overflow="true"}. Adding is lock-free; any thread may add, register and print. On the hot path
// count in plain integers of the worker and add the sums per batch.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tapir {

class Counter {
public:
    void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

class Gauge {
public:
    void set(std::int64_t value) { value_.store(value, std::memory_order_relaxed); }
    void add(std::int64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
    std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> value_{0};
};

// A gauge, or a counter kept elsewhere, with a fraction: seconds, shares.
class RealGauge {
public:
    void set(double value) { value_.store(value, std::memory_order_relaxed); }
    double value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<double> value_{0};
};

inline constexpr std::size_t histogram_bound_count_max = 24;

// How many values were at most each bound, how many there were, and their sum.
class Histogram {
public:
    // `bounds` ascend; at most histogram_bound_count_max (asserted).
    explicit Histogram(std::span<const double> bounds);

    void observe(double value);
    std::span<const double> bounds() const { return {bounds_.data(), bound_count_}; }
    // Values above the bound before, and at most bounds()[i]; the last: above all bounds.
    std::uint64_t count_in(std::size_t i) const {
        return counts_.at(i).load(std::memory_order_relaxed);
    }
    std::uint64_t count() const;
    double sum() const { return sum_.load(std::memory_order_relaxed); }
    // The bound at or below which this share of all values was; the last bound if above all; 0 if
    // there were none.
    double quantile(double share) const;

private:
    std::array<double, histogram_bound_count_max> bounds_{};
    std::size_t bound_count_ = 0;
    std::array<std::atomic<std::uint64_t>, histogram_bound_count_max + 1> counts_{};
    std::atomic<double> sum_{0};
};

class Counters {
public:
    using Labels = std::vector<std::pair<std::string, std::string>>;
    static constexpr std::size_t series_max = 512;  // sets of labels of one name

    Counters();
    ~Counters();
    Counters(const Counters&) = delete;
    Counters& operator=(const Counters&) = delete;

    Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
    Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
    RealGauge& real_gauge(std::string_view name, std::string_view help, const Labels& labels = {});
    // The same for a sum that only grows and is kept by somebody else, such as CPU time.
    RealGauge& real_counter(std::string_view name, std::string_view help,
                            const Labels& labels = {});
    // The bounds of the first call with this name count.
    Histogram& histogram(std::string_view name, std::string_view help,
                         std::span<const double> bounds, const Labels& labels = {});

    // A text as a label of a gauge that is always 1: `text` under the label `key`. It takes the
    // place of the one before with the same name and labels.
    void info(std::string_view name, std::string_view help, const Labels& labels,
              std::string_view key, std::string_view text);

    // The value of a counter or gauge by "name" or "name{a=\"b\"}"; 0 if there is none. For tests
    // and status pages.
    std::int64_t value(std::string_view name_and_labels) const;
    // All counters and gauges of a name, by the text of their labels ("{a=\"b\"}").
    std::vector<std::pair<std::string, std::int64_t>> values(std::string_view name) const;
    // All of them, sorted by name and labels.
    std::string to_prometheus() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir
