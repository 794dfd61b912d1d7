// What the old settings point to: whether it can be used here, and what is left behind.
#include <set>
#include <utility>

#include <fmt/format.h>

#include "lists.hpp"
#include "setup.hpp"
#include "tapir/crypto/secret.hpp"
#include "tapir/edge/migrate.hpp"
#include "tapir/jose/jwk.hpp"

namespace tapir::edge {
namespace {

class Look {
public:
    Look(world::Files& files, std::vector<Remark>& remarks) : files_(files), remarks_(remarks) {}

    void key(const std::string& path);
    void names(const std::string& path, bool may_be_empty);
    void networks(const std::string& path);
    void state(const std::string& data_dir);

private:
    struct Count {
        std::size_t files = 0;
        std::uint64_t octets = 0;
    };
    void say(RemarkKind kind, const std::string& place, std::string what) {
        remarks_.push_back({.kind = kind, .place = place, .what = std::move(what)});
    }
    Count count(const std::string& folder, std::string_view prefix, std::string_view suffix) const;
    void left(const std::string& folder, std::string_view prefix, std::string_view suffix,
              std::string_view what, std::string_view advice);

    world::Files& files_;
    std::vector<Remark>& remarks_;
};

void Look::key(const std::string& path) {
    if (path.empty()) {
        return;
    }
    auto octets = files_.read(path, key_file_size_max);
    if (!octets) {
        say(RemarkKind::decision, path, "cannot be read: " + octets.error().what());
        return;
    }
    const auto parsed = jose::PrivateJwk::parse(as_text(*octets));
    crypto::wipe(*octets);
    if (!parsed) {
        say(RemarkKind::decision, path, "cannot be used as keys.signing: " + parsed.error().what());
        return;
    }
    auto guarded = world::read_secret(files_, path, key_file_size_max);
    if (!guarded) {
        say(RemarkKind::decision, path, guarded.error().what());
        return;
    }
    crypto::wipe(*guarded);
    say(RemarkKind::note, path, fmt::format("can be used as keys.signing: {}", parsed->kid()));
}

void Look::names(const std::string& path, bool may_be_empty) {
    if (path.empty()) {
        return;
    }
    const auto size = files_.size(path);
    if (size && *size == 0) {
        say(may_be_empty ? RemarkKind::note : RemarkKind::decision, path,
            may_be_empty ? "is empty: nothing is ignored"
                         : "is empty; the existing minimiser does "
                           "not start with it");
        return;
    }
    std::vector<ListFile> report;
    const auto index = load_names(files_, path, "list", {}, report);
    if (!index) {
        say(RemarkKind::decision, path, index.error().what());
        return;
    }
    say(RemarkKind::note, path,
        fmt::format("can be used as it is: {} entries", report.front().entries));
    if (report.front().inert > 0) {
        say(RemarkKind::warning, path,
            fmt::format("{} entries can match nothing, there and here", report.front().inert));
    }
}

void Look::networks(const std::string& path) {
    if (path.empty()) {
        return;
    }
    std::vector<ListFile> report;
    const auto set = load_networks(files_, path, report);
    if (!set) {
        say(RemarkKind::decision, path, set.error().what());
        return;
    }
    say(RemarkKind::note, path, fmt::format("can be used as it is: {} networks", set->size()));
}

Look::Count Look::count(const std::string& folder, std::string_view prefix,
                        std::string_view suffix) const {
    Count count;
    if (const auto found = files_.list(folder)) {
        for (const world::DirectoryEntry& entry : *found) {
            if (!entry.is_directory && entry.name.starts_with(prefix) &&
                entry.name.ends_with(suffix)) {
                ++count.files;
                count.octets += files_.size(folder + "/" + entry.name).value_or(0);
            }
        }
    }
    return count;
}

void Look::left(const std::string& folder, std::string_view prefix, std::string_view suffix,
                std::string_view what, std::string_view advice) {
    const Count found = count(folder, prefix, suffix);
    if (found.files > 0) {
        say(RemarkKind::decision, folder,
            fmt::format("{} {} ({} octets): {}", found.files, what, found.octets, advice));
    }
}

void Look::state(const std::string& data_dir) {
    if (!files_.exists(data_dir)) {
        say(RemarkKind::note, data_dir, "is not there: nothing is left behind");
        return;
    }
    const std::size_t before = remarks_.size();
    left(data_dir + "/parquet/histograms/outbox", "dns_histogram-", ".parquet",
         "histograms not sent yet",
         "counts from one client on, which here may leave under profile compatible only. Let the "
         "existing minimiser send them before it is stopped, or delete them");
    left(data_dir + "/parquet/histograms/outbox", "dns_histogram-", ".parquet.tmp",
         "histograms half written", "nobody will send them; delete them");
    left(data_dir + "/mqtt/queue", "queue", ".msg", "events not sent yet",
         "names at first sight, signed already. Let the existing minimiser send them, or delete "
         "them");
    left(data_dir + "/mqtt/queue", "", ".CORRUPT", "events that could not be read",
         "nobody will send them; delete them");
    left(data_dir + "/parquet/sessions", "dns_session_block-", ".parquet", "session files",
         "who asked for what, in pseudonyms, and kept for ever: delete them when they have served");
    left(data_dir + "/pebble", "", "", "files of names seen",
         "every name ever asked for. They are not read here: what was seen there is released "
         "again when enough clients ask for it. Delete them when the existing minimiser is gone");
    if (remarks_.size() == before) {
        say(RemarkKind::note, data_dir, "holds nothing that was left behind");
    }
}

}  // namespace

std::vector<Remark> look_at_files(const OldFiles& old, world::Files& files, bool with_state) {
    std::vector<Remark> remarks;
    Look look(files, remarks);
    look.key(old.signing_key);
    look.key(old.other_signing_key);
    look.names(old.well_known, false);
    look.names(old.ignored_names, true);
    look.networks(old.ignored_clients);
    if (with_state) {
        look.state(old.data_dir);
    }
    return remarks;
}

}  // namespace tapir::edge
