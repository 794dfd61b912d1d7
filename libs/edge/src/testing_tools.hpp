// What the tests of this library share: captures, folders, DuckDB.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <lzma.h>

#include "tapir/base/bytes.hpp"
#include "tapir/columns/testing.hpp"
#include "tapir/edge/process.hpp"
#include "tapir/edge/settings.hpp"
#include "tapir/text/json.hpp"
#include "tapir/world/files.hpp"
#include "tapir/world/testing.hpp"

namespace tapir::edge::testing {

using columns::testing::Duck;
using world::TemporaryFolder;

// Until `condition` holds; a failure if it never does.
template <class Condition>
void wait_until(const Condition& condition) {
    EXPECT_TRUE(world::eventually(condition));
}

inline std::string golden(const std::string& path) {
    return std::string(TAPIR_GOLDEN) + "/" + path;
}

inline std::string read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in.good()) << path;
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline void write_text(const std::string& path, std::string_view text) {
    std::ofstream out(path, std::ios::binary);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    EXPECT_TRUE(out.good()) << path;
}

inline std::string unpack_xz(const std::string& path) {
    const std::string packed = read_text(path);
    lzma_stream stream = LZMA_STREAM_INIT;
    EXPECT_EQ(lzma_stream_decoder(&stream, UINT64_MAX, 0), LZMA_OK);
    std::string out;
    std::vector<std::uint8_t> piece(1U << 20U);
    stream.next_in = reinterpret_cast<const std::uint8_t*>(packed.data());
    stream.avail_in = packed.size();
    lzma_ret result = LZMA_OK;
    while (result == LZMA_OK) {
        stream.next_out = piece.data();
        stream.avail_out = piece.size();
        result = lzma_code(&stream, LZMA_FINISH);
        out.append(reinterpret_cast<const char*>(piece.data()), piece.size() - stream.avail_out);
    }
    lzma_end(&stream);
    EXPECT_EQ(result, LZMA_STREAM_END) << path;
    return out;
}

// A capture of golden/ as a plain file in `folder`.
inline std::string capture(const TemporaryFolder& folder, const std::string& packed) {
    const std::string path = folder / std::filesystem::path(packed).stem().string();
    write_text(path, unpack_xz(golden(packed)));
    return path;
}

inline text::Settings settings_of(const std::vector<std::string>& sets,
                                  std::string_view toml = {}) {
    auto settings = text::Settings::parse(toml, "edge.toml", settings_table(), sets);
    EXPECT_TRUE(settings.has_value()) << settings.error().what();
    return *std::move(settings);
}

// One run of the twin; the log's text comes back.
inline std::string run_twin(const ProcessOptions& options, const std::vector<std::string>& sets) {
    std::string lines;
    const Log log = Log::to_string(lines);
    world::SystemFiles files;
    const auto result = process(options, settings_of(sets), files, log);
    EXPECT_TRUE(result.has_value()) << result.error().what();
    return lines;
}

inline text::Json read_json(const std::string& path) {
    auto json = text::Json::parse(read_text(path));
    EXPECT_TRUE(json.has_value()) << path;
    return *std::move(json);
}

inline std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return lines;
}

// All files below a folder with their contents, by path relative to it.
inline std::vector<std::pair<std::string, std::string>> contents_of(const std::string& folder) {
    std::vector<std::pair<std::string, std::string>> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file()) {
            all.emplace_back(std::filesystem::relative(entry.path(), folder).string(),
                             read_text(entry.path().string()));
        }
    }
    std::sort(all.begin(), all.end());
    return all;
}

inline std::vector<std::string> histograms_of(const std::string& out) {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(out + "/histograms")) {
        paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

}  // namespace tapir::edge::testing
