// Recording of sessions: what is in the files, what never is, and what gives way.
#include "sessions.hpp"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "live_keys.hpp"
#include "setup.hpp"
#include "tapir/edge/station.hpp"
#include "testing_frames.hpp"
#include "testing_sessions.hpp"

namespace tapir::edge {
namespace {

using namespace testing;
using namespace std::chrono_literals;

constexpr const char* own_salt = "sessions.cryptopan_salt=salt-of-our-own";

// --- the twin

struct Recorded {
    std::string file;  // of Parquet, empty if there is none
    Duck::Rows rows;   // of `columns`
};

Recorded record(const std::vector<Bytes>& frames, const std::vector<std::string>& more,
                const std::string& columns, const TemporaryFolder& folder) {
    const std::string out = folder / "out";
    std::filesystem::remove_all(out);
    write_text(folder / "a.fstrm", fstrm_of(frames));
    std::vector<std::string> sets = session_sets(folder, "words of the operator");
    sets.emplace_back(own_salt);
    sets.insert(sets.end(), more.begin(), more.end());
    run_twin({.captures = {folder / "a.fstrm"},
              .out = out,
              .single_interval = false,
              .sessions_plain = true,
              .version = "test"},
             sets);
    const auto files = session_files_of(out);
    if (files.empty()) {
        return {};
    }
    EXPECT_EQ(files.size(), 1U);
    Duck duck;
    return {.file = read_text(files.front()),
            .rows = duck.query("SELECT " + columns + " FROM read_parquet('" + files.front() +
                               "', file_row_number = true) ORDER BY file_row_number")};
}

Bytes with_options(const FrameSpec& spec, ByteView options) {
    dns::MessageWriter writer({.id = 7, .flags = spec.flags});
    EXPECT_TRUE(writer.add_question(*dns::Name::from_text(spec.name), spec.qtype, spec.qclass));
    EXPECT_TRUE(writer.add_opt(1232, dns::Rcode::noerror, false, options));
    return to_bytes(writer.view());
}

Bytes subnet_option(const Bytes& address) {
    Bytes out;
    append_u16(out, 8);
    append_u16(out, static_cast<std::uint16_t>(4 + address.size()));
    append_u16(out, address.size() == 4 ? 1 : 2);
    append_u8(out, static_cast<std::uint8_t>(8 * address.size()));
    append_u8(out, 0);
    append(out, address);
    return out;
}

TEST(Sessions, AreOffUnlessAskedFor) {
    const TemporaryFolder folder;
    const auto recorded =
        record({frame_of({.client = client_of(0)})}, {"sessions.enabled=false"}, "*", folder);
    EXPECT_TRUE(recorded.file.empty());
    EXPECT_FALSE(std::filesystem::exists(folder / "out/sessions"));
}

TEST(Sessions, HaveARowForEachResponseThatIsNotListedInEveryProfile) {
    for (const std::string profile : {"standard", "strict", "compatible"}) {
        SCOPED_TRACE(profile);
        const TemporaryFolder folder;
        write_text(folder / "known.txt", "known.se\n");
        write_text(folder / "ignored.txt", "ignored.se\n");
        const Bytes client = client_of(0);
        const std::vector<Bytes> frames = {
            frame_of({.name = "a.one.se.", .client = client}),
            frame_of({.name = "known.se.", .client = client}),
            frame_of({.name = "ignored.se.", .client = client}),
            frame_of({.name = "localhost.", .client = client}),         // never released
            frame_of({.name = "A.one.SE.", .client = v4(8, 8, 8, 8)}),  // not our client
            frame_of({.name = "a.one.se.", .client = client}),          // seen before
            frame_of({.name = "q.one.se.",
                      .client = client,
                      .type = dnstap::MessageType::client_query})};
        const auto recorded =
            record(frames,
                   {"release.profile=" + profile, "lists.well_known=" + folder / "known.txt",
                    "lists.ignored_names=" + folder / "ignored.txt"},
                   "label0, label1, label2, query_message, query_time", folder);
        const Duck::Rows expected = {{"se", "one", "a", "NULL", "NULL"},
                                     {"localhost", "NULL", "NULL", "NULL", "NULL"},
                                     {"SE", "one", "A", "NULL", "NULL"},
                                     {"se", "one", "a", "NULL", "NULL"}};
        EXPECT_EQ(recorded.rows, expected);
    }
}

TEST(Sessions, ShowAddressesOnlyInTheColumnsOfTheirFamily) {
    const TemporaryFolder folder;
    Bytes v6(16, std::byte{0x20});
    Bytes mapped = to_bytes(std::string(10, '\0') + "\xFF\xFF");
    append(mapped, client_of(0));
    const auto recorded = record(
        {frame_of({.client = client_of(0)}), frame_of({.client = v6}), frame_of({.client = mapped}),
         frame_of({.client = Bytes(5)}), frame_of({.client = {}})},
        {"release.profile=compatible"},
        "source_ipv4 IS NULL, source_ipv6_network, source_ipv6_host IS "
        "NULL, dest_ipv4, dns_protocol, source_port, dest_port",
        folder);
    ASSERT_EQ(recorded.rows.size(), 5U);
    EXPECT_EQ(recorded.rows[0][0], "false");
    EXPECT_EQ(recorded.rows[0][1], "NULL");
    EXPECT_EQ(recorded.rows[1][0], "true");
    EXPECT_NE(recorded.rows[1][1], "NULL");
    // As ::ffff:a.b.c.d of the IPv4 pseudonym.
    EXPECT_EQ(recorded.rows[2][1], "0");
    EXPECT_EQ(recorded.rows[2][2], "false");
    for (const std::size_t none : {3U, 4U}) {
        EXPECT_EQ(recorded.rows[none][0], "true");
        EXPECT_EQ(recorded.rows[none][1], "NULL");
    }
    for (const auto& row : recorded.rows) {
        EXPECT_EQ(row[3], "NULL");  // the frames show no server
        EXPECT_EQ(row[4], "1");
        EXPECT_EQ(row[5], "NULL");
    }
}

TEST(Sessions, KeepOfTheMessageWhatWasAskedFor) {
    const Bytes client = client_of(0);
    const Bytes message = with_options({.client = client}, subnet_option(client));
    Bytes broken = message;
    broken.pop_back();
    const std::vector<Bytes> frames = {frame_around({.client = client}, message),
                                       frame_around({.client = client}, broken)};
    const auto messages = [&frames](const std::string& mode) {
        const TemporaryFolder folder;
        return record(frames, {"sessions.message=" + mode}, "hex(response_message)", folder).rows;
    };
    const auto hex = [](Bytes octets) {
        std::string out = to_hex(octets);
        std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::toupper(c); });
        return out;
    };
    EXPECT_EQ(messages("full"), (Duck::Rows{{hex(message)}, {hex(broken)}}));
    Bytes cleared = message;
    std::fill(cleared.end() - 8, cleared.end(), std::byte{0});
    cleared[cleared.size() - 11] = std::byte{12};
    EXPECT_EQ(messages("without_ecs"), (Duck::Rows{{hex(cleared)}, {"NULL"}}));
    EXPECT_EQ(messages("none"), (Duck::Rows{{"NULL"}, {"NULL"}}));
}

// The texts that an address could be written as, and its octets both ways round.
std::vector<std::string> writings_of(const Bytes& address) {
    std::vector<std::string> all = {std::string(as_text(address)),
                                    std::string(as_text(Bytes(address.rbegin(), address.rend()))),
                                    to_hex(address)};
    if (address.size() == 4) {
        const auto octet = [&address](std::size_t i) {
            return std::to_string(std::to_integer<unsigned>(address[i]));
        };
        all.push_back(octet(0) + "." + octet(1) + "." + octet(2) + "." + octet(3));
        all.push_back(octet(3) + "." + octet(2) + "." + octet(1) + "." + octet(0));
    }
    return all;
}

TEST(Sessions, HoldNoPlantedAddressButUnderItsPseudonym) {
    const TemporaryFolder folder;
    std::vector<Bytes> frames;
    std::vector<Bytes> planted;
    for (unsigned i = 0; i < 500; ++i) {
        Bytes client = v4(172, 16 + i % 13, 77 + i % 101, 3 + i % 251);
        if (i % 2 == 1) {
            client = to_bytes(as_bytes(std::string_view("\x20\x01\x0d\xb8planted")));
            append_u8(client, static_cast<std::uint8_t>(i / 2));
            append_u32(client, 0xC0FFEE00U + i);
        }
        ASSERT_TRUE(client.size() == 4 || client.size() == 16);
        Bytes cookie;
        append_u16(cookie, 10);
        append_u16(cookie, static_cast<std::uint16_t>(client.size()));
        append(cookie, client);
        Bytes options = subnet_option(client);
        append(options, cookie);
        Bytes message =
            with_options({.name = "x" + std::to_string(i) + ".one.se.", .client = client}, options);
        append(message, client);  // behind the message
        frames.push_back(frame_around({.client = client}, message));
        planted.push_back(std::move(client));
    }
    const auto recorded = record(frames, {}, "*", folder);
    ASSERT_EQ(recorded.rows.size(), frames.size());
    // Decoded, every value of every column; and the pages themselves, unpacked or not.
    std::string all = recorded.file;
    for (const auto& row : recorded.rows) {
        for (const std::string& value : row) {
            all += value + "\n";
        }
    }
    Duck duck;
    for (const auto& row : duck.query("SELECT hex(response_message) FROM "
                                      "read_parquet('" +
                                      session_files_of(folder / "out").front() + "')")) {
        std::string lower = row[0];
        std::ranges::transform(lower, lower.begin(),
                               [](unsigned char c) { return std::tolower(c); });
        all += lower + "\n";
    }
    for (const Bytes& client : planted) {
        for (const std::string& text : writings_of(client)) {
            // An IPv4 address' four octets may be there by chance: whole texts are looked for.
            if (text.size() > 4) {
                ASSERT_EQ(all.find(text), std::string::npos) << to_hex(client);
            }
        }
    }
}

TEST(Sessions, ThatAreFullDoHoldThem) {
    // What the test above looks for would be found.
    const TemporaryFolder folder;
    const Bytes client = v4(172, 16, 77, 3);
    const auto recorded = record(
        {frame_around({.client = client}, with_options({.client = client}, subnet_option(client)))},
        {"sessions.message=full"}, "lower(hex(response_message))", folder);
    EXPECT_NE(recorded.rows.at(0).at(0).find(to_hex(client)), std::string::npos);
}

TEST(Sessions, SayWhichKeyMadeTheirPseudonymsAndNotTheKey) {
    const TemporaryFolder folder;
    const auto recorded = record({frame_of({.client = client_of(0)})}, {}, "*", folder);
    const auto key =
        client::CryptoPanKey::derive(as_bytes(std::string_view("words of the operator")),
                                     as_bytes(std::string_view("salt-of-our-own")));
    EXPECT_NE(recorded.file.find(key->id()), std::string::npos);
    EXPECT_EQ(recorded.file.find("words of the operator"), std::string::npos);
    EXPECT_EQ(recorded.file.find("salt-of-our-own"), std::string::npos);
}

TEST(Sessions, DropAndCountWhatIsOverTheirLimits) {
    const TemporaryFolder folder;
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < 100; ++i) {
        frames.push_back(
            frame_of({.name = "x" + std::to_string(i) + ".one.se.", .client = client_of(i)}));
    }
    const auto recorded = record(frames, {"sessions.rows_max=30"}, "label2", folder);
    ASSERT_EQ(recorded.rows.size(), 30U);
    EXPECT_EQ(recorded.rows.back().front(), "x29") << "the first are kept, whoever counts";
}

// --- what is refused at the start

TEST(Sessions, RefuseAKeyOrASaltThatProtectsNothing) {
    world::MemoryFiles files;
    ASSERT_TRUE(files.make_directories("/keys").has_value());
    const auto put = [&files](const std::string& path, std::string_view text, unsigned mode) {
        ASSERT_TRUE(files.write_atomically(path, as_bytes(text), mode).has_value());
    };
    put("/keys/good", "a key of enough octets\r\n", 0600);
    put("/keys/empty", "\n", 0600);
    put("/keys/open", "a key of enough octets\n", 0644);
    put("/keys/short", "short", 0600);
    const auto attempt = [&files](const std::string& key, const std::string& salt) {
        const std::vector<std::string> sets = {"sessions.enabled=true", "state.dir=/state",
                                               "sessions.cryptopan_key_file=" + key,
                                               "sessions.cryptopan_salt=" + salt};
        std::string lines;
        const Log log = Log::to_string(lines);
        world::SeededChance chance(1);
        Counters counters;
        const text::Settings settings = settings_of(sets);
        const auto opened = Sessions::open(settings, UtcTime(), {files, chance, log, counters});
        return opened ? "open " + lines : opened.error().what();
    };
    EXPECT_EQ(attempt("/keys/good", "eight888"), "open ");
    EXPECT_NE(attempt("/keys/short", "eight888").find("is short"), std::string::npos);
    EXPECT_NE(attempt("", "eight888").find("cryptopan_key_file: expected"), std::string::npos);
    EXPECT_NE(attempt("/keys/none", "eight888").find("readable key file"), std::string::npos);
    EXPECT_NE(attempt("/keys/empty", "eight888").find("a key in the file"), std::string::npos);
    EXPECT_NE(attempt("/keys/open", "eight888").find("readable key file"), std::string::npos);
    EXPECT_NE(attempt("/keys/good", "").find("at least 8 octets"), std::string::npos);
    EXPECT_NE(attempt("/keys/good", "seven77").find("at least 8 octets"), std::string::npos);
    EXPECT_NE(attempt("/keys/good", "edm-kdf-salt-val").find("public default"), std::string::npos);
}

// --- live

constexpr const char* live_text = R"(
lists.public_suffixes = "/lists/public_suffixes.dat"
keys.signing = "/keys/edge.jwk"
state.dir = "/state"
workers = 0
sessions.enabled = true
sessions.cryptopan_key_file = "/keys/cryptopan"
sessions.cryptopan_salt = "salt-of-our-own"
)";
const UtcTime noon = UtcTime::from_seconds(1'790'000'040);  // t0 of the frames, 2026-09-21

// A disk that is full for what is not a removal, as long as it holds session files.
class FullFiles final : public world::MemoryFiles {
public:
    Result<void> write_atomically(const std::string& path, ByteView octets,
                                  world::FileMode mode) override {
        if (!refused.empty() && path.find(refused) != std::string::npos &&
            (!is_freed_by_sessions || MemoryFiles::exists("/state/sessions/2026-09-21"))) {
            return fail(Code::exhausted, path + ": No space left on device");
        }
        return MemoryFiles::write_atomically(path, octets, mode);
    }
    std::string refused;
    bool is_freed_by_sessions = false;
};

class LiveSessionsTest : public ::testing::Test {
protected:
    LiveSessionsTest() {
        put("/lists/public_suffixes.dat", "// ===BEGIN ICANN DOMAINS===\nse\n");
        const crypto::Secret key = public_test_signing_key().to_json();
        put("/keys/edge.jwk", as_text(key.bytes()));
        put("/keys/cryptopan", "words of the operator\n");
        EXPECT_TRUE(files_.make_directories("/state").has_value());
        settings_ = text::Settings::parse(live_text, "edge.toml", settings_table(), {}).take();
    }
    void put(const std::string& path, std::string_view content) {
        ASSERT_TRUE(files_.make_directories(path.substr(0, path.rfind('/'))).has_value());
        ASSERT_TRUE(
            files_.write_atomically(path, as_bytes(content), world::mode_private).has_value());
    }
    std::unique_ptr<Station> open(bool in_background = false) {
        auto station = Station::open(*settings_, "test",
                                     {.clock = clock_,
                                      .files = files_,
                                      .chance = chance_,
                                      .store = *store_,
                                      .log = log_,
                                      .counters = counters_},
                                     {.writes_in_background = in_background});
        EXPECT_TRUE(station.has_value()) << station.error().what();
        return std::move(station).take();
    }
    // `minutes` with a frame each.
    void run(Station& station, int minutes) {
        for (int i = 0; i < minutes; ++i) {
            station.add(frame_of({.client = client_of(0), .time = clock_.now().seconds()}));
            clock_.advance(60s);
            station.tick();
        }
    }
    std::vector<std::string> session_files() {
        std::vector<std::string> all;
        if (const auto days = files_.list("/state/sessions")) {
            for (const auto& day : *days) {
                for (const auto& file : *files_.list("/state/sessions/" + day.name)) {
                    all.push_back(day.name + "/" + file.name);
                }
            }
        }
        return all;
    }
    std::vector<ledger::Leaf> leaves() {
        const auto key = public_test_signing_key();
        const auto ledger = EdgeLedger::open(files_, "/state/ledger", key);
        EXPECT_TRUE(ledger.has_value());
        std::vector<ledger::Leaf> all;
        for (std::uint64_t i = 0; i < (*ledger)->size(); ++i) {
            all.push_back(*(*ledger)->leaf(i));
        }
        return all;
    }
    std::int64_t dropped(const std::string& reason) {
        return counters_.value("tapir_edge_session_rows_dropped_total{reason=\"" + reason + "\"}");
    }

    FullFiles files_;
    world::ManualClock clock_{noon};
    world::SeededChance chance_{5};
    std::unique_ptr<store::Store> store_ = store::open_memory(store_families());
    std::string lines_;
    Log log_ = Log::to_string(lines_);
    Counters counters_;
    std::optional<text::Settings> settings_;
};

TEST_F(LiveSessionsTest, WriteASealedFileForEachMinuteThatHasRows) {
    const auto station = open();
    ASSERT_TRUE(station->begin().has_value());
    EXPECT_EQ(counters_.value("tapir_edge_sessions_recording"), 1);
    run(*station, 2);
    clock_.advance(180s);  // nothing is asked
    station->tick();
    run(*station, 1);
    station->end();
    EXPECT_EQ(counters_.value("tapir_edge_sessions_recording"), 0);
    const std::vector<std::string> expected = {
        "2026-09-21/dns_session_block-2026-09-21T14-14-00Z_2026-09-21T14-15-00Z.parquet.sealed",
        "2026-09-21/dns_session_block-2026-09-21T14-15-00Z_2026-09-21T14-16-00Z.parquet.sealed",
        "2026-09-21/dns_session_block-2026-09-21T14-19-00Z_2026-09-21T14-20-00Z.parquet.sealed",
        "keys/2026-09-21.key"};
    EXPECT_EQ(session_files(), expected);
    EXPECT_EQ(counters_.value("tapir_edge_session_rows_total"), 3);
    EXPECT_EQ(counters_.value("tapir_edge_session_files_total"), 3);
    EXPECT_EQ(lines_.find("words of the operator"), std::string::npos);
    EXPECT_EQ(lines_.find("salt-of-our-own"), std::string::npos);
}

TEST_F(LiveSessionsTest, NoteEachStartInTheLedger) {
    for (int i = 0; i < 2; ++i) {
        const auto station = open();
        ASSERT_TRUE(station->begin().has_value());
        run(*station, 2);
        station->end();
    }
    std::vector<std::uint64_t> starts;
    std::size_t batches = 0;
    const auto all = leaves();
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i].kind == "sessions") {
            starts.push_back(i);
            EXPECT_EQ(*all[i].members.string("message"), "without_ecs");
            EXPECT_EQ(*all[i].members.integer("age_max_s"), 72 * 3600);
            EXPECT_EQ(all[i].time, all[i].time.minute());
            EXPECT_TRUE(all[i].payloads.empty());
            EXPECT_NE(all[i].members.find("commitments")->find("pseudonym_key"), nullptr);
        } else {
            ++batches;
            EXPECT_FALSE(all[i].payloads.empty());
        }
    }
    ASSERT_EQ(starts.size(), 2U);
    EXPECT_EQ(starts.front(), 0U);
    EXPECT_GT(batches, 2U);
    // The batches lie where their leaves say, beside it.
    EXPECT_TRUE(files_.exists("/state/batches/0000000001/leaf.json"));
    EXPECT_FALSE(files_.exists("/state/batches/0000000000"));
}

TEST_F(LiveSessionsTest, AreNotRecordedWhereTheLedgerCannotSaySo) {
    const auto station = open();
    files_.refused = "/ledger/";
    ASSERT_TRUE(station->begin().has_value());
    EXPECT_EQ(counters_.value("tapir_edge_sessions_recording"), 0);
    EXPECT_NE(lines_.find("sessions are not recorded"), std::string::npos);
    files_.refused.clear();
    run(*station, 1);
    station->end();
    EXPECT_TRUE(session_files().empty());
    EXPECT_EQ(counters_.value("tapir_edge_frames_total{fate=\"pending\",reason=\"first_client\"}"),
              1)
        << "counting goes on";
}

TEST_F(LiveSessionsTest, AreErasedOnTimeAlsoWhereTheyAreOffByNow) {
    {
        const auto station = open();
        ASSERT_TRUE(station->begin().has_value());
        run(*station, 1);
    }
    ASSERT_FALSE(session_files().empty());
    settings_ = text::Settings::parse(live_text, "edge.toml", settings_table(),
                                      std::vector<std::string>{"sessions.enabled=false"})
                    .take();
    clock_.advance(48h);
    const auto station = open();
    ASSERT_TRUE(station->begin().has_value());
    EXPECT_FALSE(session_files().empty());
    clock_.advance(24h);
    station->tick();
    EXPECT_TRUE(session_files().empty());
}

TEST_F(LiveSessionsTest, LoseAMinuteThatTheDiskDoesNotTakeAndGoOn) {
    const auto station = open();
    ASSERT_TRUE(station->begin().has_value());
    files_.refused = "/sessions/";
    run(*station, 2);
    clock_.advance(60s);
    station->tick();
    files_.refused.clear();
    run(*station, 1);
    station->end();
    EXPECT_EQ(dropped("no_room"), 2);
    EXPECT_EQ(counters_.value("tapir_edge_session_rows_total"), 1);
    EXPECT_EQ(counters_.value("tapir_edge_batches_lost_total{reason=\"not_written\"}"), 0);
}

TEST_F(LiveSessionsTest, MakeRoomOnAFullDiskForWhatMustLeave) {
    const auto station = open();
    ASSERT_TRUE(station->begin().has_value());
    run(*station, 3);
    ASSERT_FALSE(session_files().empty());
    files_.refused = "/batches/";
    files_.is_freed_by_sessions = true;
    const auto before = leaves().size();
    run(*station, 1);
    EXPECT_GT(leaves().size(), before) << "the batch is in the outbox";
    EXPECT_EQ(counters_.value("tapir_edge_session_days_erased_total{reason=\"disk_full\"}"), 1);
}

TEST_F(LiveSessionsTest, AreWrittenByAThreadOfTheirOwnWithTheSameResult) {
    const auto station = open(true);
    ASSERT_TRUE(station->begin().has_value());
    run(*station, 5);
    station->end();
    EXPECT_EQ(counters_.value("tapir_edge_session_rows_total") + dropped("writer_behind"), 5);
    EXPECT_EQ(counters_.value("tapir_edge_session_files_total"),
              static_cast<std::int64_t>(session_files().size()) - 1);
}

// --- the recorder alone

SessionRows rows_of(Minute minute, std::size_t count, std::size_t size) {
    SessionRows rows;
    rows.minute = minute;
    for (std::size_t i = 0; i < count; ++i) {
        SessionRow row;
        row.start = static_cast<std::uint32_t>(rows.octets.size());
        row.name_size = 1;
        row.has_message = true;
        row.message_size = static_cast<std::uint32_t>(size);
        rows.octets.resize(rows.octets.size() + 1 + size);
        rows.rows.push_back(row);
    }
    return rows;
}

class SlowWriter {
public:
    Result<void> operator()(const products::Interval& /*interval*/,
                            std::vector<SessionRows>&& blocks) {
        std::unique_lock lock(mutex_);
        go_.wait(lock, [this] { return is_open_; });
        for (const SessionRows& block : blocks) {
            rows_ += block.rows.size();
        }
        return {};
    }
    void open() {
        const std::lock_guard lock(mutex_);
        is_open_ = true;
        go_.notify_all();
    }
    std::size_t rows() const { return rows_; }

private:
    std::mutex mutex_;
    std::condition_variable go_;
    bool is_open_ = false;
    std::size_t rows_ = 0;
};

TEST(SessionRecorder, NeverWaitsForADiskThatIsBehindNorTakesMoreMemoryThanItMay) {
    Counters counters;
    const Log log = Log::to_nowhere();
    SlowWriter writer;
    constexpr std::uint64_t memory_max = 1U << 20U;
    SessionRecorder recorder(
        {.rows_max = 1'000, .memory_max = memory_max},
        [&writer](const products::Interval& interval, std::vector<SessionRows>&& blocks) {
            return writer(interval, std::move(blocks));
        },
        true, log, counters);
    const auto put = [&recorder](SessionRows rows) {
        std::vector<SessionRows> blocks;
        blocks.push_back(std::move(rows));
        recorder.take(std::move(blocks));
    };
    constexpr Minute minutes = 100;
    std::size_t taken = 0;
    for (Minute minute = 1; minute <= minutes; ++minute) {  // the disk stands still
        recorder.begin_minute(minute);
        for (int i = 0; i < 5; ++i) {
            put(rows_of(minute, 10, 5'000));
            taken += 10;
        }
        recorder.end_minute(minute);
    }
    writer.open();
    recorder.finish({});
    const auto drops = [&counters](const std::string& reason) {
        return counters.value("tapir_edge_session_rows_dropped_total{reason=\"" + reason + "\"}");
    };
    EXPECT_GT(drops("memory_max") + drops("writer_behind"), 0);
    EXPECT_EQ(
        static_cast<std::int64_t>(writer.rows()) + drops("memory_max") + drops("writer_behind"),
        static_cast<std::int64_t>(taken));
    EXPECT_LE(writer.rows() * 5'000, memory_max);
    EXPECT_EQ(counters.value("tapir_edge_session_rows_total"),
              static_cast<std::int64_t>(writer.rows()));
}

TEST(SessionRecorder, GivesTheFirstMinuteWhatCameBeforeAnyTime) {
    Counters counters;
    const Log log = Log::to_nowhere();
    std::vector<std::pair<products::Interval, std::size_t>> written;
    SessionRecorder recorder(
        {},
        [&written](const products::Interval& interval,
                   std::vector<SessionRows>&& blocks) -> Result<void> {
            written.emplace_back(interval, blocks.size());
            return {};
        },
        false, log, counters);
    const auto put = [&recorder](SessionRows rows) {
        std::vector<SessionRows> blocks;
        blocks.push_back(std::move(rows));
        recorder.take(std::move(blocks));
    };
    put(rows_of(0, 1, 1));
    recorder.begin_minute(500);
    put(rows_of(500, 1, 1));
    recorder.begin_minute(501);
    recorder.end_minute(500);
    put(rows_of(501, 1, 1));
    recorder.finish({});
    ASSERT_EQ(written.size(), 2U);
    EXPECT_EQ(written[0].first,
              (products::Interval{.start = start_of(500), .stop = start_of(501)}));
    EXPECT_EQ(written[0].second, 2U);
    EXPECT_EQ(written[1].first.start, start_of(501));
}

}  // namespace
}  // namespace tapir::edge
