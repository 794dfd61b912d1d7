#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/text/csv.hpp"
#include "tapir/text/json.hpp"
#include "tapir/text/manual.hpp"
#include "tapir/text/settings.hpp"

namespace tapir::text {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;

const SettingTable& table() {
    static const SettingTable rows{
        Setting::integer("release.k", 10, 2, 1000, "", "Threshold."),
        Setting::choice("profile", "standard", {"strict", "standard"}, "What may leave."),
        Setting::duration("release.batch", minutes(1), seconds(1), minutes(60), "Batch time."),
        Setting::size("outbox.max", 1 << 30, 1024, 1LL << 40, "Room on disk."),
        Setting::strings("lists.names", {"a"}, "Lists."),
        Setting::boolean("single_site", false, "One site."),
        Setting::path("lists.well_known", "", "Well-known names."),
        Setting::map("keys", "Key files by name."),
    };
    return rows;
}

std::string error_of(std::string_view toml, std::vector<std::string> overrides = {}) {
    const auto settings = Settings::parse(toml, "edge.toml", table(), overrides);
    return settings ? "no error" : settings.error().what();
}

TEST(Settings, ReadsEachType) {
    const auto s = Settings::parse(
        "profile = 'strict'\nsingle_site = true\n[release]\nk = 12\nbatch = '2s'\n"
        "[lists]\nnames = ['x', 'y']\n[outbox]\nmax = '64MiB'\n[keys]\n'a.b' = 'f'\n",
        "edge.toml", table());
    ASSERT_TRUE(s) << s.error().what();
    EXPECT_EQ(s->integer("release.k"), 12);
    EXPECT_EQ(s->string("profile"), "strict");
    EXPECT_EQ(s->duration("release.batch"), seconds(2));
    EXPECT_EQ(s->size("outbox.max"), 64U << 20);
    EXPECT_THAT(s->strings("lists.names"), ElementsAre("x", "y"));
    EXPECT_TRUE(s->boolean("single_site"));
    EXPECT_EQ(s->map("keys").at("a.b"), "f");
    EXPECT_EQ(s->place("release.k"), "edge.toml:4");
    EXPECT_FALSE(s->is_given("lists.well_known"));
    EXPECT_EQ(Error(s->refuse("lists.names", "a readable file", "x").error).what(),
              "edge.toml:7: lists.names: expected a readable file, got x");
}

TEST(Settings, SaysWhereAndWhatWasExpected) {
    EXPECT_EQ(error_of("[release]\n\nk = 0"), "edge.toml:3: release.k: expected 2 to 1000, got 0");
    EXPECT_EQ(error_of("release.k = 'x'"), "edge.toml:1: release.k: expected 2 to 1000, got \"x\"");
    EXPECT_EQ(error_of("[release]\nkk = 1"),
              "edge.toml:2: release.kk: expected a known setting (perhaps release.k), got an "
              "unknown one");
    EXPECT_EQ(error_of("release = 1"), "edge.toml:1: release: expected a table of settings, got 1");
    EXPECT_EQ(error_of("[zebra]\nx = 1"),
              "edge.toml:1: zebra: expected a known setting, got an unknown one");
    EXPECT_EQ(error_of("profile = 'loose'"),
              "edge.toml:1: profile: expected one of strict, standard, got \"loose\"");
    EXPECT_EQ(error_of("release.batch = '2 weeks'"),
              "edge.toml:1: release.batch: expected 1s to 1h, got \"2 weeks\"");
    EXPECT_THAT(error_of("a\nb = ["), testing::StartsWith("edge.toml:"));
    EXPECT_EQ(error_of("single_site = 1"),
              "edge.toml:1: single_site: expected true or false, got 1");
    EXPECT_THAT(error_of("x = " + std::string(1000, '[')), testing::HasSubstr("syntax"));
}

TEST(Settings, LetsOverridesWin) {
    const std::vector<std::string> words{"release.k=20",     "lists.names=p,q", "keys=a=1,b=2",
                                         "single_site=true", "outbox.max=2048", "release.batch=5s"};
    const auto s = Settings::parse("release.k = 3", "edge.toml", table(), words);
    ASSERT_TRUE(s) << s.error().what();
    EXPECT_EQ(s->integer("release.k"), 20);
    EXPECT_EQ(s->place("release.k"), "--set");
    EXPECT_THAT(s->strings("lists.names"), ElementsAre("p", "q"));
    EXPECT_EQ(s->map("keys").at("b"), "2");
    EXPECT_EQ(s->size("outbox.max"), 2048U);
    EXPECT_EQ(error_of("", {"release.k=1"}), "--set: release.k: expected 2 to 1000, got 1");
    EXPECT_EQ(error_of("", {"release.k"}), "--set: release.k: expected KEY=VALUE, got no '='");
    EXPECT_EQ(error_of("", {"keys=a=\x92"}), "--set: KEY=VALUE: expected UTF-8, got other octets");
    EXPECT_THAT(error_of("", {"lists.names=['a'\n]\nx=1"}), testing::HasSubstr("lists.names"));
}

TEST(Settings, RefusesToStartWithoutARequiredOne) {
    const SettingTable rows{Setting::path("key", "", "Key.").require()};
    const auto s = Settings::parse("", "edge.toml", rows);
    ASSERT_FALSE(s);
    EXPECT_EQ(s.error().what(), "edge.toml: key: expected a path, got nothing: it has no default");
}

TEST(Settings, ReadsItsOwnExampleFileAsTheDefaults) {
    const auto plain = Settings::parse("", "edge.toml", table());
    std::string example = example_file(table());
    EXPECT_EQ(Settings::parse(example, "e", table())->to_canonical(), plain->to_canonical());
    std::string active;  // every setting written out
    for (std::size_t at = 0; at < example.size();) {
        const std::size_t end = example.find('\n', at);
        const auto line = example.substr(at, end - at);
        active += (line.starts_with("# ") && line.find(" = ") != std::string::npos ? line.substr(2)
                                                                                   : line) +
                  "\n";
        at = end + 1;
    }
    const auto written = Settings::parse(active, "e", table());
    ASSERT_TRUE(written) << written.error().what() << active;
    EXPECT_EQ(written->to_canonical(), plain->to_canonical());
    EXPECT_TRUE(written->is_given("release.k"));
    EXPECT_THAT(help_text(table()), testing::HasSubstr("2 to 1000; default 10"));
}

TEST(Settings, TakesAPlainStringForAListOfOne) {
    const auto s = Settings::parse("lists.names = 'x,y'", "edge.toml", table());
    ASSERT_TRUE(s) << s.error().what();
    EXPECT_THAT(s->strings("lists.names"), ElementsAre("x,y")) << "a comma is part of it";
    EXPECT_THAT(Settings::parse("lists.names = ''", "e", table())->strings("lists.names"),
                ElementsAre());
    EXPECT_EQ(error_of("lists.names = 7"),
              "edge.toml:1: lists.names: expected a list of strings, got 7");
}

const SettingTable& listeners() {
    static const SettingTable rows{
        Setting::tables("listener",
                        {Setting::string("address", "", "Where."),
                         Setting::integer("port", 0, 0, 65'535, "", "Its port."),
                         Setting::choice("transport", "udp", {"udp", "dot"}, "What.").require()},
                        "What the resolver listens on."),
        Setting::integer("k", 1, 0, 9, "", "K."),
    };
    return rows;
}

std::string row_error(std::string_view toml, std::vector<std::string> overrides = {}) {
    const auto settings = Settings::parse(toml, "edge.toml", listeners(), overrides);
    return settings ? "no error" : settings.error().what();
}

TEST(Settings, ReadsRowsOfAnArrayOfTables) {
    const auto s = Settings::parse(
        "k = 2\n[[listener]]\nport = 853\ntransport = 'dot'\n"
        "[[listener]]\naddress = '::1'\ntransport = 'udp'\n",
        "edge.toml", listeners());
    ASSERT_TRUE(s) << s.error().what();
    ASSERT_EQ(s->tables("listener").size(), 2U);
    const Settings& first = s->tables("listener").front();
    EXPECT_EQ(first.integer("port"), 853);
    EXPECT_EQ(first.string("transport"), "dot");
    EXPECT_FALSE(first.is_given("address"));
    EXPECT_EQ(s->tables("listener").back().string("address"), "::1");
    EXPECT_EQ(Error(first.refuse("port", "a free one", "853").error).what(),
              "edge.toml:3: listener[1].port: expected a free one, got 853");
    EXPECT_EQ(s->to_canonical(),
              "k = 2\nlistener = [{ address = \"\", port = 853, transport = \"dot\" }, "
              "{ address = \"::1\", port = 0, transport = \"udp\" }]\n");
    EXPECT_EQ(Settings::parse(s->to_canonical(), "e", listeners())->to_canonical(),
              s->to_canonical());
    EXPECT_TRUE(Settings::parse("", "e", listeners())->tables("listener").empty());
}

TEST(Settings, SaysInWhichRowAFaultIs) {
    EXPECT_EQ(row_error("[[listener]]\ntransport = 'dot'\n[[listener]]\nport = 70000\n"),
              "edge.toml:4: listener[2].port: expected 0 to 65535, got 70000");
    EXPECT_EQ(
        row_error("[[listener]]\nport = 1\n"),
        "edge.toml:1: listener[1].transport: expected one of udp, dot, got nothing: it has no "
        "default");
    EXPECT_EQ(row_error("[[listener]]\nprot = 1\n"),
              "edge.toml:2: listener[1].prot: expected a known setting (perhaps "
              "listener[1].port), got an unknown one");
    EXPECT_EQ(row_error("listener = 1"),
              "edge.toml:1: listener: expected tables of address, port, transport, got 1");
    EXPECT_EQ(row_error("listener = [1]"), "edge.toml:1: listener[1]: expected a table, got 1");
    EXPECT_EQ(row_error("", {"listener=[{transport='dns'}]"}),
              "--set: listener[1].transport: expected one of udp, dot, got \"dns\"");
    EXPECT_EQ(row_error("", {"listener=853"}),
              "--set: listener: expected tables of address, port, transport, got \"853\"");
    std::string many = "listener = [";
    for (std::size_t i = 0; i <= setting_rows_max; ++i) {
        many += "{},";
    }
    EXPECT_THAT(row_error(many + "]"), testing::HasSubstr("a longer list"));
}

TEST(Settings, ShowsRowsInItsHelpAndExample) {
    EXPECT_THAT(help_text(listeners()),
                testing::HasSubstr("[[listener]] port: Its port. 0 to 65535; default 0"));
    const std::string example = example_file(listeners());
    EXPECT_THAT(example, testing::EndsWith("# [[listener]]\n"
                                           "# address = \"\"  # Where. Takes a string.\n"
                                           "# port = 0  # Its port. Takes 0 to 65535.\n"
                                           "# transport = \"udp\"  # What. Takes one of udp, "
                                           "dot.\n"));
    EXPECT_TRUE(Settings::parse(example, "e", listeners())->tables("listener").empty());
    std::string active;
    for (std::size_t at = example.find("# [[listener]]"); at < example.size();) {
        const std::size_t end = example.find('\n', at);
        active += example.substr(at + 2, end - at - 1);
        at = end + 1;
    }
    const auto written = Settings::parse(active, "e", listeners());
    ASSERT_TRUE(written) << written.error().what() << active;
    EXPECT_EQ(written->tables("listener").size(), 1U);
}

RC_GTEST_PROP(SettingsLaw, CanonicalTextReadsBackAsItself, (std::string name, std::string text)) {
    for (std::string* each : {&name, &text}) {  // TOML is UTF-8
        std::ranges::for_each(*each, [](char& c) { c = static_cast<char>(c & 0x7f); });
    }
    const SettingTable rows{Setting::string("s", text, "x"),
                            Setting::strings("l", {text, name}, "")};
    const auto first = Settings::parse("", "f", rows);
    const auto again = Settings::parse(first->to_canonical(), "f", rows);
    RC_ASSERT(again.has_value());
    RC_ASSERT(again->string("s") == text);
    RC_ASSERT(again->to_canonical() == first->to_canonical());
}

rc::Gen<Json> any_json(int depth) {
    const auto leaf = rc::gen::oneOf(
        rc::gen::just(Json()),
        rc::gen::map(rc::gen::arbitrary<bool>(), [](bool b) { return Json(b); }),
        rc::gen::map(rc::gen::arbitrary<std::int64_t>(), [](std::int64_t i) { return Json(i); }),
        rc::gen::map(rc::gen::arbitrary<double>(), [](double d) { return Json(d); }),
        rc::gen::map(rc::gen::string<std::string>(), [](std::string s) {
            std::erase_if(s, [](char c) { return c < 0; });
            return Json(std::move(s));
        }));
    if (depth == 0) {
        return leaf;
    }
    return rc::gen::oneOf(
        leaf,
        rc::gen::map(rc::gen::container<std::vector<Json>>(any_json(depth - 1)),
                     [](std::vector<Json> v) { return Json::array(std::move(v)); }),
        rc::gen::map(rc::gen::container<std::vector<Json>>(any_json(depth - 1)),
                     [](std::vector<Json> v) {
                         Json object = Json::object();
                         for (std::size_t i = 0; i < v.size(); ++i) {
                             object.set("k" + std::to_string(i * 7 % 10), std::move(v[i]));
                         }
                         return object;
                     }));
}

RC_GTEST_PROP(JsonLaw, EachPrintReadsBackAsTheSameValue, ()) {
    const Json value = *rc::gen::resize(8, any_json(2)).as("value");
    for (const auto& text : {value.to_string(), value.to_string(JsonEscape::html_safe),
                             value.to_canonical(), value.to_pretty()}) {
        const auto read = Json::parse(text);
        RC_ASSERT(read.has_value());
        RC_ASSERT(*read == value);
        RC_ASSERT(read->to_canonical() == value.to_canonical());
    }
}

TEST(Json, PrintsInOrderOrSorted) {
    const auto json = Json::parse(R"( {"b":1,"a":[true,null,1.5,"x\u00e9\n"],"":{}} )");
    ASSERT_TRUE(json);
    EXPECT_EQ(json->to_string(), "{\"b\":1,\"a\":[true,null,1.5,\"x\xc3\xa9\\n\"],\"\":{}}");
    EXPECT_EQ(json->to_canonical(), "{\"\":{},\"a\":[true,null,1.5,\"x\xc3\xa9\\n\"],\"b\":1}");
    EXPECT_EQ(Json("<a&b>\xe2\x80\xa8").to_string(JsonEscape::html_safe),
              "\"\\u003ca\\u0026b\\u003e\\u2028\"");
    EXPECT_EQ(Json("a\xff").to_string(), "\"a\xef\xbf\xbd\"");
    EXPECT_EQ(Json(1.0).to_string(), "1.0");
    Json built = Json::object({{"version", 1}, {"names", Json::array({"a", true})}});
    built.set("version", 2).set("empty", Json());
    EXPECT_EQ(built.to_string(), R"({"version":2,"names":["a",true],"empty":null})");
}

TEST(Json, RefusesWhatIsAmbiguousOrTooDeepOrTooLong) {
    EXPECT_FALSE(Json::parse(R"({"a":1,"a":2})"));
    EXPECT_FALSE(Json::parse("1 2"));
    EXPECT_FALSE(Json::parse(""));
    EXPECT_FALSE(Json::parse("\"\xff\""));
    EXPECT_FALSE(Json::parse("1e999"));
    EXPECT_FALSE(Json::parse("[1,]"));
    EXPECT_TRUE(Json::parse(std::string(32, '[') + std::string(32, ']')));
    EXPECT_FALSE(Json::parse(std::string(33, '[') + std::string(33, ']')));
    EXPECT_FALSE(Json::parse(std::string(1'000'000, '[')));
    EXPECT_EQ(Json::parse("[1]", 2).error().code(), Code::exhausted);
}

TEST(Json, GivesMembersByKindOrSaysWhatWasWrong) {
    const auto json = Json::parse(R"({"s":"x","i":9223372036854775807,"b":false,"a":[1]})");
    ASSERT_TRUE(json);
    EXPECT_EQ(*json->string("s"), "x");
    EXPECT_EQ(*json->integer("i"), 9223372036854775807);
    EXPECT_FALSE(*json->boolean("b"));
    EXPECT_EQ(json->array_of("a")->size(), 1U);
    EXPECT_EQ(json->string("i").error().what(), "member 'i': expected a string, got an integer");
    EXPECT_EQ(json->string("z").error().what(), "member 'z': expected a string, got nothing");
    EXPECT_TRUE(Json::parse("18446744073709551615")->if_number());
    EXPECT_FALSE(Json::parse("18446744073709551615")->if_integer());
}

TEST(Csv, SplitsQuotedAndPlainFields) {
    std::vector<std::string> fields{"old", "old", "old", "old"};
    ASSERT_TRUE(split_csv("1,\"a,\"\"b\",\r", fields));
    EXPECT_THAT(fields, ElementsAre("1", "a,\"b", ""));
    ASSERT_TRUE(split_csv("", fields));
    EXPECT_THAT(fields, ElementsAre(""));
    EXPECT_EQ(split_csv("a,\"b", fields).error(), CsvError::unclosed_quote);
    EXPECT_THAT(fields, ElementsAre("a"));
    EXPECT_EQ(split_csv("\"b\"c", fields).error(), CsvError::text_after_quote);
    EXPECT_EQ(split_csv(std::string(70'000, 'a'), fields).error(), CsvError::line_too_long);
    EXPECT_EQ(split_csv(std::string(5'000, ','), fields).error(), CsvError::too_many_fields);
}

RC_GTEST_PROP(CsvLaw, QuotedFieldsComeBack, (const std::vector<std::string>& fields)) {
    RC_PRE(!fields.empty());
    std::string line;
    for (const auto& field : fields) {
        line += line.empty() ? "\"" : ",\"";
        for (const char c : field) {
            line += c == '"' ? "\"\"" : std::string(1, c);
        }
        line += '"';
    }
    std::vector<std::string> read;
    RC_ASSERT(split_csv(line, read).has_value());
    RC_ASSERT(read == fields);
}

TEST(Manual, HasEverySettingAndNothingThatRoffWouldObey) {
    const SettingTable table{
        Setting::string("a.key", "-x\"\\", ".first. Second with 'quotes'. And a third."),
        Setting::integer("n", 5, 1, 9, "seconds", "A number."),
    };
    const std::string page = manual_page(
        table, {.name = "x.toml", .program = "x", .section = 8, .version = "1", .file = "/x"});
    EXPECT_NE(
        page.find(".B a.key\n\\&.first.\nSecond with 'quotes'.\nAnd a third.\nTakes a string; "
                  "default \\(dq\\-x\\e\\(dq\\e\\e\\(dq.\n"),
        std::string::npos)
        << page;
    EXPECT_NE(page.find(".B n\nA number.\nTakes 1 to 9 seconds; default 5.\n"), std::string::npos);
}

TEST(Settings, AreReloadedWhereTheyMayBe) {
    const SettingTable table{
        Setting::string("lists.names", "a", "Names.").reloadable(),
        Setting::integer("workers", 1, 0, 64, "threads", "Threads."),
        Setting::strings("networks", {}, "Networks.").reloadable(),
    };
    const auto before = Settings::parse("workers = 2\n", "a.toml", table);
    const auto newer = Settings::parse("\nworkers = 3\nlists.names = \"b\"\nnetworks = [\"x\"]\n",
                                       "a.toml", table);
    ASSERT_TRUE(before.has_value() && newer.has_value());
    std::vector<std::string> kept;
    const Settings now = before->reloaded(*newer, table, kept);
    EXPECT_EQ(now.string("lists.names"), "b");
    EXPECT_EQ(now.place("lists.names"), "a.toml:3");
    EXPECT_EQ(now.strings("networks"), std::vector<std::string>{"x"});
    EXPECT_EQ(now.integer("workers"), 2);
    EXPECT_EQ(kept, std::vector<std::string>{"workers"});
    kept.clear();
    EXPECT_EQ(now.reloaded(*before, table, kept).string("lists.names"), "a")
        << "back to the default";
    EXPECT_TRUE(kept.empty());
    const std::string help = help_text(table);
    EXPECT_NE(help.find("default \"a\"; reloadable"), std::string::npos) << help;
    EXPECT_EQ(help.find("default 1; reloadable"), std::string::npos);
}

}  // namespace
}  // namespace tapir::text
