#include <algorithm>

#include <fmt/format.h>

#include "commands.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/lake/lake.hpp"
#include "tapir/ledger/leaf.hpp"
#include "tapir/ledger/log.hpp"
#include "tapir/text/json.hpp"
#include "tapir/world/files.hpp"
#include "tapir/world/process.hpp"

namespace tapir::cli {
namespace {

constexpr std::size_t file_size_max = 256U << 20U;
constexpr std::size_t cell_size_max = 60;  // characters of one value

std::string cell_of(const std::optional<std::string>& value) {
    if (!value) {
        return "NULL";
    }
    return value->size() <= cell_size_max ? *value : value->substr(0, cell_size_max - 1) + "…";
}

// Columns side by side, those without any value left out.
std::string to_text(const lake::Table& table) {
    std::vector<std::vector<std::string>> lines(table.rows.size() + 1);
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
        const bool empty = std::ranges::none_of(
            table.rows, [c](const auto& row) { return row.at(c).has_value(); });
        if (empty && !table.rows.empty()) {
            continue;
        }
        std::size_t width = table.columns[c].size();
        for (const auto& row : table.rows) {
            width = std::max(width, cell_of(row.at(c)).size());
        }
        lines[0].push_back(fmt::format("{:<{}}", table.columns[c], width));
        for (std::size_t r = 0; r < table.rows.size(); ++r) {
            lines[r + 1].push_back(fmt::format("{:<{}}", cell_of(table.rows[r].at(c)), width));
        }
    }
    std::string out;
    for (const auto& line : lines) {
        out += fmt::format("{}\n", fmt::join(line, "  "));
    }
    return out;
}

Result<std::string> show_parquet(const std::string& path, std::uint64_t rows) {
    world::SystemChildren children;
    const std::string program = TRY(world::own_program());
    const std::string sql = fmt::format("SELECT * FROM file LIMIT {}", rows);
    const lake::Table table = TRY(lake::query_file(children, program, path, sql));
    const lake::Table count =
        TRY(lake::query_file(children, program, path, "SELECT count(*) FROM file"));
    return fmt::format("{}{} of {} rows; columns that are NULL throughout are left out\n",
                       to_text(table), table.rows.size(), cell_of(count.rows.at(0).at(0)));
}

// A message without a look at its signature: what it claims, clearly said so.
Result<std::string> show_jws(std::string_view text) {
    const text::Json message = TRY(text::Json::parse(text, jose::jws_size_max));
    std::string out;
    for (const char* part : {"protected", "payload"}) {
        const Bytes octets = TRY(crypto::parse_base64url(TRY(message.string(part))));
        const auto json = text::Json::parse(as_text(octets));
        out += fmt::format("{}: {}\n", part, json ? json->to_pretty() : to_hex(octets));
    }
    return out + "(signature not checked)\n";
}

// A list of messages, one message, or one a line.
Result<std::string> show_messages(std::string_view text) {
    std::vector<std::string_view> messages;
    if (text.starts_with('[')) {
        auto split = jose::split_batch(text);
        if (!split) {
            return fail(Code::invalid,
                        fmt::format("not a batch of messages: {}", jose::to_string(split.error())));
        }
        messages = *std::move(split);
    } else if (text::Json::parse(text, jose::jws_size_max)) {
        messages.push_back(text);
    } else {
        while (!text.empty()) {
            const std::string_view line = text.substr(0, text.find('\n'));
            text.remove_prefix(std::min(text.size(), line.size() + 1));
            if (!line.empty()) {
                messages.push_back(line);
            }
        }
    }
    std::string out;
    for (const std::string_view message : messages) {
        out += TRY(show_jws(message));
    }
    return out + fmt::format("{} messages\n", messages.size());
}

std::string pretty(ByteView leaf) {
    const auto json = text::Json::parse(as_text(leaf));
    return json ? json->to_pretty() : to_hex(leaf);
}

Result<std::string> show_leaves(ByteView bundle) {
    std::string out;
    for (const ByteView leaf : TRY(ledger::split_bundle(bundle))) {
        out += pretty(leaf) + "\n";
    }
    return out;
}

// A ledger's folder: its checkpoint and all leaves, verified on the way.
Result<std::string> show_ledger(world::Files& files, const std::string& folder) {
    const ledger::NoteVerifier verifier = TRY(read_verifier(files, folder));
    const ledger::ReadFile read = [&](std::string_view path) {
        return files.read(fmt::format("{}/{}", folder, path), ledger::bundle_size_max);
    };
    std::string out(as_text(TRY(read("checkpoint"))));
    const auto report =
        TRY(ledger::verify_log(read, verifier, [&out](std::uint64_t index, ByteView leaf) {
            out += fmt::format("leaf {}: {}\n", index, pretty(leaf));
            return Result<void>();
        }));
    return out + fmt::format("{} leaves\n", report.head.size);
}

}  // namespace

Result<std::string> show(const std::string& path, std::uint64_t rows) {
    world::SystemFiles files;
    if (files.exists(path + "/checkpoint")) {
        return show_ledger(files, path);
    }
    const Bytes octets = TRY(files.read(path, file_size_max));
    const std::string_view text = as_text(octets);
    if (text.starts_with("PAR1")) {
        return show_parquet(path, rows);
    }
    if (path.find("tile/entries/") != std::string::npos) {
        return show_leaves(octets);
    }
    if (path.ends_with("/checkpoint")) {
        return std::string(text);
    }
    const std::string_view trimmed =
        text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    if (trimmed.starts_with('[') || trimmed.find("\"protected\"") != std::string_view::npos) {
        return show_messages(trimmed);
    }
    if (trimmed.starts_with('{')) {
        return TRY(text::Json::parse(trimmed)).to_pretty() + "\n";
    }
    return fail(Code::invalid, fmt::format("{}: expected Parquet, JWS, JSON, or a ledger's "
                                           "checkpoint or entry bundle",
                                           path));
}

}  // namespace tapir::cli
