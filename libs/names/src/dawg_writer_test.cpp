#include "tapir/names/dawg_writer.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "automaton.hpp"
#include "tapir/names/dawg.hpp"
#include "tapir/names/list.hpp"

namespace tapir::names {
namespace {

std::string golden(const std::string& name) {
    const std::string path = TAPIR_GOLDEN "/dawg/" + name;
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file.good()) << path;
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> words_in(ByteView octets) {
    const Dawg dawg = Dawg::open(octets).value();
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

Bytes compiled(std::string_view text, ListFormat format, ListReport& report) {
    auto words = read_words(text, "list", format, report);
    EXPECT_TRUE(words.has_value()) << words.error().what();
    return write_dawg(std::move(words).value()).value();
}

Bytes written(const std::vector<std::string>& words) {
    WordList list;
    for (const auto& word : words) {
        EXPECT_TRUE(list.add(word).has_value());
    }
    list.settle();
    return write_dawg(std::move(list)).value();
}

class GoldenList : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenList, IsCompiledToTheSameOctets) {
    ListReport report;
    const Bytes ours = compiled(golden(GetParam() + ".txt"), ListFormat::edm_text, report);
    EXPECT_EQ(as_text(ours), golden(GetParam() + ".dawg"));
    EXPECT_EQ(report.duplicates, 0U);
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenList,
                         ::testing::Values("empty", "one", "mixed", "prefixes", "upper", "top5k"));

TEST(DawgWriter, CompilesARankedListToTheSameOctets) {
    ListReport report;
    EXPECT_EQ(as_text(compiled(golden("ranked.csv"), ListFormat::edm_csv, report)),
              golden("ranked.dawg"));
    EXPECT_EQ(as_text(compiled(golden("ranked.csv"), ListFormat::csv, report)),
              golden("ranked.dawg"));
}

TEST(DawgWriter, WritesAHundredThousandNamesBackAsTheyWere) {
    const std::string octets = golden("top100k.dawg");
    ListReport report;
    EXPECT_EQ(as_text(compiled(octets, ListFormat::dawg, report)), octets);
    EXPECT_GT(report.entries, 99'000U);
}

TEST(DawgWriter, DoesNotMindTheOrderOfAList) {
    const std::string octets = golden("top5k.dawg");
    std::vector<std::string> words = words_in(as_bytes(octets));
    std::ranges::shuffle(words, std::mt19937(7));
    EXPECT_EQ(as_text(written(words)), octets);
}

TEST(DawgWriter, TakesTheListsThatCrashTheExistingCompiler) {
    ListReport report;
    EXPECT_THAT(words_in(compiled(golden("duplicates.txt"), ListFormat::edm_text, report)),
                ::testing::SizeIs(2));
    EXPECT_EQ(report.duplicates, 1U);
    EXPECT_EQ(report.folded, 0U);
    const auto words = words_in(compiled(golden("case-order.txt"), ListFormat::edm_text, report));
    EXPECT_THAT(words, ::testing::SizeIs(2));
    EXPECT_TRUE(std::ranges::is_sorted(words));
    EXPECT_EQ(report.duplicates, 1U);
    EXPECT_GT(report.folded, 0U);
}

TEST(DawgWriter, WritesTheWordsThatAnyNumberOfBitsNeeds) {
    // Lengths of seven-codes change at 127, and at 16 383.
    for (const std::size_t count : {1U, 2U, 126U, 127U, 128U, 16'382U, 16'383U, 16'384U}) {
        std::vector<std::string> words;
        for (std::size_t i = 0; i < count; ++i) {
            words.push_back(std::to_string(i * 7919 % 1'000'003) + ".se.");
        }
        const Bytes file = written(words);
        std::ranges::sort(words);
        EXPECT_EQ(words_in(file), words) << count;
    }
}

TEST(DawgWriter, KnowsTheEmptyWordAndTheLongestOne) {
    const std::vector<std::string> words = {"", std::string(dawg_word_size_max, 'a')};
    EXPECT_EQ(words_in(written(words)), words);
    EXPECT_EQ(words_in(written({""})), std::vector<std::string>{""});
    WordList list;
    EXPECT_EQ(list.add(std::string(dawg_word_size_max + 1, 'a')).error().code(), Code::exhausted);
    std::string wide;
    for (std::size_t i = 0; i <= dawg_word_size_max; ++i) {
        wide += "ö";
    }
    EXPECT_EQ(list.add(wide).error().code(), Code::exhausted);
    EXPECT_TRUE(list.add(std::string_view(wide).substr(2)).has_value());
}

TEST(DawgWriter, RefusesMoreEdgesOfANodeThanItHasRoomFor) {
    WordList fits;
    WordList one_more;
    constexpr std::uint32_t first = 0x10000;
    for (std::uint32_t point = first; point <= first + edge_count_max; ++point) {
        std::string word;
        for (const unsigned shift : {18U, 12U, 6U, 0U}) {
            word += static_cast<char>(shift == 18 ? 0xF0U | point >> 18U
                                                  : 0x80U | (point >> shift & 0x3FU));
        }
        ASSERT_TRUE(one_more.add(word).has_value());
        if (point < first + edge_count_max) {
            ASSERT_TRUE(fits.add(word).has_value());
        }
    }
    EXPECT_EQ(fits.settle() + one_more.settle(), 0U);
    EXPECT_EQ(words_in(write_dawg(std::move(fits)).value()).size(), edge_count_max);
    EXPECT_EQ(write_dawg(std::move(one_more)).error().code(), Code::exhausted);
}

TEST(DawgWriter, SortsByCodePointAndTakesWhatIsNoUtf8) {
    EXPECT_THAT(words_in(written({"\xff.", "\xf0\x9f\x92\xa9", "\xef\xbf\xbf", "z", "a\xc3"})),
                ::testing::ElementsAre("a\xef\xbf\xbd", "z", "\xef\xbf\xbd.", "\xef\xbf\xbf",
                                       "\xf0\x9f\x92\xa9"));
}

TEST(WordList, SortsWordsThatDifferAfterManyOctetsOrInWhereTheyEnd) {
    using namespace std::string_literals;
    std::vector<std::string> words = {"a\0"s,
                                      "a",
                                      "a\0\0\0\0\0\0\0"s,
                                      "a\0\0\0\0\0\0\0\0"s,
                                      "",
                                      "\0"s,
                                      std::string(64, 'x'),
                                      std::string(64, 'x') + "a",
                                      std::string(63, 'x') + "y",
                                      "12345678",
                                      "123456789",
                                      "1234567"};
    WordList list;
    for (int twice = 0; twice < 2; ++twice) {
        for (const auto& word : words) {
            ASSERT_TRUE(list.add(word).has_value());
        }
    }
    EXPECT_EQ(list.settle(), words.size());
    std::ranges::sort(words);
    ASSERT_EQ(list.size(), words.size());
    for (std::size_t i = 0; i < words.size(); ++i) {
        EXPECT_EQ(list[i], words[i]);
    }
}

TEST(WordList, SortsALargeListInHalvesToTheSame) {
    std::mt19937 random(3);
    std::vector<std::string> words;
    for (int i = 0; i < 150'000; ++i) {
        words.push_back("shared." + std::to_string(random() % 100'000));
        words.push_back(std::to_string(random()));
    }
    WordList list;
    for (const auto& word : words) {
        ASSERT_TRUE(list.add(word).has_value());
    }
    const std::size_t repeated = list.settle();
    std::ranges::sort(words);
    words.erase(std::unique(words.begin(), words.end()), words.end());
    EXPECT_EQ(list.size() + repeated, 300'000U);
    ASSERT_EQ(list.size(), words.size());
    for (std::size_t i = 0; i < words.size(); ++i) {
        ASSERT_EQ(list[i], words[i]);
    }
}

// Few letters: many words share beginnings and endings, and nodes become one.
rc::Gen<std::vector<std::string>> some_words() {
    return rc::gen::container<std::vector<std::string>>(
        rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab.\0", 4))));
}

RC_GTEST_PROP(DawgWriter, IsReadBackAndFindsEachWordAtItsPlace, ()) {
    const auto words = *some_words();
    const Bytes file = written(words);
    const std::set<std::string> expected(words.begin(), words.end());
    const auto read = words_in(file);
    RC_ASSERT(read == std::vector<std::string>(expected.begin(), expected.end()));
    const Dawg dawg = Dawg::open(file).value();
    for (std::uint32_t i = 0; i < read.size(); ++i) {
        RC_ASSERT(dawg.find(read[i]).value() == i);
        RC_ASSERT(dawg.word(i).value() == read[i]);
    }
    ListReport report;
    RC_ASSERT(compiled(as_text(file), ListFormat::dawg, report) == file);
}

// The plain way: nodes of the trie are one if they read the same behind them.
std::size_t nodes_of(const std::set<std::string>& words) {
    std::set<std::set<std::string>> languages;
    const auto behind = [&words](std::string_view prefix) {
        std::set<std::string> rest;
        for (const auto& word : words) {
            if (word.starts_with(prefix)) {
                rest.insert(word.substr(prefix.size()));
            }
        }
        return rest;
    };
    for (const auto& word : words) {
        for (std::size_t size = 0; size <= word.size(); ++size) {
            languages.insert(behind(std::string_view(word).substr(0, size)));
        }
    }
    return languages.size();
}

RC_GTEST_PROP(DawgWriter, WritesNoNodeTwice, ()) {
    const auto words = *some_words();
    RC_PRE(!words.empty());
    const Bytes file = written(words);
    ByteReader in(file);
    in.bytes(6);
    const auto seven_code = [&in] {
        std::size_t value = 0;
        for (unsigned octet = 0x80; (octet & 0x80U) != 0;) {
            octet = in.u8();
            value = value << 7U | (octet & 0x7FU);
        }
        return value;
    };
    seven_code();
    RC_ASSERT(seven_code() == nodes_of(std::set<std::string>(words.begin(), words.end())));
}

// What is written by a short way is what the long way would write.
RC_GTEST_PROP(List, HasTheSameWordsAsItsIndex, ()) {
    const auto text =
        *rc::gen::container<std::string>(rc::gen::elementOf(std::string("abZ-_09..\n\\@ *")));
    ListReport from_words;
    ListReport from_index;
    const auto words = read_words(text, "list", ListFormat::text, from_words);
    const auto index = compile_list(text, "list", ListFormat::text, from_index);
    RC_ASSERT(words.has_value() == index.has_value());
    if (!words) {
        RC_ASSERT(words.error() == index.error());
        return;
    }
    const WordList expected = words_of(*index).value();
    RC_ASSERT(words->size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        RC_ASSERT((*words)[i] == expected[i]);
    }
    RC_ASSERT(from_words.duplicates == from_index.duplicates);
    RC_ASSERT(from_words.folded == from_index.folded);
}

}  // namespace
}  // namespace tapir::names
