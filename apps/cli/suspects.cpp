#include <algorithm>

#include <fmt/format.h>

#include "commands.hpp"
#include "tapir/text/json.hpp"

namespace tapir::cli {
namespace {

constexpr std::string_view suffix = ".jsonl";
constexpr std::size_t file_size_max = 64U << 20U;
constexpr std::size_t hour_size = 16;  // "2026-11-26T14:00"

// A line for people; nothing if it is none of the edge's: after a crash one may be torn.
Result<std::string> shown(std::string_view line) {
    const auto json = TRY(text::Json::parse(line));
    const std::string hour = TRY(json.string("hour"));
    const std::string domain = TRY(json.string("domain"));
    const std::string detector = TRY(json.string("detector"));
    const std::int64_t score = TRY(json.integer("score"));
    std::string reasons;
    for (const text::Json& reason : TRY(json.array_of("reasons"))) {
        if (const std::string* const text = reason.if_string()) {
            reasons += (reasons.empty() ? "" : "; ") + *text;
        }
    }
    return fmt::format("{}Z  {:>3}  {:<32}  {:<12}  {}\n", hour.substr(0, hour_size), score, domain,
                       detector, reasons);
}

}  // namespace

Result<std::string> suspects(const SuspectOptions& options) {
    world::SystemFiles files;
    const std::string folder = options.state + "/suspects";
    TRY(files.list(options.state));  // whether it can be looked at
    if (!files.exists(folder)) {
        return std::string(options.is_json ? "" : "no suspects\n");
    }
    std::string out;
    std::uint64_t torn = 0;
    for (const world::DirectoryEntry& entry : TRY(files.list(folder))) {
        if (entry.is_directory || !entry.name.ends_with(suffix) ||
            (!options.day.empty() && entry.name != options.day + std::string(suffix))) {
            continue;
        }
        const Bytes octets =
            TRY(files.read(fmt::format("{}/{}", folder, entry.name), file_size_max));
        std::string_view rest = as_text(octets);
        while (!rest.empty()) {
            const std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(line.size() + 1, rest.size()));
            const auto text = shown(line);
            torn += text ? 0 : 1;
            out += !text ? "" : options.is_json ? fmt::format("{}\n", line) : *text;
        }
    }
    if (options.is_json) {
        return out;
    }
    if (torn != 0) {
        out += fmt::format("{} lines cannot be read\n", torn);
    }
    return out.empty() ? std::string("no suspects\n") : out;
}

}  // namespace tapir::cli
