#include "site.hpp"

#include <array>
#include <optional>
#include <unordered_set>

#include <fmt/format.h>

#include "setup.hpp"
#include "tapir/edge/settings.hpp"
#include "tapir/privacy/form.hpp"
#include "tapir/world/files.hpp"

namespace tapir::utility {
namespace {

std::string text_of(ByteView octets) {
    return std::string(as_text(octets));
}

// Counts one query after the other.
class Counting {
public:
    Counting(const names::NameIndex& listed, const dns::PublicSuffixes& suffixes, Truth& truth)
        : listed_(listed), suffixes_(suffixes), truth_(truth) {}

    void count(const Query& query) {
        ++truth_.queries;
        clients_.insert(text_of(query.client.person()));
        networks_.insert(text_of(query.client.network()));
        const auto name = dns::Name::from_text(query.name);
        if (!name) {
            ++truth_.no_name;
            return;
        }
        folded_.assign(*name);
        if (const auto match = listed_.find(folded_)) {
            count_entry(query.time.seconds() / 60, static_cast<std::uint32_t>(match->id));
            return;
        }
        const auto labels = privacy::registered_domain_of(folded_, suffixes_);
        if (!labels) {
            ++truth_.never_released;
            return;
        }
        count_domain(dns::to_text(folded_.suffix(*labels)), query);
    }

    void finish() {
        end_minute();
        truth_.clients = clients_.size();
        truth_.networks = networks_.size();
    }

private:
    void count_entry(std::int64_t minute, std::uint32_t entry) {
        if (minute != minute_) {
            end_minute();
            minute_ = minute;
        }
        ++entries_[entry];
    }

    void end_minute() {
        if (entries_.empty()) {
            return;
        }
        std::vector<EntryCount>& counts = truth_.by_minute[minute_];
        for (const auto& [entry, queries] : entries_) {
            counts.push_back({.entry = entry, .queries = queries});
        }
        entries_.clear();
    }

    void count_domain(const std::string& text, const Query& query) {
        const auto [found, is_new] = truth_.domains.try_emplace(text);
        Domain& domain = found->second;
        if (is_new) {
            domain.first = query.time;
        }
        if (domain.clients.emplace(text_of(query.client.person()), query.time).second) {
            Domain::Family& family = query.client.is_v6 ? domain.v6 : domain.v4;
            ++family.clients;
            family.networks.insert(text_of(query.client.network()));
        }
    }

    const names::NameIndex& listed_;
    const dns::PublicSuffixes& suffixes_;
    Truth& truth_;
    dns::FoldedName folded_;
    std::unordered_set<std::string> clients_;
    std::unordered_set<std::string> networks_;
    std::int64_t minute_ = 0;                                   // the last with an entry
    std::unordered_map<std::uint32_t, std::uint32_t> entries_;  // of minute_
};

}  // namespace

Result<Site> Site::open(std::string_view list, std::string_view suffixes, bool single_site) {
    world::MemoryFiles files;
    TRY(files.make_directories("/lists"));
    TRY(files.write_atomically("/lists/names.txt", as_bytes(list)));
    TRY(files.write_atomically("/lists/suffixes.dat", as_bytes(suffixes)));
    const std::vector<std::string> sets = {"lists.well_known=/lists/names.txt",
                                           "lists.public_suffixes=/lists/suffixes.dat",
                                           fmt::format("single_site={}", single_site)};
    auto settings = TRY(text::Settings::parse("", "utility.toml", edge::settings_table(), sets));
    auto lists = TRY(edge::load_lists(files, settings, privacy::Profile::standard));
    return Site{.settings = std::move(settings), .lists = std::move(lists)};
}

std::size_t Domain::clients_at(UtcTime time) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        clients, [time](const auto& client) { return client.second < time; }));
}

bool Domain::has(std::size_t count, std::size_t networks) const {
    return std::ranges::any_of(std::array{&v4, &v6}, [&](const Family* family) {
        return family->clients >= count && family->networks.size() >= networks;
    });
}

Result<Truth> Truth::of(const Site& site, Source& source) {
    Truth truth;
    const auto& suffixes = site.lists->suffixes;
    if (!suffixes) {
        return fail(Code::invalid, "traffic: expected a public suffix list");
    }
    Counting counting(site.lists->well_known, *suffixes, truth);
    std::optional<UtcTime> before;
    Query query;
    while (source.next(query)) {
        if (before && (query.time < *before || query.time.day() != before->day())) {
            return fail(Code::invalid,
                        fmt::format("traffic: expected queries of one UTC day in ascending order "
                                    "of time, got {} after {}",
                                    query.time.to_string(), before->to_string()));
        }
        before = query.time;
        counting.count(query);
    }
    counting.finish();
    return truth;
}

}  // namespace tapir::utility
