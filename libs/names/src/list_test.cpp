#include "tapir/names/list.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tapir/dns/testing.hpp"
#include "tapir/names/dawg.hpp"
#include "tapir/names/difference.hpp"
#include "tapir/names/row_labels.hpp"

namespace tapir::names {
namespace {

std::string golden(const std::string& name) {
    const std::string path = TAPIR_GOLDEN "/" + name;
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file.good()) << path;
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        lines.push_back(line);
    }
    return lines;
}

std::vector<std::string> words_of(const std::string& octets) {
    const Dawg dawg = Dawg::open(as_bytes(octets)).value();
    DawgReader reader(dawg);
    std::vector<std::string> words;
    while (true) {
        const auto word = reader.next();
        EXPECT_TRUE(word.has_value()) << word.error().what();
        if (!word || !*word) {
            return words;
        }
        words.emplace_back(**word);
    }
}

// What the existing tool is documented to store for a list: a final dot, lower case, sorted.
std::vector<std::string> expected_words(std::vector<std::string> lines) {
    for (auto& line : lines) {
        if (!line.ends_with('.')) {
            line += '.';
        }
        for (char& c : line) {
            c = static_cast<char>(dns::to_lower(static_cast<std::byte>(c)));
        }
    }
    std::ranges::sort(lines);
    return lines;
}

class GoldenDawg : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenDawg, HoldsTheWordsOfItsListInOrder) {
    const std::string octets = golden("dawg/" + GetParam() + ".dawg");
    const auto expected = expected_words(lines_of(golden("dawg/" + GetParam() + ".txt")));
    EXPECT_EQ(words_of(octets), expected);
    const Dawg dawg = Dawg::open(as_bytes(octets)).value();
    ASSERT_EQ(dawg.size(), expected.size());
    for (std::uint32_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(dawg.find(expected[i]).value(), i) << expected[i];
        ASSERT_EQ(dawg.word(i).value(), expected[i]);
        ASSERT_EQ(dawg.find(expected[i] + "x").value(), std::nullopt);
    }
    EXPECT_EQ(dawg.find("").value(), std::nullopt);
    EXPECT_EQ(dawg.word(static_cast<std::uint32_t>(expected.size())).error().code(),
              Code::not_found);
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenDawg,
                         ::testing::Values("empty", "one", "mixed", "prefixes", "upper", "top5k"));

TEST(Dawg, LooksUpAsTheExistingToolDid) {
    const std::string octets = golden("dawg/mixed.dawg");
    const Dawg dawg = Dawg::open(as_bytes(octets)).value();
    int checked = 0;
    for (const auto& line : lines_of(golden("dawg/mixed.lookups"))) {
        const std::string word = line.substr(0, line.find(" -> "));
        const std::size_t at = line.find("index: ");
        std::optional<std::uint32_t> expected;
        if (at != std::string::npos) {
            expected = static_cast<std::uint32_t>(std::stoul(line.substr(at + 7)));
        }
        EXPECT_EQ(dawg.find(word).value(), expected) << line;
        ++checked;
    }
    EXPECT_EQ(checked, 7);
}

TEST(Dawg, OfARankedListHoldsItsSecondColumn) {
    EXPECT_EQ(words_of(golden("dawg/ranked.dawg")),
              (std::vector<std::string>{".three.example.", "one.example.", "two.example."}));
}

TEST(Dawg, OfAHundredThousandNamesIsReadWhole) {
    const std::string octets = golden("dawg/top100k.dawg");
    const auto words = words_of(octets);
    EXPECT_TRUE(std::ranges::is_sorted(words));
    EXPECT_EQ(std::ranges::adjacent_find(words), words.end());
    const Dawg dawg = Dawg::open(as_bytes(octets)).value();
    ASSERT_EQ(words.size(), dawg.size());
    EXPECT_GT(words.size(), 99'000U);
    for (std::uint32_t i = 0; i < words.size(); i += 997) {
        EXPECT_EQ(dawg.find(words[i]).value(), i);
        EXPECT_EQ(dawg.word(i).value(), words[i]);
    }
}

TEST(Dawg, IsRefusedOrReadWrongButSafelyWhenDamaged) {
    const std::string sound = golden("dawg/mixed.dawg");
    for (std::size_t bit = 0; bit < sound.size() * 8; ++bit) {
        std::string damaged = sound;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
        const auto dawg = Dawg::open(as_bytes(damaged));
        if (!dawg) {
            continue;
        }
        DawgReader reader(*dawg);
        for (auto word = reader.next(); word && *word; word = reader.next()) {
        }
        const auto index = dawg->find("a.example.");
        const auto word = dawg->word(3);
        EXPECT_TRUE(index.has_value() || index.error().code() == Code::corrupt);
        EXPECT_TRUE(word.has_value() || word.error().code() != Code::internal);
    }
    for (std::size_t size = 0; size < sound.size(); ++size) {
        EXPECT_FALSE(Dawg::open(as_bytes(std::string_view(sound).substr(0, size))).has_value());
    }
}

// Compiles, and says what is in the index: entries in order.
std::vector<std::string> entries_of(std::string_view text, ListFormat format, ListReport& report) {
    const auto index = compile_list(text, "list.txt", format, report);
    EXPECT_TRUE(index.has_value()) << index.error().what();
    std::vector<std::string> entries;
    for (std::uint32_t id = 0; index && id < index->size(); ++id) {
        entries.push_back(to_text(index->entry(EntryId{id})));
    }
    return entries;
}

TEST(List, OfTextIsReadAsPeopleWriteIt) {
    ListReport report;
    EXPECT_THAT(
        entries_of("# names\n\nWww.Example.COM\r\n  .suffix.se.\t\nwww.example.com.\n.\n"
                   "a\\.b.se\nlast.se",
                   ListFormat::text, report),
        ::testing::ElementsAre("www.example.com.", ".suffix.se.", ".", "a\\.b.se.", "last.se."));
    EXPECT_EQ(report.entries, 5U);
    EXPECT_EQ(report.duplicates, 1U);
    EXPECT_EQ(report.inert, 0U);
}

TEST(List, OfNothingIsEmpty) {
    ListReport report;
    EXPECT_TRUE(entries_of("", ListFormat::text, report).empty());
    EXPECT_TRUE(entries_of("\n# nothing\n", ListFormat::text, report).empty());
    EXPECT_TRUE(entries_of("", ListFormat::csv, report).empty());
    EXPECT_TRUE(entries_of("", ListFormat::edm_text, report).empty());
    EXPECT_THAT(entries_of("\n", ListFormat::edm_text, report), ::testing::ElementsAre("."));
}

TEST(List, OfCsvIsReadWithAndWithoutHeader) {
    ListReport report;
    const auto expected = ::testing::ElementsAre("one.example.", "two.example.", ".three.example.");
    EXPECT_THAT(entries_of(golden("dawg/ranked.csv"), ListFormat::csv, report), expected);
    EXPECT_THAT(entries_of(golden("dawg/ranked.csv"), ListFormat::edm_csv, report), expected);
    EXPECT_THAT(entries_of("1,one.example\n# rest\n\n2,\"two.example\"\n3,.three.example\n",
                           ListFormat::csv, report),
                expected);
}

TEST(List, MalformedIsRefusedWithFileAndLine) {
    const auto error = [](std::string_view text, ListFormat format = ListFormat::text) {
        ListReport report;
        const auto index = compile_list(text, "list.txt", format, report);
        return index ? std::string("ok") : index.error().what();
    };
    EXPECT_EQ(error("ok.se\n" + std::string(64, 'a') + ".se\n"),
              "list.txt:2: expected labels of at most 63 octets, got a longer one in '" +
                  std::string(64, 'a') + ".se'");
    std::string longest;
    for (int i = 0; i < 128; ++i) {
        longest += "a.";
    }
    EXPECT_THAT(error(longest),
                ::testing::StartsWith("list.txt:1: expected a name of at most 255 octets, got a"));
    EXPECT_EQ(error(std::string_view("a\0b.se\n", 7)),
              "list.txt:1: expected a name, got a NUL in 'a\\000b.se'");
    EXPECT_EQ(error("a..se"),
              "list.txt:1: expected a name without empty labels, got an empty one in 'a..se'");
    EXPECT_EQ(error("..se"),
              "list.txt:1: expected a name without empty labels, got an empty one in '..se'");
    EXPECT_EQ(error("a.se\\"),
              "list.txt:1: expected \\DDD (at most 255) or an octet after a backslash in 'a.se\\'");
    EXPECT_EQ(error("1,a.se\n2\n", ListFormat::csv), "list.txt:2: expected 2 fields, got 1");
    EXPECT_EQ(error("1,a.se\n2,b.se,x\n", ListFormat::csv), "list.txt:2: expected 2 fields, got 3");
    EXPECT_EQ(error("1,\"a.se\n", ListFormat::csv),
              "list.txt:1: expected a field that ends with its quote");
    EXPECT_THAT(error(std::string(list_line_size_max + 1, 'a')),
                ::testing::StartsWith("list.txt:1: expected a line of at most 65536 octets"));
    EXPECT_THAT(error("not a dawg", ListFormat::dawg), ::testing::StartsWith("list.txt: DAWG"));
}

TEST(List, InTheFormatOfTheExistingCompilerLeavesOutWhatCannotMatch) {
    ListReport report;
    const auto from_text = entries_of(golden("dawg/mixed.txt"), ListFormat::edm_text, report);
    // The non-ASCII name and the plain space; backslash and escaped dot are in canonical form.
    EXPECT_EQ(report.inert, 2U);
    EXPECT_EQ(report.entries, 9U);
    const auto from_dawg = entries_of(golden("dawg/mixed.dawg"), ListFormat::dawg, report);
    EXPECT_EQ(report.inert, 2U);
    EXPECT_THAT(from_text, ::testing::UnorderedElementsAreArray(from_dawg));
}

TEST(List, ThatCrashesTheExistingToolIsAccepted) {
    ListReport report;
    EXPECT_EQ(entries_of(golden("dawg/duplicates.txt"), ListFormat::edm_text, report).size(), 2U);
    EXPECT_EQ(report.duplicates, 1U);
    EXPECT_EQ(entries_of(golden("dawg/case-order.txt"), ListFormat::edm_text, report).size(), 2U);
    EXPECT_EQ(report.duplicates, 1U);
}

TEST(List, GivesTheSameIndexFromTextAndFromItsDawg) {
    for (const std::string stem : {"edm/well-known", "edm/ignored-names", "dawg/top5k"}) {
        ListReport report;
        const auto text = entries_of(golden(stem + ".txt"), ListFormat::text, report);
        const auto dawg = entries_of(golden(stem + ".dawg"), ListFormat::dawg, report);
        EXPECT_EQ(report.inert, 0U) << stem;
        EXPECT_GT(dawg.size(), 2U) << stem;
        EXPECT_THAT(text, ::testing::UnorderedElementsAreArray(dawg)) << stem;
    }
}

// Every row that the existing minimiser wrote is an entry of the list, spread as it spread it.
TEST(List, RowsOfTheExistingMinimiserAreItsEntries) {
    ListReport report;
    const std::string list = golden("edm/well-known.dawg");
    const auto index = compile_list(list, "well-known.dawg", ListFormat::dawg, report);
    ASSERT_TRUE(index.has_value());
    std::set<std::string> ours;
    for (std::uint32_t id = 0; id < index->size(); ++id) {
        const Entry entry = index->entry(EntryId{id});
        const RowLabels labels(entry);
        std::string row;
        for (std::size_t i = 0; i < row_label_count_max; ++i) {
            row += fmt::format("\"label{}\": {}, ", i,
                               i < labels.size() ? fmt::format("\"{}\"", labels[i]) : "null");
        }
        ours.insert(row + std::to_string(static_cast<int>(entry.kind)));
    }
    int rows = 0;
    for (const auto& line : lines_of(golden("edm/histogram.jsonl"))) {
        const std::size_t from = line.find("\"label0\"");
        const std::size_t bits = line.find("\"edm_status_bits\": ") + 19;
        const std::string row =
            line.substr(from, line.find("\"a_count\"") - from) + line.substr(bits, 1);
        EXPECT_TRUE(ours.contains(row)) << row;
        ++rows;
    }
    EXPECT_GT(rows, 30);
}

TEST(Difference, OfTwoListsIsWhatOneOfThemHasOnly) {
    ListReport report;
    const auto index = [&report](std::string_view text) {
        return compile_list(text, "list.txt", ListFormat::text, report).value();
    };
    const NameIndex before = index("a.se\n.b.se\nc.se\n");
    const NameIndex after = index("c.se\nb.se\nd.se\nA.se\n");
    std::vector<std::string> told;
    const Difference change = difference(before, after, [&told](Change how, const Entry& entry) {
        told.push_back((how == Change::added ? "+" : "-") + to_text(entry));
    });
    EXPECT_THAT(told, ::testing::ElementsAre("-.b.se.", "+b.se.", "+d.se."));
    EXPECT_EQ(change.added, 2U);
    EXPECT_EQ(change.removed, 1U);
    EXPECT_EQ(change.kept, 2U);
    EXPECT_EQ(difference(after, after).kept, 4U);
    EXPECT_EQ(difference(NameIndex(), after).added, 4U);
}

TEST(List, FormatIsKnownByItsName) {
    EXPECT_EQ(list_format_of("a/b.dawg"), ListFormat::dawg);
    EXPECT_EQ(list_format_of("a/b.csv"), ListFormat::csv);
    EXPECT_EQ(list_format_of("a/b"), ListFormat::text);
    EXPECT_EQ(list_format_of("a/b.csv", as_bytes(golden("dawg/one.dawg"))), ListFormat::dawg);
    EXPECT_EQ(list_format_of("a/b.csv", as_bytes("1,a.se")), ListFormat::csv);
    EXPECT_EQ(list_format_from_text("edm"), ListFormat::edm_text);
    EXPECT_EQ(list_format_from_text("xml"), std::nullopt);
}

}  // namespace
}  // namespace tapir::names
