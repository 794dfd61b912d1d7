#include "tapir/edge/new_key.hpp"

#include <chrono>

#include <gtest/gtest.h>

#include "live_keys.hpp"
#include "tapir/jose/jwk.hpp"

namespace tapir::edge {
namespace {

TEST(NewKey, IsOneThatOnlyItsOwnerReadsAndIsNeverReplaced) {
    world::MemoryFiles files;
    world::SeededChance chance(1);
    ASSERT_TRUE(files.make_directories("/k").has_value());
    const auto kid = new_signing_key(files, chance, "", "/k/edge.jwk");
    ASSERT_TRUE(kid.has_value()) << kid.error().what();
    EXPECT_TRUE(kid->starts_with("edge-"));
    EXPECT_EQ(kid->size(), 17U);
    EXPECT_EQ(files.mode("/k/edge.jwk"), Result<world::FileMode>(world::mode_private));
    const Bytes secret = files.read("/k/edge.jwk", 4096).value();
    const auto key = jose::PrivateJwk::parse(as_text(secret));
    ASSERT_TRUE(key.has_value());
    EXPECT_EQ(key->kid(), *kid);
    const Bytes shown = files.read("/k/edge.public.jwk", 4096).value();
    EXPECT_EQ(as_text(shown), key->public_jwk().to_json());
    EXPECT_FALSE(jose::PrivateJwk::parse(as_text(shown)).has_value());
    EXPECT_EQ(new_signing_key(files, chance, "", "/k/edge.jwk").error().code(), Code::conflict);
    EXPECT_EQ(files.read("/k/edge.jwk", 4096).value(), secret);
    EXPECT_EQ(new_signing_key(files, chance, "a/b", "/k/x.jwk").error().code(), Code::invalid);
    EXPECT_EQ(new_signing_key(files, chance, "mine", "/k/x").value(), "mine");
    EXPECT_TRUE(files.exists("/k/x.public.jwk"));
}

TEST(NewGroupKey, IsOfTodayAndTheSameAtEachSiteThatHasIt) {
    world::MemoryFiles files;
    world::SeededChance chance(1);
    ASSERT_TRUE(files.make_directories("/k").has_value());
    const auto now = UtcTime::from_seconds(1'790'000'040);
    ASSERT_TRUE(new_group_key(files, chance, now, "/k/group.key").has_value());
    EXPECT_EQ(files.mode("/k/group.key"), Result<world::FileMode>(world::mode_private));
    EXPECT_EQ(day_of_key(files, "/k/group.key"), Result<std::int64_t>(1'790'000'040 / 86'400));
    const Bytes secret = files.read("/k/group.key", 4096).value();
    EXPECT_EQ(new_group_key(files, chance, now, "/k/group.key").error().code(), Code::conflict);
    EXPECT_EQ(files.read("/k/group.key", 4096).value(), secret);
    // A site that was away for days finds the key of the day on which it comes back.
    ASSERT_TRUE(files.write_atomically("/k/copy.key", secret, world::mode_private).has_value());
    const auto later = now + std::chrono::hours(72);
    const auto one = open_day_keys(files, "/k/group.key", now + std::chrono::hours(24), chance);
    const auto steps = open_day_keys(files, "/k/group.key", later, chance);
    const auto at_once = open_day_keys(files, "/k/copy.key", later, chance);
    ASSERT_TRUE(one.has_value() && steps.has_value() && at_once.has_value());
    EXPECT_EQ(steps->current()->gate->fingerprint("one.se."),
              at_once->current()->gate->fingerprint("one.se."));
    EXPECT_NE(one->current()->gate->fingerprint("one.se."),
              at_once->current()->gate->fingerprint("one.se."));
    EXPECT_EQ(files.read("/k/group.key", 4096).value(), files.read("/k/copy.key", 4096).value());
    EXPECT_NE(files.read("/k/copy.key", 4096).value(), secret) << "the old key is overwritten";
}

}  // namespace
}  // namespace tapir::edge
