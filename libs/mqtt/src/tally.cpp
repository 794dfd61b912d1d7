#include "tally.hpp"

#include <utility>

namespace tapir::mqtt {

Tally::Tally(std::string client, const Log& log, Counters& counters)
    : client_(std::move(client)),
      log_(log),
      connections_(counters.counter("tapir_mqtt_connections_total",
                                    "Connections that the broker accepted.",
                                    {{"client", client_}})),
      is_connected_(counters.gauge("tapir_mqtt_connected", "Whether the broker has accepted us.",
                                   {{"client", client_}})) {
    for (std::size_t i = 0; i < ended_count; ++i) {
        ended_.at(i) = &counters.counter(
            "tapir_mqtt_disconnects_total", "Connections, and attempts at one, that ended.",
            {{"client", client_}, {"reason", std::string(to_string(static_cast<Ended>(i)))}});
    }
}

void Tally::connected() {
    connections_.add();
    is_connected_.set(1);
    log_.info("mqtt", "connected to the broker", {{"client", client_}});
}

void Tally::ended(Ended why, std::string_view detail) {
    ended_.at(static_cast<std::size_t>(why))->add();
    is_connected_.set(0);
    if (why != Ended::closed) {
        log_.warn("mqtt", "no connection to the broker; again later",
                  {{"client", client_}, {"reason", to_string(why)}, {"detail", detail}});
    }
}

}  // namespace tapir::mqtt
