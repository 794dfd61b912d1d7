#include "tapir/store/memory_disk.hpp"

#include <set>

#include <gtest/gtest.h>

namespace tapir::store {
namespace {

using world::Fuse;

Result<void> put(Store& store, std::string_view key, std::string_view value,
                 Durability durability) {
    return store.put("a", as_bytes(key), as_bytes(value), durability);
}

std::string at(const Reader& reader, std::string_view key) {
    const auto found = reader.get("a", as_bytes(key));
    return found && *found ? std::string(as_text(**found)) : "none";
}

TEST(MemoryDisk, KeepsWhatAKilledProcessHadWritten) {
    MemoryDisk disk({"a"});
    Fuse fuse(1);
    ASSERT_TRUE(put(*disk.open(fuse), "k", "1", Durability::buffered));
    fuse.burn();
    const auto dead = disk.open(fuse);
    EXPECT_FALSE(put(*dead, "k", "2", Durability::synced));
    EXPECT_FALSE(dead->get("a", as_bytes("k")));
    EXPECT_FALSE(dead->scan("a"));
    Fuse other(1);
    EXPECT_EQ(at(*disk.open(other), "k"), "1");
}

TEST(MemoryDisk, WritesTheLastBatchWhollyOrNotAtAll) {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        MemoryDisk disk({"a"});
        Fuse fuse(seed);
        const auto store = disk.open(fuse);
        fuse.light(1);
        Batch batch;
        batch.put("a", as_bytes("x"), as_bytes("1"));
        batch.put("a", as_bytes("y"), as_bytes("2"));
        EXPECT_FALSE(store->write(batch, Durability::synced));
        seen.insert(at(disk.contents(), "x") + at(disk.contents(), "y"));
    }
    EXPECT_EQ(seen, (std::set<std::string>{"12", "nonenone"}));
}

TEST(MemoryDisk, LosesOnlyTheNewestWritesAfterTheLastSyncedOne) {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        MemoryDisk disk({"a"});
        Fuse fuse(1);
        {
            const auto store = disk.open(fuse);
            ASSERT_TRUE(put(*store, "0", "early", Durability::buffered));
            ASSERT_TRUE(put(*store, "k", "synced", Durability::synced));
            ASSERT_TRUE(put(*store, "k", "1", Durability::buffered));
            ASSERT_TRUE(store->erase("a", as_bytes("k"), Durability::buffered));
            ASSERT_TRUE(put(*store, "k", "2", Durability::buffered));
        }
        world::SeededChance chance(seed);
        disk.cut_power(chance);
        EXPECT_EQ(at(disk.contents(), "0"), "early");
        seen.insert(at(disk.contents(), "k"));
    }
    EXPECT_EQ(seen, (std::set<std::string>{"synced", "1", "none", "2"}));
}

TEST(MemoryDisk, UndoesABatchThatNamesAKeyTwice) {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        MemoryDisk disk({"a"});
        Fuse fuse(1);
        const auto store = disk.open(fuse);
        ASSERT_TRUE(put(*store, "k", "old", Durability::synced));
        disk.lie_about_sync(true);
        Batch batch;
        batch.erase("a", as_bytes("k"));
        batch.put("a", as_bytes("k"), as_bytes("new"));
        ASSERT_TRUE(store->write(batch, Durability::synced));
        EXPECT_EQ(at(disk.contents(), "k"), "new");
        world::SeededChance chance(seed);
        disk.cut_power(chance);
        seen.insert(at(disk.contents(), "k"));
    }
    EXPECT_EQ(seen, (std::set<std::string>{"old", "new"}));
}

TEST(MemoryDisk, SaysHowMuchMemoryItTakes) {
    MemoryDisk disk({"a"});
    Fuse fuse(1);
    const auto store = disk.open(fuse);
    EXPECT_EQ(disk.memory_size(), 0U);
    ASSERT_TRUE(put(*store, "k", std::string(1000, 'x'), Durability::synced));
    const std::uint64_t one = disk.memory_size();
    EXPECT_GE(one, 1001U);
    EXPECT_LE(one, 1300U);
    ASSERT_TRUE(put(*store, "k", "", Durability::buffered));
    EXPECT_GE(disk.memory_size(), one) << "what was there can come back";
}

TEST(MemoryDisk, FailsWhenToldTo) {
    MemoryDisk disk({"a"});
    Fuse fuse(1);
    const auto store = disk.open(fuse);
    disk.fail_writes(Error(Code::exhausted, "full"));
    EXPECT_EQ(put(*store, "k", "1", Durability::synced).error().code(), Code::exhausted);
    EXPECT_EQ(at(*store, "k"), "none");
    disk.fail_writes(std::nullopt);
    EXPECT_TRUE(put(*store, "k", "1", Durability::synced));
    disk.erase_all("a");
    EXPECT_EQ(at(*store, "k"), "none");
}

}  // namespace
}  // namespace tapir::store
