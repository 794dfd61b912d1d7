// The laws of the profile `standard`, over the whole twin.
#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "setup.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/privacy/threshold.hpp"
#include "tapir/products/histogram.hpp"
#include "tapir/products/new_qname.hpp"
#include "testing_frames.hpp"
#include "testing_tools.hpp"

namespace tapir::edge {
namespace {

using namespace testing;

// One run over frames; what it wrote.
struct Outcome {
    std::vector<products::NewQname> events;
    std::vector<std::pair<std::string, std::string>> files;
    std::vector<std::pair<std::string, std::string>> histograms;
    Duck::Rows rows;  // label0, label1, v4, v6, a, ok, hll are null
    text::Json report;
};

Outcome twin(const std::vector<Bytes>& frames, std::vector<std::string> sets = {},
             const std::string& well_known = {}) {
    const TemporaryFolder folder;
    const std::string out = folder / "out";
    write_text(folder / "in.fstrm", fstrm_of(frames));
    if (!well_known.empty()) {
        write_text(folder / "list.txt", well_known);
        sets.push_back("lists.well_known=" + folder / "list.txt");
    }
    run_twin({.captures = {folder / "in.fstrm"},
              .out = out,
              .single_interval = false,
              .version = "test"},
             sets);
    Outcome run;
    run.files = contents_of(out);
    run.report = read_json(out + "/report.json");
    for (const std::string& line : lines_of(read_text(out + "/events.jsonl"))) {
        const auto payload = crypto::parse_base64url(*text::Json::parse(line)->string("payload"));
        run.events.push_back(*products::NewQname::parse(as_text(*payload)));
    }
    for (const std::string& path : histograms_of(out)) {
        run.histograms.emplace_back(std::filesystem::path(path).filename().string(),
                                    read_text(path));
        Duck duck;
        const auto rows = duck.query(
            "SELECT concat_ws('.', label2, label1, label0), v4client_count, v6client_count, "
            "a_count, ok_count, v4client_count_hll IS NULL AND v6client_count_hll IS NULL, "
            "start_time FROM '" +
            path + "'");
        run.rows.insert(run.rows.end(), rows.begin(), rows.end());
    }
    return run;
}

std::vector<Bytes> asked_by(unsigned clients, const std::string& name, unsigned networks = 3) {
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < clients; ++i) {
        frames.push_back(frame_of({.name = name, .client = client_of(i, networks)}));
    }
    return frames;
}

void add(std::vector<Bytes>& to, const std::vector<Bytes>& from) {
    to.insert(to.end(), from.begin(), from.end());
}

bool is_anywhere(const Outcome& run, const std::string& what) {
    return std::ranges::any_of(run.files, [&what](const auto& file) {
        return file.second.find(what) != std::string::npos;
    });
}

// The threshold of a name on the twin's day.
unsigned threshold_of(privacy::Product product, const std::string& name) {
    const Day day(0, public_test_day_key());
    const privacy::Rule& rule = privacy::rule_for(product, privacy::Profile::standard);
    return privacy::draw_threshold(rule.threshold, day.gate->draw(product, name));
}

TEST(Standard, ReleasesTheRegisteredDomainAndNoMore) {
    // Whoever comes after the threshold is too few for what is below the domain.
    const unsigned t = threshold_of(privacy::Product::new_qname, "new-one.se.");
    const auto frames = asked_by(t + 9, "Secret-Host.WWW.new-one.se.");
    const Outcome run = twin(frames);
    ASSERT_EQ(run.events.size(), 1U);
    const products::NewQname& event = run.events.front();
    EXPECT_EQ(event.qname, "new-one.se.");
    EXPECT_EQ(event.qtype, 1);
    EXPECT_EQ(event.qclass, 1);
    EXPECT_EQ(event.flags, 0x8080) << "QR, RA and rcode only";
    EXPECT_EQ(event.timestamp, UtcTime::from_seconds(t0));
    EXPECT_TRUE(products::is_uuid(event.message_id));
    for (const char* word : {"secret", "Secret", "WWW"}) {
        EXPECT_FALSE(is_anywhere(run, word)) << word;
    }
}

TEST(Standard, ReleasesAHostThatManyAskForWithoutWhoseItIs) {
    auto frames = asked_by(200, "Annas-iPhone.LAN.new-one.se.");
    add(frames, asked_by(200, "my-home.dyndns.org."));
    const Outcome run = twin(frames);
    std::set<std::string> names;
    for (const products::NewQname& event : run.events) {
        names.insert(event.qname);
    }
    EXPECT_EQ(names, (std::set<std::string>{"new-one.se.", "*.lan.new-one.se.",
                                            "id--device.lan.new-one.se.", "dyndns.org.",
                                            "my-home.dyndns.org."}));
    for (const char* word : {"anna", "Anna", "iPhone", "iphone"}) {
        EXPECT_FALSE(is_anywhere(run, word)) << word;
    }
}

TEST(Standard, LeavesOutAnUncommonType) {
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < 100; ++i) {
        frames.push_back(
            frame_of({.name = "new-one.se.", .client = client_of(i), .qtype = dns::RrType::txt}));
    }
    const Outcome run = twin(frames);
    ASSERT_EQ(run.events.size(), 1U);
    EXPECT_FALSE(run.events.front().qtype);
}

TEST(Standard, NeverReleasesWhatNineClientsAskFor) {
    std::vector<Bytes> frames;
    for (int round = 0; round < 5; ++round) {
        for (int n = 0; n < 40; ++n) {
            add(frames, asked_by(9, "www.few-" + std::to_string(n) + ".se."));
            add(frames, asked_by(9, "listed-few-" + std::to_string(n) + ".se."));
        }
    }
    std::string list;
    for (int n = 0; n < 40; ++n) {
        list += "listed-few-" + std::to_string(n) + ".se\n";
    }
    const Outcome run = twin(frames, {}, list);
    EXPECT_TRUE(run.events.empty());
    EXPECT_TRUE(run.rows.empty());
    EXPECT_EQ(*run.report.find("rows")->integer("few_clients"), 40);
    EXPECT_FALSE(is_anywhere(run, "few-1"));
}

TEST(Standard, ReleasesARowFromItsThresholdOn) {
    std::string list;
    std::vector<Bytes> below;
    std::vector<Bytes> at;
    std::set<unsigned> thresholds;
    for (int n = 0; n < 30; ++n) {
        const std::string name = "listed-" + std::to_string(n) + ".se.";
        const unsigned t = threshold_of(privacy::Product::histogram, name);
        thresholds.insert(t);
        list += name + "\n";
        add(below, asked_by(t - 1, name));
        add(at, asked_by(t, name));
    }
    EXPECT_GT(thresholds.size(), 3U) << "thresholds differ";
    EXPECT_TRUE(twin(below, {}, list).rows.empty());
    const Outcome run = twin(at, {}, list);
    EXPECT_EQ(run.rows.size(), 30U);
    for (const auto& row : run.rows) {
        EXPECT_TRUE(row.at(1) == "10" || row.at(1) == "20") << row.at(1);
        EXPECT_EQ(row.at(2), "0");
        EXPECT_EQ(std::stoul(row.at(3)) % 10, 0U);
        EXPECT_EQ(row.at(5), "true") << "no sketch leaves";
    }
    EXPECT_TRUE(std::ranges::is_sorted(run.rows, {}, [](const auto& row) { return row.at(0); }));
}

// R5: a row goes whole from the minute to the ten minutes to the hour, and then nowhere.
TEST(Standard, ReleasesARowInTheNarrowestIntervalThatHasEnoughClients) {
    constexpr std::int64_t hour = t0 / 3600 * 3600;
    const auto ask = [](std::vector<Bytes>& frames, const std::string& name, unsigned clients,
                        std::int64_t length) {
        for (unsigned i = 0; i < clients; ++i) {
            frames.push_back(frame_of(
                {.name = name, .client = client_of(i), .time = hour + length * i / clients}));
        }
    };
    std::vector<Bytes> frames;
    ask(frames, "minute.se.", 45, 60);
    ask(frames, "ten.se.", 45, 600);
    ask(frames, "hour.se.", 45, 3600);
    ask(frames, "never.se.", 9, 3600);
    ask(frames, "not-listed.se.", 60, 3600);  // a frame each minute
    std::ranges::sort(frames, {}, [](const Bytes& frame) {
        return dnstap::ResponseFields::parse(frame)->response_time()->seconds();
    });
    const Outcome run = twin(frames, {}, "minute.se\nten.se\nhour.se\nnever.se\n");
    std::map<std::string, std::string> found;
    for (const auto& [file, content] : run.histograms) {
        EXPECT_EQ(content.size() % 4096, 0U) << file;
    }
    for (const auto& row : run.rows) {
        EXPECT_TRUE(found.emplace(row.at(0), row.at(3)).second) << row.at(0) << " twice";
    }
    EXPECT_EQ(found, (std::map<std::string, std::string>{
                         {"minute.se", "40"}, {"ten.se", "40"}, {"hour.se", "40"}}));
    std::set<std::string> lengths;
    for (const auto& [file, content] : run.histograms) {
        const auto interval = products::parse_histogram_file_name(file);
        lengths.insert(products::aggregate_interval(*interval).substr(20));
    }
    EXPECT_EQ(lengths, (std::set<std::string>{"/PT1M", "/PT10M", "/PT1H"}));
    EXPECT_EQ(run.histograms.size(), 60U + 6 + 1) << "each is sent, also when it is empty";
    EXPECT_EQ(*run.report.find("rows")->integer("few_clients"), 1);
    EXPECT_FALSE(is_anywhere(run, "never"));
}

TEST(Standard, NeverReleasesANameShortOfItsThreshold) {
    for (int n = 0; n < 10; ++n) {
        const std::string name = "name-" + std::to_string(n) + ".se.";
        const unsigned t = threshold_of(privacy::Product::new_qname, name);
        EXPECT_TRUE(twin(asked_by(t - 1, "www." + name)).events.empty());
        EXPECT_EQ(twin(asked_by(2 * t + 10, name)).events.size(), 1U);
    }
}

TEST(Standard, WantsThreeNetworks) {
    auto frames = asked_by(120, "new-one.se.", 2);
    add(frames, asked_by(120, "listed.se.", 2));
    const Outcome run = twin(frames, {}, "listed.se\n");
    EXPECT_TRUE(run.events.empty());
    EXPECT_TRUE(run.rows.empty());
    EXPECT_EQ(*run.report.find("rows")->integer("few_networks"), 1);
    const Outcome waived = twin(frames, {"single_site=true"}, "listed.se\n");
    EXPECT_EQ(waived.events.size(), 1U);
    EXPECT_EQ(waived.rows.size(), 1U);
}

TEST(Standard, NeverReleasesWhatIsNobodysBusiness) {
    std::vector<Bytes> frames;
    const std::vector<std::string> names{
        "printer.",         "host.local.", "4.3.2.1.in-addr.arpa.",    "x.onion.",
        "www.example.com.", "home.arpa.",  "a.b.no-such-suffix-here.", "co.uk."};
    for (const std::string& name : names) {
        add(frames, asked_by(100, name));
    }
    const Outcome run = twin(frames);
    EXPECT_TRUE(run.events.empty());
    const text::Json& withheld = *run.report.find("frames")->find("fates")->find("withheld");
    EXPECT_EQ(*withheld.integer("single_label"), 100);
    EXPECT_EQ(*withheld.integer("reverse"), 200);
    EXPECT_EQ(*withheld.integer("special_use"), 300);
    EXPECT_EQ(*withheld.integer("unlisted_suffix"), 100);
    EXPECT_EQ(*withheld.integer("is_suffix"), 100);
}

TEST(Standard, CountsNobodyFromOutside) {
    const Outcome run = twin(asked_by(100, "www.new-one.se."), {"client_networks=192.0.2.0/24"});
    EXPECT_TRUE(run.events.empty());
    EXPECT_EQ(
        *run.report.find("frames")->find("fates")->find("withheld")->integer("client_outside"),
        100);
}

TEST(Standard, CountsClientResponsesOnly) {
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < 100; ++i) {
        frames.push_back(frame_of({.name = "www.new-one.se.",
                                   .client = client_of(i),
                                   .type = dnstap::MessageType::resolver_response}));
    }
    EXPECT_TRUE(twin(frames).events.empty());
}

TEST(Standard, SendsABatchWithoutEventsToo) {
    const Outcome run = twin(asked_by(1, "www.new-one.se."));
    EXPECT_TRUE(run.events.empty());
    const auto batch = std::ranges::find_if(
        run.files, [](const auto& f) { return f.first == "batches/0000000000/new_qname.json"; });
    ASSERT_NE(batch, run.files.end());
    EXPECT_EQ(batch->second.size(), 4096U);
    ASSERT_EQ(run.histograms.size(), 1U);
    EXPECT_EQ(run.histograms.front().second.size() % 4096, 0U);
}

// Traffic over three minutes: listed and new names, both families, late and timeless frames.
std::vector<std::pair<std::int64_t, Bytes>> traffic() {
    std::mt19937 random(5);
    std::vector<std::pair<std::int64_t, Bytes>> frames;
    for (int i = 0; i < 6000; ++i) {
        const std::int64_t second = i / 40;
        FrameSpec spec;
        spec.name =
            (i % 3 == 0 ? "www.fresh-" : "listed-") + std::to_string(random() % 12) + ".se.";
        spec.client = client_of(static_cast<unsigned>(random() % 90));
        if (i % 5 == 0) {
            Bytes six(16, std::byte{0});
            six[0] = std::byte{0xfd};
            six[4] = static_cast<std::byte>(random() % 5);
            six[6] = static_cast<std::byte>(random() % 40);
            spec.client = six;
        }
        spec.time = t0 + second;
        spec.time = i % 97 == 0 ? std::nullopt : spec.time;
        if (i % 101 == 0) {
            spec.time = t0 + std::max<std::int64_t>(0, second - 30);
        }
        frames.emplace_back(second, frame_of(spec));
    }
    return frames;
}
std::string traffic_list() {
    std::string list;
    for (int i = 0; i < 12; ++i) {
        list += "listed-" + std::to_string(i) + ".se\n";
    }
    return list;
}
std::vector<Bytes> frames_of(const std::vector<std::pair<std::int64_t, Bytes>>& timed) {
    std::vector<Bytes> frames;
    for (const auto& [second, frame] : timed) {
        frames.push_back(frame);
    }
    return frames;
}

TEST(Standard, RepeatsItselfToTheOctet) {
    const auto frames = frames_of(traffic());
    const Outcome one = twin(frames, {}, traffic_list());
    EXPECT_TRUE(one.files == twin(frames, {}, traffic_list()).files);
    EXPECT_TRUE(one.files == twin(frames, {"workers=3"}, traffic_list()).files);
    EXPECT_TRUE(one.files == twin(frames, {"workers=0"}, traffic_list()).files) << "no thread";
    EXPECT_GE(one.histograms.size(), 3U);
    EXPECT_GT(one.rows.size(), 10U);
    EXPECT_GT(one.events.size(), 5U);
}

TEST(Standard, WritesTheSameHistogramsWhateverTheOrderWithinASecondOrTheWorkers) {
    auto timed = traffic();
    const Outcome one = twin(frames_of(timed), {}, traffic_list());
    for (unsigned workers = 2; workers <= 5; ++workers) {
        const Outcome many =
            twin(frames_of(timed), {"workers=" + std::to_string(workers)}, traffic_list());
        EXPECT_TRUE(one.histograms == many.histograms);
        EXPECT_EQ(one.events, many.events);
    }
    std::mt19937 random(11);
    for (auto at = timed.begin(); at != timed.end();) {
        const auto end = std::find_if(
            at, timed.end(), [second = at->first](const auto& f) { return f.first != second; });
        std::shuffle(at, end, random);
        at = end;
    }
    EXPECT_TRUE(one.histograms == twin(frames_of(timed), {"workers=2"}, traffic_list()).histograms);
}

// Each form in which an address could hide.
std::vector<std::string> forms_of(const Bytes& address, const std::string& text) {
    std::vector<std::string> forms{text, std::string(as_text(address)), to_hex(address)};
    for (std::size_t before = 0; before < 3; ++before) {
        Bytes shifted(before, std::byte{0});
        append(shifted, address);
        for (std::string code : {crypto::base64(shifted), crypto::base64url(shifted)}) {
            code = code.substr((before * 8 + 5) / 6);
            code = code.substr(0, (shifted.size() * 8) / 6 - (before * 8 + 5) / 6);
            forms.push_back(code);
        }
    }
    return forms;
}

TEST(Standard, NothingIdentifyingIsInAnythingThatItWrites) {
    Bytes planted6(16, std::byte{0});
    const Bytes head{std::byte{0xfd}, std::byte{0x12}, std::byte{0x9a},
                     std::byte{0x77}, std::byte{0x5b}, std::byte{0xe1}};
    std::ranges::copy(head, planted6.begin());
    planted6[15] = std::byte{0xd3};
    const Bytes planted4 = v4(10, 201, 93, 177);
    std::vector<Bytes> frames = frames_of(traffic());
    for (int n = 0; n < 12; ++n) {
        for (const Bytes& client : {planted4, planted6}) {
            frames.push_back(frame_of({.name = "www.fresh-" + std::to_string(n) + ".se.",
                                       .client = client,
                                       .time = t0 + 100}));
            frames.push_back(frame_of({.name = "listed-" + std::to_string(n) + ".se.",
                                       .client = client,
                                       .time = t0 + 100}));
            frames.push_back(frame_of({.name = "alice-phone.fresh-" + std::to_string(n) + ".se.",
                                       .client = client,
                                       .time = t0 + 100}));
        }
    }
    const Outcome run = twin(frames, {}, traffic_list());
    ASSERT_FALSE(run.events.empty());
    std::vector<std::string> forms = forms_of(planted4, "10.201.93.177");
    const auto more = forms_of(planted6, "fd12:9a77:5be1");
    forms.insert(forms.end(), more.begin(), more.end());
    forms.emplace_back("alice");
    forms.emplace_back(crypto::base64url(as_bytes("alice-")));
    for (const std::string& form : forms) {
        EXPECT_FALSE(is_anywhere(run, form)) << to_hex(as_bytes(form));
    }
    EXPECT_TRUE(is_anywhere(run, "offline.invalid")) << "the search can find";
}

}  // namespace
}  // namespace tapir::edge
