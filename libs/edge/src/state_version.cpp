#include "state_version.hpp"

#include <charconv>

#include <fmt/format.h>

namespace tapir::edge {
namespace {

constexpr std::size_t file_size_max = 64;  // octets

Result<std::int64_t> read_version(world::Files& files, const std::string& path) {
    if (!files.exists(path)) {
        return 0;
    }
    const Bytes octets = TRY(files.read(path, file_size_max));
    std::string_view text = as_text(octets);
    while (text.ends_with('\n')) {
        text.remove_suffix(1);
    }
    std::int64_t version = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
    if (error != std::errc() || end != text.data() + text.size() || version < 1) {
        return fail(Code::corrupt, fmt::format("{}: expected a number from 1 on", path));
    }
    return version;
}

}  // namespace

Result<std::int64_t> enter_state(world::Files& files, const std::string& directory,
                                 const Log& log) {
    const std::string path = directory + "/version";
    const std::int64_t found = TRY(read_version(files, path));
    if (found > state_version) {
        return fail(Code::conflict,
                    fmt::format("{}: the state is of version {}, this program knows {} and would "
                                "destroy what it does not know; run the newer program, or begin "
                                "with an empty state.dir",
                                path, found, state_version));
    }
    if (found == state_version) {
        return found;
    }
    // From 0 to 1 nothing in the folder changes. A step to come stands here, before the number: it
    // must be possible to take it again, for a crash may fall before the number is written.
    TRY(files.make_directories(directory));
    TRY(files.write_atomically(path, as_bytes(fmt::format("{}\n", state_version))));
    log.info("state", "the state folder is of this version now",
             {{"from", found}, {"to", state_version}});
    return found;
}

}  // namespace tapir::edge
