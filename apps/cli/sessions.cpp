#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "commands.hpp"
#include "tapir/base/time.hpp"
#include "tapir/crypto/sealed.hpp"

namespace tapir::cli {
namespace {

constexpr std::string_view sealed_suffix = ".sealed";
constexpr std::string_view key_suffix = ".key";
constexpr std::int64_t day_s = 86'400;
constexpr std::size_t day_name_size = 10;

std::string day_name(std::uint64_t day) {
    return UtcTime::from_seconds(static_cast<std::int64_t>(day) * day_s)
        .to_string()
        .substr(0, day_name_size);
}

std::string folder_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash);
}

// Where the edge keeps the key of a file that lies where the edge has put it.
std::string usual_key(const std::string& path, std::uint64_t day) {
    return fmt::format("{}/../keys/{}{}", folder_of(path), day_name(day), key_suffix);
}

}  // namespace

Result<std::string> decrypt_session(const std::string& path, const DecryptOptions& options) {
    world::SystemFiles files;
    const auto file = TRY(files.map(path));
    const auto header = crypto::SealedHeader::parse(file->bytes());
    if (!header) {
        return fail(Error(header.error()).at(path));
    }
    std::string out = options.out;
    if (out.empty()) {
        if (!path.ends_with(sealed_suffix)) {
            return fail(Code::invalid, fmt::format("{}: expected a name that ends in {}, or --out",
                                                   path, sealed_suffix));
        }
        out = path.substr(0, path.size() - sealed_suffix.size());
    }
    if (files.exists(out)) {
        return fail(Code::conflict, fmt::format("{}: is there already", out));
    }
    const std::string key_path = options.key.empty() ? usual_key(path, header->day) : options.key;
    auto key_octets = world::read_secret(files, key_path, crypto::sealed_key_file_size);
    if (!key_octets) {
        return fail(
            key_octets.error().code() == Code::not_found
                ? Error(Code::not_found, fmt::format("{}: no key of {}: the day has been erased",
                                                     key_path, day_name(header->day)))
                : std::move(key_octets).error());
    }
    const auto key = crypto::parse_sealed_key(*key_octets);
    crypto::wipe(*key_octets);
    if (!key) {
        return fail(Error(key.error()).at(key_path));
    }
    auto content = crypto::open_sealed(file->bytes(), *key);
    if (!content) {
        return fail(std::move(content).error().at(path));
    }
    auto written = files.write_atomically(out, *content, world::mode_private);
    const std::size_t size = content->size();
    crypto::wipe(*content);
    TRY(std::move(written));
    return fmt::format("{}: {} octets. It is not erased with its day: remove it yourself.\n", out,
                       size);
}

Result<std::string> list_sessions(const std::string& folder) {
    struct Day {
        bool has_key = false;
        std::uint64_t files = 0;
        std::uint64_t size = 0;
    };
    world::SystemFiles files;
    std::map<std::string, Day> days;
    for (const world::DirectoryEntry& entry : TRY(files.list(folder))) {
        if (!entry.is_directory || entry.name == "keys") {
            continue;
        }
        Day& day = days[entry.name];
        for (const auto& file : TRY(files.list(folder + "/" + entry.name))) {
            if (file.name.ends_with(sealed_suffix)) {
                ++day.files;
                day.size += TRY(files.size(fmt::format("{}/{}/{}", folder, entry.name, file.name)));
            }
        }
    }
    if (files.exists(folder + "/keys")) {
        for (const auto& entry : TRY(files.list(folder + "/keys"))) {
            if (entry.name.ends_with(key_suffix)) {
                days[entry.name.substr(0, entry.name.size() - key_suffix.size())].has_key = true;
            }
        }
    }
    std::string out = fmt::format("{:<12}{:>8}{:>16}  {}\n", "day", "files", "octets", "key");
    for (const auto& [name, day] : days) {
        out += fmt::format("{:<12}{:>8}{:>16}  {}\n", name, day.files, day.size,
                           day.has_key ? "there" : "erased");
    }
    return out;
}

}  // namespace tapir::cli
