#include "tapir/names/name_index.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/dns/testing.hpp"
#include "tapir/names/list.hpp"
#include "tapir/names/row_labels.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tapir::names {
namespace {

using dns::testing::folded;

NameIndex index_of(const std::vector<std::string>& entries) {
    NameIndexBuilder builder;
    for (const auto& text : entries) {
        const OwnedEntry entry = parse_entry(text).value();
        EXPECT_TRUE(builder.add({.name = entry.name, .kind = entry.kind}).has_value());
    }
    return std::move(builder).build().value();
}

std::optional<Match> found_in_steps(const NameIndex& index, const dns::FoldedName& name) {
    index.prefetch(name);
    LookUp look_up = index.start(name);
    const auto in_haste = index.finish(look_up, name);
    index.go_on(look_up, name);
    index.go_on(look_up, name);
    const auto match = index.finish(look_up, name);
    EXPECT_TRUE(in_haste == match) << dns::to_text(name.view());
    return match;
}

// The text of the entry that `name` falls under; "" for none.
std::string match(const NameIndex& index, std::string_view name) {
    const dns::FoldedName at = folded(name);
    const auto found = index.find(at);
    EXPECT_TRUE(found_in_steps(index, at) == found) << name;
    if (!found) {
        return "";
    }
    const Entry entry = index.entry(found->id);
    EXPECT_EQ(entry.kind, found->kind);
    return to_text(entry);
}

// So many entries that buckets overflow.
TEST(NameIndex, FindsInStepsWhatItFindsAtOnce) {
    std::vector<std::string> entries;
    for (int i = 0; i < 3000; ++i) {
        entries.push_back((i % 3 == 0 ? ".n" : "n") + std::to_string(i) + ".example.net");
    }
    const NameIndex index = index_of(entries);
    std::size_t found = 0;
    for (int i = 0; i < 4000; ++i) {
        const auto name = folded((i % 2 == 0 ? "www.n" : "n") + std::to_string(i) + ".example.net");
        const auto match = index.find(name);
        EXPECT_TRUE(found_in_steps(index, name) == match) << i;
        found += match ? 1 : 0;
    }
    EXPECT_EQ(found, 500U + 1000U) << "suffix entries by the even, exact ones by the odd";
}

// The file of an index with its last octets but one, where its last name ends, changed; its digest
// is right.
Bytes with_octet_changed(const NameIndex& index, std::size_t from_end) {
    constexpr std::size_t header_size = 64;
    constexpr std::size_t digest_at = 56;
    Bytes file = to_bytes(index.bytes());
    file[file.size() - from_end] ^= std::byte{1};
    std::uint64_t digest = 0;
    std::memcpy(file.data() + digest_at, &digest, sizeof digest);
    const std::uint64_t seed = XXH3_64bits_withSeed(file.data(), header_size, 1);
    digest = XXH3_64bits_withSeed(file.data() + header_size, file.size() - header_size, seed);
    std::memcpy(file.data() + digest_at, &digest, sizeof digest);
    return file;
}

// Its fingerprint says that it is the entry, so only the comparison can say that it is another one.
TEST(NameIndex, ComparesNamesOfEverySizeOctetByOctet) {
    for (std::size_t size = 1; size <= dns::label_size_max; ++size) {
        const std::string text(size, 'a');
        const auto name = folded(text);
        const NameIndex index = index_of({text});
        EXPECT_TRUE(index.find(name));
        for (std::size_t at = 0; at < size; ++at) {
            const Bytes file = with_octet_changed(index, 2 + at);
            const NameIndex other = NameIndex::open(file).value();
            EXPECT_FALSE(other.find(name)) << size << " " << at;
            EXPECT_FALSE(found_in_steps(other, name)) << size << " " << at;
        }
    }
}

TEST(NameIndex, MatchesAsTheExistingMinimiserDoes) {
    const NameIndex index =
        index_of({"exact.example.net", ".suffix.example.net", "both.example.net",
                  ".both.example.net", ".ac", "arpa", ".deep.suffix.example.net"});
    EXPECT_EQ(match(index, "exact.example.net"), "exact.example.net.");
    EXPECT_EQ(match(index, "EXACT.Example.NET"), "exact.example.net.");
    EXPECT_EQ(match(index, "www.exact.example.net"), "");
    EXPECT_EQ(match(index, "suffix.example.net"), "");
    EXPECT_EQ(match(index, "www.suffix.example.net"), ".suffix.example.net.");
    EXPECT_EQ(match(index, "a.b.c.suffix.example.net"), ".suffix.example.net.");
    EXPECT_EQ(match(index, "deep.suffix.example.net"), ".suffix.example.net.");
    EXPECT_EQ(match(index, "a.deep.suffix.example.net"), ".deep.suffix.example.net.");
    EXPECT_EQ(match(index, "both.example.net"), "both.example.net.");
    EXPECT_EQ(match(index, "www.both.example.net"), ".both.example.net.");
    EXPECT_EQ(match(index, "notsuffix.example.net"), "");
    EXPECT_EQ(match(index, "university.ac"), ".ac.");
    EXPECT_EQ(match(index, "ac"), "");
    EXPECT_EQ(match(index, "arpa"), "arpa.");
    EXPECT_EQ(match(index, "."), "");
}

TEST(NameIndex, KeepsEscapedDotsInsideTheirLabel) {
    const NameIndex index = index_of({".example.net", "a\\.b.example.org"});
    EXPECT_EQ(match(index, "x\\.example.net"), "");
    EXPECT_EQ(match(index, "x\\.y.example.net"), ".example.net.");
    EXPECT_EQ(match(index, "a.b.example.org"), "");
    EXPECT_EQ(match(index, "A\\.b.example.org"), "a\\.b.example.org.");
}

TEST(NameIndex, MatchesTheRootOnlyByItsOwnEntry) {
    EXPECT_EQ(match(index_of({"."}), "."), ".");
    EXPECT_EQ(match(index_of({"."}), "com"), "");
    EXPECT_EQ(match(index_of({".com"}), "."), "");
}

TEST(NameIndex, OfNothingMatchesNothing) {
    const NameIndex index;
    EXPECT_TRUE(index.empty());
    EXPECT_EQ(match(index, "www.example.com"), "");
    EXPECT_TRUE(NameIndex::open(index.bytes()).has_value());
}

TEST(NameIndex, NumbersEntriesInTheirOrderWithoutDuplicates) {
    const NameIndex index = index_of({"b.se", "a.se", "B.se.", ".b.se", "c.se", "a.se", ".B.se"});
    std::vector<std::string> entries;
    for (std::uint32_t id = 0; id < index.size(); ++id) {
        entries.push_back(to_text(index.entry(EntryId{id})));
    }
    EXPECT_THAT(entries, ::testing::ElementsAre("b.se.", "a.se.", ".b.se.", "c.se."));
    EXPECT_EQ(index.find_entry(folded("b.se"), EntryKind::suffix), EntryId{2});
    EXPECT_EQ(index.find_entry(folded("c.se"), EntryKind::exact), EntryId{3});
    EXPECT_EQ(index.find_entry(folded("c.se"), EntryKind::suffix), std::nullopt);
    EXPECT_TRUE(index.has_entry(folded("www.b.se"), 2)) << "the suffix entry of it";
    EXPECT_TRUE(index.has_entry(folded("a.www.c.se"), 2)) << "the exact one";
    EXPECT_FALSE(index.has_entry(folded("www.c.se"), 3));
    EXPECT_FALSE(index.has_entry(folded("www.d.se"), 2));
    EXPECT_FALSE(NameIndex().has_entry(folded("b.se"), 2));
}

TEST(NameIndex, HoldsNamesOfEveryDepth) {
    std::vector<std::string> entries;
    std::string name;
    for (int labels = 1; labels <= 127; ++labels) {
        name += "x.";
        entries.push_back(name);
        if (labels <= 126) {
            entries.push_back(fmt::format(".{}", name));
        }
    }
    const NameIndex index = index_of(entries);
    EXPECT_EQ(index.size(), 253U);
    std::string asked = "y.";
    for (int labels = 1; labels <= 126; ++labels) {
        const std::string expected = labels == 1 ? "" : asked.substr(1);
        EXPECT_EQ(match(index, asked), expected);
        asked += "x.";
    }
}

TEST(NameIndex, IsTheSameFromItsFile) {
    const NameIndex built = index_of({"a.se", ".b.se", "c.d.se"});
    const auto file = std::make_shared<Bytes>(to_bytes(built.bytes()));
    const auto opened = NameIndex::open(*file, file);
    ASSERT_TRUE(opened.has_value()) << opened.error().what();
    EXPECT_EQ(opened->size(), 3U);
    EXPECT_EQ(opened->digest(), built.digest());
    EXPECT_EQ(match(*opened, "x.b.se"), ".b.se.");
    EXPECT_EQ(match(*opened, "c.d.se"), "c.d.se.");
}

// The worked example of docs/formats/name-index.md: one exact and one suffix entry.
TEST(NameIndex, FileIsAsItsFormatPageShows) {
    const NameIndex index = index_of({"a.se", ".b.se"});
    EXPECT_EQ(to_hex(index.bytes()),
              "54415049524e580a010000004000000093000000000000000200000000000000"
              "01000000000000000e0000000000000004000000000000005169a1486404e6e9"
              "00000000cd037c110100000076e4a4dc00000000000000000000000000000000"
              "0000000000000000000000000000000000000000000000000000000000000000"
              "00000000020601610273650006016202736500");
}

TEST(NameIndex, RefusesAFileThatWasChanged) {
    const NameIndex index = index_of({"a.se", ".b.se", "c.d.se"});
    const Bytes sound = to_bytes(index.bytes());
    EXPECT_TRUE(NameIndex::open(sound).has_value());
    for (std::size_t i = 0; i < sound.size(); ++i) {
        Bytes changed = sound;
        changed[i] ^= std::byte{0x20};
        EXPECT_FALSE(NameIndex::open(changed).has_value()) << i;
    }
    for (std::size_t size = 0; size < sound.size(); ++size) {
        EXPECT_FALSE(NameIndex::open(ByteView(sound).first(size)).has_value()) << size;
    }
    Bytes longer = sound;
    longer.push_back(std::byte{0});
    EXPECT_EQ(NameIndex::open(longer).error().code(), Code::corrupt);
    Bytes newer = sound;
    newer[8] = std::byte{2};
    EXPECT_EQ(NameIndex::open(newer).error().code(), Code::invalid);
}

// Names that share many suffixes, so that hits, near misses and duplicates are common.
rc::Gen<std::string> any_name() {
    const auto label = rc::gen::element<std::string>("a", "B", "b", "www", "x\\.y", "\\200");
    return rc::gen::map(rc::gen::container<std::vector<std::string>>(4, label),
                        [](const std::vector<std::string>& labels) {
                            std::string text;
                            for (const auto& each : labels) {
                                text += each + ".";
                            }
                            return text.substr(labels[0] == "a" ? 2 : 0);
                        });
}

// The same question answered slowly, on text, as the existing minimiser does.
std::string slow_match(const std::set<std::string>& words, const std::string& name) {
    if (words.contains(name)) {
        return name;
    }
    for (std::size_t i = 0; i + 1 < name.size(); ++i) {
        if (name[i] == '\\') {
            ++i;
        } else if (name[i] == '.' && words.contains(name.substr(i))) {
            return name.substr(i);
        }
    }
    return "";
}

RC_GTEST_PROP(NameIndexLaw, FindsWhatTheSlowWayFinds, ()) {
    const auto names = *rc::gen::container<std::vector<std::string>>(any_name());
    const auto asked = *rc::gen::container<std::vector<std::string>>(any_name());
    std::set<std::string> words;
    std::vector<std::string> entries;
    for (std::size_t i = 0; i < names.size(); ++i) {
        entries.push_back(fmt::format("{}{}", i % 2 == 0 ? "." : "", names[i]));
        const OwnedEntry entry = parse_entry(entries.back()).value();
        words.insert(to_text(Entry{.name = entry.name, .kind = entry.kind}));
    }
    const NameIndex index = index_of(entries);
    RC_ASSERT(index.size() == words.size());
    for (const auto& list : {names, asked}) {
        for (const auto& text : list) {
            const std::string lower = dns::to_text(dns::testing::name(text), dns::Case::lower);
            RC_ASSERT(match(index, text) == slow_match(words, lower));
        }
    }
}

TEST(NameIndex, FindsEachOfManyNames) {
    NameIndexBuilder builder;
    for (int i = 0; i < 20'000; ++i) {
        const auto text = fmt::format("host-{}.example-{}.se", i, i % 97);
        const dns::Name name = dns::testing::name(text);
        ASSERT_TRUE(builder.add({.name = name, .kind = EntryKind::exact}).has_value());
    }
    const NameIndex index = std::move(builder).build().value();
    for (int i = 0; i < 20'000; ++i) {
        ASSERT_EQ(index.find(folded(fmt::format("host-{}.example-{}.se", i, i % 97))),
                  (Match{EntryId{static_cast<std::uint32_t>(i)}, EntryKind::exact}));
        ASSERT_EQ(index.find(folded(fmt::format("host-{}.example-{}.se", i, i % 97 + 1))),
                  std::nullopt);
    }
}

std::vector<std::string> labels_of(std::string_view text) {
    const OwnedEntry entry = parse_entry(text).value();
    const RowLabels labels({.name = entry.name, .kind = entry.kind});
    std::vector<std::string> out;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        out.emplace_back(labels[i]);
    }
    return out;
}

TEST(RowLabels, RunFromTheRootOn) {
    using ::testing::ElementsAre;
    EXPECT_THAT(labels_of("www.Example.com"), ElementsAre("com", "example", "www"));
    EXPECT_THAT(labels_of(".example.com"), ElementsAre("com", "example", ""));
    EXPECT_THAT(labels_of(".ac"), ElementsAre("ac", ""));
    EXPECT_THAT(labels_of("."), ElementsAre());
    EXPECT_THAT(labels_of("A\\.b.\\200.se"), ElementsAre("se", "\\200", "a\\.b"));
    EXPECT_THAT(labels_of("10.9.8.7.6.5.4.3.2.1"),
                ElementsAre("1", "2", "3", "4", "5", "6", "7", "8", "9", "10"));
    EXPECT_THAT(labels_of("12.11.10.9.8.7.6.5.4.3.2.1"),
                ElementsAre("1", "2", "3", "4", "5", "6", "7", "8", "9", "10.11.12"));
    EXPECT_THAT(labels_of(".9.8.7.6.5.4.3.2.1"),
                ElementsAre("1", "2", "3", "4", "5", "6", "7", "8", "9", ""));
    EXPECT_THAT(labels_of(".10.9.8.7.6.5.4.3.2.1"),
                ElementsAre("1", "2", "3", "4", "5", "6", "7", "8", "9", "10."));
}

}  // namespace
}  // namespace tapir::names
