// A list from hostile text, in each format: refused, or every entry of the index is found again,
// and its text compiles to the same entry. Its words are refused or taken with it, and a DAWG file
// of them has each at its place.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tapir/base/assert.hpp"
#include "tapir/names/dawg.hpp"
#include "tapir/names/dawg_writer.hpp"
#include "tapir/names/list.hpp"
#include "tapir/names/row_labels.hpp"

using namespace tapir;
using namespace tapir::names;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    for (const ListFormat format :
         {ListFormat::text, ListFormat::csv, ListFormat::edm_text, ListFormat::edm_csv}) {
        ListReport report;
        const auto words = read_words(text, "fuzz", format, report);
        const auto index = compile_list(text, "fuzz", format, report);
        TAPIR_ASSERT(words.has_value() == index.has_value() || !words);  // words have a size limit
        if (words) {
            TAPIR_ASSERT(words->size() >= index->size());
            const auto octets = write_dawg(*words);
            TAPIR_ASSERT(octets.has_value());
            const auto dawg = Dawg::open(*octets);
            TAPIR_ASSERT(dawg && dawg->size() == words->size());
            for (std::uint32_t i = 0; i < words->size(); ++i) {
                const auto found = dawg->find((*words)[i]);
                TAPIR_ASSERT(found && *found == i);
            }
        }
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
