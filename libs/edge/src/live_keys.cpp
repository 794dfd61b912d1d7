#include "live_keys.hpp"

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "tapir/crypto/secret.hpp"

namespace tapir::edge {
namespace {

constexpr std::size_t day_size = 8;  // octets of the day's number before the key
constexpr std::int64_t day_s = 86'400;
constexpr std::size_t consent_size_max = 65'536;
constexpr std::string_view temporary_mark = ".tmp-";  // world::Files::write_atomically

std::int64_t day_of(UtcTime time) {
    return time.seconds() / day_s;
}

// A crash while a key was written leaves a file beside it. It must not outlive its day: from a key
// follow all later ones.
Result<void> remove_leftovers(world::Files& files, const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash);
    const std::string left = path.substr(slash + 1) + std::string(temporary_mark);
    const auto found = files.list(folder);
    if (!found) {
        return {};  // no folder, no leftovers
    }
    for (const world::DirectoryEntry& entry : *found) {
        if (entry.name.starts_with(left)) {
            TRY(files.remove(folder + "/" + entry.name));
        }
    }
    return {};
}

}  // namespace

Result<void> write_day_key(world::Files& files, const std::string& path, const Day& day) {
    Bytes octets;
    octets.reserve(day_size + client::day_key_size);
    append_u64(octets, static_cast<std::uint64_t>(day.number));
    append(octets, day.key.reveal());
    auto written = files.write_atomically(path, octets, world::mode_private);
    crypto::wipe(octets);
    return written;
}

Result<DayKeys> open_day_keys(world::Files& files, const std::string& path, UtcTime now,
                              world::Chance& chance) {
    const std::int64_t today = day_of(now);
    TRY(remove_leftovers(files, path));
    if (!files.exists(path)) {
        auto octets = chance.bytes<client::day_key_size>();
        DayKeys keys(today, client::DayKey::from(octets));
        crypto::wipe(octets);
        TRY(write_day_key(files, path, *keys.current()));
        return keys;
    }
    Bytes octets = TRY(world::read_secret(files, path, day_size + client::day_key_size));
    if (octets.size() != day_size + client::day_key_size) {
        return fail(Code::corrupt, fmt::format("{}: expected {} octets, got {}", path,
                                               day_size + client::day_key_size, octets.size()));
    }
    ByteReader in(octets);
    const auto day = static_cast<std::int64_t>(in.u64());
    const ByteView key = in.bytes(client::day_key_size);
    if (day < 0 || day > today) {
        crypto::wipe(octets);
        return fail(Code::invalid,
                    fmt::format("{}: is of a day to come: is the clock right?", path));
    }
    DayKeys keys(day, client::DayKey::from(std::span<const std::byte, client::day_key_size>(key)));
    crypto::wipe(octets);
    if (day != today) {
        TRY(write_day_key(files, path, *keys.enter(today)));
    }
    return keys;
}

Result<std::int64_t> day_of_key(world::Files& files, const std::string& path) {
    Bytes octets = TRY(world::read_secret(files, path, day_size + client::day_key_size));
    ByteReader in(octets);
    const auto day = static_cast<std::int64_t>(in.u64());
    crypto::wipe(octets);
    if (in.failed()) {
        return fail(Code::corrupt, fmt::format("{}: too short", path));
    }
    return day;
}

Result<UtcTime> consent_end(world::Files& files, const std::string& path, UtcTime now) {
    const Bytes octets = TRY(files.read(path, consent_size_max));
    std::string_view line = as_text(octets);
    line = line.substr(0, line.find('\n'));
    while (line.ends_with('\r') || line.ends_with(' ')) {
        line.remove_suffix(1);
    }
    const auto given = UtcTime::parse(std::string(line) + "T00:00:00Z");
    if (!given || *given > now) {
        return fail(Code::invalid,
                    fmt::format("{}:1: expected a date that has come, like 2026-11-24", path));
    }
    return *given + std::chrono::seconds(consent_days * day_s);
}

}  // namespace tapir::edge
