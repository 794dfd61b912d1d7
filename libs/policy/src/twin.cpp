#include "tapir/policy/twin.hpp"

#include <algorithm>

#include "tapir/jose/jws.hpp"
#include "tapir/policy/engine.hpp"
#include "tapir/products/observation.hpp"
#include "tapir/rpz/zonefile.hpp"

namespace tapir::policy {
namespace {

// When a message says it was made, if it can be believed.
std::optional<UtcTime> time_of(std::string_view jws, const jose::KeySet& keys) {
    const auto unverified = jose::UnverifiedJws::parse(jws);
    if (!unverified) {
        return std::nullopt;
    }
    const auto verified = unverified->verify(keys);
    if (!verified) {
        return std::nullopt;
    }
    const auto observation = products::Observation::parse(verified->payload_text());
    return observation ? observation->timestamp : std::nullopt;
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
            lines.push_back(line);
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

}  // namespace

Result<BuildReport> build_zone(const Config& config, world::Files& files,
                               std::optional<UtcTime> now, const Log& log, Counters& counters,
                               const std::function<void(std::string_view)>& write) {
    BuildReport report;
    const auto store = store::open_memory(store_families());
    EngineSettings settings{.apex = config.apex,
                            .rules = config.rules,
                            .feed = config.feed,
                            .trusted_keys = config.trusted_keys};
    const auto engine = TRY(Engine::open(std::move(settings), *store, log, counters, UtcTime()));
    engine->set_lists(TRY(load_lists(config.lists, files)).lists);
    UtcTime clock;
    for (const std::string& path : config.feed_files) {
        const Bytes content = TRY(files.read(path, feed_file_size_max));
        for (const std::string_view line : lines_of(as_text(content))) {
            clock = std::max(clock, time_of(line, config.trusted_keys).value_or(clock));
            if (now && clock > *now) {
                clock = *now;  // later messages are from the future of the one who asks
            }
            ++report.messages;
            engine->expire(clock);
            report.refused += engine->take(line, "", clock) ? 0 : 1;
        }
    }
    report.now = now.value_or(clock);
    engine->expire(report.now);
    (void)engine->commit(report.now);
    if (engine->is_dirty()) {
        return fail(Code::internal, "the zone could not be put together");
    }
    const auto snapshot = engine->snapshot();
    report.rules = snapshot->zone.size();
    const auto seconds = std::clamp<std::int64_t>(report.now.seconds(), 1, 0xffff'ffffLL);
    rpz::write_zonefile(config.apex, snapshot->zone,
                        rpz::Serial(static_cast<std::uint32_t>(seconds)), write);
    return report;
}

}  // namespace tapir::policy
