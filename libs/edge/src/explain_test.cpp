// What is explained is what is done.
#include "tapir/edge/explain.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tapir/crypto/digest.hpp"
#include "testing_frames.hpp"
#include "testing_tools.hpp"

namespace tapir::edge {
namespace {

using namespace testing;

std::string explained(const ExplainOptions& options, const std::vector<std::string>& sets = {}) {
    std::string lines;
    std::string said;
    const Log log = Log::to_string(lines);
    world::SystemFiles files;
    const auto result = explain(options, settings_of(sets), files, log,
                                [&said](std::string_view text) { said += text; });
    EXPECT_TRUE(result.has_value()) << result.error().what();
    return said;
}

// The line of a message, from its verdict on.
std::string line_of(const std::string& said, unsigned number) {
    const std::string start = "#" + std::to_string(number) + " ";
    for (const std::string& line : lines_of(said)) {
        if (line.starts_with(start)) {
            return line.substr(6);
        }
    }
    return {};
}

std::vector<Bytes> some_frames() {
    std::vector<Bytes> frames;
    frames.push_back(frame_of({.name = "Annas-iPhone.new-one.se.", .client = client_of(0)}));
    frames.push_back(frame_of({.name = "listed.se.", .client = client_of(0)}));
    frames.push_back(frame_of({.name = "1.0.0.10.in-addr.arpa.", .client = client_of(0)}));
    frames.push_back(frame_of({.name = "new-one.se.", .client = v4(192, 0, 2, 1)}));
    frames.push_back(to_bytes("no frame"));
    for (unsigned i = 1; i < 120; ++i) {
        frames.push_back(frame_of({.name = "Annas-iPhone.new-one.se.", .client = client_of(i)}));
    }
    return frames;
}

TEST(Explain, SaysOfEachMessageWhatBecomesOfItAndWhy) {
    const TemporaryFolder folder;
    write_text(folder / "in.fstrm", fstrm_of(some_frames()));
    write_text(folder / "list.txt", "listed.se\n");
    const std::string said = explained({.captures = {folder / "in.fstrm"}, .names = {}},
                                       {"lists.well_known=" + folder / "list.txt"});
    EXPECT_TRUE(line_of(said, 1).starts_with("held      R3")) << line_of(said, 1);
    EXPECT_NE(line_of(said, 1).find("new-one.se: 1 of "), std::string::npos) << line_of(said, 1);
    EXPECT_TRUE(line_of(said, 2).starts_with("kept      R5")) << line_of(said, 2);
    EXPECT_NE(line_of(said, 2).find("listed.se"), std::string::npos);
    EXPECT_TRUE(line_of(said, 3).starts_with("dropped   R4")) << line_of(said, 3);
    EXPECT_TRUE(line_of(said, 4).starts_with("dropped   R2")) << line_of(said, 4);
    EXPECT_TRUE(line_of(said, 5).starts_with("dropped   -")) << line_of(said, 5);
    EXPECT_NE(said.find("coarsened R4"), std::string::npos);
    EXPECT_NE(said.find("id--device.new-one.se: "), std::string::npos);
    EXPECT_NE(said.find("124 messages under standard"), std::string::npos);
    EXPECT_NE(said.find(R"("qname":"id--device.new-one.se.")"), std::string::npos);
    EXPECT_NE(said.find("row   held      R5  2026-09-21T14:14:00Z/PT1M  listed.se: 1 IPv4"),
              std::string::npos);
    // 10.0.N.C is the clients' network.
    EXPECT_EQ(said.find("10.0.1"), std::string::npos);
    EXPECT_EQ(said.find("192.0.2"), std::string::npos);
}

TEST(Explain, ShowsTheOctetsThatTheTwinWrites) {
    const TemporaryFolder folder;
    write_text(folder / "in.fstrm", fstrm_of(some_frames()));
    run_twin({.captures = {folder / "in.fstrm"},
              .out = folder / "out",
              .single_interval = false,
              .version = "test"},
             {});
    const std::string said =
        explained({.captures = {folder / "in.fstrm"}, .names = {}, .sums_only = true});
    std::size_t payloads = 0;
    for (const auto& [path, content] : contents_of(folder / "out")) {
        if (path.starts_with("histograms/") || path.starts_with("batches/")) {
            ++payloads;
            EXPECT_NE(said.find(to_hex(crypto::sha256(as_bytes(content)))), std::string::npos)
                << path;
        }
    }
    EXPECT_GE(payloads, 2U);
    EXPECT_NE(said.find("what would leave: " + std::to_string(payloads) + " payloads"),
              std::string::npos)
        << said;
    for (const std::string& line : lines_of(read_text(folder / "out/events.jsonl"))) {
        EXPECT_NE(said.find(line), std::string::npos) << "the event itself";
    }
    const std::string full = explained(
        {.captures = {folder / "in.fstrm"}, .names = {}, .sums_only = true, .octets = true});
    EXPECT_NE(full.find(to_hex(as_bytes("PAR1"))), std::string::npos);
}

TEST(Explain, SaysOfANameInWhichFormsItMayLeave) {
    const TemporaryFolder folder;
    write_text(folder / "list.txt", "listed.se\n.cdn.se\n");
    write_text(folder / "ignored.txt", ".lan.se\n");
    const std::vector<std::string> sets{"lists.well_known=" + folder / "list.txt",
                                        "lists.ignored_names=" + folder / "ignored.txt"};
    const auto of = [&sets](const std::string& name) {
        return explained({.captures = {}, .names = {name}}, sets);
    };
    EXPECT_NE(of("a.b.cdn.se").find("row of the list's entry .cdn.se."), std::string::npos);
    EXPECT_NE(of("printer.lan.se").find("ignored name .lan.se."), std::string::npos);
    EXPECT_NE(of("1.0.0.10.in-addr.arpa").find("released in no form: reverse"), std::string::npos);
    const std::string host = of("Annas-iPhone.eu.new-one.se");
    for (const char* what :
         {"annas-iphone looks like an identifier (device): id--device",
          "new-one.se. is its registered domain", "10 to 40 clients", "as *.eu.new-one.se.",
          "as id--device.eu.new-one.se.", R"("qname":"new-one.se.")"}) {
        EXPECT_NE(host.find(what), std::string::npos) << what << "\n" << host;
    }
    const std::string domain = of("new-one.se");
    EXPECT_EQ(domain.find("*."), std::string::npos) << domain;
}

TEST(Explain, RefusesWhatIsNeitherFileNorName) {
    std::string lines;
    const Log log = Log::to_string(lines);
    world::SystemFiles files;
    const auto result = explain({.captures = {}, .names = {"a..b"}}, settings_of({}), files, log,
                                [](std::string_view) {});
    ASSERT_FALSE(result.has_value());
    EXPECT_NE(result.error().what().find("a..b: expected the path of a capture or a domain name"),
              std::string::npos)
        << result.error().what();
}

}  // namespace
}  // namespace tapir::edge
