// What tests of many libraries need: a folder that goes away, and patience.
//
//     const world::TemporaryFolder folder;
//     write(folder / "a.txt");
//     EXPECT_TRUE(world::eventually([&] { return server.is_up(); }));
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <system_error>

#include "tapir/base/assert.hpp"

namespace tapir::world {

class TemporaryFolder {
public:
    TemporaryFolder()
        : path_((std::filesystem::temp_directory_path() / "tapir-test-XXXXXX").string()) {
        TAPIR_ASSERT(::mkdtemp(path_.data()) != nullptr);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::string& path() const { return path_; }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

// Whether it holds within thirty seconds. It is asked every millisecond.
template <class Condition>
bool eventually(const Condition& condition) {
    using std::chrono::steady_clock;
    const auto until = steady_clock::now() + std::chrono::seconds(30);
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock lock(mutex);
    while (!condition()) {
        if (steady_clock::now() > until) {
            return false;
        }
        never.wait_for(lock, std::chrono::milliseconds(1));
    }
    return true;
}

}  // namespace tapir::world
