// Counters and gauges, and their Prometheus text (exposition format 0.0.4).
//
//     Counter& dropped = counters.counter("tapir_edge_dropped_total", "Frames dropped.",
//                                         {{"reason", "oversized"}});
//     dropped.add();
//
// Registering the same name and labels again returns the same counter. References stay valid as
// long as the Counters. Adding is lock-free; any thread may add, register and print. On the hot
// path count in plain integers of the worker and add the sums per batch.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
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

class Counters {
public:
    using Labels = std::vector<std::pair<std::string, std::string>>;

    Counters();
    ~Counters();
    Counters(const Counters&) = delete;
    Counters& operator=(const Counters&) = delete;

    Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
    Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});

    // A text as a label of a gauge that is always 1: `text` under the label `key`. It takes the
    // place of the one before with the same name and labels.
    void info(std::string_view name, std::string_view help, const Labels& labels,
              std::string_view key, std::string_view text);

    // The value of a counter or gauge by "name" or "name{a=\"b\"}"; 0 if there is none. For tests
    // and status pages.
    std::int64_t value(std::string_view name_and_labels) const;
    // All of them, sorted by name and labels.
    std::string to_prometheus() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir
