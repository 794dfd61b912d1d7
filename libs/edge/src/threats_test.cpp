// Threats below their threshold (R7): the operator is told, a count leaves, and nothing else unless
// he has said so.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "setup.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/edge/explain.hpp"
#include "tapir/products/new_qname.hpp"
#include "testing_frames.hpp"
#include "testing_tools.hpp"

namespace tapir::edge {
namespace {

using namespace testing;

constexpr std::int64_t hour = t0 / 3600 * 3600;

struct Outcome {
    std::map<std::string, std::string> files;
    std::vector<products::NewQname> events;
    std::vector<text::Json> suspects;
    text::Json report;
    std::string log;

    std::set<std::string> names() const {
        std::set<std::string> all;
        for (const products::NewQname& event : events) {
            all.insert(event.qname);
        }
        return all;
    }
    std::int64_t told(const std::string& detector) const {
        return *report.find("suspects")->integer(detector);
    }
};

// One run of the twin with a threat list; without a text there is none.
Outcome twin(const std::vector<Bytes>& frames, const std::string& threats,
             std::vector<std::string> sets = {}) {
    const TemporaryFolder folder;
    const std::string out = folder / "out";
    write_text(folder / "in.fstrm", fstrm_of(frames));
    write_text(folder / "listed.txt", "listed.se\n.wide.se\n");
    sets.push_back("lists.well_known=" + folder / "listed.txt");
    if (!threats.empty()) {
        write_text(folder / "threats.txt", threats);
        sets.push_back("threats.lists=" + folder / "threats.txt");
    }
    Outcome run;
    run.log = run_twin({.captures = {folder / "in.fstrm"},
                        .out = out,
                        .single_interval = false,
                        .version = "test"},
                       sets);
    for (const auto& [path, content] : contents_of(out)) {
        run.files[path] = content;
        if (path.starts_with("suspects/")) {
            for (const std::string& line : lines_of(content)) {
                run.suspects.push_back(text::Json::parse(line).take());
            }
        }
    }
    run.report = text::Json::parse(run.files["report.json"]).take();
    for (const std::string& line : lines_of(run.files["events.jsonl"])) {
        const auto payload = crypto::parse_base64url(*text::Json::parse(line)->string("payload"));
        run.events.push_back(*products::NewQname::parse(as_text(*payload)));
    }
    return run;
}

// The setting that pins a list of this text.
std::string pin_of(const std::string& threats) {
    return "threats.pin=" + to_hex(crypto::sha256(as_bytes(threats)));
}
const std::string exception_on = "threat_exception=true";

// Asked for at `time` by one client of each of so many networks.
std::vector<Bytes> asked(const std::string& name, unsigned networks, std::int64_t time) {
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < networks; ++i) {
        frames.push_back(frame_of({.name = name, .client = v4(10, 0, i, 1), .time = time}));
    }
    return frames;
}
void add(std::vector<Bytes>& to, const std::vector<Bytes>& from) {
    to.insert(to.end(), from.begin(), from.end());
}
// So that the clock goes on, and the hour's batches are cut.
std::vector<Bytes> and_then(std::vector<Bytes> frames, std::int64_t time) {
    add(frames, asked("nobody.se.", 1, time));
    return frames;
}
std::vector<Bytes> and_an_hour_later(const std::vector<Bytes>& frames) {
    return and_then(and_then(frames, hour + 3600), hour + 3660);
}

dns::FoldedName folded(const char* text) {
    return dns::FoldedName(dns::Name::from_text(text)->view());
}
ThreatList list_of(const char* text, bool is_pinned = false) {
    names::ListReport report;
    return {.index = names::compile_list(text, "list", names::ListFormat::text, report).value(),
            .is_pinned = is_pinned};
}

TEST(FindThreat, SaysWhereTheEntryStandsSeenFromTheDomain) {
    const std::vector<ThreatList> lists{
        list_of("exact.se\n.suffix.se\n.host.big.se\nlogin.big.se\n.tk\n")};
    const auto place = [&](const char* name) {
        const auto match = find_threat(lists, folded(name), 2);
        return match ? std::optional(match->place) : std::nullopt;
    };
    for (const char* name : {"exact.se", "a.b.exact.se", "suffix.se", "a.suffix.se"}) {
        EXPECT_EQ(place(name), ThreatPlace::domain) << name;
    }
    EXPECT_EQ(place("login.big.se"), ThreatPlace::below);
    EXPECT_EQ(place("x.host.big.se"), ThreatPlace::below);
    EXPECT_EQ(place("what.ever.tk"), ThreatPlace::above);
    for (const char* name :
         {"big.se", "host.big.se", "www.big.se", "x.login.big.se", "inexact.se"}) {
        EXPECT_EQ(place(name), std::nullopt) << name;
    }
}

TEST(FindThreat, PrefersThePinnedListThatNamesTheDomain) {
    const std::vector<ThreatList> lists{list_of("www.a.se\n", true), list_of("a.se\nb.se\n"),
                                        list_of("a.se\n", true), list_of("a.se\n", true)};
    EXPECT_EQ(find_threat(lists, folded("www.a.se"), 2),
              (ThreatMatch{.list = 2, .place = ThreatPlace::domain, .is_pinned = true}));
    EXPECT_EQ(find_threat(lists, folded("www.b.se"), 2), (ThreatMatch{.list = 1}));
    EXPECT_FALSE(find_threat({}, folded("www.b.se"), 2));
}

TEST(Threats, AreToldToTheOperatorOnceAnHourWithoutWhoAskedForWhat) {
    std::vector<Bytes> frames = asked("secret-host.evil.se.", 2, hour + 5);
    add(frames, asked("EVIL.se.", 1, hour + 65));
    add(frames, asked("evil.se.", 1, hour + 3600));
    add(frames, asked("other.se.", 1, hour + 3601));
    const Outcome run = twin(and_then(frames, hour + 3700), "evil.se\n");
    ASSERT_EQ(run.suspects.size(), 2U);
    EXPECT_EQ(run.suspects[0].to_canonical(),
              R"({"detector":"threat_list","domain":"evil.se.","hour":")" +
                  UtcTime::from_seconds(hour).to_string() +
                  R"(","leaves":false,"reasons":["threat list 1 names the domain"],"score":100})");
    EXPECT_EQ(*run.suspects[1].string("hour"), UtcTime::from_seconds(hour + 3600).to_string());
    EXPECT_EQ(run.told("threat_list"), 2);
    EXPECT_TRUE(run.events.empty());
    EXPECT_NE(run.log.find(R"("suspects":2)"), std::string::npos) << run.log;
    EXPECT_EQ(run.log.find("evil.se"), std::string::npos) << run.log;
    for (const auto& [path, content] : run.files) {
        EXPECT_EQ(content.find("secret-host"), std::string::npos) << path;
        EXPECT_TRUE(path.starts_with("suspects/") || content.find("evil") == std::string::npos)
            << path;
    }
}

TEST(Threats, AreLookedForAmongNamesThatAreNotListed) {
    std::vector<Bytes> frames;
    for (const char* name : {"listed.se.", "www.wide.se.", "4.3.2.1.in-addr.arpa.", "evil.local.",
                             "printer.", "co.uk."}) {
        add(frames, asked(name, 3, hour));
    }
    frames.push_back(frame_of({.name = "outside.se.", .client = v4(192, 0, 2, 1), .time = hour}));
    frames.push_back(frame_of({.name = "noclient.se.", .client = {}, .time = hour}));
    frames.push_back(frame_of(
        {.name = "chaos.se.", .client = client_of(1), .time = hour, .qclass = dns::RrClass::ch}));
    const Outcome run = twin(and_an_hour_later(frames),
                             "listed.se\nwide.se\n.arpa\n.local\nprinter\nco.uk\noutside.se\n"
                             "noclient.se\nchaos.se\n",
                             {exception_on});
    ASSERT_EQ(run.suspects.size(), 1U) << run.files.at("report.json");
    EXPECT_EQ(*run.suspects[0].string("domain"), "noclient.se.") << "the operator may know";
    EXPECT_TRUE(run.events.empty());
}

// Leaves of a ledger, without what a threat list may change in them.
std::vector<std::string> leaves_without_threats(const Outcome& run) {
    std::vector<std::string> leaves;
    for (const auto& [path, content] : run.files) {
        if (!path.starts_with("ledger/tile/entries/")) {
            continue;
        }
        for (std::size_t at = 0; at + 2 <= content.size();) {
            const auto octet = [&](std::size_t i) {
                return static_cast<std::size_t>(static_cast<unsigned char>(content[at + i]));
            };
            const std::size_t size = octet(0) << 8U | octet(1);
            text::Json leaf = text::Json::parse(content.substr(at + 2, size)).take();
            for (const auto& [member, key] :
                 {std::pair("counts", "suspects"), std::pair("commitments", "lists")}) {
                text::Json::Object kept = *leaf.find(member)->if_object();
                const std::string_view gone = key;
                std::erase_if(kept, [gone](const auto& one) { return one.key == gone; });
                leaf.set(member, text::Json::object(std::move(kept)));
            }
            leaves.push_back(leaf.to_canonical());
            at += 2 + size;
        }
    }
    return leaves;
}

// Over the turn of an hour: threats that few and many ask for, hosts below them, listed names.
std::vector<Bytes> mixed_traffic() {
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < 2400; ++i) {
        const unsigned round = i / 5;
        const std::vector<std::string> names{
            "listed.se.", fmt::format("www.evil-{}.se.", round % 40),
            fmt::format("evil-{}.se.", round % 3), fmt::format("h{}.wide.se.", round % 7),
            fmt::format("host.new-{}.se.", round % 4)};
        frames.push_back(frame_of(
            {.name = names[i % 5], .client = client_of(round * 7 % 150), .time = hour + 2400 + i}));
    }
    return frames;
}

TEST(Threats, ChangeNothingOfWhatLeavesButACount) {
    std::string threats = ".se\n";
    for (unsigned i = 0; i < 40; ++i) {
        threats += fmt::format("evil-{}.se\n", i);
    }
    const auto frames = mixed_traffic();
    const Outcome without = twin(frames, "");
    EXPECT_TRUE(without.suspects.empty());
    EXPECT_GT(without.events.size(), 3U);
    for (const std::vector<std::string>& sets :
         {std::vector<std::string>{}, {pin_of(threats)}, {"workers=3"}}) {
        const Outcome with = twin(frames, threats, sets);
        EXPECT_GT(with.told("threat_list"), 40);
        ASSERT_GT(with.suspects.size(), 40U);
        std::size_t payloads = 0;
        for (const auto& [path, content] : without.files) {
            if (path.starts_with("ledger/") || path == "report.json") {
                continue;
            }
            ++payloads;
            ASSERT_TRUE(with.files.contains(path)) << path;
            EXPECT_TRUE(with.files.at(path) == content) << path;
        }
        EXPECT_GT(payloads, 40U);
        for (const auto& [path, content] : with.files) {
            EXPECT_TRUE(path.starts_with("suspects/") || without.files.contains(path)) << path;
        }
        if (sets.empty()) {
            EXPECT_EQ(leaves_without_threats(with), leaves_without_threats(without));
        }
    }
}

TEST(Threats, AreNotLookedForUnderCompatible) {
    const auto frames = and_an_hour_later(asked("evil.se.", 3, hour));
    const Outcome without = twin(frames, "", {"release.profile=compatible"});
    const std::string threats = "evil.se\n";
    const Outcome with =
        twin(frames, threats, {"release.profile=compatible", exception_on, pin_of(threats)});
    EXPECT_TRUE(with.suspects.empty());
    EXPECT_EQ(with.told("threat_list"), 0);
    EXPECT_EQ(with.names(), without.names());
    EXPECT_EQ(with.report.find("threat_exception")->if_boolean(), false);
}

TEST(ThreatException, IsOffByDefault) {
    const std::string threats = "evil.se\n";
    const Outcome run =
        twin(and_an_hour_later(asked("evil.se.", 3, hour)), threats, {pin_of(threats)});
    EXPECT_EQ(run.told("threat_list"), 1);
    EXPECT_TRUE(run.events.empty());
    EXPECT_EQ(run.report.find("threat_exception")->if_boolean(), false);
}

TEST(ThreatException, TellsOfThePinnedDomainAloneInTheHourAfter) {
    const std::string threats = "evil.se\n";
    const std::vector<std::string> sets{exception_on, pin_of(threats)};
    const auto frames = asked("victim-7.evil.se.", 1, hour + 1800);
    const Outcome too_early = twin(and_then(frames, hour + 3599), threats, sets);
    EXPECT_TRUE(too_early.events.empty()) << "its hour is not over";
    const Outcome run = twin(and_an_hour_later(frames), threats, sets);
    ASSERT_EQ(run.events.size(), 1U);
    EXPECT_EQ(run.events[0].qname, "evil.se.");
    EXPECT_EQ(run.events[0].timestamp, UtcTime::from_seconds(hour));
    EXPECT_FALSE(run.events[0].qtype);
    ASSERT_EQ(run.suspects.size(), 1U);
    EXPECT_EQ(run.suspects[0].find("leaves")->if_boolean(), true);
    EXPECT_NE(run.log.find("threat_exception is on"), std::string::npos);
    std::string ledger;
    for (const auto& [path, content] : run.files) {
        EXPECT_EQ(content.find("victim"), std::string::npos) << path;
        ledger += path.starts_with("ledger/tile/entries") ? content : "";
    }
    EXPECT_NE(ledger.find(R"("threat_exception":true)"), std::string::npos);
    EXPECT_NE(ledger.find(R"("names":{"by_exception":1})"), std::string::npos);
}

TEST(ThreatException, WantsThreeNetworksWhereTheListIsNotPinned) {
    const auto names_of = [](const std::vector<Bytes>& frames, const char* threats = "evil.se\n") {
        return twin(and_an_hour_later(frames), threats, {exception_on}).names();
    };
    const std::set<std::string> none;
    const std::set<std::string> evil{"evil.se."};
    EXPECT_EQ(names_of(asked("www.evil.se.", 2, hour)), none);
    EXPECT_EQ(names_of(asked("www.evil.se.", 3, hour)), evil);
    // Many clients of two networks are two networks.
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < 9; ++i) {
        frames.push_back(
            frame_of({.name = "evil.se.", .client = client_of(i, 2), .time = hour + i}));
    }
    EXPECT_EQ(names_of(frames), none);
    // Families do not add up.
    frames = asked("evil.se.", 2, hour);
    Bytes six(16, std::byte{0});
    six[0] = std::byte{0xfd};
    frames.push_back(frame_of({.name = "evil.se.", .client = six, .time = hour}));
    EXPECT_EQ(names_of(frames), none);
    // A whole suffix does; one customer of a hoster does not speak for the hoster.
    EXPECT_EQ(names_of(asked("www.evil.se.", 3, hour), ".se\n"), evil);
    EXPECT_EQ(names_of(asked("www.evil.se.", 3, hour), "www.evil.se\n"), none);
}

TEST(ThreatException, AnswersForAPinnedListOnlyWhatItNamesItself) {
    const std::string threats = ".se\nwww.big.se\n";
    std::vector<Bytes> frames = asked("evil.se.", 2, hour);
    add(frames, asked("www.big.se.", 3, hour));
    const Outcome run = twin(and_an_hour_later(frames), threats, {exception_on, pin_of(threats)});
    EXPECT_EQ(run.told("threat_list"), 3) << "nobody.se. is under .se too";
    EXPECT_TRUE(run.events.empty()) << "a suffix is a question about everybody";
}

// The networks' tags are made under the day's key: they mean nothing on another day.
TEST(ThreatException, CountsNetworksOfOneUtcDay) {
    constexpr std::int64_t midnight = (t0 / 86'400 + 1) * 86'400;
    const auto names_of = [](std::int64_t third) {
        std::vector<Bytes> frames = asked("evil.se.", 2, midnight - 30);
        frames.push_back(frame_of({.name = "evil.se.", .client = v4(10, 0, 9, 9), .time = third}));
        frames = and_then(and_then(frames, midnight + 3600), midnight + 3660);
        return twin(frames, "evil.se\n", {exception_on}).names();
    };
    EXPECT_EQ(names_of(midnight - 1), (std::set<std::string>{"evil.se."}));
    EXPECT_TRUE(names_of(midnight).empty());
}

TEST(ThreatException, IsMadeAHundredTimesADay) {
    std::string threats;
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < 101; ++i) {
        threats += fmt::format("evil-{}.se\n", i);
        add(frames, asked(fmt::format("evil-{}.se.", i), 1, hour));
        if (i == 99) {
            const Outcome run =
                twin(and_an_hour_later(frames), threats, {exception_on, pin_of(threats)});
            EXPECT_EQ(run.events.size(), 100U);
            EXPECT_EQ(run.told("over_the_day"), 0);
        }
    }
    const Outcome run = twin(and_an_hour_later(frames), threats, {exception_on, pin_of(threats)});
    EXPECT_EQ(run.events.size(), 100U);
    EXPECT_FALSE(run.names().contains("evil-100.se.")) << "the one that came last";
    EXPECT_EQ(run.told("over_the_day"), 1);
    EXPECT_EQ(run.told("threat_list"), 101);
}

TEST(ThreatException, LeavesAloneWhatEnoughHaveAskedFor) {
    const std::string threats = "evil.se\n";
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < 60; ++i) {
        frames.push_back(frame_of({.name = "evil.se.", .client = client_of(i), .time = hour + 2}));
    }
    const Outcome run = twin(and_an_hour_later(frames), threats, {exception_on, pin_of(threats)});
    ASSERT_EQ(run.events.size(), 1U) << "once, by R3, with its minute";
    EXPECT_EQ(run.events[0].qtype, 1);
}

TEST(Threats, MustHaveTheirPin) {
    const TemporaryFolder folder;
    write_text(folder / "threats.txt", "evil.se\n");
    world::SystemFiles files;
    const auto load = [&](const std::string& pin) {
        const auto settings = settings_of({"threats.lists=" + folder / "threats.txt", pin});
        return load_lists(files, settings, privacy::Profile::standard);
    };
    EXPECT_TRUE(load(pin_of("evil.se\n"))->get()->threats.front().is_pinned);
    EXPECT_FALSE(load("threats.pin=")->get()->threats.front().is_pinned);
    const auto refused = load(pin_of("other.se\n"));
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().what().find("threats.pin: expected the SHA-256 of "),
              std::string::npos)
        << refused.error().what();
}

TEST(Threats, AreAtMostEightListsAndErrorsSayWhere) {
    const TemporaryFolder folder;
    write_text(folder / "bad.txt", "fine.se\n..\n");
    world::SystemFiles files;
    const auto error_of = [&](const std::string& lists) {
        const auto loaded =
            load_lists(files, settings_of({"threats.lists=" + lists}), privacy::Profile::standard);
        return loaded ? std::string() : loaded.error().what();
    };
    EXPECT_NE(error_of("a,b,c,d,e,f,g,h,i").find("threats.lists: expected at most 8 lists, got 9"),
              std::string::npos);
    EXPECT_NE(error_of("/nowhere/list").find("threats.lists: expected a readable file"),
              std::string::npos);
    EXPECT_NE(error_of(folder / "bad.txt").find("bad.txt:2:"), std::string::npos);
}

TEST(Threats, AreExplained) {
    const TemporaryFolder folder;
    const std::string threats = "evil.se\n.shop.big.se\n";
    write_text(folder / "threats.txt", threats);
    write_text(folder / "in.fstrm",
               fstrm_of(and_an_hour_later(asked("www.evil.se.", 1, hour + 5))));
    const auto explained = [&](const std::string& what, std::vector<std::string> sets) {
        std::string lines;
        std::string said;
        const Log log = Log::to_string(lines);
        world::SystemFiles files;
        sets.push_back("threats.lists=" + folder / "threats.txt");
        ExplainOptions options;
        (what.ends_with(".fstrm") ? options.captures : options.names).push_back(what);
        EXPECT_TRUE(explain(options, settings_of(sets), files, log, [&said](std::string_view text) {
                        said += text;
                    }).has_value());
        return said;
    };
    const auto has = [](const std::string& said, const char* what) {
        EXPECT_NE(said.find(what), std::string::npos) << what << "\n" << said;
    };
    const std::vector<std::string> on{exception_on, pin_of(threats)};
    has(explained("www.evil.se", {}), "evil.se.: threat list 1 names the domain");
    EXPECT_EQ(explained("www.evil.se", {}).find("threat_exception"), std::string::npos);
    has(explained("www.evil.se", on),
        "threat_exception: the list is pinned: it leaves as evil.se.");
    has(explained("www.evil.se", {exception_on}), "from 3 networks of one family");
    has(explained("a.shop.big.se", on), "no exception: the list means something below");
    const std::string plain = explained(folder / "in.fstrm", {});
    has(plain, "evil.se is a suspect (R7): threat list 1 names the domain\n");
    has(plain, "suspects of threat_list: 1");
    const std::string exception = explained(folder / "in.fstrm", on);
    has(exception, "names the domain, leaves by exception: a pinned list");
    has(exception, R"(suspect leaves R7  {"grounds":"pinned list")");
    has(exception, R"("qname":"evil.se.")");
}

}  // namespace
}  // namespace tapir::edge
