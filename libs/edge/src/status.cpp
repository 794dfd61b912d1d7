#include "status.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "fate.hpp"

namespace tapir::edge {
namespace {

using text::Json;

constexpr double quantile_usual = 0.5;
constexpr double quantile_worst = 0.99;

// All counters of a name that have one label, by its value: {"accepted":3}.
Json by_label(const Counters& counters, std::string_view name) {
    Json all = Json::object();
    for (const auto& [labels, value] : counters.values(name)) {
        const std::size_t begin = labels.find('"');
        const std::size_t end = labels.rfind('"');
        if (begin < end && end != std::string::npos) {
            all.set(labels.substr(begin + 1, end - begin - 1), value);
        }
    }
    return all;
}

Json pending(const Counters& counters) {
    Json all = Json::object();
    for (const std::string_view table : {"cells", "names", "parents"}) {
        const auto label = std::string("{table=\"") + std::string(table) + "\"}";
        all.set(
            std::string(table),
            Json::object({{"used", counters.value("tapir_edge_pending_used" + label)},
                          {"capacity", counters.value("tapir_edge_pending_capacity" + label)}}));
    }
    return all;
}

Json workers(const std::vector<LaneLoad>& loads) {
    Json all = Json::array();
    for (const LaneLoad& load : loads) {
        all.push(Json::object({{"batches_waiting", static_cast<std::int64_t>(load.batches_waiting)},
                               {"rows", static_cast<std::int64_t>(load.rows)}}));
    }
    return all;
}

Json lists(const std::vector<ListFile>& files) {
    Json all = Json::array();
    for (const ListFile& file : files) {
        all.push(Json::object({{"list", file.kind},
                               {"entries", static_cast<std::int64_t>(file.entries)},
                               {"sha256", file.sha256}}));
    }
    return all;
}

Json log_of(const Log& log) {
    Json troubles = Json::array();
    for (const std::string& line : log.troubles()) {
        auto parsed = Json::parse(line);
        troubles.push(parsed ? std::move(*parsed) : Json(line));
    }
    const LogCounts counts = log.counts();
    return Json::object({{"lines", static_cast<std::int64_t>(counts.written)},
                         {"held_back", static_cast<std::int64_t>(counts.held_back)},
                         {"troubles", std::move(troubles)}});
}

// The size and root hash: second and third line of a checkpoint.
Json ledger(std::string_view checkpoint, const Counters& counters) {
    std::string_view root = checkpoint;
    for (int line = 0; line < 2; ++line) {
        root.remove_prefix(std::min(root.size(), root.find('\n') + 1));
    }
    return Json::object({{"leaves", counters.value("tapir_edge_ledger_leaves")},
                         {"root", std::string(root.substr(0, root.find('\n')))}});
}

// Of a site in a group; others have no such counters.
std::optional<Json> group(const Counters& counters) {
    Json posts = by_label(counters, "tapir_edge_group_posts_total");
    if (posts.if_object()->empty()) {
        return std::nullopt;
    }
    return Json::object({{"posts", std::move(posts)},
                         {"sightings", by_label(counters, "tapir_edge_group_sightings_total")},
                         {"waiting", counters.value("tapir_edge_group_waiting")},
                         {"known", counters.value("tapir_edge_group_known")},
                         {"released", counters.value("tapir_edge_group_released_total")}});
}

}  // namespace

text::SettingTable status_settings_table() {
    return {text::Setting::path("metrics.socket", "",
                                "Unix socket that says the status as JSON to whoever connects, for "
                                "tapir-edge top; empty: none.")};
}

void StatusBoard::released(std::string_view domain) {
    if (domain.size() > 1 && domain.ends_with('.')) {
        domain.remove_suffix(1);
    }
    releases_.with([domain](std::deque<std::string>& all) {
        all.emplace_back(domain);
        if (all.size() > releases_remembered_max) {
            all.pop_front();
        }
    });
}

Json StatusBoard::domains() const {
    std::map<std::string, std::int64_t> counts;
    releases_.with([&counts](const std::deque<std::string>& all) {
        for (const std::string& domain : all) {
            ++counts[domain];
        }
    });
    std::vector<std::pair<std::string, std::int64_t>> top(counts.begin(), counts.end());
    std::ranges::sort(top, [](const auto& a, const auto& b) {
        return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    top.resize(std::min(top.size(), domains_shown_max));
    Json shown = Json::array();
    for (const auto& [domain, names] : top) {
        shown.push(Json::object({{"domain", domain}, {"names", names}}));
    }
    return shown;
}

Json StatusBoard::frames(const Counters& counters, double seconds) {
    Json fates = Json::array();
    std::int64_t total = 0;
    double rate = 0;
    for (std::size_t i = 0; i < fate_count; ++i) {
        const auto fate = static_cast<Fate>(i);
        const std::string labels = std::string("{fate=\"") + std::string(group_of(fate)) +
                                   "\",reason=\"" + std::string(to_string(fate)) + "\"}";
        const std::int64_t now = counters.value("tapir_edge_frames_total" + labels);
        const std::int64_t before = std::exchange(last_frames_[labels], now);
        const double per_s =
            seconds > 0 ? static_cast<double>(std::max<std::int64_t>(now - before, 0)) / seconds
                        : 0;
        total += now;
        rate += per_s;
        fates.push(Json::object({{"fate", std::string(group_of(fate))},
                                 {"reason", std::string(to_string(fate))},
                                 {"total", now},
                                 {"per_s", per_s}}));
    }
    return Json::object({{"total", total}, {"per_s", rate}, {"fates", std::move(fates)}});
}

void StatusBoard::publish(const StatusParts& parts, UtcTime now) {
    const std::chrono::duration<double> since =
        last_ == UtcTime() ? Duration(0) : Duration(now - last_);
    last_ = now;
    const Counters& counters = parts.counters;
    Json status = Json::object();
    status.set("program", "tapir-edge");
    status.set("version", version_);
    status.set("profile", std::string(parts.profile));
    status.set("time", now.to_string());
    status.set("uptime_s", std::chrono::duration_cast<std::chrono::seconds>(now - start_).count());
    status.set("frames", frames(counters, since.count()));
    status.set("delay_s", Json::object({{"p50", parts.delay.quantile(quantile_usual)},
                                        {"p99", parts.delay.quantile(quantile_worst)}}));
    status.set("connections", by_label(counters, "tapir_stream_connections"));
    status.set("workers", workers(parts.loads));
    status.set("pending", pending(counters));
    status.set("released", by_label(counters, "tapir_edge_released_total"));
    status.set("rows_withheld", by_label(counters, "tapir_edge_rows_withheld_total"));
    status.set("domains", domains());
    status.set(
        "outbox",
        Json::object({{"batches", counters.value("tapir_edge_outbox_batches")},
                      {"bytes", counters.value("tapir_edge_outbox_bytes")},
                      {"oldest_s", counters.value("tapir_edge_outbox_oldest_timestamp_seconds")},
                      {"errors", counters.value("tapir_edge_outbox_errors_total")},
                      {"lost", by_label(counters, "tapir_edge_batches_lost_total")}}));
    status.set("sender",
               Json::object({{"batches", counters.value("tapir_edge_batches_total")},
                             {"uploads", by_label(counters, "tapir_edge_uploads_total")}}));
    if (auto of_group = group(counters)) {
        status.set("group", std::move(*of_group));
    }
    status.set("ledger", ledger(parts.checkpoint, counters));
    status.set("lists", lists(parts.lists));
    status.set("certificates", by_label(counters, "tapir_edge_certificate_end_timestamp_seconds"));
    status.set("log", log_of(parts.log));
    text_.with([&status](std::string& text) { text = status.to_string(); });
}

std::string StatusBoard::text() const {
    return text_.with([](const std::string& text) { return text; });
}

}  // namespace tapir::edge
