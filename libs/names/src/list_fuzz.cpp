// A list from hostile text, in each format: refused, or every entry of the index is found again,
// and its text compiles to the same entry.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tapir/base/assert.hpp"
#include "tapir/names/list.hpp"
#include "tapir/names/row_labels.hpp"

using namespace tapir;
using namespace tapir::names;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    for (const ListFormat format :
         {ListFormat::text, ListFormat::csv, ListFormat::edm_text, ListFormat::edm_csv}) {
        ListReport report;
        const auto index = compile_list(text, "fuzz", format, report);
        if (!index) {
            continue;
        }
        TAPIR_ASSERT(report.entries == index->size());
        for (std::uint32_t id = 0; id < index->size(); ++id) {
            const Entry entry = index->entry(EntryId{id});
            TAPIR_ASSERT(index->find_entry(dns::FoldedName(entry.name), entry.kind) == EntryId{id});
            const auto again = parse_entry(to_text(entry));
            TAPIR_ASSERT(again && again->name.view() == entry.name && again->kind == entry.kind);
            TAPIR_ASSERT(RowLabels(entry).size() <= row_label_count_max);
        }
    }
    return 0;
}
