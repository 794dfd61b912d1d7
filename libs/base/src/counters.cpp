#include "tapir/base/counters.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "tapir/base/assert.hpp"

namespace tapir {
namespace {

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '"') {
            out.push_back('\\');
            out.push_back(c);
        } else if (c == '\n') {
            out += "\\n";
        } else {
            out.push_back(c);
        }
    }
    return out;
}

std::string text_of(const Counters::Labels& labels) {
    if (labels.empty()) {
        return {};
    }
    std::string out = "{";
    for (const auto& [key, value] : labels) {
        out += fmt::format("{}{}=\"{}\"", out.size() > 1 ? "," : "", key, escaped(value));
    }
    return out + "}";
}

enum class Kind : std::uint8_t { counter, gauge, real_gauge, real_counter, histogram };

std::string_view type_of(Kind kind) {
    switch (kind) {
        case Kind::counter:
        case Kind::real_counter:
            return "counter";
        case Kind::gauge:
        case Kind::real_gauge:
            return "gauge";
        case Kind::histogram:
            return "histogram";
    }
    return "untyped";
}

// By the text of the labels.
template <class T>
using Series = std::map<std::string, std::unique_ptr<T>, std::less<>>;

struct Family {
    Kind kind = Kind::counter;
    std::string help;
    // One of these, as `kind` says.
    Series<Counter> counters;
    Series<Gauge> gauges;
    Series<RealGauge> reals;
    Series<Histogram> histograms;
    std::map<std::string, std::string, std::less<>> infos;  // all labels, by those that stay
};

// The series of these labels, made by `make` if it is new.
template <class T, class Make>
T& series_of(Series<T>& all, const Counters::Labels& labels, const Make& make) {
    std::string text = text_of(labels);
    if (all.size() >= Counters::series_max && !all.contains(text)) {
        text = text_of({{"overflow", "true"}});
    }
    auto& slot = all[std::move(text)];
    if (!slot) {
        slot = make();
    }
    return *slot;
}

// Labels with one more at the end.
std::string with_label(std::string_view labels, std::string_view key, std::string_view value) {
    return fmt::format("{}{}{}=\"{}\"}}",
                       labels.empty() ? "{" : labels.substr(0, labels.size() - 1),
                       labels.empty() ? "" : ",", key, value);
}

void print(std::string& out, const std::string& name, const std::string& labels,
           const Histogram& histogram) {
    std::uint64_t below = 0;
    const auto bounds = histogram.bounds();
    for (std::size_t i = 0; i <= bounds.size(); ++i) {
        below += histogram.count_in(i);
        const std::string bound = i < bounds.size() ? fmt::format("{}", bounds[i]) : "+Inf";
        out += fmt::format("{}_bucket{} {}\n", name, with_label(labels, "le", bound), below);
    }
    out += fmt::format("{}_sum{} {}\n{}_count{} {}\n", name, labels, histogram.sum(), name, labels,
                       below);
}

}  // namespace

struct Counters::Impl {
    mutable std::mutex mutex;
    std::map<std::string, Family, std::less<>> families;

    Family& family(std::string_view name, std::string_view help, Kind kind) {
        const auto [entry, added] = families.try_emplace(std::string(name));
        if (added) {
            entry->second.kind = kind;
            entry->second.help = help;
        }
        TAPIR_ASSERT(entry->second.kind == kind);
        return entry->second;
    }
    RealGauge& real(std::string_view name, std::string_view help, Kind kind, const Labels& labels) {
        const std::lock_guard lock(mutex);
        return series_of(family(name, help, kind).reals, labels, std::make_unique<RealGauge>);
    }
};

Histogram::Histogram(std::span<const double> bounds) : bound_count_(bounds.size()) {
    TAPIR_ASSERT(bounds.size() <= histogram_bound_count_max);
    TAPIR_ASSERT(std::is_sorted(bounds.begin(), bounds.end()));
    std::copy(bounds.begin(), bounds.end(), bounds_.begin());
}

void Histogram::observe(double value) {
    const auto all = bounds();
    const auto at = std::lower_bound(all.begin(), all.end(), value);
    counts_.at(static_cast<std::size_t>(at - all.begin())).fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const {
    std::uint64_t all = 0;
    for (std::size_t i = 0; i <= bound_count_; ++i) {
        all += count_in(i);
    }
    return all;
}

double Histogram::quantile(double share) const {
    const std::uint64_t all = count();
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < bound_count_; ++i) {
        below += count_in(i);
        if (all > 0 && static_cast<double>(below) >= share * static_cast<double>(all)) {
            return bounds_.at(i);
        }
    }
    return all == 0 || bound_count_ == 0 ? 0 : bounds_.at(bound_count_ - 1);
}

Counters::Counters() : impl_(std::make_unique<Impl>()) {}
Counters::~Counters() = default;

Counter& Counters::counter(std::string_view name, std::string_view help, const Labels& labels) {
    const std::lock_guard lock(impl_->mutex);
    return series_of(impl_->family(name, help, Kind::counter).counters, labels,
                     std::make_unique<Counter>);
}

Gauge& Counters::gauge(std::string_view name, std::string_view help, const Labels& labels) {
    const std::lock_guard lock(impl_->mutex);
    return series_of(impl_->family(name, help, Kind::gauge).gauges, labels,
                     std::make_unique<Gauge>);
}

RealGauge& Counters::real_gauge(std::string_view name, std::string_view help,
                                const Labels& labels) {
    return impl_->real(name, help, Kind::real_gauge, labels);
}

RealGauge& Counters::real_counter(std::string_view name, std::string_view help,
                                  const Labels& labels) {
    return impl_->real(name, help, Kind::real_counter, labels);
}

Histogram& Counters::histogram(std::string_view name, std::string_view help,
                               std::span<const double> bounds, const Labels& labels) {
    const std::lock_guard lock(impl_->mutex);
    return series_of(impl_->family(name, help, Kind::histogram).histograms, labels,
                     [&bounds] { return std::make_unique<Histogram>(bounds); });
}

void Counters::info(std::string_view name, std::string_view help, const Labels& labels,
                    std::string_view key, std::string_view text) {
    Labels all = labels;
    all.emplace_back(key, text);
    const std::lock_guard lock(impl_->mutex);
    impl_->family(name, help, Kind::gauge).infos[text_of(labels)] = text_of(all);
}

std::int64_t Counters::value(std::string_view name_and_labels) const {
    const std::size_t brace = name_and_labels.find('{');
    const std::string_view name = name_and_labels.substr(0, brace);
    const std::string_view labels =
        brace == std::string_view::npos ? "" : name_and_labels.substr(brace);
    const std::lock_guard lock(impl_->mutex);
    const auto family = impl_->families.find(name);
    if (family == impl_->families.end()) {
        return 0;
    }
    if (const auto it = family->second.counters.find(labels); it != family->second.counters.end()) {
        return static_cast<std::int64_t>(it->second->value());
    }
    for (const auto& [stays, all] : family->second.infos) {
        if (all == labels) {
            return 1;
        }
    }
    const auto it = family->second.gauges.find(labels);
    return it == family->second.gauges.end() ? 0 : it->second->value();
}

std::vector<std::pair<std::string, std::int64_t>> Counters::values(std::string_view name) const {
    std::vector<std::pair<std::string, std::int64_t>> all;
    const std::lock_guard lock(impl_->mutex);
    const auto family = impl_->families.find(name);
    if (family == impl_->families.end()) {
        return all;
    }
    for (const auto& [labels, counter] : family->second.counters) {
        all.emplace_back(labels, static_cast<std::int64_t>(counter->value()));
    }
    for (const auto& [labels, gauge] : family->second.gauges) {
        all.emplace_back(labels, gauge->value());
    }
    return all;
}

std::string Counters::to_prometheus() const {
    const std::lock_guard lock(impl_->mutex);
    std::string out;
    for (const auto& [name, family] : impl_->families) {
        out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, family.help, name,
                           type_of(family.kind));
        for (const auto& [labels, counter] : family.counters) {
            out += fmt::format("{}{} {}\n", name, labels, counter->value());
        }
        for (const auto& [labels, gauge] : family.gauges) {
            out += fmt::format("{}{} {}\n", name, labels, gauge->value());
        }
        for (const auto& [labels, real] : family.reals) {
            out += fmt::format("{}{} {}\n", name, labels, real->value());
        }
        for (const auto& [labels, histogram] : family.histograms) {
            print(out, name, labels, *histogram);
        }
        for (const auto& [stays, all] : family.infos) {
            out += fmt::format("{}{} 1\n", name, all);
        }
    }
    return out;
}

}  // namespace tapir
