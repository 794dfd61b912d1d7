// The settings that every daemon has for its broker: mqtt.url, mqtt.ca, mqtt.cert, mqtt.key.
//
//     text::SettingTable table = broker_settings();        // and the rows of the daemon
//     const Broker broker = TRY(read_broker(settings, files));
//     auto publisher = open_publisher(broker, …);
//     if (!publisher) { return refuse_broker(settings, publisher.error()); }
//
// Errors say where: "core.toml:9: mqtt.ca: expected a readable file, got /nowhere: …".
#pragma once

#include "tapir/base/result.hpp"
#include "tapir/mqtt/mqtt.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/files.hpp"

namespace tapir::mqtt {

inline constexpr std::size_t pem_size_max = 1U << 20U;  // octets of each file

text::SettingTable broker_settings();

// Looks whether the files can be read, so that a bad start says which cannot. Only if mqtt.url is
// set; it is not looked into here.
Result<Broker> read_broker(const text::Settings& settings, world::Files& files);

// Why open_publisher() or open_subscriber() refused, with its place.
Failure<Error> refuse_broker(const text::Settings& settings, const Error& error);

}  // namespace tapir::mqtt
