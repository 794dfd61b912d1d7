// Files for the tests of this library.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace tapir::jose {

inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in.good()) << path;
    return {std::istreambuf_iterator<char>(in), {}};
}

inline std::string golden(std::string_view name) {
    return read_file(std::filesystem::path(TAPIR_GOLDEN) / name);
}

inline bool has_golden(std::string_view name) {
    return std::filesystem::exists(std::filesystem::path(TAPIR_GOLDEN) / name);
}

// Names of the files in a folder with that ending, without it, sorted.
inline std::vector<std::string> golden_names(std::string_view folder, std::string_view ending) {
    std::vector<std::string> names;
    const auto path = std::filesystem::path(TAPIR_GOLDEN) / folder;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
        std::string name = entry.path().filename().string();
        if (name.ends_with(ending)) {
            name.resize(name.size() - ending.size());
            names.push_back(std::move(name));
        }
    }
    std::ranges::sort(names);
    EXPECT_FALSE(names.empty()) << folder;
    return names;
}

}  // namespace tapir::jose
