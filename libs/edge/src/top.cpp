#include "tapir/edge/top.hpp"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tapir/text/json.hpp"

namespace tapir::edge {
namespace {

using text::Json;

constexpr std::size_t left_width = 42;

std::int64_t integer_at(const Json& json, std::initializer_list<std::string_view> path) {
    const Json* at = &json;
    for (const std::string_view key : path) {
        at = at->find(key);
        if (at == nullptr) {
            return 0;
        }
    }
    return at->if_integer().value_or(0);
}

double number_at(const Json& json, std::string_view group, std::string_view key) {
    const Json* at = json.find(group);
    at = at == nullptr ? nullptr : at->find(key);
    return at == nullptr ? 0 : at->if_number().value_or(0);
}

std::string text_at(const Json& json, std::string_view key) {
    return json.string(key).value_or("?");
}

// Each {"a":1,"b":2} as "a 1, b 2"; what is 0 is left out.
std::string pairs_of(const Json& json, std::string_view key) {
    std::string out;
    const Json* group = json.find(key);
    const Json::Object* members = group == nullptr ? nullptr : group->if_object();
    if (members != nullptr) {
        for (const text::JsonMember& member : *members) {
            if (const auto n = member.value.if_integer(); n && *n != 0) {
                out += fmt::format("{}{} {}", out.empty() ? "" : ", ", member.key, *n);
            }
        }
    }
    return out.empty() ? "none" : out;
}

std::string duration_text(std::int64_t seconds) {
    constexpr std::int64_t minute = 60;
    constexpr std::int64_t hour = 3600;
    constexpr std::int64_t day = 86'400;
    if (seconds >= day) {
        return fmt::format("{}d {}h", seconds / day, seconds % day / hour);
    }
    return seconds >= hour ? fmt::format("{}h {}m", seconds / hour, seconds % hour / minute)
                           : fmt::format("{}m {}s", seconds / minute, seconds % minute);
}

std::string fill_text(const Json& json, std::string_view table) {
    const std::int64_t used = integer_at(json, {"pending", table, "used"});
    const std::int64_t capacity = integer_at(json, {"pending", table, "capacity"});
    const std::int64_t percent = capacity > 0 ? used * 100 / capacity : 0;
    return fmt::format("{} {} ({}%)", table, used, percent);
}

// Fates with frames, the most frequent now first, then the most frequent ever.
std::vector<std::string> fate_lines(const Json& json) {
    struct Line {
        std::string name;
        double per_s = 0;
        std::int64_t total = 0;
    };
    std::vector<Line> fates;
    const Json* frames = json.find("frames");
    const auto all =
        frames == nullptr ? Result<Json::Array>(Json::Array{}) : frames->array_of("fates");
    for (const Json& fate : all ? *all : Json::Array{}) {
        const std::int64_t total = fate.integer("total").value_or(0);
        if (total > 0) {
            const Json* rate = fate.find("per_s");
            fates.push_back({text_at(fate, "fate") + " " + text_at(fate, "reason"),
                             rate == nullptr ? 0 : rate->if_number().value_or(0), total});
        }
    }
    std::ranges::sort(fates, [](const Line& a, const Line& b) {
        return std::tie(b.per_s, b.total, a.name) < std::tie(a.per_s, a.total, b.name);
    });
    std::vector<std::string> lines;
    lines.reserve(fates.size());
    for (const Line& line : fates) {
        lines.push_back(fmt::format("{:<22.22} {:>8.0f} {:>9}", line.name, line.per_s, line.total));
    }
    return lines;
}

std::vector<std::string> domain_lines(const Json& json) {
    std::vector<std::string> lines;
    const auto all = json.array_of("domains");
    for (const Json& one : all ? *all : Json::Array{}) {
        lines.push_back(
            fmt::format("{:>5}  {}", one.integer("names").value_or(0), text_at(one, "domain")));
    }
    return lines;
}

std::vector<std::string> trouble_lines(const Json& json) {
    std::vector<std::string> lines;
    const Json* log = json.find("log");
    const auto all =
        log == nullptr ? Result<Json::Array>(Json::Array{}) : log->array_of("troubles");
    for (const Json& one : all ? *all : Json::Array{}) {
        const std::string time = text_at(one, "time");
        lines.push_back(fmt::format("{} {} {}: {}", time.substr(0, 19), text_at(one, "level"),
                                    text_at(one, "part"), text_at(one, "msg")));
    }
    std::ranges::reverse(lines);
    return lines;
}

std::string cut(std::string line, std::size_t columns) {
    for (char& c : line) {
        c = c < 0x20 || c > 0x7e ? '?' : c;
    }
    if (line.size() > columns) {
        line.resize(columns);
    }
    while (line.ends_with(' ')) {
        line.pop_back();
    }
    return line;
}

std::vector<std::string> head_lines(const Json& json) {
    const std::int64_t now = integer_at(json, {"frames", "total"});
    std::int64_t waiting = 0;
    const auto workers = json.array_of("workers");
    for (const Json& worker : workers ? *workers : Json::Array{}) {
        waiting += worker.integer("batches_waiting").value_or(0);
    }
    std::vector<std::string> lines = {
        fmt::format("tapir-edge {}  {}  up {}  {}", text_at(json, "version"),
                    text_at(json, "profile"), duration_text(integer_at(json, {"uptime_s"})),
                    text_at(json, "time")),
        fmt::format("frames {:.0f}/s, {} in all; delay p50 {:.2f} ms, p99 {:.2f} ms",
                    number_at(json, "frames", "per_s"), now,
                    number_at(json, "delay_s", "p50") * 1e3,
                    number_at(json, "delay_s", "p99") * 1e3),
        fmt::format("inputs {}; {} batches wait for {} workers", pairs_of(json, "connections"),
                    waiting, workers ? workers->size() : 0),
        fmt::format("pending {}, {}, {}", fill_text(json, "cells"), fill_text(json, "names"),
                    fill_text(json, "parents")),
        fmt::format("released {}; rows withheld {}", pairs_of(json, "released"),
                    pairs_of(json, "rows_withheld")),
        fmt::format("outbox {} batches, {} octets; ledger {} leaves",
                    integer_at(json, {"outbox", "batches"}), integer_at(json, {"outbox", "bytes"}),
                    integer_at(json, {"ledger", "leaves"})),
        fmt::format(
            "sent {} batches; attempts {}", integer_at(json, {"sender", "batches"}),
            json.find("sender") == nullptr ? "none" : pairs_of(*json.find("sender"), "uploads")),
    };
    if (const Json* group = json.find("group"); group != nullptr) {
        lines.push_back(fmt::format("group: posts {}; sightings {}, {} wait; released together {}",
                                    pairs_of(*group, "posts"), pairs_of(*group, "sightings"),
                                    integer_at(*group, {"waiting"}),
                                    integer_at(*group, {"released"})));
    }
    return lines;
}

}  // namespace

Result<std::string> top_screen(std::string_view status, ScreenSize size) {
    const Json json = TRY(Json::parse(status));
    std::vector<std::string> lines = head_lines(json);
    lines.emplace_back();
    lines.push_back(
        fmt::format("{:<22} {:>8} {:>9}  {}", "FATE", "/s", "ALL", "NAMES RELEASED UNDER"));
    const auto fates = fate_lines(json);
    const auto domains = domain_lines(json);
    const auto troubles = trouble_lines(json);
    const std::size_t rows = std::max<std::size_t>(size.rows, lines.size() + 1);
    const std::size_t troubles_shown = std::min<std::size_t>(troubles.size(), 3);
    const std::size_t body = rows - lines.size() - troubles_shown;
    for (std::size_t i = 0; i < std::min(body, std::max(fates.size(), domains.size())); ++i) {
        lines.push_back(fmt::format("{:<{}} {}", i < fates.size() ? fates[i] : "", left_width,
                                    i < domains.size() ? domains[i] : ""));
    }
    for (std::size_t i = 0; i < troubles_shown; ++i) {
        lines.push_back(troubles[i]);
    }
    lines.resize(std::min(lines.size(), size.rows));
    std::string screen;
    for (std::string& line : lines) {
        screen += (screen.empty() ? "" : "\n") + cut(std::move(line), size.columns);
    }
    return screen;
}

}  // namespace tapir::edge
