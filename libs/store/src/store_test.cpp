#include "tapir/store/store.hpp"

#include <filesystem>
#include <map>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/world/testing.hpp"

namespace tapir::store {
namespace {

const std::vector<std::string> two_families{"a", "b"};

struct Memory {
    std::unique_ptr<Store> store = open_memory(two_families);
};
struct Rocks {
    world::TemporaryFolder folder;
    std::unique_ptr<Store> store = open_rocksdb(folder.path(), two_families).take();
};

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs all(const Reader& reader, std::string_view family, std::string_view prefix = "",
          std::string_view from = "") {
    Pairs out;
    const auto cursor = reader.scan(family, as_bytes(prefix), as_bytes(from)).take();
    for (; cursor->valid(); cursor->next()) {
        out.emplace_back(as_text(cursor->key()), as_text(cursor->value()));
    }
    EXPECT_TRUE(cursor->status());
    return out;
}

void put(Store& store, std::string_view key, std::string_view value) {
    ASSERT_TRUE(store.put("a", as_bytes(key), as_bytes(value), Durability::buffered));
}

template <class S>
class AnyStore : public testing::Test {
protected:
    Store& store() { return *kind_.store; }
    S kind_;
};
using Kinds = testing::Types<Memory, Rocks>;
TYPED_TEST_SUITE(AnyStore, Kinds);

TYPED_TEST(AnyStore, GivesBackWhatWasPutAndForgetsWhatWasErased) {
    put(this->store(), "key", "value");
    EXPECT_EQ(this->store().get("a", as_bytes("key")).value(), to_bytes("value"));
    EXPECT_EQ(this->store().get("b", as_bytes("key")).value(), std::nullopt);
    put(this->store(), "key", "");
    EXPECT_EQ(this->store().get("a", as_bytes("key")).value(), Bytes());
    ASSERT_TRUE(this->store().erase("a", as_bytes("key"), Durability::synced));
    EXPECT_EQ(this->store().get("a", as_bytes("key")).value(), std::nullopt);
    EXPECT_TRUE(this->store().erase("a", as_bytes("key"), Durability::synced));
}

TYPED_TEST(AnyStore, WritesABatchInItsOrderOverFamilies) {
    Batch batch;
    batch.put("a", as_bytes("1"), as_bytes("x"));
    batch.put("a", as_bytes("1"), as_bytes("y"));
    batch.put("b", as_bytes("2"), as_bytes("z"));
    batch.put("b", as_bytes("3"), as_bytes("z"));
    batch.erase("b", as_bytes("3"));
    ASSERT_TRUE(this->store().write(batch, Durability::synced));
    EXPECT_EQ(all(this->store(), "a"), (Pairs{{"1", "y"}}));
    EXPECT_EQ(all(this->store(), "b"), (Pairs{{"2", "z"}}));
}

TYPED_TEST(AnyStore, WritesNothingOfABatchWithAnUnknownFamily) {
    Batch batch;
    batch.put("a", as_bytes("1"), as_bytes("x"));
    batch.put("c", as_bytes("1"), as_bytes("x"));
    EXPECT_EQ(this->store().write(batch, Durability::synced).error().code(), Code::invalid);
    EXPECT_EQ(all(this->store(), "a"), Pairs{});
    EXPECT_EQ(this->store().get("c", {}).error().code(), Code::invalid);
    EXPECT_EQ(this->store().scan("c").error().code(), Code::invalid);
    EXPECT_EQ(this->store().snapshot()->get("c", {}).error().code(), Code::invalid);
}

TYPED_TEST(AnyStore, ScansAPrefixInTheOrderOfUnsignedOctets) {
    for (const char* key : {"p", "p2", "p1", "o", "q", "p\xff", "p\x7f"}) {
        put(this->store(), key, key);
    }
    EXPECT_EQ(
        all(this->store(), "a", "p"),
        (Pairs{{"p", "p"}, {"p1", "p1"}, {"p2", "p2"}, {"p\x7f", "p\x7f"}, {"p\xff", "p\xff"}}));
    EXPECT_EQ(all(this->store(), "a", "p", "p2").size(), 3U);
    EXPECT_EQ(all(this->store(), "a", "p", "a").size(), 5U);
    EXPECT_EQ(all(this->store(), "a", "p", "q").size(), 0U);
    EXPECT_EQ(all(this->store(), "a", "", "p2").size(), 4U);
    EXPECT_EQ(all(this->store(), "a").size(), 7U);
}

TYPED_TEST(AnyStore, ShowsASnapshotUnchangedByLaterWrites) {
    put(this->store(), "1", "old");
    const auto snapshot = this->store().snapshot();
    const auto cursor = this->store().scan("a").take();
    put(this->store(), "1", "new");
    put(this->store(), "2", "new");
    EXPECT_EQ(all(*snapshot, "a"), (Pairs{{"1", "old"}}));
    EXPECT_EQ(snapshot->get("a", as_bytes("1")).value(), to_bytes("old"));
    ASSERT_TRUE(cursor->valid());
    EXPECT_EQ(as_text(cursor->value()), "old");
    cursor->next();
    EXPECT_FALSE(cursor->valid());
    EXPECT_EQ(all(this->store(), "a").size(), 2U);
}

TYPED_TEST(AnyStore, MayBeSharedByThreads) {
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < 50; ++i) {
                    put(this->store(), std::to_string(t) + "/" + std::to_string(i), "x");
                    EXPECT_GE(all(this->store(), "a").size(), 1U);
                }
            });
        }
    }
    EXPECT_EQ(all(this->store(), "a").size(), 200U);
}

// The same changes leave the same content, whichever store they went to.
RC_GTEST_PROP(Stores, Agree, (const std::vector<std::pair<std::string, std::string>>& changes)) {
    const Memory memory;
    const Rocks rocks;
    std::map<std::string, std::string> model;
    for (std::size_t i = 0; i < changes.size(); ++i) {
        const auto& [key, value] = changes[i];
        for (Store* store : {memory.store.get(), rocks.store.get()}) {
            if (i % 3 == 2) {
                RC_ASSERT(store->erase("a", as_bytes(key), Durability::buffered).has_value());
            } else {
                RC_ASSERT(store->put("a", as_bytes(key), as_bytes(value), Durability::buffered)
                              .has_value());
            }
        }
        if (i % 3 == 2) {
            model.erase(key);
        } else {
            model[key] = value;
        }
    }
    Pairs expected(model.begin(), model.end());
    RC_ASSERT(all(*memory.store, "a") == expected);
    RC_ASSERT(all(*rocks.store, "a") == expected);
}

TEST(RocksStore, KeepsItsContentWhenOpenedAgainAndTakesNewFamilies) {
    const world::TemporaryFolder folder;
    {
        const auto store = open_rocksdb(folder.path(), {"a"}).take();
        ASSERT_TRUE(store->put("a", as_bytes("1"), as_bytes("x"), Durability::buffered));
    }
    const auto store = open_rocksdb(folder.path(), {"a", "b"}).take();
    EXPECT_EQ(all(*store, "a"), (Pairs{{"1", "x"}}));
    EXPECT_EQ(all(*store, "b"), Pairs{});
}

TEST(RocksStore, RefusesToOverlookAFamilyOrToShareTheFolder) {
    const world::TemporaryFolder folder;
    {
        const auto store = open_rocksdb(folder.path(), two_families).take();
        EXPECT_EQ(open_rocksdb(folder.path(), two_families).error().code(), Code::unavailable);
    }
    const auto again = open_rocksdb(folder.path(), {"a"});
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code(), Code::invalid);
    EXPECT_NE(again.error().what().find("'b'"), std::string::npos);
}

TEST(RocksStore, SaysWhenItsFilesAreBroken) {
    const world::TemporaryFolder folder;
    {
        const auto store = open_rocksdb(folder.path(), {"a"}).take();
        ASSERT_TRUE(store->put("a", as_bytes("1"), as_bytes("x"), Durability::synced));
    }
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
        if (entry.path().filename().string().starts_with("MANIFEST")) {
            std::filesystem::resize_file(entry.path(), 10);
        }
    }
    const auto store = open_rocksdb(folder.path(), {"a"});
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code(), Code::corrupt) << store.error().what();
    EXPECT_NE(store.error().what().find(folder.path()), std::string::npos);
}

TEST(Number, IsReadBackOnlyAsItWasWritten) {
    EXPECT_EQ(*parse_number(number(7)), 7U);
    EXPECT_EQ(*parse_number(number(number_max)), number_max);
    EXPECT_EQ(parse_number(number(8), 7).error().code(), Code::corrupt);
    for (const Bytes& damaged : {Bytes(), Bytes(7), Bytes(9), number(number_max + 1)}) {
        const auto read = parse_number(damaged);
        ASSERT_FALSE(read);
        EXPECT_EQ(read.error().code(), Code::corrupt);
    }
    Bytes stamped = number(7);
    append(stamped, std::string_view("rest"));
    const auto read = parse_numbered(stamped);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->number, 7U);
    EXPECT_EQ(as_text(read->rest), "rest");
    EXPECT_EQ(parse_numbered(Bytes(7)).error().code(), Code::corrupt);
}

}  // namespace
}  // namespace tapir::store
