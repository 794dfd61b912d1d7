#include "tapir/edge/check.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "group_link.hpp"
#include "lists.hpp"
#include "live_keys.hpp"
#include "outlet.hpp"
#include "setup.hpp"
#include "tapir/crypto/certificate.hpp"
#include "tapir/crypto/secret.hpp"
#include "tapir/world/host.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t config_size_max = 1U << 20U;  // octets of a resolver's settings
constexpr std::uint64_t space_min = 100ULL << 20U;  // octets: less is too little to begin with
constexpr std::int64_t certificate_days_min = 14;
constexpr std::int64_t day_s = 86'400;
constexpr std::uint32_t others_write = 022;
constexpr std::uint32_t others_any = 07;
constexpr std::size_t socket_path_max = 107;  // octets, sockaddr_un

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

class Check {
public:
    Check(const text::Settings& settings, world::Files& files, const world::Clock& clock,
          const CheckOptions& options)
        : settings_(settings), files_(files), clock_(clock), options_(options) {}

    std::vector<Finding> all() {
        profile();
        clients();
        lists();
        keys();
        certificates();
        state();
        clock();
        inputs();
        where_it_goes();
        aggregation();
        resolvers();
        return std::move(findings_);
    }

private:
    void profile();
    void clients();
    void lists();
    void names(std::string_view key, bool is_wanted);
    void threats();
    void keys();
    void certificates();
    void state();
    void clock();
    void inputs();
    void unix_input(const std::string& path);
    void where_it_goes();
    void aggregation();
    void resolvers();
    void resolver(std::string_view name, const std::vector<std::string>& paths,
                  std::string_view word, const std::string& lines);

    void ok(std::string_view what, std::string why) {
        findings_.push_back({Verdict::ok, std::string(what), std::move(why)});
    }
    void warn(std::string_view what, std::string why, std::string mend) {
        findings_.push_back({Verdict::warn, std::string(what), std::move(why), std::move(mend)});
    }
    void failed(std::string_view what, std::string why, std::string mend) {
        findings_.push_back({Verdict::fail, std::string(what), std::move(why), std::move(mend)});
    }
    std::string setting(std::string_view key) const {
        return settings_.is_known(key) ? settings_.string(key) : std::string();
    }

    const text::Settings& settings_;
    world::Files& files_;
    const world::Clock& clock_;
    const CheckOptions& options_;
    std::vector<Finding> findings_;
};

void Check::profile() {
    const privacy::Profile wanted = profile_of(settings_);
    if (settings_.integer("workers") == 0) {
        failed("workers", "0: whoever reads would have to count as well", "set it to 1 or more");
    }
    if (settings_.integer("release.batch_s") != 60) {
        warn("release.batch_s", "is for the lab: batches tell more of when than they may",
             "leave it out where there are real users");
    }
    if (wanted != privacy::Profile::compatible) {
        ok("release.profile", std::string(privacy::to_string(wanted)));
        return;
    }
    const auto end = consent_end(files_, setting("release.consent"), clock_.now());
    if (!end || clock_.now() >= *end) {
        failed("release.profile",
               end ? "the consent to compatible has lapsed at " + end->to_string()
                   : "compatible without a consent: " + end.error().what(),
               "renew the date in release.consent, or choose standard, which the edge falls back "
               "to");
        return;
    }
    warn("release.profile",
         "compatible until " + end->to_string() + ": whole names and counts from one client leave",
         "choose standard as soon as the receiver can do with it");
}

void Check::clients() {
    const auto& words = settings_.strings("client_networks");
    if (const auto set = client::NetworkSet::from_words(words); !set) {
        failed("client_networks", set.error().what(), "write networks such as 192.0.2.0/24");
    } else if (!settings_.is_given("client_networks")) {
        warn("client_networks", "is not set: clients with public addresses count for nothing",
             "name the networks of this resolver's clients");
    } else if (set->is_empty()) {
        failed("client_networks", "is empty: no client counts", "name the clients' networks");
    } else {
        ok("client_networks", fmt::format("{} networks", words.size()));
    }
}

void Check::names(std::string_view key, bool is_wanted) {
    const std::string path = setting(key);
    if (path.empty()) {
        if (is_wanted) {
            warn(key, "is not set: no histogram is made", "name a list of well-known names");
        }
        return;
    }
    std::vector<ListFile> report;
    if (const auto index = load_names(files_, path, std::string(key), {}, report); !index) {
        failed(key, index.error().what(), "mend the list, or name another file");
        return;
    }
    const ListFile& file = report.front();
    ok(key, fmt::format("{} entries, sha256 {:.16}", file.entries, file.sha256));
    if (file.inert > 0) {
        warn(key, fmt::format("{} entries can match nothing", file.inert),
             "tapir list compile shows how names are written");
    }
}

void Check::lists() {
    names("lists.well_known", true);
    names("lists.ignored_names", false);
    threats();
    std::vector<ListFile> report;
    if (const std::string path = setting("lists.ignored_clients"); !path.empty()) {
        if (const auto set = load_networks(files_, path, report); !set) {
            failed("lists.ignored_clients", set.error().what(), "one network a line");
        } else {
            ok("lists.ignored_clients", fmt::format("{} networks", set->size()));
        }
    }
    if (const auto suffixes = load_suffixes(files_, setting("lists.public_suffixes"), report);
        !suffixes) {
        failed("lists.public_suffixes", suffixes.error().what(),
               "install the package publicsuffix");
    } else {
        ok("lists.public_suffixes", setting("lists.public_suffixes"));
    }
}

void Check::threats() {
    constexpr std::string_view key = "threats.lists";
    if (settings_.strings(key).empty()) {
        return;
    }
    Lists lists;
    if (const auto loaded = load_threats(files_, settings_, nullptr, lists); !loaded) {
        failed(key, loaded.error().what(), "mend the list, name another file, or pin this one");
        return;
    }
    for (const ListFile& file : lists.files) {
        ok(key, fmt::format("{} entries, sha256 {:.16}", file.entries, file.sha256));
    }
    if (!has_threat_exception(settings_, profile_of(settings_))) {
        return;
    }
    warn("threat_exception", "is on: registered domains of suspects leave below their threshold",
         settings_.strings("threats.pin").empty()
             ? "pin the lists (threats.pin): until then three networks must have asked"
             : "leave it out where that is not wanted");
}

void Check::keys() {
    if (const auto key = signing_key(files_, settings_, KeyFiles::guarded); !key) {
        failed(
            "keys.signing", key.error().what(),
            "make one with: tapir-edge new-key PATH; only the edge's user may read it (chmod 600)");
    } else {
        ok("keys.signing", "Ed25519, kid " + key->kid());
    }
    for (const std::string_view key : key_file_settings) {
        if (setting(key).empty()) {
            continue;
        }
        if (const auto usable = guarded_key_file(files_, settings_, key); !usable) {
            failed(key, usable.error().what(), "a PEM key that only the edge's user may read");
        } else {
            ok(key, "a private key, guarded");
        }
    }
}

void Check::certificates() {
    for (const std::string_view key :
         {"core.cert", "mqtt.cert", "input.tls_cert", "aggregation.cert"}) {
        const std::string path = setting(key);
        if (path.empty()) {
            continue;
        }
        const auto pem = files_.read(path, config_size_max);
        const auto end =
            pem ? crypto::certificate_end(as_text(*pem)) : Result<UtcTime>(fail(pem.error()));
        if (!end) {
            failed(key, path + ": " + end.error().what(), "name a readable certificate (PEM)");
            continue;
        }
        const std::int64_t days = (end->seconds() - clock_.now().seconds()) / day_s;
        if (*end <= clock_.now()) {
            failed(key, "has ended at " + end->to_string(), "renew it");
        } else if (days < certificate_days_min) {
            warn(key, fmt::format("ends in {} days, at {}", days, end->to_string()), "renew it");
        } else {
            ok(key, "valid until " + end->to_string());
        }
    }
}

void Check::state() {
    const std::string path = setting("state.dir");
    const auto owner = world::file_owner(path);
    if (!owner) {
        const auto parent = world::file_owner(folder_of(path));
        if (owner.error().code() == Code::not_found && parent) {
            ok("state.dir", path + " is not there yet and will be made");
        } else {
            failed("state.dir", owner.error().what(), "make it, for the edge's user alone");
        }
        return;
    }
    const std::string mend = fmt::format("chown tapir-edge: {0}; chmod 700 {0}", path);
    if (owner->user != world::own_user() && world::own_user() != 0) {
        failed("state.dir", path + " is another user's", mend);
    } else if ((owner->mode & (others_write | others_any)) != 0) {
        failed("state.dir",
               fmt::format("{} has mode {:o}: others can get at it", path, owner->mode), mend);
    } else {
        ok("state.dir", fmt::format("{}, mode {:o}", path, owner->mode));
    }
    const auto space = world::disk_space(path);
    const std::size_t wanted = settings_.size("outbox.size_max");
    if (!space) {
        failed("disk space", space.error().what(), "");
    } else if (space->free < space_min) {
        failed("disk space", fmt::format("{} MiB free", space->free >> 20U), "make room");
    } else if (space->free < wanted) {
        warn("disk space",
             fmt::format("{} MiB free, less than outbox.size_max", space->free >> 20U),
             "make room, or set outbox.size_max lower");
    } else {
        ok("disk space", fmt::format("{} MiB free", space->free >> 20U));
    }
}

void Check::clock() {
    const UtcTime year_2024 = UtcTime::from_seconds(1'704'067'200);
    if (clock_.now() < year_2024) {
        failed("clock", "says " + clock_.now().to_string(), "set it");
        return;
    }
    const std::string day_key = day_key_path(settings_);
    if (const auto day = day_of_key(files_, day_key);
        day && *day > clock_.now().seconds() / day_s) {
        failed("clock", "the day's key is of a day to come", "set the clock");
        return;
    }
    if (!world::clock_is_synchronised()) {
        warn("clock", "nobody keeps it right (adjtimex)",
             "run chrony, ntpsec or systemd-timesyncd; the core refuses what is hours off");
        return;
    }
    ok("clock", clock_.now().to_string() + ", synchronised");
}

void Check::inputs() {
    bool has_one = false;
    for (const std::string_view key : {"input.unix", "input.tcp", "input.tls", "input.powerdns"}) {
        has_one |= !settings_.strings(key).empty();
    }
    if (!has_one) {
        failed("input.unix", "there is no input", "name a socket");
    }
    for (const std::string_view key : {"input.tcp", "input.powerdns"}) {
        for (const std::string& at : settings_.strings(key)) {
            if (at.starts_with("127.") || at.starts_with("[::1]")) {
                ok(key, at);
            } else {
                warn(key, at + ": client addresses pass the network in the clear",
                     "listen on loopback, or over TLS");
            }
        }
    }
    for (const std::string& at : settings_.strings("input.tls")) {
        ok("input.tls", at);
    }
    for (const std::string& path : settings_.strings("input.unix")) {
        unix_input(path);
    }
}

void Check::unix_input(const std::string& path) {
    if (path.size() > socket_path_max) {
        failed("input.unix", fmt::format("longer than {} octets", socket_path_max), "shorten it");
        return;
    }
    const auto there = world::file_owner(path);
    const auto folder = world::file_owner(folder_of(path));
    if (there && !there->is_socket) {
        failed("input.unix", path + " is there and no socket", "remove it, or name another path");
    } else if (!folder) {
        warn("input.unix", folder.error().what(),
             "systemd makes it where the unit has RuntimeDirectory=");
    } else {
        ok("input.unix", path);
    }
}

void Check::where_it_goes() {
    const std::string core = setting("core.url");
    const std::string broker = setting("mqtt.url");
    if (core.empty() && broker.empty()) {
        warn("core.url", "nor is mqtt.url set: what may leave stays in the outbox",
             "set one of them");
        return;
    }
    if (auto read = read_mqtt_settings(settings_, files_); !read) {
        failed("mqtt.url", read.error().what(), "");
    } else if (!broker.empty()) {
        ok("mqtt.url", broker);
    }
    if (core.empty()) {
        warn("core.url", "is not set: histograms stay here", "set it");
        return;
    }
    if (!options_.online) {
        ok("core.url", core + " (not asked: --online)");
        return;
    }
    const auto answer = probe_core({.url = core,
                                    .ca_file = setting("core.ca"),
                                    .certificate_file = setting("core.cert"),
                                    .key_file = setting("core.key")});
    if (!answer) {
        failed("core.url", core + ": " + answer.error().what(),
               "is the core up, does core.ca know it, does it know core.cert?");
    } else {
        ok("core.url", core + " answers");
    }
}

void Check::aggregation() {
    const std::string url = setting("aggregation.url");
    if (url.empty()) {
        return;
    }
    const auto to = read_group_settings(settings_, files_);
    if (!to) {
        failed("aggregation.url", to.error().what(), "every site has all five of aggregation.…");
        return;
    }
    const std::string path = day_key_path(settings_);
    if (const auto day = day_of_key(files_, path); !day) {
        failed("aggregation.group_key", day.error().what(),
               "copy it from a site that runs; only the edge's user may read it (chmod 600)");
    } else {
        const std::int64_t age = clock_.now().seconds() / day_s - *day;
        ok("aggregation.group_key",
           age == 0 ? "of today" : fmt::format("{} days old: moved on at the start", age));
    }
    if (!is_in_group(settings_, profile_of(settings_))) {
        warn("aggregation.url", "under compatible nothing is told to the aggregator",
             "choose standard or strict at all sites, or leave it out");
        return;
    }
    if (!options_.online) {
        ok("aggregation.url", url + " (not asked: --online)");
        return;
    }
    // Whatever it answers: it has let us in.
    if (const auto answer = probe_core(*to); !answer) {
        failed("aggregation.url", url + ": " + answer.error().what(),
               "is the aggregator up, is aggregation.cert of its CA?");
    } else {
        ok("aggregation.url", url + " answers");
    }
}

// ------------------------------------------------------------------ what speaks to us

void Check::resolver(std::string_view name, const std::vector<std::string>& paths,
                     std::string_view word, const std::string& lines) {
    const std::vector<std::string>& sockets = settings_.strings("input.unix");
    std::string all;
    for (const std::string& path : paths) {
        std::vector<std::string> more{path};
        if (const auto found = files_.list(path)) {
            more.clear();
            for (const world::DirectoryEntry& entry : *found) {
                more.push_back(path + "/" + entry.name);
            }
        }
        for (const std::string& file : more) {
            if (const auto text = files_.read(file, config_size_max)) {
                all += as_text(*text);
            }
        }
    }
    if (all.empty()) {
        return;
    }
    if (all.find(word) == std::string::npos) {
        warn(name, "has settings here, and none for dnstap", lines);
        return;
    }
    const auto socket = std::ranges::find_if(
        sockets, [&all](const std::string& path) { return all.find(path) != std::string::npos; });
    if (socket == sockets.end()) {
        warn(name, "speaks dnstap, but to none of our sockets", lines);
    } else {
        ok(name, "speaks dnstap to " + *socket);
    }
}

void Check::resolvers() {
    const std::string& etc = options_.etc;
    if (settings_.strings("input.unix").empty()) {
        return;
    }
    const std::string& socket = settings_.strings("input.unix").front();
    resolver("unbound", {etc + "/unbound/unbound.conf", etc + "/unbound/unbound.conf.d"},
             "dnstap-socket-path",
             fmt::format("dnstap: dnstap-enable: yes, dnstap-bidirectional: yes, "
                         "dnstap-socket-path: \"{}\", dnstap-log-client-response-messages: yes",
                         socket));
    resolver("named", {etc + "/bind/named.conf", etc + "/bind/named.conf.options"}, "dnstap-output",
             fmt::format("options {{ dnstap {{ client response; }}; dnstap-output unix \"{}\"; "
                         "fstrm-set-input-queue-size 16384; }}",
                         socket));
    resolver("kresd", {etc + "/knot-resolver/kresd.conf"}, "dnstap",
             fmt::format("modules.load('dnstap'); dnstap.config({{ socket_path = '{}', client = {{ "
                         "log_responses = true }} }})",
                         socket));
    resolver("dnsdist", {etc + "/dnsdist/dnsdist.conf"}, "newFrameStreamUnixLogger",
             fmt::format("fl = newFrameStreamUnixLogger(\"{}\"); "
                         "addResponseAction(AllRule(), DnstapLogResponseAction(\"id\", fl))",
                         socket));
}

}  // namespace

std::string_view to_string(Verdict verdict) {
    constexpr std::array<std::string_view, 3> names{"ok", "warn", "FAIL"};
    return names.at(static_cast<std::size_t>(verdict));
}

std::vector<Finding> check(const text::Settings& settings, world::Files& files,
                           const world::Clock& clock, const CheckOptions& options) {
    return Check(settings, files, clock, options).all();
}

}  // namespace tapir::edge
