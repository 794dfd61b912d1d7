// What the existing programs recorded, beyond the tables of products_test.cpp.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "tapir/products/new_qname.hpp"
#include "tapir/products/observation.hpp"

namespace tapir::products {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in.good()) << path;
    return {std::istreambuf_iterator<char>(in), {}};
}

// Name without its ending, and content, of each file in the folder with that ending.
std::map<std::string, std::string> recorded(std::string_view folder, std::string_view ending) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(fs::path(TAPIR_GOLDEN) / folder)) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(ending)) {
            files[name.substr(0, name.size() - ending.size())] = read_file(entry.path());
        }
    }
    EXPECT_FALSE(files.empty()) << folder;
    return files;
}

TEST(Recorded, EventsOfTheExistingEdgeAreWrittenBackTheSame) {
    const std::string lines = read_file(fs::path(TAPIR_GOLDEN) / "edm-events.jsonl");
    int count = 0;
    for (std::size_t at = 0; at < lines.size(); ++count) {
        const std::size_t end = lines.find('\n', at);
        const std::string line = lines.substr(at, end - at);
        const auto event = NewQname::parse(line);
        ASSERT_TRUE(event) << line;
        EXPECT_EQ(event->to_json(), line);
        at = end + 1;
    }
    EXPECT_EQ(count, 72);
}

TEST(Recorded, PayloadsOfAllSignedEventsAreJudged) {
    // All that were dropped by the bridge for what they say, and one that it forwarded.
    const std::map<std::string, EventError> refused{
        {"020-wrong-type", EventError::wrong_type},
        {"021-no-qname", EventError::bad_qname},
        {"022-version-string", EventError::bad_version},
        {"023-bad-timestamp", EventError::bad_timestamp},
        {"025-negative-qtype", EventError::bad_number},
        {"026-payload-not-json", EventError::not_json},
    };
    for (const auto& [name, payload] : recorded("signed", ".payload")) {
        const auto event = NewQname::parse(payload);
        const auto expected = refused.find(name);
        if (expected == refused.end()) {
            EXPECT_TRUE(event) << name;
        } else {
            ASSERT_FALSE(event) << name;
            EXPECT_EQ(to_string(event.error()), to_string(expected->second)) << name;
        }
    }
}

TEST(Recorded, MessagesToThePolicyProcessorAreRead) {
    for (const char* folder : {"pop/observations", "pop/expiry", "pop/names"}) {
        for (const auto& [name, payload] : recorded(folder, ".payload.json")) {
            const auto message = Observation::parse(payload);
            if (name == "empty") {  // an empty name is none
                EXPECT_EQ(message.error(), ObservationError::bad_name);
                continue;
            }
            ASSERT_TRUE(message) << folder << name << to_string(message.error());
            const auto again = Observation::parse(message->to_json());
            ASSERT_TRUE(again) << name;
            EXPECT_EQ(*again, *message) << name;
        }
    }
}

}  // namespace
}  // namespace tapir::products
