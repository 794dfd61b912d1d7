#include "reload.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "setup.hpp"
#include "tapir/world/process.hpp"

namespace tapir::edge {
namespace {

constexpr std::array<std::string_view, 4> list_kinds = {"well_known", "ignored_names",
                                                        "ignored_clients", "public_suffixes"};

Counter& outcomes(Counters& counters, std::string_view outcome) {
    return counters.counter("tapir_edge_reloads_total",
                            "Reloads of settings and lists, by what came of them.",
                            {{"outcome", std::string(outcome)}});
}

std::vector<std::string> watched(const SettingsSource& source, const text::Settings& settings) {
    std::vector<std::string> paths = {source.path};
    for (const std::string_view key : list_settings) {
        paths.push_back(settings.string(key));
    }
    const auto& threats = settings.strings("threats.lists");
    paths.insert(paths.end(), threats.begin(), threats.end());
    return paths;
}

bool is_replaced(const std::optional<world::FileStamp>& before,
                 const std::optional<world::FileStamp>& after) {
    return after && (!before || before->inode != after->inode);
}

}  // namespace

Reloader::Reloader(ReloadParts parts, text::Settings settings, privacy::Profile profile,
                   std::shared_ptr<const Lists> lists, Stamps stamps, UtcTime now)
    : parts_(std::move(parts)),
      profile_(profile),
      settings_(std::move(settings)),
      lists_(std::move(lists)),
      loaded_stamps_(std::move(stamps)) {
    for (const char* outcome : {"done", "unchanged", "refused"}) {
        outcomes(parts_.counters, outcome);
    }
    show(now);
}

Reloader::Stamps Reloader::look(world::Files& files, const SettingsSource& source,
                                const text::Settings& settings) {
    Stamps stamps;
    for (const std::string& path : watched(source, settings)) {
        auto stamp =
            path.empty() ? Result<world::FileStamp>(fail(Code::not_found, "")) : files.stamp(path);
        stamps.push_back(stamp ? std::optional(*stamp) : std::nullopt);
    }
    return stamps;
}

bool Reloader::is_due() {
    const Stamps now = look();
    looks_same_ = now == seen_stamps_ ? looks_same_ + 1 : 0;
    seen_stamps_ = now;
    if (is_requested_.exchange(false)) {
        return true;
    }
    unsigned needed = looks_at_replaced_file;
    for (std::size_t i = 0; i < now.size(); ++i) {
        if (now[i] != loaded_stamps_[i] && !is_replaced(loaded_stamps_[i], now[i])) {
            needed = looks_at_written_file;
        }
    }
    return now != loaded_stamps_ && looks_same_ >= needed;
}

std::shared_ptr<const Lists> Reloader::tick(UtcTime now) {
    std::erase_if(retired_, [](const auto& lists) { return lists.use_count() == 1; });
    if (loading_.valid()) {
        if (loading_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
            return nullptr;
        }
        return take(loading_.get(), now);
    }
    if (!is_due()) {
        return nullptr;
    }
    loaded_stamps_ = look();
    if (!parts_.in_background) {
        return take(load(), now);
    }
    loading_ = std::async(std::launch::async, [this] {
        world::lower_thread_priority();
        return load();
    });
    return nullptr;
}

Result<Reloader::Loaded> Reloader::load() const {
    Loaded loaded{.settings = settings_, .kept = {}, .lists = nullptr, .changed = {}};
    if (parts_.source.read) {
        const text::Settings newer = TRY(parts_.source.read());
        loaded.settings = settings_.reloaded(newer, settings_table(), loaded.kept);
    }
    loaded.lists = TRY(load_lists(parts_.files, loaded.settings, profile_, lists_.get()));
    const auto compare = [&](std::string_view kind, const names::NameIndex& former,
                             const names::NameIndex& latter) {
        const ListFile* const before = lists_->file(kind);
        const ListFile* const after = loaded.lists->file(kind);
        if ((before == nullptr ? "" : before->sha256) != (after == nullptr ? "" : after->sha256)) {
            loaded.changed.push_back({kind, names::difference(former, latter)});
        }
    };
    compare("well_known", lists_->well_known, loaded.lists->well_known);
    compare("ignored_names", lists_->ignored_names, loaded.lists->ignored_names);
    const names::NameIndex none;
    const auto threats_of = [&none](const Lists& lists, std::size_t i) -> const names::NameIndex& {
        return i < lists.threats.size() ? lists.threats[i].index : none;
    };
    for (std::size_t i = 0; i < threat_lists_max; ++i) {
        compare(threat_kinds.at(i), threats_of(*lists_, i), threats_of(*loaded.lists, i));
    }
    return loaded;
}

std::shared_ptr<const Lists> Reloader::take(Result<Loaded> loaded, UtcTime now) {
    const Stamps before = std::exchange(loaded_stamps_, {});
    const std::vector<std::string> paths = watched(parts_.source, settings_);
    if (!loaded) {
        loaded_stamps_ = before;
        outcomes(parts_.counters, "refused").add();
        parts_.log.error("reload", "refused: all settings and lists stay as they were",
                         {{"reason", loaded.error().what()}});
        return nullptr;
    }
    settings_ = loaded->settings;
    // Of a file that is named now and was not before, nothing is known yet.
    loaded_stamps_ = watched(parts_.source, settings_) == paths ? before : look();
    report(*loaded);
    if (loaded->lists->digests == lists_->digests && loaded->lists->shaping == lists_->shaping) {
        outcomes(parts_.counters, "unchanged").add();
        parts_.log.info("reload", "settings and lists are as they were");
        return nullptr;
    }
    retired_.push_back(std::exchange(lists_, std::move(loaded->lists)));
    outcomes(parts_.counters, "done").add();
    parts_.log.info("reload", "new lists count from the next minute on");
    show(now);
    return lists_;
}

void Reloader::report(const Loaded& loaded) const {
    for (const std::string& key : loaded.kept) {
        parts_.log.warn("reload", "a setting has changed that needs a restart",
                        {{"setting", key}, {"place", settings_.place(key)}});
    }
    for (const Changed& changed : loaded.changed) {
        const ListFile* const file = loaded.lists->file(changed.list);
        parts_.log.info("reload", "a list changes",
                        {{"list", changed.list},
                         {"added", changed.difference.added},
                         {"removed", changed.difference.removed},
                         {"kept", changed.difference.kept},
                         {"version", file == nullptr ? "none" : file->sha256}});
    }
}

// What counts, or will from the next minute on.
void Reloader::show(UtcTime now) {
    Counters& counters = parts_.counters;
    std::vector<std::string_view> kinds(list_kinds.begin(), list_kinds.end());
    threat_lists_shown_ = std::max(threat_lists_shown_, lists_->threats.size());
    kinds.insert(kinds.end(), threat_kinds.begin(), threat_kinds.begin() + threat_lists_shown_);
    for (const std::string_view kind : kinds) {
        const Counters::Labels labels = {{"list", std::string(kind)}};
        const ListFile* const file = lists_->file(kind);
        counters.gauge("tapir_edge_list_entries", "Entries of each list.", labels)
            .set(file == nullptr ? 0 : static_cast<std::int64_t>(file->entries));
        counters.info("tapir_edge_list_info", "Version of each list: the SHA-256 of its file.",
                      labels, "version", file == nullptr ? "none" : file->sha256);
    }
    counters.gauge("tapir_edge_lists_loaded_seconds", "When the lists were loaded, since 1970.")
        .set(now.seconds());
}

}  // namespace tapir::edge
