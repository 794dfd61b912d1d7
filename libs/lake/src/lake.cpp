#include "tapir/lake/lake.hpp"

#include <algorithm>
#include <csignal>

#include <fmt/format.h>

#include "tapir/lake/child.hpp"

namespace tapir::lake {

namespace {

constexpr std::int64_t length_s_max = 366L * 86'400;
constexpr std::size_t digest_size = 64;
constexpr std::size_t digest_prefix_size = 16;

bool is_name_character(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool is_hexadecimal(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

Verdict refused(Refusal refusal, std::string detail) {
    Verdict verdict;
    verdict.refusal = refusal;
    verdict.detail = std::move(detail);
    return verdict;
}

// The exit status by which a child says that the fault is its own, or that there was no program; or
// the end by a signal that people and service managers send: that says nothing of the upload.
bool is_own_trouble(const world::ChildOutcome& outcome) {
    const bool was_told_to_end =
        outcome.signal == SIGTERM || outcome.signal == SIGINT || outcome.signal == SIGHUP;
    return was_told_to_end ||
           (outcome.signal == 0 && (outcome.exit_status == 2 || outcome.exit_status >= 126));
}

Result<Table> ask_child(world::Children& children, std::vector<std::string> arguments,
                        std::string_view sql) {
    if (sql.size() > query_size_max) {
        return fail(Code::invalid, fmt::format("a query of more than {} octets", query_size_max));
    }
    world::ChildCommand command;
    command.arguments = std::move(arguments);
    command.input = as_bytes(sql);
    command.memory_max = child_memory_max;
    command.cpu_s_max = child_cpu_s_max;
    command.output_size_max = query_result_size_max;
    const auto ran = TRY(children.run(command));
    if (is_own_trouble(ran)) {
        return fail(Code::internal, fmt::format("lake: the child failed: {}", ran.errors));
    }
    if (!ran.succeeded()) {
        return fail(Code::invalid, fmt::format("the query ended by signal {}, status {}",
                                               ran.signal, ran.exit_status));
    }
    return decode_table(ran.output);
}

}  // namespace

std::string_view to_string(Refusal refusal) {
    return refusal_names.at(static_cast<std::size_t>(refusal));
}

Result<std::string> path_of(const UploadInfo& info) {
    const bool edge_is_good = !info.edge.empty() && info.edge.size() <= edge_size_max &&
                              std::ranges::all_of(info.edge, is_name_character) &&
                              info.edge.front() != '.';
    if (!edge_is_good) {
        return fail(Code::invalid, "an edge's name is 1 to 128 of A-Z a-z 0-9 . _ -");
    }
    if (info.digest.size() != digest_size || !std::ranges::all_of(info.digest, is_hexadecimal)) {
        return fail(Code::invalid, "a digest is 64 hexadecimal digits");
    }
    if (info.start < UtcTime() || info.length_s < 0 || info.length_s > length_s_max) {
        return fail(Code::invalid, "an interval begins after 1970 and is at most a year long");
    }
    std::string compact;  // 20260528T121300Z
    const std::string time = info.start.second().to_string();
    std::ranges::copy_if(time, std::back_inserter(compact),
                         [](char c) { return c != '-' && c != ':'; });
    return fmt::format("product=histogram/date={}/hour={}/{}-{}-{}s-{}.parquet", time.substr(0, 10),
                       time.substr(11, 2), info.edge, compact, info.length_s,
                       info.digest.substr(0, digest_prefix_size));
}

Result<Verdict> DirectoryLake::admit(ByteView upload, const UploadInfo& info) {
    const std::string path = TRY(path_of(info));
    if (upload.size() > upload_size_max) {
        return refused(Refusal::too_large, fmt::format("{} octets", upload.size()));
    }
    world::ChildCommand command;
    command.arguments = {options_.program, std::string(child_word), "gate", info.edge,
                         std::to_string(info.length_s)};
    command.input = upload;
    command.memory_max = child_memory_max;
    command.cpu_s_max = child_cpu_s_max;
    command.output_size_max = upload_size_max + (1U << 10U);
    const auto ran = children_.run(command);
    if (!ran) {
        const Code code = ran.error().code();
        if (code == Code::unavailable || code == Code::exhausted) {
            return refused(Refusal::resources, ran.error().what());
        }
        return fail(Error(ran.error()).at("lake"));
    }
    if (is_own_trouble(*ran)) {
        return fail(Code::internal, fmt::format("lake: the child failed: {}", ran->errors));
    }
    if (!ran->succeeded()) {
        return refused(Refusal::resources, fmt::format("the child ended by signal {}, status {}",
                                                       ran->signal, ran->exit_status));
    }
    auto gated = decode_gated(ran->output);
    if (!gated) {
        return refused(Refusal::resources, gated.error().what());
    }
    Verdict verdict;
    verdict.refusal = gated->refusal;
    verdict.detail = std::move(gated->detail);
    verdict.rows = gated->rows;
    if (!gated->file.empty()) {
        const std::string full = options_.directory + "/" + path;
        TRY(files_.make_directories(full.substr(0, full.rfind('/'))));
        TRY(files_.write_atomically(full, gated->file));
        verdict.path = path;
    }
    return verdict;
}

Result<Table> DirectoryLake::query(std::string_view sql) {
    return ask_child(children_,
                     {options_.program, std::string(child_word), "query", options_.directory}, sql);
}

Result<Table> query_file(world::Children& children, const std::string& program,
                         const std::string& path, std::string_view sql) {
    return ask_child(children, {program, std::string(child_word), "file", path}, sql);
}

Result<Verdict> MemoryLake::admit(ByteView upload, const UploadInfo& info) {
    const std::string path = TRY(path_of(info));
    const std::lock_guard lock(mutex_);
    if (failure_) {
        return tapir::fail(*failure_);
    }
    if (refusal_) {
        return refused(*refusal_, "as told");
    }
    admitted_[path] = to_bytes(upload);
    Verdict verdict;
    verdict.path = path;
    verdict.rows = {.read = 1, .kept = 1};
    return verdict;
}

Result<Table> MemoryLake::query(std::string_view /*sql*/) {
    return tapir::fail(Code::unavailable, "a lake in memory answers no queries");
}

void MemoryLake::refuse(std::optional<Refusal> refusal) {
    const std::lock_guard lock(mutex_);
    refusal_ = refusal;
}

void MemoryLake::fail(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(error);
}

std::map<std::string, Bytes> MemoryLake::admitted() const {
    const std::lock_guard lock(mutex_);
    return admitted_;
}

}  // namespace tapir::lake
