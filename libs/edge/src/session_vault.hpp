// Session files on the disk: each sealed under the key of its UTC day, and gone with it.
//
//     auto vault = TRY(SessionVault::open(files, "state/sessions", settings, chance, parts));
//     TRY(vault->write(interval, parquet));
//     vault->tidy(now);                     // at the start and every minute: erases what is due
//     vault->shed();                        // the disk is full: the oldest day goes
//
//     sessions/keys/2026-09-21.key                                   0600: 64 hexadecimal digits
//     sessions/2026-09-21/dns_session_block-….parquet.sealed         crypto/sealed.hpp
//
// A day is erased by removing its key, and then its files; a crash between the two leaves files
// that nobody can read, and the next tidy() removes them. A day's key goes `age_max` after the day
// began, so that no row becomes older than that; at the latest after seven days. Beyond `size_max`
// the oldest day goes, but never the day that is being written: then the minute is dropped. Days
// that lie ahead of the clock are erased: nobody knows how old they are. Threads may share it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/crypto/secret.hpp"
#include "tapir/products/histogram.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

inline constexpr Duration session_age_max = std::chrono::hours(7 * 24);  // whatever is configured

struct VaultSettings {
    Duration age_max = std::chrono::hours(72);
    std::uint64_t size_max = 1ULL << 30U;  // octets, all days together
};

class SessionVault {
    struct Private {};

public:
    // Why a day was erased. Each value names a counter.
    enum class Erased : std::uint8_t { age, ahead, size, disk_full, without_key };
    static constexpr std::size_t erased_count = 5;

    // What lies in `directory` is taken stock of; nothing is erased yet. All must outlive it.
    static Result<std::unique_ptr<SessionVault>> open(world::Files& files, std::string directory,
                                                      const VaultSettings& settings,
                                                      world::Chance& chance, const Log& log,
                                                      Counters& counters);

    // Seals a file of one minute. Code::exhausted: it would not fit, or the disk is full; then an
    // older day goes, if there is one. A file of the same name is replaced.
    Result<void> write(const products::Interval& interval, ByteView parquet);
    // Erases what is due. False: somebody is writing, ask again soon.
    bool tidy(UtcTime now);
    // Makes room for what matters more: erases the oldest day, today too. False: there is none.
    bool shed();

    // Octets of all files.
    std::uint64_t size() const;

    // For open().
    SessionVault(Private /*only_open*/, world::Files& files, std::string directory,
                 const VaultSettings& settings, world::Chance& chance, const Log& log,
                 Counters& counters);

private:
    using Day = std::int64_t;  // since 1970-01-01
    struct Files {
        std::uint64_t size = 0;
        bool has_key = false;
    };

    Result<void> load();
    Result<void> load_keys();
    Result<void> load_day(const std::string& name, Day day);
    std::string key_path(Day day) const;
    std::string folder(Day day) const;
    Result<const crypto::Secret*> key_of(Day day);
    bool erase(Day day, Erased why);
    bool make_room(Day day, std::uint64_t size);
    std::uint64_t size_locked() const;
    void show();

    world::Files& files_;
    const std::string directory_;
    const VaultSettings settings_;
    world::Chance& chance_;
    const Log& log_;
    std::array<Counter*, erased_count> erased_{};
    Counter& errors_;
    Gauge& days_shown_;
    Gauge& size_shown_;
    mutable std::mutex mutex_;
    std::map<Day, Files> days_;
    std::optional<Day> key_day_;  // whose key is in memory
    crypto::Secret key_;
};

// "2026-09-21" and back.
std::string session_day_name(std::int64_t day);
std::optional<std::int64_t> parse_session_day(std::string_view name);
}  // namespace tapir::edge
