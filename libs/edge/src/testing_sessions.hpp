// Session files for the tests of this library.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "session_vault.hpp"
#include "tapir/crypto/sealed.hpp"
#include "testing_tools.hpp"

namespace tapir::edge::testing {

// Sessions on, with a key of these words in a file of `folder`.
inline std::vector<std::string> session_sets(const TemporaryFolder& folder,
                                             const std::string& words) {
    const std::string path = folder / "cryptopan.key";
    write_text(path, words + "\n");
    std::filesystem::permissions(path, std::filesystem::perms(0600));
    return {"sessions.enabled=true", "sessions.cryptopan_key_file=" + path};
}

// All files below OUT/sessions, sorted.
inline std::vector<std::string> session_files_of(const std::string& out) {
    std::vector<std::string> paths;
    if (std::filesystem::exists(out + "/sessions")) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(out + "/sessions")) {
            if (entry.is_regular_file()) {
                paths.push_back(entry.path().string());
            }
        }
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

inline std::string open_session(const std::string& sealed, const std::string& key_file) {
    const std::string text = read_text(key_file);
    const auto key = crypto::parse_sealed_key(as_bytes(text));
    EXPECT_TRUE(key.has_value()) << key_file;
    const std::string file = read_text(sealed);
    const auto opened = crypto::open_sealed(as_bytes(file), *key);
    EXPECT_TRUE(opened.has_value()) << sealed << ": " << opened.error().what();
    return opened ? std::string(as_text(*opened)) : std::string();
}

}  // namespace tapir::edge::testing
