#include "tapir/rpz/book.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace tapir::rpz {
namespace {

const UtcTime start = UtcTime::from_seconds(1'000'000);
constexpr std::size_t room = 245;

std::string key(std::string_view text) {
    return Trigger::parse(text)->key();
}

std::shared_ptr<const NameSet> names(std::initializer_list<std::string_view> texts) {
    std::vector<NameSet::Entry> entries;
    for (const std::string_view text : texts) {
        const bool suffix = text.starts_with('.');
        entries.push_back({key(suffix ? text.substr(1) : text), suffix});
    }
    return std::make_shared<const NameSet>(NameSet::from(std::move(entries)));
}

Rules enforcing() {
    Rules rules;
    rules.mode = Mode::enforce;
    rules.deny_action = Action::nodata;
    rules.tag_actions[0] = Action::nxdomain;
    rules.tag_actions[2] = Action::drop;
    rules.sources_limit = 2;
    rules.sources_action = Action::nxdomain;
    rules.tags_limit = 3;
    rules.tags_action = Action::nxdomain;
    return rules;
}

Doubt doubt(std::uint32_t tags, int life_s = 60, int stamp_s = 0) {
    return {.tags = tags,
            .time_added = start,
            .expires = start + std::chrono::seconds(life_s),
            .stamp = start + std::chrono::seconds(stamp_s),
            .removed = false};
}

std::string text_of(const Zone& zone) {
    std::string text;
    auto cursor = zone.begin();
    while (const auto record = cursor.next()) {
        text += key_to_text(record->key) + " " + std::string(target_text(record->action)) + "\n";
    }
    return text;
}

void observe(Book& book, std::string_view name, const Doubt& entry,
             std::string_view source = "dns-tapir") {
    (void)book.observe({key(name), std::string(source)}, entry, start);
}

TEST(Policy, ShadowPutsNoDoubtIntoTheZoneAndSaysWhatItWouldDo) {
    Rules rules = enforcing();
    rules.mode = Mode::shadow;
    Book book(rules, room);
    book.set_lists({.allow = {}, .deny = {{"deny", names({"denied.example"})}}, .doubt = {}});
    observe(book, "new.example", doubt(1));
    EXPECT_EQ(text_of(book.evaluate()), "denied.example *.\n");
    EXPECT_EQ(book.decide_for(key("new.example")).would_be, Action::nxdomain);
    EXPECT_EQ(book.would_be_count(), 1U);
}

TEST(Policy, InstalledDefaultEnforcesNoDoubt) {
    const Rules rules;
    EXPECT_EQ(rules.mode, Mode::shadow);
    EXPECT_EQ(decide(rules, {.doubting_sources = 9, .tags = 0xffff'ffffU}).would_be, Action::none);
}

TEST(Policy, TheMostSevereRuleThatFiresWins) {
    Book book(enforcing(), room);
    observe(book, "new.example", doubt(1));
    observe(book, "bad.example", doubt(5));
    observe(book, "three.example", doubt(2 | 8 | 16));
    observe(book, "quiet.example", doubt(2 | 8));
    EXPECT_EQ(text_of(book.evaluate()), "bad.example rpz-drop.\nnew.example .\nthree.example .\n");
    EXPECT_EQ(book.decide_for(key("bad.example")),
              (Decision{Action::drop, Action::drop, Rule::tag, 2}));
    EXPECT_EQ(book.decide_for(key("three.example")).rule, Rule::tags);
}

TEST(Policy, LooptestIsNeverPolicy) {
    Rules rules = enforcing();
    rules.tag_actions[10] = Action::drop;
    rules.tags_limit = 1;
    rules.sources_limit = 1;
    Book book(rules, room);
    observe(book, "loop.example", doubt(looptest_tag));
    EXPECT_EQ(book.evaluate().size(), 0U);
    EXPECT_EQ(book.would_be_count(), 0U);
}

TEST(Policy, SourcesAreCountedOnceEach) {
    Book book(enforcing(), room);
    book.set_lists(
        {.allow = {}, .deny = {}, .doubt = {{"doubt1", names({"two.example", "one.example"})}}});
    EXPECT_EQ(book.evaluate().size(), 0U);
    observe(book, "two.example", doubt(0));
    EXPECT_EQ(text_of(book.evaluate()), "two.example .\n");
    EXPECT_EQ(book.decide_for(key("two.example")).rule, Rule::sources);
}

TEST(Policy, TagsOfAnotherSourceDoNotCountUnlessAllDo) {
    Rules rules = enforcing();
    Book book(rules, room);
    observe(book, "other.example", doubt(7), "other-core");
    EXPECT_EQ(book.evaluate().size(), 0U);
    rules.tag_source.clear();
    book.set_rules(rules);
    EXPECT_EQ(text_of(book.evaluate()), "other.example rpz-drop.\n");
}

// Fact 4 of the existing processor: its full build ignored the allow list for denied names.
TEST(Fault, AllowIsAbsoluteInTheFullBuildToo) {
    Book book(enforcing(), room);
    book.set_lists({.allow = {{"allow", names({"good.example", ".tree.example"})}},
                    .deny = {{"deny", names({"good.example", "a.tree.example", "*.tree.example",
                                             "bad.example"})}},
                    .doubt = {}});
    observe(book, "good.example", doubt(7));
    observe(book, "b.tree.example", doubt(7));
    EXPECT_EQ(text_of(book.evaluate()), "bad.example *.\n");
    EXPECT_EQ(book.evaluate({key("good.example"), key("b.tree.example")}, Zone()), Delta());
    EXPECT_EQ(book.decide_for(key("good.example")).rule, Rule::allow);
}

// Facts 1 and 12: a name of a list that an observation decided too stood there twice.
TEST(Fault, ANameOfAListAndOfAnObservationIsOneRule) {
    Book book(enforcing(), room);
    book.set_lists({.allow = {}, .deny = {{"deny", names({"bad.example"})}}, .doubt = {}});
    Zone zone = book.evaluate();
    observe(book, "bad.example", doubt(5));  // a tag whose action is another
    EXPECT_EQ(book.evaluate({key("bad.example")}, zone), Delta());
    EXPECT_EQ(text_of(book.evaluate()), "bad.example *.\n");
}

// Facts 2 and 3: names without their final dot, as the core sends them, never reached the zone.
TEST(Fault, ANameWithoutItsFinalDotIsTheSameName) {
    Book book(enforcing(), room);
    observe(book, "bad.example", doubt(1));
    observe(book, "BAD.example.", doubt(5, 60, 1));
    EXPECT_EQ(book.doubt_count(), 1U);
    EXPECT_EQ(text_of(book.evaluate()), "bad.example rpz-drop.\n");
}

TEST(Policy, AnAllowedNameBelowABlockingWildcardIsLetThrough) {
    Book book(enforcing(), room);
    book.set_lists(
        {.allow = {{"allow", names({"www.bad.example", ".tree.bad.example", "elsewhere.example"})}},
         .deny = {{"deny", names({".bad.example"})}},
         .doubt = {}});
    EXPECT_EQ(text_of(book.evaluate()),
              "*.bad.example *.\n*.tree.bad.example rpz-passthru.\n"
              "www.bad.example rpz-passthru.\n");
}

TEST(Policy, AWildcardThatComesAndGoesTakesItsExceptionsAlong) {
    Book book(enforcing(), room);
    book.set_lists({.allow = {{"allow", names({"www.bad.example"})}}, .deny = {}, .doubt = {}});
    Zone zone = book.evaluate();
    EXPECT_EQ(zone.size(), 0U);
    observe(book, "*.bad.example", doubt(1));
    zone = zone.apply(book.evaluate({key("*.bad.example")}, zone));
    EXPECT_EQ(text_of(zone), "*.bad.example .\nwww.bad.example rpz-passthru.\n");
    const auto ended = book.expire(start + std::chrono::seconds(60));
    ASSERT_EQ(ended.size(), 1U);
    zone = zone.apply(book.evaluate({ended[0].trigger}, zone));
    EXPECT_EQ(zone.size(), 0U);
}

TEST(Policy, ExactEntriesCoverNothingBelow) {
    Book book(enforcing(), room);
    book.set_lists({.allow = {{"allow", names({"good.example"})}},
                    .deny = {{"deny", names({"www.good.example"})}},
                    .doubt = {}});
    EXPECT_EQ(text_of(book.evaluate()), "www.good.example *.\n");
}

TEST(Book, NamesTooLongForTheZoneAreLeftOut) {
    Book book(enforcing(), 20);
    observe(book, "a-name-of-22-octets.x", doubt(1));
    observe(book, "exactly-20-octs.xyz", doubt(1));
    EXPECT_EQ(key("exactly-20-octs.xyz").size(), 20U);
    EXPECT_EQ(book.evaluate().size(), 1U);
    EXPECT_EQ(book.evaluate({key("a-name-of-22-octets.x")}, Zone()), Delta());
}

TEST(Book, ANewerWordReplacesAnOlderAndNeverTheOtherWayRound) {
    Book book(enforcing(), room);
    const DoubtKey bad{key("bad.example"), "dns-tapir"};
    EXPECT_EQ(book.observe(bad, doubt(1, 60, 10), start), DoubtOutcome::added);
    EXPECT_EQ(book.observe(bad, doubt(1, 60, 10), start), DoubtOutcome::replaced);
    EXPECT_EQ(book.observe(bad, doubt(4, 60, 9), start), DoubtOutcome::stale);
    Doubt removal = doubt(0, 3'600, 11);
    removal.removed = true;
    EXPECT_EQ(book.observe(bad, removal, start), DoubtOutcome::removed);
    EXPECT_EQ(book.evaluate().size(), 0U);
    // A replay of the first message.
    EXPECT_EQ(book.observe(bad, doubt(1, 60, 10), start), DoubtOutcome::stale);
    EXPECT_EQ(book.evaluate().size(), 0U);
    EXPECT_EQ(book.observe(bad, doubt(1, 60, 12), start), DoubtOutcome::added);
    EXPECT_EQ(book.evaluate().size(), 1U);
    EXPECT_EQ(book.observe(bad, doubt(1, 0, 13), start), DoubtOutcome::expired);
    EXPECT_EQ(book.evaluate().size(), 0U);
}

TEST(Book, EntriesEndExactlyWhenTheySay) {
    Book book(enforcing(), room);
    observe(book, "short.example", doubt(1, 3));
    observe(book, "long.example", doubt(1, 9));
    EXPECT_EQ(book.next_expiry(), start + std::chrono::seconds(3));
    EXPECT_TRUE(book.expire(start + std::chrono::nanoseconds(2'999'999'999)).empty());
    EXPECT_EQ(book.expire(start + std::chrono::seconds(3)).size(), 1U);
    EXPECT_EQ(text_of(book.evaluate()), "long.example .\n");
    observe(book, "long.example", doubt(1, 100, 1));  // a longer life
    EXPECT_EQ(book.next_expiry(), start + std::chrono::seconds(100));
}

TEST(Book, ExplainsEachWord) {
    Book book(enforcing(), room);
    book.set_lists({.allow = {{"allow", names({".example"})}}, .deny = {}, .doubt = {}});
    observe(book, "bad.example", doubt(5));
    const auto words = book.words(key("bad.example"));
    ASSERT_EQ(words.size(), 2U);
    EXPECT_EQ(words[0].kind + words[0].source + words[0].entry, "allowallow.example");
    EXPECT_EQ(words[1].tags, 5U);
    EXPECT_EQ(words[1].source, "dns-tapir");
}

TEST(NameSet, FindsExactThenTheLongestSuffix) {
    const auto set = names({"a.example", ".b.example", "b.example", ".x.b.example"});
    EXPECT_EQ(set->size(), 3U);
    EXPECT_TRUE(set->find(key("a.example")).has_value());
    EXPECT_FALSE(set->find(key("z.a.example")).has_value());
    EXPECT_FALSE(set->find(key("example")).has_value());
    EXPECT_FALSE(set->find(key("b.example"))->suffix);
    EXPECT_FALSE(set->find(key("x.b.example")).value().suffix == false);
    EXPECT_EQ(key_to_text(set->key(set->find(key("q.x.b.example"))->index)), "x.b.example");
    EXPECT_EQ(key_to_text(set->key(set->find(key("q.b.example"))->index)), "b.example");
    EXPECT_TRUE(set->mentions(key("*.x.b.example")));
    EXPECT_FALSE(set->mentions(key("x.b.example")));
    EXPECT_FALSE(NameSet().find(key("a")).has_value());
    EXPECT_EQ(NameSet().size(), 0U);
}

TEST(Policy, SubdomainsGivesEachObservedNameItsWildcard) {
    Rules rules = enforcing();
    rules.subdomains = true;
    Book book(rules, room);
    book.set_lists({.allow = {{"allow", names({"good.new.example"})}}, .deny = {}, .doubt = {}});
    observe(book, "new.example", doubt(1));
    const Zone zone = book.evaluate();
    EXPECT_EQ(text_of(zone), "new.example .\n*.new.example .\ngood.new.example rpz-passthru.\n");
    EXPECT_EQ(Zone().apply(book.evaluate({key("new.example")}, Zone())), zone);
}

// Any sequence of edits: evaluating what was touched gives the zone that evaluating everything
// does.
RC_GTEST_PROP(Book, EvaluatingWhatWasTouchedAgreesWithEvaluatingEverything, ()) {
    const std::vector<std::string> pool{"example",       "*.example",   "a.example",
                                        "*.a.example",   "b.a.example", "*.b.a.example",
                                        "c.b.a.example", "z.example"};
    const auto some = [&] {
        std::vector<NameSet::Entry> entries;
        for (const auto& name : pool) {
            if (*rc::gen::inRange(0, 4) == 0) {
                entries.push_back(
                    {key(name), !name.starts_with('*') && *rc::gen::arbitrary<bool>()});
            }
        }
        return std::make_shared<const NameSet>(NameSet::from(std::move(entries)));
    };
    Rules rules = enforcing();
    rules.subdomains = *rc::gen::arbitrary<bool>();
    Book book(rules, room);
    book.set_lists({.allow = {{"a", some()}}, .deny = {{"d", some()}}, .doubt = {{"u", some()}}});
    Zone zone = book.evaluate();
    UtcTime now = start;
    for (int step = 0; step < 20; ++step) {
        Book::Touched touched;
        const auto& name = *rc::gen::elementOf(pool);
        Doubt entry = doubt(static_cast<std::uint32_t>(*rc::gen::inRange(0, 8)),
                            *rc::gen::inRange(1, 40), step);
        entry.removed = *rc::gen::inRange(0, 4) == 0;
        (void)book.observe({key(name), *rc::gen::element<std::string>("dns-tapir", "other")}, entry,
                           now);
        touched.insert(key(name));
        now = now + std::chrono::seconds(*rc::gen::inRange(0, 5));
        for (const auto& ended : book.expire(now)) {
            touched.insert(ended.trigger);
        }
        zone = zone.apply(book.evaluate(touched, zone));
        RC_ASSERT(zone == book.evaluate());
    }
}

}  // namespace
}  // namespace tapir::rpz
