#include "core_settings.hpp"

#include "tapir/mqtt/broker_settings.hpp"

namespace tapir::core {

namespace {

text::SettingTable make_table() {
    using namespace std::chrono_literals;
    using text::Setting;
    text::SettingTable table{
        Setting::string("listen", "127.0.0.1:8443", "Where edges, policies and partners connect."),
        Setting::path("tls.cert", "",
                      "Certificate of this core, with its chain (PEM). Empty: no "
                      "TLS, which is allowed on loopback only."),
        Setting::path("tls.key", "", "Key of that certificate (PEM)."),
        Setting::path("tls.client_ca", "",
                      "Who issues certificates to clients (PEM). Each client must show one."),
        Setting::path("keys.edges", "", "Folder of the edges' public keys: KID.jwk or KID.pem.")
            .require(),
        Setting::path("keys.signing", "", "JWK file of the key that signs observations.").require(),
        Setting::duration("keys.refresh", 5s, 1s, 1h,
                          "How often the folder of keys is read again."),
        Setting::path("state.dir", "", "Folder for what must survive.").require(),
        Setting::path("lake.dir", "", "Folder of the lake: Parquet files.").require(),
        Setting::boolean(
            "intake.accept_compatible", false,
            "Whether uploads that say they are of the profile 'compatible' are taken."),
        Setting::integer("observation.ttl_s", 3600, 1, 604'800, "seconds",
                         "How long a name stays observed after its last sighting."),
        Setting::string("analysis.looptest_suffix", "from-edge.looptest.dnstapir.se",
                        "Names under this are the end-to-end test. Empty: none are."),
        Setting::strings("analysis.ignore_suffixes", {}, "Names under these are never called new."),
        Setting::duration("feed.keep", 24h, 1min, 168h,
                          "How long a subscriber may be away and still go on where it was."),
        Setting::integer("limits.connections", 1024, 1, 65'536, "connections",
                         "More are closed at once."),
        Setting::integer("limits.threads", 4, 1, 256, "threads", "Threads that answer requests."),
        Setting::string("metrics.listen", "127.0.0.1:2114",
                        "Where metrics are served (plain HTTP). Empty: nowhere."),
        Setting::choice("log.level", "info", {"debug", "info", "warn", "error"},
                        "The lowest level that is written."),
    };
    text::SettingTable broker = mqtt::broker_settings();
    broker.insert(
        broker.end(),
        {Setting::string("mqtt.client_id", "",
                         "Our name at the broker: what we miss is kept under it, and who "
                         "knows it can take that away. With \"-down\" added it is that of "
                         "the connection that publishes. Empty: one by chance, kept in "
                         "state.dir."),
         Setting::duration("mqtt.session_expiry", 24h, 1min, 720h,
                           "How long the broker keeps events while we are away.")});
    table.insert(table.end(), broker.begin(), broker.end());
    return table;
}

}  // namespace

const text::SettingTable& core_settings() {
    static const text::SettingTable table = make_table();
    return table;
}

}  // namespace tapir::core
