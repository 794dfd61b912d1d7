// The only door of this service: what goes to the core goes through here, and it takes nothing but
// what the gate has released.
//
//     const auto outlet = TRY(Outlet::open({.url = "https://127.0.0.1:8443", ...}, key));
//     const Sent sent = outlet->send(payload, {.created = time});
//
// The request is signed (RFC 9421) over method, path, type, length, digest and interval. One thread
// sends; any may cancel().
#pragma once

#include <memory>
#include <string>

#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/privacy/gate.hpp"

namespace tapir::net {
class HttpClient;
}

namespace tapir::edge {

struct OutletSettings {
    std::string url;  // https://HOST:PORT
    std::string ca_file;
    std::string certificate_file;
    std::string key_file;
};

// What the core said. Each value names a counter.
enum class Sent : std::uint8_t {
    accepted,     // 201 for a histogram, 202 for events
    unavailable,  // no connection, or no answer in time: again later
    busy,         // 429, 503 and other 5xx: again later
    denied,       // 401, 403: key or certificate are not known (yet): again later
    refused,      // any other answer: the same will never be taken
};
inline constexpr std::size_t sent_count = 5;
std::string_view to_string(Sent sent);

struct SendOptions {
    UtcTime created;             // the batch's time (R6)
    bool is_compatible = false;  // says so to the core, which refuses it unless told otherwise
};

struct SendOutcome {
    Sent sent = Sent::unavailable;
    std::string detail;  // for the log
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

    virtual SendOutcome send(const privacy::Released<privacy::Payload>& payload,
                             const SendOptions& options) = 0;
    // Ends a send() that waits, and all later ones.
    virtual void cancel() = 0;
};

}  // namespace tapir::edge
