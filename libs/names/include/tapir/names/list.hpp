// Lists of names as people and tools write them, read entry by entry.
//
//     ListReport report;
//     const NameIndex index = TRY(compile_list(text, "well-known.txt", ListFormat::text, report));
//
// text: one name a line, a leading dot makes a suffix entry; case is folded, the final dot may be
// missing, duplicates count once, empty lines and lines that start with # are skipped, blanks
// around the name do not count. csv: the name is the second field (rank,name,…), a first line whose
// first field is no number is a header. edm_text and edm_csv: as the existing compiler reads them:
// nothing is trimmed or skipped, an empty line is the root, csv drops its first line; an entry that
// no name can ever match there (not in the canonical escaped form) is `inert`: counted, left out.
// dawg: a compiled file of the existing tools, inert words likewise.
// A malformed line refuses the list: "well-known.txt:14: expected a name, got …".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/dns/name.hpp"
#include "tapir/names/name_index.hpp"
#include "tapir/names/word_list.hpp"

namespace tapir::names {

inline constexpr std::size_t list_line_size_max = 65'536;  // octets

enum class ListFormat : std::uint8_t { text, csv, edm_text, edm_csv, dawg };
// "text" and so on; nothing for another word.
std::optional<ListFormat> list_format_from_text(std::string_view word);
// By the end of a file name: .dawg, .csv, all else text.
ListFormat list_format_of(std::string_view file);
// By what is in it too: a DAWG file says its own size in front.
ListFormat list_format_of(std::string_view file, ByteView octets);

struct ListReport {
    std::size_t entries = 0;     // distinct: in the index, or words
    std::size_t duplicates = 0;  // left out: they were there already
    std::size_t inert = 0;       // nothing can match them: not in an index, but among words
    std::size_t folded = 0;      // written with capital letters
};

// The whole list as an index. Entry ids follow the order of the list. An empty text is an empty
// list, an error is at `file` and line.
Result<NameIndex> compile_list(std::string_view text, std::string_view file, ListFormat format,
                               ListReport& report);

// The whole list as words for a DAWG file: an entry's text, in the order of words. As the existing
// compiler reads lists, also what no name can match (`inert` is not counted then).
Result<WordList> read_words(std::string_view text, std::string_view file, ListFormat format,
                            ListReport& report);
// The same from an index.
Result<WordList> words_of(const NameIndex& index);

struct OwnedEntry {
    dns::Name name;
    EntryKind kind = EntryKind::exact;
};
// One entry as it stands in a text list: ".example.com" or "example.com.".
Result<OwnedEntry, dns::NameError> parse_entry(std::string_view text);
// The same the other way round: lower case, escaped, final dot, leading dot for a suffix.
std::string to_text(const Entry& entry);

}  // namespace tapir::names
