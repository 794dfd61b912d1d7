// Days of session files: sealed, erased in time, and first to go when there is no room.
#include "session_vault.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "session_table.hpp"
#include "tapir/crypto/sealed.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t day_s = 86'400;
constexpr std::int64_t first_day = 20'717;  // 2026-09-21
const std::string content = "PAR1 not really PAR1";
const std::string dir = "/state/sessions";

UtcTime at(std::int64_t day, std::int64_t minute = 0) {
    return UtcTime::from_seconds(day * day_s + minute * 60);
}

products::Interval minute_of(std::int64_t day, std::int64_t minute) {
    return {.start = at(day, minute), .stop = at(day, minute + 1)};
}

// Refuses to remove, or to write, what begins like `refused`.
class RefusingFiles final : public world::MemoryFiles {
public:
    Result<void> remove(const std::string& path) override {
        if (!refused.empty() && path.starts_with(refused)) {
            return fail(Code::denied, path + ": Read-only file system");
        }
        return MemoryFiles::remove(path);
    }
    Result<void> write_atomically(const std::string& path, ByteView octets,
                                  world::FileMode mode) override {
        if (is_full) {
            return fail(Code::exhausted, path + ": No space left on device");
        }
        return MemoryFiles::write_atomically(path, octets, mode);
    }
    std::string refused;
    bool is_full = false;
};

class SessionVaultTest : public ::testing::Test {
protected:
    std::unique_ptr<SessionVault> open() {
        auto vault = SessionVault::open(files_, dir, settings_, chance_, log_, counters_);
        EXPECT_TRUE(vault.has_value()) << vault.error().what();
        return std::move(vault).take();
    }
    static Result<void> write(SessionVault& vault, std::int64_t day, std::int64_t minute,
                              std::string_view text = content) {
        return vault.write(minute_of(day, minute), as_bytes(text));
    }
    static std::string file(std::int64_t day, std::int64_t minute) {
        return dir + "/" + session_day_name(day) + "/" + session_file_name(minute_of(day, minute)) +
               ".sealed";
    }
    static std::string key(std::int64_t day) {
        return dir + "/keys/" + session_day_name(day) + ".key";
    }
    std::string opened(std::int64_t day, std::int64_t minute) {
        const auto octets = files_.read(key(day), 100);
        const auto sealed = files_.read(file(day, minute), 1U << 20U);
        EXPECT_TRUE(octets.has_value() && sealed.has_value());
        const auto day_key = crypto::parse_sealed_key(*octets);
        EXPECT_TRUE(day_key.has_value());
        EXPECT_EQ(crypto::SealedHeader::parse(*sealed)->day, static_cast<std::uint64_t>(day));
        const auto plain = crypto::open_sealed(*sealed, *day_key);
        EXPECT_TRUE(plain.has_value());
        return plain ? std::string(as_text(*plain)) : std::string();
    }
    std::int64_t erased(const std::string& reason) {
        return counters_.value("tapir_edge_session_days_erased_total{reason=\"" + reason + "\"}");
    }

    RefusingFiles files_;
    world::SeededChance chance_{3};
    std::string lines_;
    Log log_ = Log::to_string(lines_);
    Counters counters_;
    VaultSettings settings_;
};

TEST_F(SessionVaultTest, SealsEachMinuteUnderTheKeyOfItsDay) {
    const auto vault = open();
    ASSERT_TRUE(write(*vault, first_day, 1439, "last minute").has_value());
    ASSERT_TRUE(write(*vault, first_day + 1, 0, "first minute").has_value());
    ASSERT_TRUE(write(*vault, first_day, 1438, "late").has_value());
    EXPECT_EQ(opened(first_day, 1439), "last minute");
    EXPECT_EQ(opened(first_day + 1, 0), "first minute");
    EXPECT_EQ(opened(first_day, 1438), "late");
    EXPECT_NE(*files_.read(key(first_day), 100), *files_.read(key(first_day + 1), 100));
    EXPECT_EQ(files_.mode(key(first_day)).value(), world::mode_private);
    for (const auto& [day, minute] : {std::pair{first_day, 1439}, {first_day + 1, 0}}) {
        const Bytes sealed = *files_.read(file(day, minute), 1U << 20U);
        EXPECT_EQ(as_text(sealed).find("minute"), std::string_view::npos);
    }
    EXPECT_EQ(counters_.value("tapir_edge_session_days"), 2);
    EXPECT_EQ(counters_.value("tapir_edge_session_bytes"),
              static_cast<std::int64_t>(vault->size()));
}

TEST_F(SessionVaultTest, GoesOnUnderTheSameKeyAfterARestart) {
    ASSERT_TRUE(write(*open(), first_day, 1, "before").has_value());
    const auto vault = open();
    ASSERT_TRUE(write(*vault, first_day, 2, "after").has_value());
    EXPECT_EQ(opened(first_day, 1), "before");
    EXPECT_EQ(opened(first_day, 2), "after");
}

TEST_F(SessionVaultTest, ErasesADayBeforeAnyOfItsRowsIsTooOld) {
    settings_.age_max = 48h;
    const auto vault = open();
    ASSERT_TRUE(write(*vault, first_day, 0).has_value());
    ASSERT_TRUE(write(*vault, first_day + 1, 5).has_value());
    EXPECT_TRUE(vault->tidy(at(first_day + 2) - 1ns));
    EXPECT_TRUE(files_.exists(key(first_day)));
    EXPECT_TRUE(vault->tidy(at(first_day + 2)));
    EXPECT_FALSE(files_.exists(key(first_day)));
    EXPECT_FALSE(files_.exists(dir + "/" + session_day_name(first_day)));
    EXPECT_EQ(opened(first_day + 1, 5), content);
    EXPECT_EQ(erased("age"), 1);
}

TEST_F(SessionVaultTest, KeepsNothingLongerThanSevenDaysWhateverIsAskedFor) {
    settings_.age_max = 1000h;
    const auto vault = open();
    ASSERT_TRUE(write(*vault, first_day, 0).has_value());
    EXPECT_TRUE(vault->tidy(at(first_day + 7)));
    EXPECT_FALSE(files_.exists(key(first_day)));
}

TEST_F(SessionVaultTest, ErasesWhatCameDueWhileTheEdgeWasOff) {
    for (std::int64_t day = first_day; day < first_day + 4; ++day) {
        ASSERT_TRUE(write(*open(), day, 0).has_value());
    }
    const auto vault = open();
    EXPECT_TRUE(vault->tidy(at(first_day + 5)));  // 72 hours
    EXPECT_FALSE(files_.exists(key(first_day)));
    EXPECT_FALSE(files_.exists(key(first_day + 2)));
    EXPECT_TRUE(files_.exists(key(first_day + 3)));
    EXPECT_EQ(erased("age"), 3);
}

TEST_F(SessionVaultTest, ErasesDaysThatLieAheadOfTheClock) {
    const auto vault = open();
    ASSERT_TRUE(write(*vault, first_day + 1, 0).has_value());  // the clock may be a little slow
    ASSERT_TRUE(write(*vault, first_day + 400, 0).has_value());
    EXPECT_TRUE(vault->tidy(at(first_day)));
    EXPECT_TRUE(files_.exists(key(first_day + 1)));
    EXPECT_FALSE(files_.exists(key(first_day + 400)));
    EXPECT_EQ(erased("ahead"), 1);
}

TEST_F(SessionVaultTest, RemovesFilesThatNobodyCanReadAndKeysThatWereNeverWhole) {
    ASSERT_TRUE(write(*open(), first_day, 0).has_value());
    ASSERT_TRUE(files_.remove(key(first_day)).has_value());  // a crash right behind it
    ASSERT_TRUE(
        files_.write_atomically(key(first_day) + ".tmp-1", as_bytes(content), world::mode_private)
            .has_value());
    const auto vault = open();
    EXPECT_FALSE(files_.exists(key(first_day) + ".tmp-1"));
    EXPECT_TRUE(vault->tidy(at(first_day)));
    EXPECT_FALSE(files_.exists(file(first_day, 0)));
    EXPECT_EQ(vault->size(), 0U);
}

TEST_F(SessionVaultTest, RemovesTheKeyFirst) {
    const auto vault = open();
    ASSERT_TRUE(write(*vault, first_day, 0).has_value());
    files_.refused = file(first_day, 0);
    EXPECT_TRUE(vault->tidy(at(first_day + 3)));
    EXPECT_FALSE(files_.exists(key(first_day)));
    EXPECT_TRUE(files_.exists(file(first_day, 0)));
    files_.refused.clear();
    EXPECT_TRUE(vault->tidy(at(first_day + 3)));
    EXPECT_FALSE(files_.exists(file(first_day, 0)));
}

TEST_F(SessionVaultTest, SaysLoudlyThatAKeyCannotBeErasedAndTriesAgain) {
    const auto vault = open();
    ASSERT_TRUE(write(*vault, first_day, 0).has_value());
    files_.refused = key(first_day);
    EXPECT_TRUE(vault->tidy(at(first_day + 3)));
    EXPECT_NE(lines_.find("cannot be erased"), std::string::npos);
    EXPECT_EQ(counters_.value("tapir_edge_session_errors_total"), 1);
    EXPECT_TRUE(files_.exists(file(first_day, 0))) << "the key comes first";
    files_.refused.clear();
    EXPECT_TRUE(vault->tidy(at(first_day + 3)));
    EXPECT_FALSE(files_.exists(key(first_day)));
}

TEST_F(SessionVaultTest, GivesUpOldDaysForNewOnesButNotTheDayItWrites) {
    const std::string large(1'000, 'x');
    settings_.size_max = 2'500;
    const auto vault = open();
    ASSERT_TRUE(write(*vault, first_day, 0, large).has_value());
    ASSERT_TRUE(write(*vault, first_day + 1, 0, large).has_value());
    ASSERT_TRUE(write(*vault, first_day + 2, 0, large).has_value());
    EXPECT_FALSE(files_.exists(key(first_day)));
    ASSERT_TRUE(write(*vault, first_day + 2, 1, large).has_value());
    EXPECT_FALSE(files_.exists(key(first_day + 1)));
    EXPECT_EQ(erased("size"), 2);
    const auto refused = write(*vault, first_day + 2, 2, large);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), Code::exhausted);
    EXPECT_EQ(opened(first_day + 2, 0), large);
    EXPECT_EQ(opened(first_day + 2, 1), large);
    // A minute of the past never takes the place of a later one.
    EXPECT_FALSE(write(*vault, first_day + 1, 1, large).has_value());
    EXPECT_EQ(opened(first_day + 2, 1), large);
    EXPECT_LE(vault->size(), settings_.size_max);
}

TEST_F(SessionVaultTest, GivesWayOnAFullDisk) {
    const auto vault = open();
    ASSERT_TRUE(write(*vault, first_day, 0).has_value());
    ASSERT_TRUE(write(*vault, first_day + 1, 0).has_value());
    files_.is_full = true;
    EXPECT_EQ(write(*vault, first_day + 1, 1).error().code(), Code::exhausted);
    EXPECT_FALSE(files_.exists(key(first_day)));
    EXPECT_FALSE(write(*vault, first_day + 1, 1).has_value());
    EXPECT_TRUE(files_.exists(key(first_day + 1))) << "nothing older is left";
    EXPECT_TRUE(vault->shed());
    EXPECT_FALSE(files_.exists(key(first_day + 1)));
    EXPECT_FALSE(vault->shed());
    EXPECT_EQ(erased("disk_full"), 2);
    EXPECT_EQ(vault->size(), 0U);
    files_.is_full = false;
    ASSERT_TRUE(write(*vault, first_day + 1, 2, "again").has_value());
    EXPECT_EQ(opened(first_day + 1, 2), "again");
}

TEST_F(SessionVaultTest, NeverWritesUnderAKeyThatOthersCanReadOrThatIsNoKey) {
    ASSERT_TRUE(write(*open(), first_day, 0).has_value());
    files_.set_mode(key(first_day), 0644);
    EXPECT_EQ(write(*open(), first_day, 1).error().code(), Code::denied);
    ASSERT_TRUE(files_
                    .write_atomically(key(first_day), as_bytes(std::string_view("short\n")),
                                      world::mode_private)
                    .has_value());
    EXPECT_EQ(write(*open(), first_day, 1).error().code(), Code::corrupt);
    EXPECT_FALSE(files_.exists(file(first_day, 1)));
}

TEST(SessionDay, IsADateAndNothingElse) {
    EXPECT_EQ(session_day_name(first_day), "2026-09-21");
    EXPECT_EQ(parse_session_day("2026-09-21"), first_day);
    EXPECT_EQ(parse_session_day("1970-01-01"), 0);
    for (const char* word : {"", "keys", "2026-9-21", "2026-02-30", "2026-09-21x", "1969-12-31",
                             "2026-09-2\n", "../../etc/"}) {
        EXPECT_EQ(parse_session_day(word), std::nullopt) << word;
    }
}

}  // namespace
}  // namespace tapir::edge
