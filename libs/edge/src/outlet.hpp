// The only door of this service: what goes to the core goes through here, and it takes nothing but
// what the gate has released.
//
//     auto outlet = TRY(Outlet::open({.url = "https://127.0.0.1:8443", ...}, key));
//     outlet = TRY(Outlet::open_mqtt({.url = "mqtts://mqtt.example", ...}, key, std::move(outlet),
//                                    parts));
//     const Sent sent = outlet->send(payload, {.created = time});
//
// Over HTTPS the request is signed (RFC 9421) over method, path, type, length, digest and interval.
// Over MQTT each event is a message of its own, on PREFIX/KID/new_qname, as existing receivers read
// it; its signature is its own. One thread sends; any may cancel().
#pragma once

#include <memory>
#include <string>

#include "tapir/base/bytes.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/privacy/gate.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"

namespace tapir::net {
class HttpClient;
}
namespace tapir::mqtt {
class Publisher;
}

namespace tapir::edge {

struct OutletSettings {
    std::string url;  // https://HOST:PORT
    std::string ca_file;
    std::string certificate_file;
    std::string key_file;
};

struct MqttSettings {
    std::string url{};  // mqtts://HOST:PORT
    std::string ca_file{};
    std::string certificate_file{};
    std::string key_file{};
    std::string client_id{};                 // empty: KID-tapir
    std::string topic_prefix = "events/up";  // before /KID/new_qname
};

// What the core or the broker said. Each value names a counter.
enum class Sent : std::uint8_t {
    accepted,     // 201 for a histogram, 202 for events; 409: it has it already; over MQTT, and
                  // somebody is subscribed
    unavailable,  // no connection, no answer in time, or nobody is subscribed: again later
    busy,         // 429, 503 and other 5xx: again later
    denied,       // 401, 403: key or certificate are not known (yet): again later
    refused,      // any other answer, such as 400, 413, 422: the same will never be taken
    unrouted,     // there is no way out for it: it stays here
};
inline constexpr std::size_t sent_count = 6;
std::string_view to_string(Sent sent);

struct SendOptions {
    UtcTime created;             // the batch's time (R6)
    bool is_compatible = false;  // says so to the core, which refuses it unless told otherwise
};

struct SendOutcome {
    Sent sent = Sent::unavailable;
    std::string detail{};  // for the log
    // Events that the core will not keep, and the first of its reasons.
    std::size_t rejected = 0;
    std::string reason{};
    Duration retry_after{};  // at least so long, says the core (Retry-After, in seconds)
};

// The rows of the table of settings that are MqttSettings: mqtt.url and what belongs to it.
text::SettingTable mqtt_settings_table();
// Without mqtt.url the URL is empty and nothing else is looked at. Errors name the setting.
Result<MqttSettings> read_mqtt_settings(const text::Settings& settings, world::Files& files);

// What an outlet over MQTT works with; all must outlive it.
struct MqttParts {
    const world::Clock& clock;
    world::Chance& chance;
    const Log& log;
    Counters& counters;
};

class Outlet {
public:
    virtual ~Outlet() = default;
    // `key` must outlive it.
    static Result<std::unique_ptr<Outlet>> open(const OutletSettings& settings,
                                                const jose::PrivateJwk& key);
    // Over a client that is there already, which must outlive it; of the settings only the URL
    // counts.
    static Result<std::unique_ptr<Outlet>> over(net::HttpClient& client,
                                                const OutletSettings& settings,
                                                const jose::PrivateJwk& key);

    // Events to a broker, everything else through `rest`. Without a `rest` there is no way out for
    // it: `unrouted`. What a broker took of a payload is not sent again when the payload is.
    // Errors: `invalid`.
    static Result<std::unique_ptr<Outlet>> open_mqtt(const MqttSettings& settings,
                                                     const jose::PrivateJwk& key,
                                                     std::unique_ptr<Outlet> rest,
                                                     const MqttParts& parts);
    // Over a publisher that is there already, which must outlive it.
    static Result<std::unique_ptr<Outlet>> over_mqtt(mqtt::Publisher& publisher,
                                                     const MqttSettings& settings,
                                                     const jose::PrivateJwk& key,
                                                     std::unique_ptr<Outlet> rest,
                                                     const MqttParts& parts);

    virtual SendOutcome send(const privacy::Released<privacy::Payload>& payload,
                             const SendOptions& options) = 0;
    // Ends a send() that waits, and all later ones.
    virtual void cancel() = 0;
};

// What the aggregator said (R10). `accepted`: it has counted what it was told, and `body` is what
// it tells.
struct GroupAnswer {
    Sent sent = Sent::unavailable;
    std::string detail{};    // for the log
    Duration retry_after{};  // at least so long, says the aggregator
    Bytes body{};
};

// To the operator's aggregator, over HTTPS with the site's own certificate. One thread posts; any
// may cancel().
class GroupOutlet {
public:
    virtual ~GroupOutlet() = default;
    static Result<std::unique_ptr<GroupOutlet>> open(const OutletSettings& settings);
    // Over a client that is there already, which must outlive it; of the settings only the URL
    // counts.
    static std::unique_ptr<GroupOutlet> over(net::HttpClient& client,
                                             const OutletSettings& settings);

    virtual GroupAnswer post(const privacy::Released<privacy::Payload>& payload) = 0;
    // Ends a post() that waits, and all later ones.
    virtual void cancel() = 0;
};

// Whether the core can be reached, for `tapir-edge check`: the status that it answers to a GET of
// core.url. The request carries nothing that was counted.
Result<int> probe_core(const OutletSettings& settings);

}  // namespace tapir::edge
