#include "tapir/edge/settings.hpp"

#include "group_link.hpp"
#include "input_settings.hpp"
#include "memory_plan.hpp"
#include "outlet.hpp"
#include "seen.hpp"
#include "sessions.hpp"
#include "status.hpp"
#include "threat_lists.hpp"

namespace tapir::edge {

namespace {

text::SettingTable own_settings_table() {
    using text::Setting;
    using namespace std::chrono_literals;
    return {
        Setting::strings(
            "client_networks",
            {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"},
            "Networks whose clients count; who asks from elsewhere counts for nothing.")
            .reloadable(),
        Setting::boolean("single_site", false,
                         "Waive that clients must come from at least three networks; the ledger "
                         "shows it."),
        Setting::choice("release.profile", "standard", {"standard", "strict", "compatible"},
                        "How much may leave; compatible needs release.consent when run live."),
        Setting::path("release.consent", "",
                      "File that says since when compatible is wanted: a line with a date "
                      "(2026-11-24). It lapses after 30 days."),
        Setting::integer(
            "release.batch_s", 60, 1, 60, "seconds",
            "Time between batches. For the lab only: less than 60 tells more of when."),
        Setting::path(
            "lists.well_known", "",
            "Names that are counted: text, CSV, DAWG or an index of `tapir list compile`.")
            .reloadable(),
        Setting::path("lists.ignored_clients", "", "Clients that are not looked at: CIDR lines.")
            .reloadable(),
        Setting::path("lists.ignored_names", "",
                      "Names that are not looked at, in any form of lists.well_known.")
            .reloadable(),
        Setting::path("lists.public_suffixes", "/usr/share/publicsuffix/public_suffix_list.dat",
                      "The public suffix list: what a registered domain is.")
            .reloadable(),
        Setting::string("lists.pin", "",
                        "SHA-256 that the file of lists.well_known must have, as sha256sum and "
                        "`tapir list stat` say it; empty: any.")
            .reloadable(),
        Setting::path("keys.signing", "", "Signing key of this edge: a JWK file, Ed25519."),
        Setting::path("keys.day", "",
                      "Key of the first day, for the offline twin: 64 hexadecimal digits."),
        Setting::string("core.url", "", "Where batches go: https://HOST:PORT; empty: nowhere."),
        Setting::path("core.ca", "", "Certificate authority of the core: a PEM file."),
        Setting::path("core.cert", "", "Certificate of this edge: a PEM file."),
        Setting::path("core.key", "", "Key of that certificate: a PEM file."),
        Setting::path("state.dir", "/var/lib/tapir/edge", "Outbox, ledger, what was released."),
        Setting::size("outbox.size_max", 1LL << 30, 1LL << 20, 1LL << 40,
                      "Octets that may wait for the core; then the oldest batches go, counted."),
        Setting::duration("outbox.age_max", 7 * 24h, 1h, 90 * 24h,
                          "How long a batch may wait for the core."),
        Setting::duration("sent.age_max", 24h, 0h, 90 * 24h,
                          "How long what was sent is kept for the operator to look at."),
        Setting::string("metrics.listen", "127.0.0.1:2112",
                        "Address and port of /metrics; empty: none."),
        Setting::integer("workers", 1, 0, 64, "threads",
                         "Threads that decode and count, and that sign many events; 0, for offline "
                         "runs only: whoever reads does it."),
        Setting::integer("histogram.hll_explicit_threshold", 20, 1, 131'072, "clients",
                         "Clients kept exactly before a sketch is made; acts in compatible."),
        Setting::choice("histogram.sketch", "none", {"none", "hourly"},
                        "Sketches in the hour's histogram, of entries with at least 73728 clients "
                        "in it; acts in standard, and nowhere else. compatible always has them."),
    };
}

}  // namespace

text::SettingTable settings_table() {
    text::SettingTable table = input_settings_table();
    for (const text::SettingTable& part :
         {own_settings_table(), mqtt_settings_table(), session_settings_table(),
          seen_settings_table(), status_settings_table(), memory_settings_table(),
          threat_settings_table(), aggregation_settings_table()}) {
        table.insert(table.end(), part.begin(), part.end());
    }
    return table;
}

}  // namespace tapir::edge
