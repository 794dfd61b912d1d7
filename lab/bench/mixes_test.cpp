// The inputs of the benchmarks are the same for everybody, and are what they claim to be.
#include "mixes.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "chance.hpp"
#include "tapir/client/network_set.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/dns/message.hpp"
#include "tapir/dnstap/frame_stream.hpp"
#include "tapir/dnstap/message.hpp"
#include "tapir/names/list.hpp"
#include "tapir/world/testing.hpp"

namespace tapir::bench {
namespace {

std::string names_of(const NameMix& mix) {
    std::string text;
    write_names(mix, [&text](ByteView piece) { text += as_text(piece); });
    return text;
}

std::string frames_of(const FrameMix& mix, const std::string& names) {
    std::string file;
    write_frames(mix, lines_of(names), [&file](ByteView piece) { file += as_text(piece); });
    return file;
}

const NameMix few_names = {.count = 3000, .seed = 1};
const FrameMix few_frames = {.count = 4000, .seed = 7, .clients = 500, .minutes = 2};

std::string digest_of(const std::string& octets) {
    return to_hex(crypto::sha256(as_bytes(octets)));
}

TEST(Mixes, AreTheSameOctetsForTheSameSeed) {
    const std::string names = names_of(few_names);
    EXPECT_EQ(digest_of(names), "10819c9c13acba6fb45adf7c13338c3d52a381feb220c2b97ff4468062f2df2c");
    EXPECT_EQ(digest_of(frames_of(few_frames, names)),
              "70a5940355ca69d1eba35d51336a71caae7bbbf34ec7597daa4d04f9608c5e10");
    EXPECT_NE(names, names_of({.count = 3000, .seed = 2}));
}

TEST(Mixes, NamesAreDistinctAndAThirdAreSuffixEntries) {
    const std::string text = names_of(few_names);
    names::ListReport report;
    const auto index = names::compile_list(text, "names.txt", names::ListFormat::text, report);
    ASSERT_TRUE(index.has_value()) << index.error().what();
    EXPECT_EQ(report.entries, few_names.count);
    EXPECT_EQ(report.duplicates, 0U);
    const auto lines = lines_of(text);
    const auto suffixes =
        std::ranges::count_if(lines, [](std::string_view line) { return line.starts_with('.'); });
    EXPECT_NEAR(static_cast<double>(suffixes), 1000, 100);
}

TEST(Mixes, FramesAreClientResponsesThatOurParsersRead) {
    const std::string names = names_of(few_names);
    const std::string file = frames_of(few_frames, names);
    names::ListReport report;
    const auto index = names::compile_list(names, "names.txt", names::ListFormat::text, report);
    ASSERT_TRUE(index.has_value());
    const std::vector<std::string> words = {"10.0.0.0/8", "fc00::/7"};
    const auto networks = client::NetworkSet::from_words(words);
    dnstap::FstrmReader reader(as_bytes(file));
    std::size_t count = 0;
    std::size_t known = 0;
    std::set<std::int64_t> minutes;
    std::map<dns::RrType, std::size_t> types;
    while (const auto frame = reader.next()) {
        ++count;
        const auto message = dnstap::Message::parse(*frame);
        ASSERT_TRUE(message.has_value());
        EXPECT_EQ(message->type, dnstap::MessageType::client_response);
        EXPECT_TRUE(networks->contains(message->query_address, client::Mapped::as_ipv4));
        minutes.insert(message->response_time()->seconds() / 60);
        dns::NameBuffer buffer;
        const auto dns =
            dns::Message::parse(*message->response_message, dns::Depth::compatible, buffer);
        ASSERT_TRUE(dns.has_value());
        EXPECT_EQ(dns->question_count, 1U);
        ++types[dns->question.qtype];
        known += index->find(dns::FoldedName(dns->question.name)) ? 1 : 0;
    }
    EXPECT_EQ(reader.state(), dnstap::StreamState::stopped);
    EXPECT_EQ(count, few_frames.count);
    EXPECT_EQ(minutes.size(), few_frames.minutes);
    EXPECT_NEAR(static_cast<double>(known) / static_cast<double>(count), 0.95, 0.02);
    EXPECT_NEAR(static_cast<double>(types[dns::RrType::a]) / static_cast<double>(count), 0.58,
                0.04);
    EXPECT_NEAR(static_cast<double>(file.size()) / static_cast<double>(count), 155, 12);
}

TEST(Mixes, AFloodAsksForEachNameOnce) {
    FrameMix flood = few_frames;
    flood.unknown_of_thousand = 1000;
    const std::string file = frames_of(flood, names_of(few_names));
    dnstap::FstrmReader reader(as_bytes(file));
    std::set<std::string> asked;
    while (const auto frame = reader.next()) {
        const auto message = dnstap::Message::parse(*frame);
        dns::NameBuffer buffer;
        const auto dns =
            dns::Message::parse(*message->response_message, dns::Depth::standard, buffer);
        asked.insert(dns::to_text(dns->question.name, dns::Case::lower));
    }
    EXPECT_EQ(asked.size(), flood.count);
}

// The yardstick must do the whole work on our file, or the comparison is worth nothing.
TEST(Mixes, TheYardstickReadsEveryFrame) {
    const world::TemporaryFolder folder;
    const std::string file = folder / "frames.fstrm";
    std::ofstream(file, std::ios::binary) << frames_of(few_frames, names_of(few_names));
    const std::string command = "dnstap -q -r " + file + " 2>/dev/null | grep -c ' CR .* IN '";
    std::FILE* shown = popen(command.c_str(), "r");
    ASSERT_NE(shown, nullptr);
    std::size_t count = 0;
    EXPECT_EQ(std::fscanf(shown, "%zu", &count), 1);
    pclose(shown);
    EXPECT_EQ(count, few_frames.count);
}

TEST(Zipf, DrawsTheFirstRankAsOftenAsItsShare) {
    const Zipf zipf(1000, 1, 1);
    Chance chance(3);
    std::array<std::size_t, 2> seen{};
    constexpr std::size_t draws = 100'000;
    for (std::size_t i = 0; i < draws; ++i) {
        const std::size_t rank = zipf.draw(chance);
        ASSERT_LT(rank, 1000U);
        if (rank < seen.size()) {
            ++seen.at(rank);
        }
    }
    // With exponent 1 the share of rank r is 1 / (r + 1) over the harmonic number 7.485.
    EXPECT_NEAR(static_cast<double>(seen[0]) / draws, 1 / 7.485, 0.005);
    EXPECT_NEAR(static_cast<double>(seen[1]) / draws, 0.5 / 7.485, 0.005);
}

}  // namespace
}  // namespace tapir::bench
