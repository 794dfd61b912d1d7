#include "tapir/edge/new_key.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace tapir::edge
