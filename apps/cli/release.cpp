
#include <fmt/format.h>
#include <unistd.h>

#include "commands.hpp"
#include "tapir/text/json.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/host.hpp"
#include "tapir/world/process.hpp"

namespace tapir::cli {
namespace {

constexpr std::size_t answer_size_max = 65'536;
// Whoever asks may be another user than the edge. Their folder lets in nobody else.
constexpr world::FileMode readable_by_the_edge = 0644;

// Who asks, for the ledger: not a proof, a note.
std::string who() {
    for (const auto& [name, value] : world::environment("")) {
        if (name == "SUDO_USER" || name == "LOGNAME") {
            return value;
        }
    }
    return fmt::format("uid {}", ::getuid());
}

}  // namespace

Result<std::string> release(const std::string& name, const ReleaseOptions& options) {
    if (options.why.empty()) {
        return fail(Code::invalid, "--why: expected the reason, which the ledger keeps");
    }
    world::SystemFiles files;
    world::SystemChance chance;
    const std::string folder = options.state + "/requests";
    const std::string id = to_hex(chance.bytes<8>());
    if (!files.exists(folder)) {
        return fail(Code::not_found,
                    fmt::format("{}: expected the folder that a running edge makes", folder));
    }
    const auto request = text::Json::object({{"by", who()}, {"name", name}, {"why", options.why}});
    TRY(files.write_atomically(fmt::format("{}/{}.json", folder, id),
                               as_bytes(request.to_pretty() + "\n"), readable_by_the_edge));
    const world::SystemClock clock;
    const auto stop = TRY(world::Stop::on_signals());
    const Duration until = clock.monotonic() + std::chrono::seconds(options.wait_s);
    do {
        for (const char* outcome : {"done", "refused"}) {
            const auto answer =
                files.read(fmt::format("{}/{}/{}.json", folder, outcome, id), answer_size_max);
            if (!answer) {
                continue;
            }
            const auto json = TRY(text::Json::parse(as_text(*answer)));
            const std::string said = TRY(json.string("outcome"));
            if (outcome == std::string_view("refused")) {
                return fail(Code::denied, said);
            }
            return fmt::format("{}: {}\n", name, said);
        }
        stop->wait_for(std::chrono::milliseconds(100));
    } while (clock.monotonic() < until && !stop->requested());
    return fmt::format(
        "{}: asked for ({}/{}.json); the edge looks each second, and the name leaves with the "
        "minute's batch\n",
        name, folder, id);
}

}  // namespace tapir::cli
