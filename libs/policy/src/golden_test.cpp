// The messages that the existing processor was sent, and the zone it had after each. Ours has the
// same rules, but for the differences in the tables here, each with its reason; a row of a table
// that no longer makes a difference fails.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "broker_feed.hpp"
#include "tapir/mqtt/memory_broker.hpp"
#include "tapir/policy/engine.hpp"
#include "tapir/rpz/zonefile.hpp"

namespace tapir::policy {
namespace {

using Rules = std::set<std::string>;

constexpr const char* broker_topic = "observations/down/tapir-pop";

std::string slurp(const std::string& path) {
    std::ifstream in(std::string(TAPIR_GOLDEN) + "/" + path, std::ios::binary);
    EXPECT_TRUE(in.good()) << path;
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

rpz::Rules pop_rules() {
    rpz::Rules rules;
    rules.mode = rpz::Mode::enforce;
    rules.deny_action = rpz::Action::nodata;
    rules.sources_limit = 2;
    rules.sources_action = rpz::Action::nxdomain;
    rules.tags_limit = 3;
    rules.tags_action = rpz::Action::nxdomain;
    rules.tag_actions[*rpz::tag_bit("badip")] = rpz::Action::drop;
    rules.tag_actions[*rpz::tag_bit("likelymalware")] = rpz::Action::drop;
    return rules;
}

ListFiles pop_lists() {
    const std::string folder = std::string(TAPIR_GOLDEN) + "/lists/";
    return {.allow = {folder + "allow.txt", folder + "allow.csv", folder + "allow.dawg"},
            .deny = {folder + "deny.txt", folder + "deny.csv"},
            .doubt = {folder + "doubt1.txt", folder + "doubt2.csv", folder + "doubt3.txt"}};
}

// How messages come in.
enum class Way : std::uint8_t { engine, broker };
constexpr Way ways[] = {Way::engine, Way::broker};

struct Processor {
    Way way;
    world::ManualClock clock;
    mqtt::MemoryBroker broker;
    std::mutex engine_mutex;
    std::unique_ptr<store::Store> store = store::open_memory(store_families());
    Log log = Log::to_nowhere();
    Counters counters;
    std::unique_ptr<Engine> engine;
    std::unique_ptr<BrokerFeed> feed;
    std::unique_ptr<mqtt::Subscriber> subscriber;

    Processor(Way by, UtcTime now, const ListFiles& lists) : way(by) {
        EngineSettings settings;
        settings.apex = *rpz::Apex::create("dnstapir.");
        settings.rules = pop_rules();
        settings.feed.sources = {"dns-tapir", "other-core"};
        settings.trusted_keys = *jose::KeySet::parse(slurp("validation-keys.json"));
        engine = *Engine::open(std::move(settings), *store, log, counters, now);
        world::SystemFiles files;
        auto loaded = load_lists(lists, files);
        EXPECT_TRUE(loaded.has_value()) << loaded.error().what();
        engine->set_lists(std::move(loaded->lists));
        EXPECT_TRUE(engine->commit(now) || lists.all().empty());
        feed = std::make_unique<BrokerFeed>(BrokerFeed::Parts{.engine = *engine,
                                                              .engine_mutex = engine_mutex,
                                                              .clock = clock,
                                                              .log = log,
                                                              .counters = counters});
        subscriber = broker.subscriber({.client_id = "policy.example", .topics = {broker_topic}},
                                       feed->handlers());
    }
    std::int64_t accepted_count() const {
        return counters.value("tapir_policy_messages_total{result=\"accepted\"}");
    }
    bool take(const std::string& jws, UtcTime now) {
        if (way == Way::broker) {
            clock.step_to(now);
            const auto before = accepted_count();
            const mqtt::Message message{.topic = broker_topic, .payload = to_bytes(jws)};
            static_cast<void>(broker.publisher("core.example")->publish({&message, 1}));
            EXPECT_EQ(broker.deliver(), 1U);
            return accepted_count() > before;
        }
        engine->expire(now);
        const bool accepted = engine->take(jws, "", now);
        (void)engine->commit(now);
        return accepted;
    }
    Rules rules() const {
        std::string text;
        rpz::write_zonefile(*rpz::Apex::create("dnstapir."), engine->snapshot()->zone,
                            rpz::Serial(1), [&](std::string_view piece) { text += piece; });
        Rules out;
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);) {
            if (line.find(" IN CNAME ") != std::string::npos) {
                EXPECT_TRUE(out.insert(line).second) << line;
            }
        }
        return out;
    }
};

// "dig axfr" as "owner ttl IN CNAME target".
Rules rules_of_dig(const std::string& text) {
    Rules out;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string owner, ttl, in, type, target;
        if (words >> owner >> ttl >> in >> type >> target && type == "CNAME") {
            out.insert(owner + " " + ttl + " IN CNAME " + target);
        }
    }
    return out;
}

UtcTime time_of(const text::Json& step) {
    return UtcTime::from_ns(static_cast<std::int64_t>(*step.find("unix_time")->if_number() * 1e9));
}

std::vector<text::Json> steps_of(const std::string& path) {
    std::vector<text::Json> out;
    std::istringstream lines(slurp(path));
    for (std::string line; std::getline(lines, line);) {
        out.push_back(*text::Json::parse(line));
    }
    return out;
}

// Rules that stand in one zone only, at some step, and why that is right.
struct Differences {
    std::map<std::string, std::string> ours_alone;
    std::map<std::string, std::string> theirs_alone;
};

void follow(Way way, const std::string& scenario, const Differences& known) {
    const auto steps = steps_of(scenario + "/steps.jsonl");
    Processor ours(way, time_of(steps.front()), pop_lists());
    Rules theirs = rules_of_dig(slurp(scenario + "/start.axfr.txt"));
    ASSERT_FALSE(theirs.empty());
    std::set<std::string> used;
    for (const text::Json& step : steps) {
        const std::string name = *step.string("step");
        if (name != "final") {
            const auto message =
                std::string(TAPIR_GOLDEN) + "/" + scenario + "/messages/" + name + ".jws";
            const auto topic = step.string("topic").value_or(std::string());
            const UtcTime now = time_of(step);
            if (std::filesystem::exists(message) && topic != "observations/down/elsewhere") {
                ours.take(slurp(scenario + "/messages/" + name + ".jws"), now);
            }
            ours.engine->expire(now);
            (void)ours.engine->commit(now);
            for (const text::Json& gone : *step.array_of("removed")) {
                theirs.erase(*gone.if_string());
            }
            for (const text::Json& come : *step.array_of("added")) {
                theirs.insert(*come.if_string());
            }
        }
        const Rules rules = ours.rules();
        for (const std::string& rule : rules) {
            if (!theirs.contains(rule)) {
                EXPECT_TRUE(known.ours_alone.contains(rule)) << name << ": ours alone: " << rule;
                used.insert(rule);
            }
        }
        for (const std::string& rule : theirs) {
            if (!rules.contains(rule)) {
                EXPECT_TRUE(known.theirs_alone.contains(rule))
                    << name << ": theirs alone: " << rule;
                used.insert(rule);
            }
        }
    }
    for (const auto* table : {&known.ours_alone, &known.theirs_alone}) {
        for (const auto& [rule, reason] : *table) {
            EXPECT_TRUE(used.contains(rule))
                << "no difference any more: " << rule << " (" << reason << ")";
        }
    }
}

void follow(const std::string& scenario, const Differences& known) {
    for (const Way way : ways) {
        SCOPED_TRACE(way == Way::broker ? "by the broker" : "by the engine");
        follow(way, scenario, known);
    }
}

std::string rule(const std::string& owner, const std::string& target) {
    return owner + ".dnstapir. 3600 IN CNAME " + target;
}

// What the lists alone make different.
Differences of_lists() {
    const std::string allowed = "fact 4: allow is absolute, in the full build too";
    const std::string folded = "names are one name in any case";
    Differences known;
    for (const std::string name : {"allowed-by-text", "allowed-by-text-nodot", "allowed-by-csv",
                                   "allowed-by-dawg", "deny-case"}) {
        known.theirs_alone[rule(name + ".example", "*.")] = allowed;
    }
    known.theirs_alone[rule("UPPER.Example", "*.")] = folded;
    known.theirs_alone[rule("Mixed.Case.example", "*.")] = folded;
    known.ours_alone[rule("mixed.case.example", "*.")] = folded;
    known.theirs_alone[rule("CSV-Upper.example", "*.")] = folded;
    known.ours_alone[rule("csv-upper.example", "*.")] = folded;
    known.ours_alone[rule("two-sources-case-mix.example", ".")] = folded;
    return known;
}

TEST(Golden, ObservationsMakeTheSameZone) {
    Differences known = of_lists();
    const std::string no_dot = "fact 3: a name without its final dot is the same name";
    const std::string not_its_list = "a feed of observations writes no allow or deny list";
    known.ours_alone[rule("obs-nodot.example", "rpz-drop.")] = no_dot;
    known.theirs_alone[rule("OBS-allowed-DAWG.example", "rpz-drop.")] = "allowed in any case";
    known.theirs_alone[rule("OBS-Upper.Example", "rpz-drop.")] = "one name in any case";
    known.ours_alone[rule("obs-upper.example", "rpz-drop.")] =
        "one name in any case, a step earlier";
    known.theirs_alone[rule("obs-into-denyfile.example", "*.")] = not_its_list;
    known.ours_alone[rule("obs-severe2.example", "rpz-drop.")] = not_its_list;
    known.ours_alone[rule("obs-3tags.example", "rpz-drop.")] = not_its_list;
    follow("observations", known);
}

TEST(Golden, SignaturesAreJudgedTheSame) {
    Differences known = of_lists();
    const std::string header =
        "the header's algorithm must be the key's; 'none' and none are refused";
    known.ours_alone[rule("sig05.example", "rpz-drop.")] =
        "a JWK without alg: it follows from the key";
    known.theirs_alone[rule("sig12.example", "rpz-drop.")] = header;
    known.theirs_alone[rule("sig13.example", "rpz-drop.")] = header;
    known.theirs_alone[rule("sig14.example", "rpz-drop.")] = header;
    known.theirs_alone[rule("sig15.example", "rpz-drop.")] =
        "RFC 7515: an unknown crit must be refused";
    known.theirs_alone[rule("sig22.example", "rpz-drop.")] =
        "of several signatures the first one counts";
    known.theirs_alone[rule("sig01.example", "rpz-drop.")] =
        "a replay of an older message changes nothing";
    follow("signatures", known);
}

TEST(Golden, EntriesEndAndOursInTime) {
    Differences known = of_lists();
    const std::string ended = "had ended already when it came";
    const std::string late = "ends in time, not up to two intervals late";
    known.theirs_alone[rule("old.example", "rpz-drop.")] = ended;
    known.theirs_alone[rule("ttlneg.example", "rpz-drop.")] = ended;
    known.theirs_alone[rule("ttl0.example", "rpz-drop.")] = ended;
    known.theirs_alone[rule("ttl3.example", "rpz-drop.")] = late;
    known.theirs_alone[rule("long-then-short.example", "rpz-drop.")] = late;
    known.theirs_alone[rule("obs-in-file1.example", ".")] = late;
    known.ours_alone[rule("nodot", "rpz-drop.")] =
        "fact 3: a name without its final dot is the same name";
    follow("expiry", known);
}

void check_odd_name(Way way, const std::string& name, const std::string& owner) {
    const auto steps = steps_of("names/" + name + "/steps.jsonl");
    Processor ours(way, time_of(steps[0]), {});
    ours.take(slurp("names/" + name + "/01-obs.jws"), time_of(steps[0]));
    Rules want;
    const auto added = steps[0].array_of("added");
    if (owner == "*") {
        ASSERT_TRUE(added.has_value());
        want.insert(*added->at(0).if_string());
    } else if (!owner.empty()) {
        want.insert(rule(owner, "rpz-drop."));
        // Where theirs works at all, and knows the name (it has its dot), it is the same.
        if (added && !added->empty()) {
            EXPECT_EQ(*added->at(0).if_string(), *want.begin());
        }
    }
    EXPECT_EQ(ours.rules(), want);
    EXPECT_TRUE(ours.take(slurp("names/" + name + "/02-next-good.jws"), time_of(steps[1])));
    want.insert(rule("good2.example", "rpz-drop."));
    EXPECT_EQ(ours.rules(), want);
}

// The rule that each odd name makes; nothing: it is refused. Then a good name follows, always.
TEST(Golden, OddNamesAreRefusedOrRightAndNeverSpoilTheZone) {
    const std::string b62(62, 'b');
    const std::map<std::string, std::string> expected{
        {"at", "\\@"},
        {"backslash-end", ""},
        {"empty", ""},
        {"empty-label", ""},
        {"escape-ddd", "a\\200b.example"},
        {"escape-dot", "a\\.b.example"},
        {"ip", "192.0.2.7"},
        {"ipv6", "2001:db8::1"},
        {"label-63", std::string(63, 'a') + ".example"},
        {"label-64", ""},
        {"leading-dot", ""},
        {"name-255", ""},
        {"name-260", ""},
        {"nul", ""},
        {"own-zone", "x.dnstapir"},
        {"owner-255", "*"},  // as theirs, whatever it is
        {"owner-256", ""},
        {"quote", "a\\\"b.example"},
        {"root", ""},
        {"semicolon", "a\\;b.example"},
        {"slash", "http://a.example/path"},
        {"space", "a\\032b.example"},
        {"tab-newline", "a\\009b\\010.example"},
        {"two-dots-end", ""},
        {"underscore-dash", "-_.example"},
        {"utf8", "r\\195\\164ksm\\195\\182rg\\195\\165s.example"},
    };
    for (const auto& [name, owner] : expected) {
        for (const Way way : ways) {
            SCOPED_TRACE(name);
            check_odd_name(way, name, owner);
        }
    }
    std::size_t folders = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(TAPIR_GOLDEN) + "/names")) {
        folders += entry.is_directory() ? 1 : 0;
    }
    EXPECT_EQ(folders, expected.size());
}

}  // namespace
}  // namespace tapir::policy
