#include "input_settings.hpp"

#include <chrono>

#include "transport.hpp"

namespace tapir::edge {

text::SettingTable input_settings_table() {
    using text::Setting;
    using namespace std::chrono_literals;
    return {
        Setting::strings("input.unix", {"/run/tapir/edge/dnstap.sock"},
                         "Unix sockets on which resolvers deliver dnstap."),
        Setting::strings("input.tcp", {}, "Addresses and ports for dnstap over TCP."),
        Setting::strings("input.tls", {}, "Addresses and ports for dnstap over TLS (1.3)."),
        Setting::strings("input.powerdns", {},
                         "Addresses and ports for protobuf messages of PowerDNS Recursor and "
                         "dnsdist, over TCP."),
        Setting::strings("input.allow", {"127.0.0.0/8", "::1"},
                         "Who may connect over TCP and TLS: addresses and networks."),
        Setting::string("input.socket_mode", "0660", "Mode of the unix sockets, in octal."),
        Setting::string("input.socket_group", "",
                        "Group of the unix sockets: the resolver's; empty: our own."),
        Setting::path("input.tls_cert", "", "Certificate for input.tls: a PEM file."),
        Setting::path("input.tls_key", "",
                      "Key of that certificate: a PEM file that others may not read."),
        Setting::path("input.tls_client_ca", "",
                      "Certificate authority of the resolvers: a PEM file; empty: they show no "
                      "certificate."),
        Setting::integer("input.connections_max", 64, 1, 1024, "connections",
                         "Open at once on each input; more are closed and counted."),
        Setting::duration("input.handshake_max", 10s, 1s, 5min,
                          "How long a peer may take until its first frame may come."),
        Setting::duration("input.idle_max", 24h, 10s, 365 * 24h,
                          "How long a connection may stay silent."),
        listener_setting(),
    };
}

}  // namespace tapir::edge
