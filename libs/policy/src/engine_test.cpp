#include "tapir/policy/engine.hpp"

#include <tuple>

#include <gtest/gtest.h>

#include "state.hpp"
#include "tapir/crypto/signature.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/products/observation.hpp"

namespace tapir::policy {
namespace {

using namespace std::chrono_literals;

const UtcTime start = UtcTime::from_seconds(1'700'000'000);

jose::PrivateJwk signing_key() {
    auto seed = crypto::Secret::copy_of(Bytes(32, std::byte{7}));
    return {*crypto::SigningKey::from_seed(std::move(seed)), "core-1"};
}

// A store that refuses when it is told to.
class FailingStore final : public store::Store {
public:
    explicit FailingStore(store::Store& inner) : inner_(inner) {}
    bool fails = false;

    Result<std::optional<Bytes>> get(std::string_view family, ByteView key) const override {
        return inner_.get(family, key);
    }
    Result<std::unique_ptr<store::Cursor>> scan(std::string_view family, ByteView prefix,
                                                ByteView from) const override {
        return inner_.scan(family, prefix, from);
    }
    std::unique_ptr<store::Reader> snapshot() const override { return inner_.snapshot(); }
    Result<void> write(const store::Batch& batch, store::Durability durability) override {
        if (fails) {
            return fail(Code::exhausted, "No space left on device");
        }
        return inner_.write(batch, durability);
    }

private:
    store::Store& inner_;
};

struct EngineTest : testing::Test {
    std::unique_ptr<store::Store> memory = store::open_memory(store_families());
    FailingStore store{*memory};
    std::string log_text;
    Log log = Log::to_string(log_text);
    Counters counters;
    jose::PrivateJwk key = signing_key();
    rpz::Rules rules;
    std::unique_ptr<Engine> engine;

    EngineTest() {
        rules.mode = rpz::Mode::enforce;
        rules.tag_actions[0] = rpz::Action::nxdomain;
    }
    void open(UtcTime now, std::string_view zone = "dnstapir.") {
        engine.reset();
        EngineSettings settings;
        settings.apex = *rpz::Apex::create(zone);
        settings.rules = rules;
        ASSERT_TRUE(settings.trusted_keys.add(key.public_jwk()).has_value());
        auto opened = Engine::open(std::move(settings), store, log, counters, now);
        ASSERT_TRUE(opened.has_value()) << opened.error().what();
        engine = *std::move(opened);
    }
    std::string message(std::vector<std::string> added, std::vector<std::string> removed,
                        UtcTime at, std::int64_t ttl_s = 3'600) const {
        auto observation = products::Observation::of_core("test", at);
        observation.timestamp = at;
        for (auto& name : added) {
            products::ObservationItem item;
            item.name = std::move(name);
            item.time_added = at;
            item.ttl_s = ttl_s;
            item.tag_mask = 1;
            observation.added.push_back(std::move(item));
        }
        for (auto& name : removed) {
            products::ObservationItem item;
            item.name = std::move(name);
            item.time_added = at;
            observation.removed.push_back(std::move(item));
        }
        return *jose::sign_jws(key, as_bytes(observation.to_json()));
    }
    rpz::Action action(std::string_view name) const {
        return engine->snapshot()->zone.find(rpz::Trigger::parse(name)->key());
    }
    std::int64_t messages(const std::string& result) const {
        return counters.value("tapir_policy_messages_total{result=\"" + result + "\"}");
    }
};

TEST_F(EngineTest, AMessageIsOneStepOfTheSerial) {
    open(start);
    EXPECT_FALSE(engine->commit(start));
    const rpz::Serial before = engine->snapshot()->serial;
    EXPECT_EQ(before.value(), 1'700'000'000U);
    EXPECT_TRUE(engine->take(message({"a.example", "B.Example."}, {}, start), "1", start));
    EXPECT_EQ(action("a.example"), rpz::Action::none);  // not before it is stored
    EXPECT_TRUE(engine->commit(start));
    EXPECT_EQ(action("a.example"), rpz::Action::nxdomain);
    EXPECT_EQ(action("b.example"), rpz::Action::nxdomain);
    EXPECT_EQ(engine->snapshot()->serial, before.next());
}

TEST_F(EngineTest, NothingChangesWithoutAChange) {
    open(start);
    (void)engine->commit(start);
    engine->take(message({"a.example"}, {}, start), "1", start);
    EXPECT_TRUE(engine->commit(start));
    const auto snapshot = engine->snapshot();
    engine->take(message({"a.example"}, {}, start + 1s), "2", start + 1s);
    EXPECT_FALSE(engine->commit(start + 1s));
    EXPECT_EQ(engine->snapshot(), snapshot);
    EXPECT_EQ(engine->feed_id(), "2");
}

// Fact 7 of the existing processor: after a restart it served other content under the old serial.
TEST_F(EngineTest, FaultARestartKeepsSerialZoneHistoryAndRaisesTheSerialIfTheContentDiffers) {
    open(start);
    engine->take(message({"a.example"}, {}, start), "1", start);
    (void)engine->commit(start);
    engine->take(message({"b.example"}, {}, start), "2", start);
    (void)engine->commit(start);
    const auto before = engine->snapshot();
    open(start + 1s);
    EXPECT_EQ(engine->snapshot()->serial, before->serial);
    EXPECT_EQ(engine->snapshot()->zone, before->zone);
    EXPECT_EQ(engine->snapshot()->history.size(), before->history.size());
    EXPECT_EQ(engine->feed_id(), "2");
    EXPECT_FALSE(engine->commit(start + 1s));
    rules.tag_actions[0] = rpz::Action::drop;  // another policy: other content
    open(start + 2s);
    EXPECT_TRUE(engine->commit(start + 2s));
    EXPECT_EQ(engine->snapshot()->serial, before->serial.next());
    EXPECT_EQ(action("a.example"), rpz::Action::drop);
    const auto steps = engine->snapshot()->steps_from(before->history.front().from);
    ASSERT_TRUE(steps.has_value());
    EXPECT_EQ(steps->size(), 3U);
}

TEST_F(EngineTest, HistoryOnTheDiskIsThatOfTheSnapshotThroughManyRestarts) {
    open(start);
    for (int i = 0; i < 1'010; ++i) {
        engine->take(message({"n" + std::to_string(i) + ".example"}, {}, start), "", start);
        ASSERT_TRUE(engine->commit(start));
    }
    const auto before = engine->snapshot();
    EXPECT_EQ(before->history.size(), rpz::history_deltas_max);
    open(start);
    const auto after = engine->snapshot();
    ASSERT_EQ(after->history.size(), before->history.size());
    EXPECT_EQ(after->history.front().from, before->history.front().from);
    EXPECT_EQ(*after->history.back().delta, *before->history.back().delta);
}

TEST_F(EngineTest, AnotherZoneNameHasNoHistory) {
    open(start);
    engine->take(message({"a.example"}, {}, start), "1", start);
    (void)engine->commit(start);
    const rpz::Serial serial = engine->snapshot()->serial;
    open(start, "other.");
    EXPECT_TRUE(engine->snapshot()->history.empty());
    EXPECT_EQ(engine->snapshot()->serial, serial);
}

TEST_F(EngineTest, AStoreOutOfSpaceChangesNothingAndIsTriedAgain) {
    open(start);
    engine->take(message({"a.example"}, {}, start), "1", start);
    store.fails = true;
    EXPECT_FALSE(engine->commit(start));
    EXPECT_EQ(action("a.example"), rpz::Action::none);
    EXPECT_TRUE(engine->is_dirty());
    EXPECT_EQ(counters.value("tapir_policy_store_errors_total"), 1);
    EXPECT_NE(log_text.find("No space left"), std::string::npos);
    engine->take(message({"b.example"}, {}, start), "2", start);
    store.fails = false;
    EXPECT_TRUE(engine->commit(start));
    EXPECT_EQ(action("a.example"), rpz::Action::nxdomain);
    EXPECT_EQ(action("b.example"), rpz::Action::nxdomain);
    EXPECT_FALSE(engine->is_dirty());
}

TEST_F(EngineTest, RefusesWhatIsNotOursToBelieve) {
    open(start);
    EXPECT_FALSE(engine->take("not a message", "1", start));
    EXPECT_FALSE(engine->take(message({"a.example"}, {}, start - 25h), "2", start));
    EXPECT_FALSE(engine->take(message({"a.example"}, {}, start + 6min), "3", start));
    auto observation = products::Observation::of_core("test", start);
    observation.src_name = "somebody";
    EXPECT_FALSE(engine->take(*jose::sign_jws(key, as_bytes(observation.to_json())), "4", start));
    observation.src_name = "dns-tapir";
    observation.list_type = products::ListType::allowlist;
    EXPECT_FALSE(engine->take(*jose::sign_jws(key, as_bytes(observation.to_json())), "5", start));
    for (const char* result :
         {"malformed", "too_old", "from_the_future", "unknown_source", "wrong_list"}) {
        EXPECT_EQ(messages(result), 1) << result;
    }
    EXPECT_FALSE(engine->commit(start));
    EXPECT_EQ(engine->feed_id(), "5");  // they are not asked for again
}

TEST_F(EngineTest, AReplayAfterARemovalBringsNothingBackAlsoAfterARestart) {
    open(start);
    const std::string first = message({"a.example"}, {}, start);
    engine->take(first, "1", start);
    engine->take(message({}, {"a.example"}, start + 1s), "2", start + 1s);
    (void)engine->commit(start + 1s);
    engine->take(first, "3", start + 2s);
    (void)engine->commit(start + 2s);
    EXPECT_EQ(action("a.example"), rpz::Action::none);
    open(start + 3s);
    engine->take(first, "3", start + 3s);
    (void)engine->commit(start + 3s);
    EXPECT_EQ(action("a.example"), rpz::Action::none);
}

TEST_F(EngineTest, EntriesEndInTimeAndAFutureTimeAddedIsCut) {
    open(start);
    auto observation = products::Observation::of_core("test", start);
    observation.timestamp = start;
    products::ObservationItem item;
    item.name = "a.example";
    item.time_added = start + 1h;
    item.ttl_s = 10;
    item.tag_mask = 1;
    observation.added.push_back(item);
    engine->take(*jose::sign_jws(key, as_bytes(observation.to_json())), "1", start);
    EXPECT_TRUE(engine->commit(start));
    EXPECT_EQ(engine->next_expiry(), start + 10s);
    engine->expire(start + 10s);
    EXPECT_TRUE(engine->commit(start + 10s));
    EXPECT_EQ(action("a.example"), rpz::Action::none);
    EXPECT_EQ(engine->doubt_count(), 0U);
}

TEST_F(EngineTest, ASnapshotReplacesAllUnlessSomeOfItIsRefused) {
    open(start);
    engine->take(message({"old.example"}, {}, start), "1", start);
    (void)engine->commit(start);
    const std::string good = message({"new.example"}, {}, start);
    engine->take_all({good, "broken"}, "7", start);
    (void)engine->commit(start);
    EXPECT_EQ(action("old.example"), rpz::Action::nxdomain);
    EXPECT_EQ(action("new.example"), rpz::Action::nxdomain);
    engine->take_all({good}, "8", start);
    (void)engine->commit(start);
    EXPECT_EQ(action("old.example"), rpz::Action::none);
    EXPECT_EQ(engine->feed_id(), "8");
}

TEST_F(EngineTest, ShadowCountsAndExplainsAndEnforcesNothing) {
    rules.mode = rpz::Mode::shadow;
    open(start);
    engine->take(message({"a.example"}, {}, start), "1", start);
    EXPECT_FALSE(engine->commit(start));
    EXPECT_EQ(engine->snapshot()->zone.size(), 0U);
    EXPECT_EQ(counters.value("tapir_policy_would_be_rules"), 1);
    EXPECT_EQ(counters.value("tapir_policy_would_be_total{action=\"nxdomain\"}"), 1);
    const auto said = engine->explain("A.example.");
    ASSERT_TRUE(said.has_value());
    EXPECT_EQ(said->string("action"), "none");
    EXPECT_EQ(said->string("would_be"), "nxdomain");
    EXPECT_EQ(said->string("tag"), "globally_new");
    EXPECT_FALSE(engine->explain("a..b").has_value());
    engine->expire(start + 2h);
    (void)engine->commit(start + 2h);
    EXPECT_EQ(counters.value("tapir_policy_would_be_rules"), 0);
}

TEST_F(EngineTest, CorruptStateIsSaidToBeSo) {
    open(start);
    engine->take(message({"a.example"}, {}, start), "1", start);
    (void)engine->commit(start);
    engine.reset();
    ASSERT_TRUE(
        memory->put(zone_family, as_bytes("no key"), as_bytes("x"), store::Durability::synced)
            .has_value());
    EngineSettings settings;
    settings.apex = *rpz::Apex::create("dnstapir.");
    const auto opened = Engine::open(std::move(settings), store, log, counters, start);
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code(), Code::corrupt);
}

// Names of 255 octets are the limit, and the zone's own is part of each.
TEST_F(EngineTest, AStoredRuleWithoutRoomUnderTheZoneIsLeftOut) {
    open(start);
    engine.reset();
    const std::string label = std::string(60, 'a') + std::string(1, '\0');
    const std::string has_no_room = label + label + label + label + std::string("b\0", 2);
    ASSERT_EQ(has_no_room.size(), 246U) << "and the zone has ten";
    for (const std::string& rule : {label, has_no_room}) {
        ASSERT_TRUE(memory
                        ->put(zone_family, as_bytes(rule), as_bytes(std::string("\1")),
                              store::Durability::synced)
                        .has_value());
    }
    open(start);
    EXPECT_EQ(engine->snapshot()->zone.find(label), rpz::Action::passthru);
    EXPECT_EQ(engine->snapshot()->zone.find(has_no_room), rpz::Action::none);
}

TEST_F(EngineTest, AStoredKeyThatIsNoNameIsCorrupt) {
    open(start);
    engine.reset();
    const std::string upper("A\0", 2);
    const std::string long_label = std::string(64, 'a') + std::string(1, '\0');
    const std::string doubt_value(29, '\1');
    for (const std::string& bad : {upper, long_label, std::string("a\0\0", 3)}) {
        const std::string doubt_key = static_cast<char>(bad.size()) + bad + "dns-tapir";
        for (const auto& [family, stored_key, value] :
             {std::tuple(zone_family, bad, std::string("\1")),
              std::tuple(doubts_family, doubt_key, doubt_value)}) {
            ASSERT_TRUE(
                memory
                    ->put(family, as_bytes(stored_key), as_bytes(value), store::Durability::synced)
                    .has_value());
            EngineSettings settings;
            settings.apex = *rpz::Apex::create("dnstapir.");
            const auto opened = Engine::open(std::move(settings), store, log, counters, start);
            ASSERT_FALSE(opened.has_value());
            EXPECT_EQ(opened.error().code(), Code::corrupt);
            ASSERT_TRUE(
                memory->erase(family, as_bytes(stored_key), store::Durability::synced).has_value());
        }
    }
    open(start);
}

}  // namespace
}  // namespace tapir::policy
