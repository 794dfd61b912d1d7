#include "tapir/rpz/answer.hpp"

#include <map>
#include <set>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "message.hpp"
#include "query.hpp"
#include "tapir/rpz/trigger.hpp"
#include "tapir/rpz/zonefile.hpp"

namespace tapir::rpz {
namespace {

const UtcTime now = UtcTime::from_seconds(1'700'000'000);
const Apex apex = *Apex::create("dnstapir.");
const std::vector<TsigKey> no_keys;

std::string key(std::string_view text) {
    return Trigger::parse(text)->key();
}

Bytes name_wire(std::string_view text) {
    Bytes wire;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('.', at), text.size());
        append_u8(wire, static_cast<std::uint8_t>(end - at));
        append(wire, text.substr(at, end - at));
        at = end + 1;
    }
    append_u8(wire, 0);
    return wire;
}

struct Ask {
    std::string_view name = "dnstapir.";
    std::uint16_t type = type_soa;
    std::uint16_t flags = 0;
    std::optional<std::uint32_t> serial{};
    bool opt = false;
    std::uint8_t edns_version = 0;
    std::uint16_t record_class = 1;
};

Bytes query(const Ask& ask) {
    Bytes out;
    append_u16(out, 0x1234);
    append_u16(out, ask.flags);
    append_u16(out, 1);
    append_u16(out, 0);
    append_u16(out, ask.serial ? 1 : 0);
    append_u16(out, ask.opt ? 1 : 0);
    append(out, name_wire(ask.name));
    append_u16(out, ask.type);
    append_u16(out, ask.record_class);
    if (ask.serial) {
        append_u16(out, 0xc00c);
        append_u16(out, type_soa);
        append_u16(out, 1);
        append_u32(out, 0);
        append_u16(out, 24);
        append_u16(out, 0xc00c);
        append_u16(out, 0xc00c);
        append_u32(out, *ask.serial);
        append(out, Bytes(16));
    }
    if (ask.opt) {
        append_u8(out, 0);
        append_u16(out, type_opt);
        append_u16(out, 4096);
        append_u8(out, 0);
        append_u8(out, ask.edns_version);
        append_u16(out, 0);
        append_u16(out, 0);
    }
    return out;
}

// A message taken apart, records as text.
struct Reply {
    unsigned rcode = 0;
    std::uint16_t flags = 0;
    std::vector<std::string> answer;
    std::vector<std::string> authority;
    bool opt = false;
    std::size_t size = 0;
};

std::string text_of(ByteView message, const RawRecord& record) {
    const auto name = [](ByteView wire) {
        const auto trigger = Trigger::from_wire(wire);
        return trigger ? trigger->to_text() + "." : std::string(".");
    };
    std::size_t at = record.rdata_at;
    std::string text = name(record.owner) + " " + std::to_string(record.ttl) + " ";
    switch (record.type) {
        case type_soa: {
            const std::string m = name(*read_name(message, at));
            const std::string r = name(*read_name(message, at));
            return text + "SOA " + m + " " + r + " " +
                   std::to_string(ByteReader(message.subspan(at)).u32());
        }
        case type_ns:
            return text + "NS " + name(*read_name(message, at));
        case type_cname:
            return text + "CNAME " + std::string(target_text(*action_of_target(record.rdata)));
        default:
            return text + "TYPE" + std::to_string(record.type);
    }
}

Reply read_reply(ByteView message) {
    Reply reply;
    reply.size = message.size();
    EXPECT_GE(message.size(), header_size);
    reply.flags = get_u16(message, 2);
    reply.rcode = reply.flags & 0xfU;
    std::size_t at = header_size;
    if (get_u16(message, 4) == 1) {
        EXPECT_TRUE(read_name(message, at).has_value());
        at += 4;
    }
    for (int section = 0; section < 3; ++section) {
        for (unsigned i = get_u16(message, 6 + 2 * static_cast<std::size_t>(section)); i > 0; --i) {
            const auto record = read_record(message, at);
            if (!record) {
                ADD_FAILURE() << "unreadable record";
                return reply;
            }
            if (record->type == type_opt) {
                reply.opt = true;
            } else if (section < 2) {
                (section == 0 ? reply.answer : reply.authority)
                    .push_back(text_of(message, *record));
            }
        }
    }
    EXPECT_EQ(at, message.size());
    return reply;
}

struct Got {
    QueryOutcome outcome{};
    std::vector<Reply> messages;
    std::vector<std::string> answers;  // of all messages
};

Got ask(const std::shared_ptr<const Snapshot>& snapshot, ByteView message,
        Transport transport = Transport::tcp, bool plain = true) {
    Answer a = answer(apex, snapshot, no_keys, message,
                      {.transport = transport, .plain_allowed = plain}, now);
    Got got{a.outcome(), {}, {}};
    Bytes out;
    while (a.next(out, now)) {
        EXPECT_LE(out.size(), message_size_max);
        got.messages.push_back(read_reply(out));
        const auto& last = got.messages.back().answer;
        got.answers.insert(got.answers.end(), last.begin(), last.end());
    }
    return got;
}

std::shared_ptr<const Snapshot> snapshot_of(
    std::initializer_list<std::pair<std::string_view, Action>> rules, Serial serial = Serial(5)) {
    std::map<std::string, Action> sorted;
    for (const auto& [name, action] : rules) {
        sorted.emplace(key(name), action);
    }
    Zone::Builder builder;
    for (const auto& [k, action] : sorted) {
        builder.add(k, action);
    }
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->zone = std::move(builder).finish();
    snapshot->serial = serial;
    return snapshot;
}

const auto small =
    snapshot_of({{"bad.example", Action::nxdomain}, {"*.wild.example", Action::nodata}});
const std::string soa5 = "dnstapir. 3600 SOA localhost. hostmaster.dnstapir. 5";

TEST(Answer, SoaOverUdpAndTcpInAnyCase) {
    for (const Transport transport : {Transport::udp, Transport::tcp}) {
        const Got got = ask(small, query({.name = "DnsTapir."}), transport);
        ASSERT_EQ(got.messages.size(), 1U);
        EXPECT_EQ(got.outcome, QueryOutcome::soa);
        EXPECT_EQ(got.answers, std::vector{soa5});
        EXPECT_EQ(got.messages[0].authority,
                  (std::vector<std::string>{"dnstapir. 3600 NS localhost."}));
        EXPECT_EQ(got.messages[0].flags, 0x8400);
        EXPECT_FALSE(got.messages[0].opt);
    }
    EXPECT_TRUE(ask(small, query({.opt = true})).messages[0].opt);
}

TEST(Answer, AxfrIsSoaNsRulesInCanonicalOrderSoa) {
    const Got got = ask(small, query({.type = type_axfr}));
    EXPECT_EQ(got.outcome, QueryOutcome::axfr);
    EXPECT_EQ(got.answers,
              (std::vector<std::string>{soa5, "dnstapir. 3600 NS localhost.",
                                        "bad.example.dnstapir. 3600 CNAME .",
                                        "*.wild.example.dnstapir. 3600 CNAME *.", soa5}));
}

TEST(Answer, AnEmptyZoneIsTransferredToo) {
    EXPECT_EQ(ask(std::make_shared<Snapshot>(), query({.type = type_axfr})).answers.size(), 3U);
}

TEST(Fault, AxfrOverUdpIsRefusedAndIxfrOverUdpIsSoaOnly) {
    const Got axfr = ask(small, query({.type = type_axfr}), Transport::udp);
    EXPECT_EQ(axfr.outcome, QueryOutcome::refused_axfr_over_udp);
    EXPECT_EQ(axfr.messages[0].rcode, rcode_refused);
    const Got ixfr = ask(small, query({.type = type_ixfr, .serial = 4}), Transport::udp);
    EXPECT_EQ(ixfr.answers, std::vector{soa5});
}

TEST(Fault, ACurrentOrNewerClientGetsOneSoa) {
    for (const std::uint32_t serial : {5U, 6U, 1'000U}) {
        const Got got = ask(small, query({.type = type_ixfr, .serial = serial}));
        EXPECT_EQ(got.outcome, QueryOutcome::ixfr_current);
        EXPECT_EQ(got.answers, std::vector{soa5});
    }
}

TEST(Answer, IxfrFromBeforeTheHistoryIsAxfrStyle) {
    const Got got = ask(small, query({.type = type_ixfr, .serial = 3}));
    EXPECT_EQ(got.outcome, QueryOutcome::ixfr_as_axfr);
    EXPECT_EQ(got.answers, ask(small, query({.type = type_axfr})).answers);
}

TEST(Answer, IxfrListsWhatGoesAndWhatComes) {
    auto snapshot = std::make_shared<Snapshot>(*small);
    Delta first;
    first.removed.push_back({key("bad.example"), Action::nxdomain});
    first.added.push_back({key("bad.example"), Action::drop});
    *snapshot = publish(*snapshot, first);
    Delta second;
    second.added.push_back({key("z.example"), Action::passthru});
    *snapshot = publish(*snapshot, second);
    const auto soa = [](int serial) {
        return "dnstapir. 3600 SOA localhost. hostmaster.dnstapir. " + std::to_string(serial);
    };
    EXPECT_EQ(
        ask(snapshot, query({.type = type_ixfr, .serial = 5})).answers,
        (std::vector<std::string>{soa(7), soa(5), "bad.example.dnstapir. 3600 CNAME .", soa(6),
                                  "bad.example.dnstapir. 3600 CNAME rpz-drop.", soa(6), soa(7),
                                  "z.example.dnstapir. 3600 CNAME rpz-passthru.", soa(7)}));
    EXPECT_EQ(ask(snapshot, query({.type = type_ixfr, .serial = 6})).answers,
              (std::vector<std::string>{soa(7), soa(6), soa(7),
                                        "z.example.dnstapir. 3600 CNAME rpz-passthru.", soa(7)}));
}

TEST(Answer, OtherQuestions) {
    EXPECT_EQ(ask(small, query({.type = type_ns})).answers.size(), 1U);
    EXPECT_EQ(ask(small, query({.type = type_any})).answers.size(), 2U);
    const Got none = ask(small, query({.type = 1}));
    EXPECT_TRUE(none.answers.empty());
    EXPECT_EQ(none.messages[0].authority, std::vector{soa5});
    const Got rule = ask(small, query({.name = "BAD.example.dnstapir.", .type = type_cname}));
    EXPECT_EQ(rule.answers, std::vector<std::string>{"bad.example.dnstapir. 3600 CNAME ."});
    const Got between = ask(small, query({.name = "example.dnstapir."}));
    EXPECT_EQ(between.messages[0].rcode, rcode_noerror);
    const Got nothing = ask(small, query({.name = "good.example.dnstapir."}));
    EXPECT_EQ(nothing.messages[0].rcode, rcode_nxdomain);
    EXPECT_EQ(nothing.messages[0].authority, std::vector{soa5});
    for (const std::string_view other : {"xdnstapir.", "example.", "dnstapir.example."}) {
        EXPECT_EQ(ask(small, query({.name = other})).messages[0].rcode, rcode_refused) << other;
    }
    EXPECT_EQ(ask(small, query({.record_class = 3})).messages[0].rcode, rcode_refused);
}

TEST(Answer, RefusesPlainQuestionsFromElsewhere) {
    for (const std::uint16_t type : {type_soa, type_axfr, type_ixfr}) {
        const Got got = ask(small, query({.type = type, .serial = 1}), Transport::tcp, false);
        EXPECT_EQ(got.outcome, QueryOutcome::refused_plain);
        EXPECT_EQ(got.messages[0].rcode, rcode_refused);
        EXPECT_TRUE(got.answers.empty());
    }
}

// Fact 5 of the existing processor: a NOTIFY hung its engine for good.
TEST(Fault, NotifyIsAnsweredAndDoesNothing) {
    const Got ours = ask(small, query({.flags = 0x2000}), Transport::udp);
    EXPECT_EQ(ours.outcome, QueryOutcome::notify);
    EXPECT_EQ(ours.messages[0].flags, 0xa400);
    EXPECT_EQ(ask(small, query({.name = "example.", .flags = 0x2000})).messages[0].rcode,
              rcode_refused);
}

TEST(Answer, OddRequests) {
    EXPECT_EQ(ask(small, query({.flags = 0x2800})).messages[0].rcode, rcode_notimp);
    EXPECT_TRUE(ask(small, query({.flags = 0x8000})).messages.empty());
    EXPECT_TRUE(ask(small, as_bytes("short")).messages.empty());
    EXPECT_EQ(ask(small, query({.type = type_ixfr})).messages[0].rcode, rcode_formerr);
    Bytes two = query({});
    two[5] = std::byte{2};
    EXPECT_EQ(ask(small, two).messages[0].rcode, rcode_formerr);
    Bytes none = query({});
    none[5] = std::byte{0};
    EXPECT_EQ(ask(small, none).messages[0].rcode, rcode_formerr);
    Bytes trailing = query({});
    append_u8(trailing, 0);
    EXPECT_EQ(ask(small, trailing).messages[0].rcode, rcode_formerr);
    Bytes large = query({});
    large.resize(query_size_max + 1);
    EXPECT_EQ(ask(small, large).outcome, QueryOutcome::too_large);
    const Got version = ask(small, query({.opt = true, .edns_version = 1}));
    EXPECT_EQ(version.outcome, QueryOutcome::bad_version);
    EXPECT_TRUE(version.messages[0].opt);
    Bytes loop = query({.serial = 1});
    set_u16(loop, header_size + 14, 0xc000 | (header_size + 14));  // a pointer to itself
    EXPECT_EQ(ask(small, loop).messages[0].rcode, rcode_formerr);
}

// Into itself, it would read on into octets that the answer does not have: here into the OPT.
TEST(Answer, RefusesAPointerInTheQuestion) {
    constexpr std::size_t opt_size = 11;
    const Bytes plain = query({.opt = true});
    Bytes request = to_bytes(ByteView(plain).first(header_size));
    append(request, std::string_view("\1a\2\6x\xc0\x0f\0\6\0\1", 11));
    append(request, ByteView(plain).last(opt_size));
    const Got got = ask(small, request);
    EXPECT_EQ(got.outcome, QueryOutcome::malformed);
    EXPECT_EQ(got.messages[0].rcode, rcode_formerr);
}

TEST(Answer, ALargeZoneIsManyMessagesWithNothingLost) {
    std::set<std::string> keys;
    for (int i = 0; i < 20'000; ++i) {
        keys.insert(key("some-longer-name-" + std::to_string(i) + ".example"));
    }
    Zone::Builder builder;
    for (const auto& k : keys) {
        builder.add(k, Action::nxdomain);
    }
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->zone = std::move(builder).finish();
    const Got got = ask(snapshot, query({.type = type_axfr, .opt = true}));
    EXPECT_EQ(got.answers.size(), 20'003U);
    EXPECT_GT(got.messages.size(), 10U);
    EXPECT_TRUE(got.messages[0].opt);
    EXPECT_FALSE(got.messages[1].opt);
    for (const Reply& reply : got.messages) {
        EXPECT_LE(reply.size, transfer_message_size);
    }
}

// Fact 11: a transfer during a change ended the process. Ours streams from the snapshot it began
// with.
TEST(Fault, ATransferIsFromOneSnapshotWhateverChangesMeanwhile) {
    auto current = small;
    Answer a = answer(apex, current, no_keys, query({.type = type_axfr}),
                      {.transport = Transport::tcp, .plain_allowed = true}, now);
    Delta delta;
    delta.removed.push_back({key("bad.example"), Action::nxdomain});
    current = std::make_shared<const Snapshot>(publish(*current, delta));
    Bytes message;
    ASSERT_TRUE(a.next(message, now));
    const Reply reply = read_reply(message);
    EXPECT_EQ(reply.answer.size(), 5U);
    EXPECT_EQ(reply.answer.front(), reply.answer.back());
}

// Any history: a secondary at any serial that applies what IXFR says has what AXFR gives.
RC_GTEST_PROP(Answer, IxfrFromAnySerialLeadsToWhatAxfrGives, ()) {
    Snapshot snapshot;
    for (int i = 0; i < 60; ++i) {
        Delta start;
        start.added.push_back({key("base" + std::to_string(i) + ".example"), Action::drop});
        snapshot.zone = snapshot.zone.apply(start);
    }
    snapshot.serial = Serial(0xffff'fffdU);
    std::vector<std::pair<Serial, std::set<std::string>>> all;
    const auto rules_of = [](std::vector<std::string> answers) {
        std::set<std::string> rules;
        for (auto& text : answers) {
            if (text.find(" CNAME ") != std::string::npos) {
                EXPECT_TRUE(rules.insert(std::move(text)).second);
            }
        }
        return rules;
    };
    const auto axfr = [&] {
        return rules_of(
            ask(std::make_shared<const Snapshot>(snapshot), query({.type = type_axfr})).answers);
    };
    for (int i = 0; i < 6; ++i) {
        all.emplace_back(snapshot.serial, axfr());
        const std::string name = key("n" + std::to_string(*rc::gen::inRange(0, 3)) + ".example");
        const Action old = snapshot.zone.find(name);
        const auto action = static_cast<Action>(*rc::gen::inRange(0, 6));
        Delta delta;
        if (old != action && old != Action::none) {
            delta.removed.push_back({name, old});
        }
        if (old != action && action != Action::none) {
            delta.added.push_back({name, action});
        }
        if (!delta.empty()) {
            snapshot = publish(snapshot, delta);
        }
    }
    const auto want = axfr();
    for (auto& [serial, rules] : all) {
        const Got got = ask(std::make_shared<const Snapshot>(snapshot),
                            query({.type = type_ixfr, .serial = serial.value()}));
        if (serial == snapshot.serial) {
            RC_ASSERT(got.answers.size() == 1U);
            continue;
        }
        RC_ASSERT(got.outcome == QueryOutcome::ixfr);
        RC_ASSERT(got.answers.front() == got.answers.back());
        bool adding = true;
        for (std::size_t i = 1; i + 1 < got.answers.size(); ++i) {
            const std::string& text = got.answers[i];
            if (text.find(" SOA ") != std::string::npos) {
                adding = !adding;
            } else if (adding) {
                RC_ASSERT(rules.insert(text).second);
            } else {
                RC_ASSERT(rules.erase(text) == 1U);
            }
        }
        RC_ASSERT(rules == want);
    }
}

TEST(Notify, CarriesTheSoaAndIsAcknowledgedByItsId) {
    const Bytes message = notify_message(apex, Serial(9), 77, nullptr, now);
    const Reply read = read_reply(message);
    EXPECT_EQ(read.flags, 0x2400);
    EXPECT_EQ(read.answer,
              std::vector<std::string>{"dnstapir. 3600 SOA localhost. hostmaster.dnstapir. 9"});
    Bytes reply = message;
    EXPECT_FALSE(acknowledges_notify(reply, 77));
    set_u16(reply, 2, 0xa400);
    EXPECT_TRUE(acknowledges_notify(reply, 77));
    EXPECT_FALSE(acknowledges_notify(reply, 78));
    set_u16(reply, 2, 0xa405);
    EXPECT_FALSE(acknowledges_notify(reply, 77));
}

TEST(Apex, TakesTheZoneWithAndWithoutItsDot) {
    EXPECT_EQ(Apex::create("DnsTapir")->zone, apex.zone);
    EXPECT_FALSE(Apex::create("").has_value());
    EXPECT_FALSE(Apex::create("a..b").has_value());
    EXPECT_TRUE(apex.fits(std::string(245, 'x')));
    EXPECT_FALSE(apex.fits(std::string(246, 'x')));
}

TEST(Zonefile, IsTheZoneInCanonicalOrder) {
    std::string text;
    write_zonefile(apex, small->zone, small->serial,
                   [&](std::string_view piece) { text += piece; });
    EXPECT_EQ(text,
              "dnstapir. 3600 IN SOA localhost. hostmaster.dnstapir. 5 60 60 86400 60\n"
              "dnstapir. 3600 IN NS localhost.\n"
              "bad.example.dnstapir. 3600 IN CNAME .\n"
              "*.wild.example.dnstapir. 3600 IN CNAME *.\n");
}

}  // namespace
}  // namespace tapir::rpz
