#include "tapir/base/counters.hpp"

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

struct Family {
    bool is_counter = true;
    std::string help;
    std::map<std::string, std::unique_ptr<Counter>, std::less<>>
        counters;  // by the text of the labels
    std::map<std::string, std::unique_ptr<Gauge>, std::less<>> gauges;
    std::map<std::string, std::string, std::less<>> infos;  // all labels, by those that stay
};

}  // namespace

struct Counters::Impl {
    mutable std::mutex mutex;
    std::map<std::string, Family, std::less<>> families;

    Family& family(std::string_view name, std::string_view help, bool is_counter) {
        const auto [entry, added] = families.try_emplace(std::string(name));
        if (added) {
            entry->second.is_counter = is_counter;
            entry->second.help = help;
        }
        TAPIR_ASSERT(entry->second.is_counter == is_counter);
        return entry->second;
    }
};

Counters::Counters() : impl_(std::make_unique<Impl>()) {}
Counters::~Counters() = default;

Counter& Counters::counter(std::string_view name, std::string_view help, const Labels& labels) {
    const std::lock_guard lock(impl_->mutex);
    auto& slot = impl_->family(name, help, true).counters[text_of(labels)];
    if (!slot) {
        slot = std::make_unique<Counter>();
    }
    return *slot;
}

Gauge& Counters::gauge(std::string_view name, std::string_view help, const Labels& labels) {
    const std::lock_guard lock(impl_->mutex);
    auto& slot = impl_->family(name, help, false).gauges[text_of(labels)];
    if (!slot) {
        slot = std::make_unique<Gauge>();
    }
    return *slot;
}

void Counters::info(std::string_view name, std::string_view help, const Labels& labels,
                    std::string_view key, std::string_view text) {
    Labels all = labels;
    all.emplace_back(key, text);
    const std::lock_guard lock(impl_->mutex);
    impl_->family(name, help, false).infos[text_of(labels)] = text_of(all);
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

std::string Counters::to_prometheus() const {
    const std::lock_guard lock(impl_->mutex);
    std::string out;
    for (const auto& [name, family] : impl_->families) {
        out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, family.help, name,
                           family.is_counter ? "counter" : "gauge");
        for (const auto& [labels, counter] : family.counters) {
            out += fmt::format("{}{} {}\n", name, labels, counter->value());
        }
        for (const auto& [labels, gauge] : family.gauges) {
            out += fmt::format("{}{} {}\n", name, labels, gauge->value());
        }
        for (const auto& [stays, all] : family.infos) {
            out += fmt::format("{}{} 1\n", name, all);
        }
    }
    return out;
}

}  // namespace tapir
