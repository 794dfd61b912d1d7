// The settings that every daemon has for its broker: mqtt.url, mqtt.ca, mqtt.cert, mqtt.key.
//
//     text::SettingTable table = broker_settings();        // and the rows of the daemon
//     const Broker broker = TRY(read_broker(settings, files));
//     auto publisher = open_publisher(broker, …);
//     if (!publisher) { return refuse_broker(settings, publisher.error()); }
//     const ClientName name = TRY(read_client_name(settings, files, chance, state_dir, "tapir-core"));
//
// Errors say where: "core.toml:9: mqtt.ca: expected a readable file, got /nowhere: …".
#pragma once

#include "tapir/base/result.hpp"
#include "tapir/mqtt/mqtt.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/files.hpp"

namespace tapir::mqtt {

inline constexpr std::size_t pem_size_max = 1U << 20U;  // octets of each file

text::SettingTable broker_settings();

// Looks whether the files can be read, so that a bad start says which cannot, and whether others
// may read the key (world::read_secret). Only if mqtt.url is set; it is not looked into here.
Result<Broker> read_broker(const text::Settings& settings, world::Files& files);

// Under which name a daemon is known to its broker, and under which it is counted and logged.
struct ClientName {
    std::string id;
    std::string label;
};

// As mqtt.client_id says. If that is empty: an id that chance made and "mqtt-client-id" in `folder`
// keeps for good, since who knows it can take the mailbox over or away (a broker does not tie it to
// a certificate); `label` then stands for it where others may look. Errors say where.
Result<ClientName> read_client_name(const text::Settings& settings, world::Files& files,
                                    world::Chance& chance, const std::string& folder,
                                    std::string_view label);

// Why open_publisher() or open_subscriber() refused, with its place.
Failure<Error> refuse_broker(const text::Settings& settings, const Error& error);

}  // namespace tapir::mqtt
