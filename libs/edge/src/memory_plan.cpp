#include "memory_plan.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "frame_batch.hpp"
#include "group_link.hpp"
#include "pipeline.hpp"
#include "seen.hpp"
#include "setup.hpp"
#include "suspects.hpp"
#include "tapir/dnstap/frame_stream.hpp"
#include "tapir/privacy/gate.hpp"
#include "tapir/store/store.hpp"
#include "wide_rows.hpp"
#include "worker.hpp"

namespace tapir::edge {
namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20U;
// 22 of it code and libraries; what the allocator keeps of what was larger a moment ago.
constexpr std::size_t program_size = 48 * mebibyte;
constexpr std::size_t connections_max = 64;   // as net's StreamServerSettings has it
constexpr std::size_t pending_cell_size = 8;  // octets, as PendingLimits says
constexpr std::size_t pending_name_size = 96;
constexpr std::size_t pending_parent_size = 160;  // with the bits that count its children
// Of a name that is not listed, on its way to the gate: itself, and its text.
constexpr std::size_t answer_name_size = sizeof(NameFound) + 48;
constexpr std::size_t group_known_size = 48;  // octets: an entry of a hash table, and its place
constexpr std::size_t group_heard_size = 16;
constexpr std::size_t group_waiting_size = 16;
// Of a name that leaves: itself, its event, and its place in the batch while that is made.
constexpr std::size_t under_way_size = 1536;
// Where a name needs many clients first, what leaves is part of what is made once a minute.
constexpr std::size_t under_way_usual = 32'768;
constexpr std::size_t wide_min = 9 * mebibyte;
constexpr std::size_t wide_max = 192 * mebibyte;

double in_mebibytes(std::size_t octets) {
    return static_cast<double>(octets) / static_cast<double>(mebibyte);
}

}  // namespace

text::SettingTable memory_settings_table() {
    using text::Setting;
    return {
        Setting::size("memory.size_max", 512LL << 20, 128LL << 20, 1LL << 40,
                      "Octets that the edge may take; what lists and buffers leave is for "
                      "counting, and too little is an error at the start."),
    };
}

Result<MemoryPlan> plan_memory(const text::Settings& settings, const Lists& lists) {
    const auto size_max = static_cast<std::size_t>(settings.size("memory.size_max"));
    const privacy::GateSettings gate;
    const privacy::PendingLimits& pending = gate.pending;
    const store::RocksOptions store;
    MemoryPlan plan;
    plan.workers = std::max<std::size_t>(worker_count(settings), 1);
    plan.wide_tables += has_hourly_sketches(settings, profile_of(settings)) ? 1 : 0;
    plan.program = program_size;
    plan.lists = lists.well_known.bytes().size() + lists.ignored_names.bytes().size();
    for (const ThreatList& threats : lists.threats) {
        plan.lists += threats.index.bytes().size();
    }
    plan.gate = suspects_max * suspect_size_usual + pending.cell_count * pending_cell_size +
                pending.name_count * pending_name_size + gate.parent_count * pending_parent_size +
                3 * gate.rarity_bits / 8;
    if (!settings.string("aggregation.url").empty()) {
        plan.gate += group_known_max * group_known_size + group_known_max * group_heard_size +
                     (group_waiting_max + group_taken_slack) * group_waiting_size;
    }
    plan.store = store.cache_size_max + store.write_buffer_size_max + seen_filter_size;
    plan.connections = connections_max * dnstap::stream_buffer_size;
    plan.batches =
        plan.workers *
        (batch_queue_max * (batch_size_usual + batch_frame_count_max * sizeof(FrameItem)) +
         answer_names_max * answer_name_size + answers_max * sizeof(BatchResult));
    plan.wide = wide_min;
    const std::size_t taken = plan.all();
    if (taken + rows_memory_min > size_max) {
        return fail(
            Error(Code::exhausted,
                  fmt::format("expected at least {:.0f} MiB, got {:.0f}: {:.0f} for lists, {:.0f} "
                              "for {} workers, {:.0f} for all else but counting, and {:.0f} for "
                              "counting",
                              in_mebibytes(taken + rows_memory_min) + 0.5, in_mebibytes(size_max),
                              in_mebibytes(plan.lists), in_mebibytes(plan.batches), plan.workers,
                              in_mebibytes(taken - plan.lists - plan.batches),
                              in_mebibytes(rows_memory_min)))
                .at(fmt::format("{}: memory.size_max", settings.place("memory.size_max"))));
    }
    // A third of what is left, as long as the minute's rows have what they need.
    const std::size_t left = size_max - taken - rows_memory_min;
    plan.wide += std::min(left / 3, wide_max - wide_min);
    plan.names_under_way_max = profile_of(settings) == privacy::Profile::compatible
                                   ? plan.wide / under_way_size
                                   : under_way_usual;
    plan.rows = size_max - plan.all();
    return plan;
}

}  // namespace tapir::edge
