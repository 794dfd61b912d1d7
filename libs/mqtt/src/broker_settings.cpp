#include "tapir/mqtt/broker_settings.hpp"

#include <utility>

namespace tapir::mqtt {

text::SettingTable broker_settings() {
    using text::Setting;
    return {
        Setting::string("mqtt.url", "",
                        "The broker: mqtts://HOST:PORT, or mqtt://HOST:PORT on loopback. "
                        "Empty: none."),
        Setting::path("mqtt.ca", "",
                      "PEM file of the authority that signed the broker's certificate."),
        Setting::path("mqtt.cert", "", "PEM file of our client certificate for the broker."),
        Setting::path("mqtt.key", "", "PEM file of its key."),
    };
}

Result<Broker> read_broker(const text::Settings& settings, world::Files& files) {
    Broker broker{.url = settings.string("mqtt.url"),
                  .ca_file = settings.string("mqtt.ca"),
                  .certificate_file = settings.string("mqtt.cert"),
                  .key_file = settings.string("mqtt.key")};
    if (broker.url.empty()) {
        return broker;
    }
    for (const std::string_view key : {"mqtt.ca", "mqtt.cert", "mqtt.key"}) {
        const std::string& path = settings.string(key);
        if (path.empty()) {
            continue;
        }
        if (const auto content = files.read(path, pem_size_max); !content) {
            return settings.refuse(key, "a readable file", content.error().what());
        }
    }
    if (broker.certificate_file.empty() != broker.key_file.empty()) {
        return settings.refuse(broker.key_file.empty() ? "mqtt.key" : "mqtt.cert",
                               "both a certificate and its key", "one of them");
    }
    return broker;
}

Failure<Error> refuse_broker(const text::Settings& settings, const Error& error) {
    return settings.refuse("mqtt.url", "a broker, with what it needs in mqtt.ca, cert and key",
                           error.what());
}

}  // namespace tapir::mqtt
