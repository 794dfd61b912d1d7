#include "tapir/policy/config.hpp"

#include <fmt/format.h>

#include "tapir/base/bytes.hpp"
#include "tapir/mqtt/broker_settings.hpp"
#include "tapir/net/serving.hpp"

namespace tapir::policy {
namespace {

using namespace std::chrono_literals;
using text::Setting;

constexpr std::size_t secret_file_size_max = 1'024;

const std::vector<std::string> action_words{"nxdomain", "nodata",   "drop",
                                            "passthru", "tcp-only", "none"};

rpz::Action action_of(const text::Settings& settings, std::string_view key) {
    return rpz::parse_action(settings.string(key)).value_or(rpz::Action::none);
}

Result<rpz::Rules> read_rules(const text::Settings& settings) {
    rpz::Rules rules;
    rules.mode =
        settings.string("policy.mode") == "enforce" ? rpz::Mode::enforce : rpz::Mode::shadow;
    rules.deny_action = action_of(settings, "policy.deny_action");
    rules.sources_limit = static_cast<unsigned>(settings.integer("policy.sources_limit"));
    rules.sources_action = action_of(settings, "policy.sources_action");
    rules.tags_limit = static_cast<unsigned>(settings.integer("policy.tags_limit"));
    rules.tags_action = action_of(settings, "policy.tags_action");
    rules.subdomains = settings.boolean("policy.subdomains");
    rules.tag_source = settings.string("policy.tag_source");
    for (const auto& [tag, word] : settings.map("policy.rules")) {
        const auto bit = rpz::tag_bit(tag);
        const auto action = rpz::parse_action(word);
        if (!bit || (rpz::looptest_tag >> *bit) == 1) {
            return settings.refuse("policy.rules",
                                   "a tag of observations, such as globally_new (never looptest)",
                                   tag);
        }
        if (!action) {
            return settings.refuse("policy.rules",
                                   "nxdomain, nodata, drop, passthru, tcp-only or none", word);
        }
        rules.tag_actions[*bit] = *action;
    }
    return rules;
}

Result<std::vector<net::Endpoint>> read_endpoints(const text::Settings& settings,
                                                  std::string_view key) {
    std::vector<net::Endpoint> out;
    for (const std::string& word : settings.strings(key)) {
        auto endpoint = net::Endpoint::parse(word);
        if (!endpoint || endpoint->is_unix() || endpoint->port() == 0) {
            return settings.refuse(key, "ADDRESS:PORT", word);
        }
        out.push_back(*std::move(endpoint));
    }
    if (out.size() > notify_targets_max) {
        return settings.refuse(key, fmt::format("at most {} addresses", notify_targets_max),
                               std::to_string(out.size()));
    }
    return out;
}

Result<void> read_service(const text::Settings& settings, world::Files& files, Config& config) {
    auto apex = rpz::Apex::create(settings.string("rpz.zone"));
    if (!apex) {
        return settings.refuse("rpz.zone", "a domain name", settings.string("rpz.zone"));
    }
    config.apex = *std::move(apex);
    config.listen = TRY(net::endpoint_of(settings, "rpz.listen"));
    for (const std::string& word : settings.strings("rpz.allow_plain")) {
        auto address = net::PeerAddress::parse(word);
        if (!address || config.allow_plain.size() >= allow_plain_max) {
            return settings.refuse("rpz.allow_plain", "IP addresses", word);
        }
        config.allow_plain.push_back(*address);
    }
    config.notify = TRY(read_endpoints(settings, "rpz.notify"));
    if (!settings.string("metrics.listen").empty()) {
        config.metrics = TRY(net::endpoint_of(settings, "metrics.listen"));
    }
    const std::string& name = settings.string("tsig.name");
    const std::string& secret_file = settings.string("tsig.secret_file");
    if (name.empty() != secret_file.empty()) {
        return settings.refuse(name.empty() ? "tsig.name" : "tsig.secret_file",
                               "both a name and a secret file", "one of them");
    }
    if (!name.empty()) {
        const auto secret = world::read_secret(files, secret_file, secret_file_size_max);
        if (!secret) {
            return settings.refuse("tsig.secret_file", "a readable secret", secret.error().what());
        }
        auto key = rpz::TsigKey::from_base64(name, as_text(*secret));
        if (!key) {
            return settings.refuse("tsig.secret_file",
                                   "a key's name and base64 of 16 to 128 octets",
                                   key.error().what());
        }
        config.tsig_keys.push_back(*std::move(key));
    }
    return {};
}

Result<void> read_broker(const text::Settings& settings, world::Files& files, Config& config) {
    config.follow = {.client_id = settings.string("mqtt.client_id"),
                     .topics = {settings.string("mqtt.topic")},
                     .session_expiry = settings.duration("mqtt.session_expiry")};
    if (settings.string("feed.transport") != "mqtt") {
        return {};
    }
    config.transport = Transport::mqtt;
    config.broker = TRY(mqtt::read_broker(settings, files));
    for (const std::string_view key : {"mqtt.url", "mqtt.topic"}) {
        if (settings.string(key).empty()) {
            return settings.refuse(key, "a value, as feed.transport is mqtt", "nothing");
        }
    }
    return {};
}

Result<void> read_feed(const text::Settings& settings, world::Files& files, Config& config) {
    config.core_url = settings.string("core.url");
    config.core_tls = {.ca_file = settings.string("core.ca"),
                       .certificate_file = settings.string("core.cert"),
                       .key_file = settings.string("core.key")};
    config.trusted_keys_file = settings.string("core.trusted_keys");
    config.feed_files = settings.strings("feed.files");
    config.feed.sources = settings.strings("feed.sources");
    config.feed.age_max = settings.duration("feed.age_max");
    config.feed.ttl_max = settings.duration("feed.ttl_max");
    config.feed.skew_max = settings.duration("feed.skew_max");
    TRY(read_broker(settings, files, config));
    const bool has_feed = !config.core_url.empty() || !config.feed_files.empty() ||
                          config.transport == Transport::mqtt;
    if (has_feed && config.trusted_keys_file.empty()) {
        return settings.refuse("core.trusted_keys", "a key set, as there is a feed", "nothing");
    }
    if (!config.core_url.empty() && !config.core_url.starts_with("https://") &&
        !config.core_url.starts_with("http://")) {
        return settings.refuse("core.url", "https://…", config.core_url);
    }
    while (config.core_url.ends_with('/')) {
        config.core_url.pop_back();
    }
    if (!config.trusted_keys_file.empty()) {
        auto keys = read_trusted_keys(files, config.trusted_keys_file);
        if (!keys) {
            return settings.refuse("core.trusted_keys", "a readable key set", keys.error().what());
        }
        config.trusted_keys = *std::move(keys);
    }
    return {};
}

text::SettingTable broker_rows() {
    using namespace std::chrono_literals;
    using text::Setting;
    text::SettingTable rows = mqtt::broker_settings();
    rows.insert(rows.end(),
                {
                    Setting::string(
                        "mqtt.client_id", "",
                        "Our name at the broker, no other's: what we miss is kept under it, and "
                        "who knows it can take that away. Empty: one by chance, kept in "
                        "state.dir."),
                    Setting::string("mqtt.topic", "observations/down/tapir-pop",
                                    "The topic of observations."),
                    Setting::duration("mqtt.session_expiry", 24h, 1min, 24h * 30,
                                      "How long the broker keeps what comes while we are away."),
                });
    return rows;
}

}  // namespace

text::SettingTable setting_table() {
    text::SettingTable table = {
        Setting::string("core.url", "", "The core whose observations to follow; empty: none."),
        Setting::path("core.ca", "",
                      "PEM file of the authority that signed the core's certificate."),
        Setting::path("core.cert", "", "PEM file of our client certificate."),
        Setting::path("core.key", "", "PEM file of its key."),
        Setting::path("core.trusted_keys", "", "JWK or JWK Set: who may sign observations."),
        Setting::choice("feed.transport", "https", {"https", "mqtt"},
                        "How observations come: from core.url, or from a broker. Over mqtt a "
                        "core.url is asked for snapshots only."),
        Setting::strings("feed.files", {}, "Files of observations, a JWS a line; for 'build'."),
        Setting::strings("feed.sources", {"dns-tapir"}, "The src_name of observations that count."),
        Setting::duration("feed.age_max", 24h, 1min, 24h * 366,
                          "Older messages are refused as replays."),
        Setting::duration("feed.ttl_max", 24h, 1s, 24h * 366,
                          "Longer lives of entries are cut to this."),
        Setting::duration("feed.skew_max", 5min, 0s, 24h,
                          "How far a message's time may be ahead of ours."),
        Setting::string("rpz.zone", "dnstapir.", "Name of the zone."),
        Setting::string("rpz.listen", "127.0.0.1:5310", "Address and port, UDP and TCP."),
        Setting::strings("rpz.allow_plain", {"127.0.0.1", "::1"},
                         "Addresses that may ask without TSIG."),
        Setting::strings("rpz.notify", {}, "Resolvers to tell of changes, ADDRESS:PORT."),
        Setting::string("tsig.name", "", "Name of the TSIG key (hmac-sha256)."),
        Setting::path("tsig.secret_file", "",
                      "File with its secret in base64, not readable by others."),
        Setting::strings("lists.allow", {}, "Files of names that are never blocked."),
        Setting::strings("lists.deny", {}, "Files of names that are always blocked."),
        Setting::strings("lists.doubt", {},
                         "Files of names that count as one doubting source each."),
        Setting::duration("lists.check", 2s, 100ms, 24h,
                          "How often to look whether a list file has changed."),
        Setting::choice(
            "policy.mode", "shadow", {"shadow", "enforce"},
            "shadow: what observations would do is counted and explained, not enforced."),
        Setting::map("policy.rules",
                     "The action for each tag, as in { globally_new = \"nxdomain\" }."),
        Setting::choice("policy.deny_action", "nxdomain", action_words,
                        "What happens to names on a deny list."),
        Setting::integer("policy.sources_limit", 0, 0, 1'000, "sources",
                         "So many doubting sources cause sources_action; 0: never."),
        Setting::choice("policy.sources_action", "nxdomain", action_words, "See sources_limit."),
        Setting::integer("policy.tags_limit", 0, 0, 32, "tags",
                         "So many tags cause tags_action; 0: never."),
        Setting::choice("policy.tags_action", "nxdomain", action_words, "See tags_limit."),
        Setting::boolean("policy.subdomains", false,
                         "Whether observations of a name count for all names below it."),
        Setting::string("policy.tag_source", "dns-tapir",
                        "Tags of this source alone count; empty: of all."),
        Setting::path("state.dir", "/var/lib/tapir/policy",
                      "Folder of the zone, its serial and its history."),
        Setting::string("metrics.listen", "127.0.0.1:2113",
                        "Address of /metrics and /explain; empty: none."),
        Setting::choice("log.level", "info", {"debug", "info", "warn", "error"},
                        "The least important lines that are logged."),
    };
    const text::SettingTable broker = broker_rows();
    table.insert(table.end(), broker.begin(), broker.end());
    return table;
}

Result<jose::KeySet> read_trusted_keys(world::Files& files, const std::string& path) {
    const Bytes content = TRY(files.read(path, jose::key_set_size_max));
    return jose::KeySet::parse(as_text(content));
}

Result<Config> read_config(const text::Settings& settings, world::Files& files) {
    Config config;
    TRY(read_feed(settings, files, config));
    TRY(read_service(settings, files, config));
    config.rules = TRY(read_rules(settings));
    config.lists = {.allow = settings.strings("lists.allow"),
                    .deny = settings.strings("lists.deny"),
                    .doubt = settings.strings("lists.doubt")};
    for (const std::string_view key : {"lists.allow", "lists.deny", "lists.doubt"}) {
        for (const std::string& path : settings.strings(key)) {
            if (!files.size(path)) {
                return settings.refuse(key, "readable files", path);
            }
        }
    }
    config.lists_check = settings.duration("lists.check");
    config.state_dir = settings.string("state.dir");
    return config;
}

}  // namespace tapir::policy
