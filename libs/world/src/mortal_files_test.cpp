#include "tapir/world/mortal_files.hpp"

#include <set>

#include <gtest/gtest.h>

namespace tapir::world {
namespace {

std::string text_of(Files& files, const std::string& path) {
    const auto octets = files.read(path, 1000);
    return octets ? std::string(as_text(*octets)) : "none";
}

TEST(Fuse, EndsAtItsOperationAndStaysBurnt) {
    Fuse fuse(1);
    EXPECT_EQ(fuse.step(), Fuse::Moment::alive);
    fuse.light(2);
    EXPECT_EQ(fuse.step(), Fuse::Moment::alive);
    EXPECT_FALSE(fuse.is_burnt());
    EXPECT_EQ(fuse.step(), Fuse::Moment::dying);
    EXPECT_TRUE(fuse.is_burnt());
    EXPECT_EQ(fuse.step(), Fuse::Moment::dead);
    EXPECT_EQ(fuse.operations(), 3U);
    fuse.light(5);
    EXPECT_EQ(fuse.step(), Fuse::Moment::dead) << "what is dead stays dead";
}

// What the last operation made of the disk, over many seeds.
template <class Change>
std::set<std::string> outcomes(const std::string& path, const Change& change) {
    std::set<std::string> all;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        MemoryFiles disk;
        EXPECT_TRUE(disk.write_atomically("/a", as_bytes("old")));
        Fuse fuse(seed);
        MortalFiles files(disk, fuse);
        fuse.light(1);
        EXPECT_FALSE(change(files)) << "a dying process learns nothing";
        all.insert(text_of(disk, path));
        // Whatever it does after its death does nothing.
        const std::uint64_t used = disk.used();
        EXPECT_FALSE(files.write_atomically("/b", as_bytes("late")));
        EXPECT_FALSE(files.remove("/a"));
        EXPECT_FALSE(files.read("/a", 1000));
        EXPECT_FALSE(files.exists("/a"));
        EXPECT_EQ(disk.used(), used);
    }
    return all;
}

TEST(MortalFiles, WritesOldOrNewAndNothingBetween) {
    EXPECT_EQ(
        outcomes("/a", [](Files& files) { return files.write_atomically("/a", as_bytes("new")); }),
        (std::set<std::string>{"old", "new"}));
}

TEST(MortalFiles, LeavesTemporaryFiles) {
    std::size_t left = 0;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        MemoryFiles disk;
        Fuse fuse(seed);
        MortalFiles files(disk, fuse);
        fuse.light(1);
        EXPECT_FALSE(files.write_atomically("/a", as_bytes("new")));
        for (const DirectoryEntry& entry : disk.list("/").value()) {
            left += entry.name.starts_with("a.tmp-") ? 1 : 0;
        }
    }
    EXPECT_GT(left, 5U);
}

TEST(MortalFiles, AppendsAnyPrefix) {
    EXPECT_EQ(outcomes("/a", [](Files& files) { return files.append("/a", as_bytes("12")); }),
              (std::set<std::string>{"old", "old1", "old12"}));
}

TEST(MortalFiles, RenamesRemovesAndCutsOrNot) {
    EXPECT_EQ(outcomes("/c", [](Files& files) { return files.rename("/a", "/c"); }),
              (std::set<std::string>{"old", "none"}));
    EXPECT_EQ(outcomes("/a", [](Files& files) { return files.remove("/a"); }),
              (std::set<std::string>{"old", "none"}));
    EXPECT_EQ(outcomes("/a", [](Files& files) { return files.truncate("/a", 1); }),
              (std::set<std::string>{"old", "o"}));
}

TEST(MortalFiles, AreTheDiskAsLongAsTheProcessLives) {
    MemoryFiles disk;
    Fuse fuse(1);
    MortalFiles files(disk, fuse);
    ASSERT_TRUE(files.make_directories("/x/y"));
    ASSERT_TRUE(files.write_atomically("/x/y/a", as_bytes("1"), mode_private));
    ASSERT_TRUE(files.append("/x/y/a", as_bytes("2")));
    EXPECT_EQ(text_of(files, "/x/y/a"), "12");
    EXPECT_EQ(files.mode("/x/y/a").value(), mode_private);
    EXPECT_EQ(files.size("/x/y/a").value(), 2U);
    EXPECT_EQ(files.list("/x/y").value().size(), 1U);
    EXPECT_EQ(files.map("/x/y/a").value()->bytes().size(), 2U);
    EXPECT_EQ(files.read_at("/x/y/a", 1, 5).value().size(), 1U);
}

}  // namespace
}  // namespace tapir::world
