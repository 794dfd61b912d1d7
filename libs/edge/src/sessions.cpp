#include "sessions.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "session_leaf.hpp"
#include "session_table.hpp"
#include "setup.hpp"
#include "tapir/crypto/argon2.hpp"
#include "tapir/crypto/secret.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

constexpr Duration tidy_every = 60s;
constexpr std::string_view public_salt = "edm-kdf-salt-val";  // the existing minimiser's default
constexpr std::size_t key_size_short = 16;                    // octets
constexpr std::string_view folder_name = "/sessions";

// Whether a salt that everybody knows may be used.
enum class PublicSalt : std::uint8_t { refused, warned_of };

Result<crypto::Secret> read_words(const text::Settings& settings, world::Files& files) {
    const std::string& path = settings.string("sessions.cryptopan_key_file");
    if (path.empty()) {
        return fail(settings
                        .refuse("sessions.cryptopan_key_file",
                                "the path of a key file, as sessions.enabled is set", "nothing")
                        .error);
    }
    auto octets = world::read_secret(files, path, key_file_size_max);
    if (!octets) {
        return fail(
            settings
                .refuse("sessions.cryptopan_key_file", "a readable key file", octets.error().what())
                .error);
    }
    std::size_t size = octets->size();
    while (size > 0 &&
           ((*octets)[size - 1] == std::byte{'\n'} || (*octets)[size - 1] == std::byte{'\r'})) {
        --size;
    }
    auto words = crypto::Secret::copy_of(ByteView(*octets).first(size));
    crypto::wipe(*octets);
    if (words.size() == 0) {
        return fail(
            settings.refuse("sessions.cryptopan_key_file", "a key in the file", "nothing").error);
    }
    return words;
}

Result<void> check_salt(const text::Settings& settings, PublicSalt known, const Log& log) {
    const std::string& salt = settings.string("sessions.cryptopan_salt");
    if (salt.size() < crypto::argon2_salt_size_min) {
        return settings.refuse("sessions.cryptopan_salt", "at least 8 octets of your own",
                               salt.empty() ? "nothing" : fmt::format("{}", salt.size()));
    }
    if (salt != public_salt) {
        return {};
    }
    if (known == PublicSalt::refused) {
        return settings.refuse("sessions.cryptopan_salt",
                               "octets of your own: with a salt that everybody knows, one table of "
                               "likely keys opens the files of all",
                               "the public default of the existing minimiser");
    }
    log.warn("sessions", "sessions.cryptopan_salt is the public default of the existing minimiser");
    return {};
}

// Null: sessions are off.
Result<std::shared_ptr<const SessionSource>> open_source(const text::Settings& settings,
                                                         world::Files& files, PublicSalt known,
                                                         const Log& log) {
    if (!settings.boolean("sessions.enabled")) {
        return std::shared_ptr<const SessionSource>();
    }
    TRY(check_salt(settings, known, log));
    const crypto::Secret words = TRY(read_words(settings, files));
    if (words.size() < key_size_short) {
        log.warn("sessions",
                 "sessions.cryptopan_key_file is short: whoever gets a file can try keys out",
                 {{"octets", words.size()}});
    }
    auto key = client::CryptoPanKey::derive(words.bytes(),
                                            as_bytes(settings.string("sessions.cryptopan_salt")));
    if (!key) {
        return fail(std::move(key).error().at(
            fmt::format("{}: sessions", settings.place("sessions.enabled"))));
    }
    const auto message = session_message_named(settings.string("sessions.message"));
    TAPIR_ASSERT(message.has_value());
    return std::make_shared<const SessionSource>(
        SessionSource{.key = std::move(*key), .message = *message});
}

VaultSettings vault_settings(const text::Settings& settings) {
    return {.age_max = settings.duration("sessions.age_max"),
            .size_max = settings.size("sessions.size_max")};
}

SessionLimits limits_of(const text::Settings& settings) {
    return {.rows_max = static_cast<std::uint64_t>(settings.integer("sessions.rows_max")),
            .memory_max = settings.size("sessions.memory_max"),
            .single_interval = false};
}

// The same octets for the same day key: the twin has no chance.
class KeyedChance final : public world::Chance {
public:
    explicit KeyedChance(const client::DayKey& key) : key_(client::DayKey::from(key.reveal())) {}
    void fill(std::span<std::byte> out) override {
        for (std::size_t at = 0; at < out.size(); at += client::derived_key_size_max) {
            key_.derive(fmt::format("tapir twin sessions {}", calls_++),
                        out.subspan(at, std::min(out.size() - at, client::derived_key_size_max)));
        }
    }

private:
    client::DayKey key_;
    std::uint64_t calls_ = 0;
};

Result<void> write_minute(SessionVault& vault, const products::Interval& interval,
                          std::vector<SessionRows>&& blocks, const std::string& key_id) {
    const Bytes parquet = TRY(write_sessions(std::move(blocks), key_id));
    return vault.write(interval, parquet);
}

}  // namespace

text::SettingTable session_settings_table() {
    using text::Setting;
    return {
        Setting::boolean("sessions.enabled", false,
                         "Keep what is not well known as session files, sealed, on this machine."),
        Setting::choice("sessions.message", "without_ecs", {"none", "without_ecs", "full"},
                        "How much of the DNS message; without_ecs: not what says who asked."),
        Setting::path("sessions.cryptopan_key_file", "",
                      "File with the key of the clients' pseudonyms, of any length; mode 0600."),
        Setting::string("sessions.cryptopan_salt", "",
                        "Salt of that key, at least 8 octets; not the existing minimiser's "
                        "default."),
        Setting::duration("sessions.age_max", 72h, 48h, session_age_max,
                          "A UTC day's key is erased so long after the day began."),
        Setting::size("sessions.size_max", 1LL << 30, 1LL << 20, 1LL << 40,
                      "Octets of all session files; then the oldest day is erased."),
        Setting::integer("sessions.rows_max", 250'000, 1, 10'000'000, "rows",
                         "Rows of one minute; what comes beyond is dropped, counted."),
        Setting::size("sessions.memory_max", 64LL << 20, 1LL << 20, 1LL << 30,
                      "Octets of rows in memory; what comes beyond is dropped, counted."),
    };
}

Sessions::Sessions(Private /*only_open*/, const text::Settings& settings, const SessionPorts& ports)
    : settings_(settings),
      ports_(ports),
      recording_(ports.counters.gauge("tapir_edge_sessions_recording",
                                      "1 while sessions are recorded, else 0.")) {}

Sessions::~Sessions() {
    end();
}

Result<std::unique_ptr<Sessions>> Sessions::open(const text::Settings& settings, UtcTime now,
                                                 const SessionPorts& ports) {
    auto sessions = std::make_unique<Sessions>(Private{}, settings, ports);
    sessions->configured_ = TRY(open_source(settings, ports.files, PublicSalt::refused, ports.log));
    auto vault =
        SessionVault::open(ports.files, settings.string("state.dir") + std::string(folder_name),
                           vault_settings(settings), ports.chance, ports.log, ports.counters);
    if (!vault) {
        return settings.refuse("state.dir", "a folder with readable sessions, or none",
                               vault.error().what());
    }
    sessions->vault_ = std::move(*vault);
    sessions->tick(now);
    return sessions;
}

Consumer& Sessions::begin(Consumer& behind, Outbox& outbox, const LeafContext& context,
                          const Lists& lists, const SaltSource& salts, UtcTime now,
                          bool in_background) {
    source_.reset();
    if (!configured_) {
        return behind;
    }
    const SessionStart start{.time = now.minute(),
                             .message = configured_->message,
                             .age_max = settings_.duration("sessions.age_max"),
                             .key_id = configured_->key.id()};
    auto noted = session_leaf(start, context, lists, salts);
    if (auto kept = noted ? outbox.note(*noted) : Result<void>(fail(noted.error())); !kept) {
        ports_.log.error("sessions",
                         "sessions are not recorded: their start cannot be noted in the ledger",
                         {{"reason", kept.error().what()}});
        return behind;
    }
    ports_.log.warn(
        "sessions",
        "sessions are recorded: what is not well known is kept on this machine, "
        "clients under pseudonyms",
        {{"message", to_string(start.message)},
         {"hours", std::chrono::duration_cast<std::chrono::hours>(start.age_max).count()},
         {"key_id", start.key_id}});
    const auto write = [this, key_id = start.key_id](const products::Interval& interval,
                                                     std::vector<SessionRows>&& blocks) {
        return write_minute(*vault_, interval, std::move(blocks), key_id);
    };
    recorder_ = std::make_unique<SessionRecorder>(limits_of(settings_), write, in_background,
                                                  ports_.log, ports_.counters);
    tap_ = std::make_unique<SessionTap>(behind, *recorder_);
    source_ = configured_;
    recording_.set(1);
    return *tap_;
}

void Sessions::tick(UtcTime now) {
    if (tidied_ && now >= *tidied_ && now - *tidied_ < tidy_every) {
        return;
    }
    if (vault_->tidy(now)) {
        tidied_ = now;
    }
}

void Sessions::end() {
    if (recorder_) {
        recorder_->finish({});
        tap_.reset();
        recorder_.reset();
        source_.reset();
        recording_.set(0);
    }
}

bool Sessions::make_room() {
    return vault_->shed();
}

TwinSessions::~TwinSessions() = default;

Result<std::unique_ptr<TwinSessions>> TwinSessions::open(const text::Settings& settings,
                                                         const ProcessOptions& options,
                                                         const client::DayKey& key,
                                                         world::Files& files, const Log& log,
                                                         Counters& counters) {
    auto source = TRY(open_source(settings, files, PublicSalt::warned_of, log));
    if (!source) {
        return std::unique_ptr<TwinSessions>();
    }
    auto twin = std::make_unique<TwinSessions>(Private{});
    twin->source_ = std::move(source);
    twin->files_ = &files;
    twin->folder_ = options.out + std::string(folder_name);
    TRY(files.make_directories(twin->folder_));
    if (!options.sessions_plain) {
        twin->chance_ = std::make_unique<KeyedChance>(key);
        twin->vault_ = TRY(SessionVault::open(files, twin->folder_, vault_settings(settings),
                                              *twin->chance_, log, counters));
    }
    const auto write = [&self = *twin](const products::Interval& interval,
                                       std::vector<SessionRows>&& blocks) {
        auto written = self.write(interval, std::move(blocks));
        if (!written && self.result_) {
            self.result_ = fail(written.error());
        }
        return written;
    };
    SessionLimits limits = limits_of(settings);
    limits.single_interval = options.single_interval;
    twin->recorder_ = std::make_unique<SessionRecorder>(limits, write, false, log, counters);
    return twin;
}

Result<void> TwinSessions::write(const products::Interval& interval,
                                 std::vector<SessionRows>&& blocks) {
    const Bytes parquet = TRY(write_sessions(std::move(blocks), source_->key.id()));
    if (vault_) {
        return vault_->write(interval, parquet);
    }
    return files_->write_atomically(folder_ + "/" + session_file_name(interval), parquet,
                                    world::mode_private);
}

Consumer& TwinSessions::begin(Consumer& behind) {
    tap_ = std::make_unique<SessionTap>(behind, *recorder_);
    return *tap_;
}

Result<void> TwinSessions::finish(const std::optional<DataClock::Bounds>& bounds) {
    recorder_->finish(bounds);
    return result_;
}

}  // namespace tapir::edge
