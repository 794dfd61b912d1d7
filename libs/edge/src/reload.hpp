// Lists, and settings that can change, while the edge runs.
//
//     Reloader reloader(parts, settings, profile, lists);
//     reloader.request();                                    // SIGHUP
//     if (auto next = reloader.tick(now)) {                  // each second
//         pipeline.change_lists(std::move(next));            // with the next minute
//     }
//
// It looks at the files each second: another file in the place of one is taken when it has been the
// same for a second, one that is written in place when it has for three. Then the settings file
// and all lists are read together, beside the work; all of it is taken, or nothing, and one bad
// line keeps what was there. What a new list changes is logged before it is used. A list whose
// octets are the same is not built anew. tick() is for one thread, request() for any.
#pragma once

#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lists.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/edge/settings.hpp"
#include "tapir/names/difference.hpp"
#include "tapir/privacy/table.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

// Looks, a second apart, for which files must have been the same.
inline constexpr unsigned looks_at_replaced_file = 1;
inline constexpr unsigned looks_at_written_file = 3;

struct ReloadParts {
    world::Files& files;
    const Log& log;
    Counters& counters;
    SettingsSource source;       // empty: settings never change, lists may
    bool in_background = false;  // false: tick() does all of it
};

class Reloader {
public:
    using Stamps = std::vector<std::optional<world::FileStamp>>;
    // Of the files that are watched.
    static Stamps look(world::Files& files, const SettingsSource& source,
                       const text::Settings& settings);

    // `lists` are what counts now, loaded by `settings` after the look that gave `stamps`.
    Reloader(ReloadParts parts, text::Settings settings, privacy::Profile profile,
             std::shared_ptr<const Lists> lists, Stamps stamps, UtcTime now);
    Reloader(const Reloader&) = delete;
    Reloader& operator=(const Reloader&) = delete;
    // Waits for what is being built.
    ~Reloader() = default;

    void request() { is_requested_ = true; }
    // The new lists, once; null if there are none, or they are the same.
    std::shared_ptr<const Lists> tick(UtcTime now);
    // As they are in force.
    const text::Settings& settings() const { return settings_; }

private:
    struct Changed {
        std::string_view list;
        names::Difference difference;
    };
    struct Loaded {
        text::Settings settings;
        std::vector<std::string> kept;  // settings that need a restart
        std::shared_ptr<const Lists> lists;
        std::vector<Changed> changed;
    };

    Stamps look() const { return look(parts_.files, parts_.source, settings_); }
    bool is_due();
    Result<Loaded> load() const;
    std::shared_ptr<const Lists> take(Result<Loaded> loaded, UtcTime now);
    void report(const Loaded& loaded) const;
    void show(UtcTime now);

    const ReloadParts parts_;
    const privacy::Profile profile_;
    text::Settings settings_;
    std::shared_ptr<const Lists> lists_;
    // Replaced, and perhaps still counting: given back here, not by who counts last.
    std::vector<std::shared_ptr<const Lists>> retired_;
    std::size_t threat_lists_shown_ = 0;  // once shown, a gauge stays
    std::atomic<bool> is_requested_{false};
    Stamps loaded_stamps_;                 // before the files were read
    Stamps seen_stamps_;                   // at the last look
    unsigned looks_same_ = 0;              // how often they have been as they are
    std::future<Result<Loaded>> loading_;  // last: it uses the others
};

}  // namespace tapir::edge
