#include "name_filter.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/world/chance.hpp"

namespace tapir::edge {
namespace {

RC_GTEST_PROP(NameFilter, HasAllThatWasAdded, (const std::vector<std::uint64_t>& hashes)) {
    NameFilter filter(*rc::gen::inRange<std::size_t>(1, 4096));
    for (const std::uint64_t hash : hashes) {
        filter.add(hash);
    }
    for (const std::uint64_t hash : hashes) {
        RC_ASSERT(filter.may_have(hash));
    }
}

TEST(NameFilter, SaysNotThereOfMostThatWasNot) {
    constexpr std::size_t size = 65'536;
    constexpr int names = size * 8 / 10;
    world::SeededChance chance(11);
    NameFilter filter(size);
    for (int i = 0; i < names; ++i) {
        filter.add(chance.u64());
    }
    int wrong = 0;
    for (int i = 0; i < 100'000; ++i) {
        wrong += filter.may_have(chance.u64()) ? 1 : 0;
    }
    EXPECT_LT(wrong, 3'000) << "of 100 000, at 10 bits a name";
    EXPECT_GT(wrong, 100);
}

}  // namespace
}  // namespace tapir::edge
