#include "session_vault.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "session_table.hpp"
#include "tapir/crypto/sealed.hpp"

namespace tapir::edge {
namespace {

constexpr std::int64_t day_s = 86'400;
constexpr std::size_t day_name_size = 10;  // 2026-09-21
constexpr std::string_view key_suffix = ".key";
constexpr std::string_view sealed_suffix = ".sealed";

std::string_view to_string(SessionVault::Erased why) {
    switch (why) {
        case SessionVault::Erased::age:
            return "age";
        case SessionVault::Erased::ahead:
            return "ahead";
        case SessionVault::Erased::size:
            return "size";
        case SessionVault::Erased::disk_full:
            return "disk_full";
        case SessionVault::Erased::without_key:
            return "without_key";
    }
    return "age";
}

}  // namespace

std::string session_day_name(std::int64_t day) {
    return UtcTime::from_seconds(day * day_s).to_string().substr(0, day_name_size);
}

std::optional<std::int64_t> parse_session_day(std::string_view name) {
    if (name.size() != day_name_size) {
        return std::nullopt;
    }
    const auto time = UtcTime::parse(std::string(name) + "T00:00:00Z");
    if (!time || time->seconds() < 0) {
        return std::nullopt;
    }
    return time->seconds() / day_s;
}

SessionVault::SessionVault(Private /*only_open*/, world::Files& files, std::string directory,
                           const VaultSettings& settings, world::Chance& chance, const Log& log,
                           Counters& counters)
    : files_(files),
      directory_(std::move(directory)),
      settings_{.age_max = std::min(settings.age_max, session_age_max),
                .size_max = settings.size_max},
      chance_(chance),
      log_(log),
      errors_(counters.counter("tapir_edge_session_errors_total",
                               "Reads, writes and removals of session files that failed.")),
      days_shown_(
          counters.gauge("tapir_edge_session_days", "Days whose session files can be read.")),
      size_shown_(counters.gauge("tapir_edge_session_bytes", "Octets of session files.")) {
    for (std::size_t i = 0; i < erased_count; ++i) {
        erased_.at(i) = &counters.counter(
            "tapir_edge_session_days_erased_total", "Days of session files erased, by reason.",
            {{"reason", std::string(to_string(static_cast<Erased>(i)))}});
    }
}

Result<std::unique_ptr<SessionVault>> SessionVault::open(world::Files& files, std::string directory,
                                                         const VaultSettings& settings,
                                                         world::Chance& chance, const Log& log,
                                                         Counters& counters) {
    auto vault = std::make_unique<SessionVault>(Private{}, files, std::move(directory), settings,
                                                chance, log, counters);
    TRY(vault->load());
    return vault;
}

std::string SessionVault::key_path(Day day) const {
    return fmt::format("{}/keys/{}{}", directory_, session_day_name(day), key_suffix);
}

std::string SessionVault::folder(Day day) const {
    return fmt::format("{}/{}", directory_, session_day_name(day));
}

Result<void> SessionVault::load() {
    if (!files_.exists(directory_)) {
        return {};
    }
    for (const world::DirectoryEntry& found : TRY(files_.list(directory_))) {
        if (const auto day = parse_session_day(found.name); day && found.is_directory) {
            TRY(load_day(found.name, *day));
        }
    }
    if (files_.exists(directory_ + "/keys")) {
        TRY(load_keys());
    }
    show();
    return {};
}

Result<void> SessionVault::load_day(const std::string& name, Day day) {
    Files& files = days_[day];
    for (const world::DirectoryEntry& file : TRY(files_.list(directory_ + "/" + name))) {
        files.size += TRY(files_.size(fmt::format("{}/{}/{}", directory_, name, file.name)));
    }
    return {};
}

// What a crash left of a key that was being written is no key, and must not outlive its day.
Result<void> SessionVault::load_keys() {
    for (const world::DirectoryEntry& found : TRY(files_.list(directory_ + "/keys"))) {
        const std::string_view name = found.name;
        const auto day = parse_session_day(name.substr(0, day_name_size));
        if (day && name.substr(day_name_size) == key_suffix) {
            days_[*day].has_key = true;
        } else {
            TRY(files_.remove(fmt::format("{}/keys/{}", directory_, name)));
        }
    }
    return {};
}

// Of the day that is written, the key in memory; else the one on the disk, or a new one.
Result<const crypto::Secret*> SessionVault::key_of(Day day) {
    if (key_day_ == day) {
        return &key_;
    }
    const std::string path = key_path(day);
    crypto::Secret key;
    if (files_.exists(path)) {
        Bytes text = TRY(world::read_secret(files_, path, crypto::sealed_key_file_size));
        auto parsed = crypto::parse_sealed_key(text);
        crypto::wipe(text);
        if (!parsed) {
            return fail(std::move(parsed).error().at(path));
        }
        key = std::move(*parsed);
    } else {
        auto octets = chance_.bytes<crypto::sealed_key_size>();
        key = crypto::Secret::copy_of(octets);
        crypto::wipe(octets);
        Bytes text = crypto::print_sealed_key(key);
        TRY(files_.make_directories(directory_ + "/keys", 0700));
        auto written = files_.write_atomically(path, text, world::mode_private);
        crypto::wipe(text);
        TRY(std::move(written));
    }
    days_[day].has_key = true;
    key_ = std::move(key);
    key_day_ = day;
    return &key_;
}

Result<void> SessionVault::write(const products::Interval& interval, ByteView parquet) {
    const std::lock_guard lock(mutex_);
    const Day day = interval.start.seconds() / day_s;
    const std::uint64_t chunks = parquet.size() / crypto::sealed_chunk_size + 1;
    const std::uint64_t size =
        crypto::sealed_header_size + parquet.size() + chunks * crypto::sealed_tag_size;
    if (!make_room(day, size)) {
        return fail(Code::exhausted, fmt::format("{}: the day's files take all of the {} octets "
                                                 "that sessions may take",
                                                 directory_, settings_.size_max));
    }
    const auto attempt = [&]() -> Result<void> {
        const crypto::Secret* key = TRY(key_of(day));
        crypto::SealedHeader header{.day = static_cast<std::uint64_t>(day), .salt = {}};
        chance_.fill(header.salt);
        const Bytes sealed = crypto::seal(parquet, header, *key);
        TRY(files_.make_directories(folder(day)));
        const std::string path =
            fmt::format("{}/{}{}", folder(day), session_file_name(interval), sealed_suffix);
        const std::uint64_t before = files_.exists(path) ? TRY(files_.size(path)) : 0;
        TRY(files_.write_atomically(path, sealed));
        days_[day].size += sealed.size() - before;
        return {};
    };
    auto written = attempt();
    if (!written) {
        errors_.add();
        // The minute is lost; an older day makes room for those that come, and for all else.
        if (written.error().code() == Code::exhausted && !days_.empty() &&
            days_.begin()->first < day) {
            erase(days_.begin()->first, Erased::disk_full);
        }
    }
    show();
    return written;
}

// Older days give way, never the day itself.
bool SessionVault::make_room(Day day, std::uint64_t size) {
    while (size_locked() + size > settings_.size_max) {
        const auto oldest =
            std::ranges::find_if(days_, [day](const auto& entry) { return entry.first != day; });
        if (oldest == days_.end() || oldest->first > day || !erase(oldest->first, Erased::size)) {
            return false;
        }
    }
    return true;
}

bool SessionVault::tidy(UtcTime now) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) {
        return false;
    }
    const Day today = now.seconds() / day_s;
    std::vector<std::pair<Day, Erased>> due;
    for (const auto& [day, files] : days_) {
        const UtcTime began = UtcTime::from_seconds(day * day_s);
        if (now - began >= settings_.age_max) {
            due.emplace_back(day, Erased::age);
        } else if (day > today + 1) {
            due.emplace_back(day, Erased::ahead);
        } else if (!files.has_key) {
            due.emplace_back(day, Erased::without_key);
        }
    }
    for (const auto& [day, why] : due) {
        erase(day, why);
    }
    show();
    return true;
}

bool SessionVault::shed() {
    const std::lock_guard lock(mutex_);
    const bool is_shed = !days_.empty() && erase(days_.begin()->first, Erased::disk_full);
    show();
    return is_shed;
}

// The key first. True: nobody can read the day any more. Files that stay are tried again.
bool SessionVault::erase(Day day, Erased why) {
    const std::string key = key_path(day);
    Result<void> removed;
    if (files_.exists(key)) {
        removed = files_.remove(key);
    }
    if (!removed) {
        errors_.add();
        log_.error("sessions", "the key of a day of session files cannot be erased",
                   {{"day", session_day_name(day)}, {"reason", removed.error().what()}});
        return false;
    }
    if (key_day_ == day) {
        key_ = crypto::Secret();
        key_day_.reset();
    }
    if (days_[day].has_key) {
        days_[day].has_key = false;
        erased_.at(static_cast<std::size_t>(why))->add();
        log_.info("sessions", "a day of session files is erased",
                  {{"day", session_day_name(day)}, {"reason", to_string(why)}});
    }
    if (files_.exists(folder(day))) {
        const auto found = files_.list(folder(day));
        bool is_empty = found.has_value();
        if (found) {
            for (const world::DirectoryEntry& file : *found) {
                is_empty &= files_.remove(fmt::format("{}/{}", folder(day), file.name)).has_value();
            }
        }
        if (!is_empty || !files_.remove(folder(day))) {
            errors_.add();
            return true;  // tidy() finds a day without a key
        }
    }
    days_.erase(day);
    return true;
}

std::uint64_t SessionVault::size() const {
    const std::lock_guard lock(mutex_);
    return size_locked();
}

std::uint64_t SessionVault::size_locked() const {
    std::uint64_t size = 0;
    for (const auto& [day, files] : days_) {
        size += files.size;
    }
    return size;
}

void SessionVault::show() {
    std::int64_t readable = 0;
    for (const auto& [day, files] : days_) {
        readable += files.has_key ? 1 : 0;
    }
    days_shown_.set(readable);
    size_shown_.set(static_cast<std::int64_t>(size_locked()));
}

}  // namespace tapir::edge
