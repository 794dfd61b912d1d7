// The settings of tapir-policy: one table, and what is read from it and from the files it names.
//
//     const auto settings = TRY(Settings::parse(toml, "policy.toml", setting_table(), overrides));
//     Config config = TRY(read_config(settings, files));
//
// Errors say where: "policy.toml:7: policy.rules: expected …, got …".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/mqtt/mqtt.hpp"
#include "tapir/net/address.hpp"
#include "tapir/net/http_client.hpp"
#include "tapir/policy/lists.hpp"
#include "tapir/rpz/answer.hpp"
#include "tapir/rpz/policy.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/files.hpp"

namespace tapir::policy {

inline constexpr std::size_t notify_targets_max = 16;
inline constexpr std::size_t allow_plain_max = 256;
inline constexpr std::size_t feed_file_size_max = 1U << 30U;  // octets

// What is believed of observations.
struct FeedRules {
    std::vector<std::string> sources{"dns-tapir"};  // src_name of messages that count
    Duration age_max = std::chrono::hours(24);      // of a message; older ones are replays
    Duration ttl_max = std::chrono::hours(24);      // of an entry; longer ones are cut to this
    Duration skew_max = std::chrono::minutes(5);    // a message's time may be this far ahead
};

// How observations come.
enum class Transport : std::uint8_t { https, mqtt };

struct Config {
    Transport transport = Transport::https;
    mqtt::Broker broker;              // of `mqtt`
    mqtt::SubscriberSettings follow;  // likewise; without a client id: one that is kept
    std::string core_url;             // empty: no feed over HTTPS, no snapshots
    net::HttpClientSettings core_tls;
    std::string trusted_keys_file;
    jose::KeySet trusted_keys;
    std::vector<std::string> feed_files;  // JWS a line; for the offline twin
    FeedRules feed;

    rpz::Apex apex;
    net::Endpoint listen = net::Endpoint::ip({});
    std::vector<net::PeerAddress> allow_plain;
    std::vector<net::Endpoint> notify;
    std::vector<rpz::TsigKey> tsig_keys;

    ListFiles lists;
    Duration lists_check{};
    rpz::Rules rules;
    std::string state_dir;
    std::optional<net::Endpoint> metrics;
};

text::SettingTable setting_table();

// Reads keys and secrets, not the lists (they are read again and again: lists.hpp).
Result<Config> read_config(const text::Settings& settings, world::Files& files);

// The key set at `path`, for the start and for reloads.
Result<jose::KeySet> read_trusted_keys(world::Files& files, const std::string& path);

}  // namespace tapir::policy
