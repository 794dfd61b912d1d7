// What the edge's memory is for, and how much is left for counting (docs/operating/memory.md).
//
//     const MemoryPlan plan = TRY(plan_memory(settings, *lists));   // refuses what cannot fit
//     worker.rows_memory_max = plan.rows_of_worker();
//
// Each part is held to by a limit in the code that takes the memory; the rows get what is left.
#pragma once

#include <cstdint>

#include "lists.hpp"
#include "tapir/base/result.hpp"
#include "tapir/text/settings.hpp"

namespace tapir::edge {

// The setting memory.size_max.
text::SettingTable memory_settings_table();

inline constexpr std::size_t rows_memory_min = std::size_t{32} << 20U;  // octets

// Octets.
struct MemoryPlan {
    std::size_t program = 0;  // code, stacks, what is made once a minute
    std::size_t lists = 0;    // well-known and ignored names
    std::size_t gate = 0;     // pending names
    // Rows that wait for ten minutes and for the hour. Under `compatible` none does, and each new
    // name leaves: what those take until they are on the disk.
    std::size_t wide = 0;
    std::size_t store = 0;        // what was released: cache and write buffers
    std::size_t connections = 0;  // a buffer each
    std::size_t batches = 0;      // frames on their way to the workers
    std::size_t rows = 0;         // what is left
    std::size_t workers = 1;
    std::size_t wide_tables = 2;          // and one of the whole hour where sketches leave
    std::size_t names_under_way_max = 0;  // names that leave, until they are on the disk

    std::size_t all() const {
        return program + lists + gate + wide + store + connections + batches + rows;
    }
    // Of one wider interval, as RowTable::memory_of says it. There is another table for a moment
    // where rows have to go; sets that have grown leave smaller blocks behind.
    std::size_t rows_of_wide() const { return wide / (wide_tables + 1) * 2 / 3; }
    std::size_t rows_of_worker() const { return rows / workers; }
};

// `exhausted` if less than rows_memory_min is left: says what takes how much.
Result<MemoryPlan> plan_memory(const text::Settings& settings, const Lists& lists);

}  // namespace tapir::edge
