#include "tapir/mqtt/broker_settings.hpp"

#include <algorithm>
#include <utility>

#include "tapir/base/bytes.hpp"
#include "tapir/crypto/secret.hpp"

namespace tapir::mqtt {
namespace {

constexpr std::size_t client_id_size_max = 128;
constexpr std::string_view id_begins = "tapir-";

// The id in a file, made if there is none.
Result<std::string> kept_id(world::Files& files, world::Chance& chance, const std::string& path) {
    const auto content = world::read_secret(files, path, client_id_size_max);
    if (!content && content.error().code() == Code::not_found) {
        std::string made = std::string(id_begins) + to_hex(chance.bytes<16>());
        TRY(files.write_atomically(path, as_bytes(made + "\n"), world::mode_private));
        return made;
    }
    if (!content) {
        return fail(content.error());
    }
    std::string id(as_text(*content));
    if (id.ends_with('\n')) {
        id.pop_back();
    }
    const auto is_bad = [](char c) { return c <= ' ' || c > '~'; };
    if (id.empty() || std::ranges::any_of(id, is_bad)) {
        return fail(Code::corrupt, path + ": holds no client id");
    }
    return id;
}

}  // namespace

text::SettingTable broker_settings() {
    using text::Setting;
    return {
        Setting::string("mqtt.url", "",
                        "The broker: mqtts://HOST:PORT, or mqtt://HOST:PORT on loopback. "
                        "Empty: none."),
        Setting::path("mqtt.ca", "",
                      "PEM file of the authority that signed the broker's certificate."),
        Setting::path("mqtt.cert", "", "PEM file of our client certificate for the broker."),
        Setting::path("mqtt.key", "",
                      "PEM file of its key, which others must not be able to read."),
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
    for (const std::string_view key : {"mqtt.ca", "mqtt.cert"}) {
        const std::string& path = settings.string(key);
        if (path.empty()) {
            continue;
        }
        if (const auto content = files.read(path, pem_size_max); !content) {
            return settings.refuse(key, "a readable file", content.error().what());
        }
    }
    if (!broker.key_file.empty()) {
        auto content = world::read_secret(files, broker.key_file, pem_size_max);
        if (!content) {
            return settings.refuse("mqtt.key", "a readable file", content.error().what());
        }
        // Only looked at: the library reads it for each connection.
        static_cast<void>(crypto::Secret::taken_from(*std::move(content)));
    }
    if (broker.certificate_file.empty() != broker.key_file.empty()) {
        return settings.refuse(broker.key_file.empty() ? "mqtt.key" : "mqtt.cert",
                               "both a certificate and its key", "one of them");
    }
    return broker;
}

Result<ClientName> read_client_name(const text::Settings& settings, world::Files& files,
                                    world::Chance& chance, const std::string& folder,
                                    std::string_view label) {
    if (const std::string& given = settings.string("mqtt.client_id"); !given.empty()) {
        return ClientName{.id = given, .label = given};
    }
    auto id = kept_id(files, chance, folder + "/mqtt-client-id");
    if (!id) {
        return settings.refuse("mqtt.client_id", "a name, or one that can be kept in state.dir",
                               id.error().what());
    }
    return ClientName{.id = *std::move(id), .label = std::string(label)};
}

Failure<Error> refuse_broker(const text::Settings& settings, const Error& error) {
    return settings.refuse("mqtt.url", "a broker, with what it needs in mqtt.ca, cert and key",
                           error.what());
}

}  // namespace tapir::mqtt
