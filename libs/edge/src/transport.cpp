#include "transport.hpp"

#include <algorithm>
#include <string>

namespace tapir::edge {
namespace {

constexpr std::array<std::string_view, transport_count> names{"unknown", "udp", "tcp",     "dot",
                                                              "doh",     "doq", "dnscrypt"};

// By the number of dnstap's SocketProtocol; 0 is none of them.
constexpr std::array<Transport, 8> by_protocol{
    Transport::unknown, Transport::udp,      Transport::tcp,      Transport::dot,
    Transport::doh,     Transport::dnscrypt, Transport::dnscrypt, Transport::doq};

}  // namespace

std::string_view to_string(Transport transport) {
    return names.at(static_cast<std::size_t>(transport));
}

text::Setting listener_setting() {
    using text::Setting;
    return Setting::tables(
        "listener",
        {Setting::string("address", "", "Address that the resolver listens on; empty: any."),
         Setting::integer("port", 0, 0, 65'535, "", "Port that it listens on; 0: any."),
         Setting::choice("transport", "dot", {"udp", "tcp", "dot", "doh", "doq"},
                         "What is spoken there.")
             .require()},
        "What a resolver listens on, where it says the wrong transport or none (unbound and BIND "
        "say TCP of DNS over TLS); the first that fits counts.");
}

Result<Listeners> Listeners::from(const text::Settings& settings) {
    Listeners out;
    const auto& rows = settings.tables("listener");
    if (rows.size() > count_max) {
        return settings.refuse("listener", std::to_string(count_max) + " at most",
                               std::to_string(rows.size()));
    }
    for (const text::Settings& given : rows) {
        Row row;
        row.port = static_cast<std::uint32_t>(given.integer("port"));
        const std::string& address = given.string("address");
        if (!address.empty()) {
            auto set = client::NetworkSet::from_words(std::span(&address, 1));
            if (!set || address.find('/') != std::string::npos) {
                return given.refuse("address", "an IPv4 or IPv6 address", address);
            }
            row.address = std::move(*set);
        } else if (row.port == 0) {
            return given.refuse("port", "an address, a port, or both", "neither");
        }
        const auto at = std::ranges::find(names, given.string("transport"));
        row.transport = static_cast<Transport>(at - names.begin());
        out.rows_.push_back(std::move(row));
    }
    return out;
}

Transport Listeners::reported(const dnstap::ResponseFields& fields) {
    const auto number =
        static_cast<std::uint32_t>(fields.protocol.value_or(dnstap::SocketProtocol{}));
    return by_protocol[number < by_protocol.size() ? number : 0];
}

Transport Listeners::corrected(const dnstap::ResponseFields& fields) const {
    for (const Row& row : rows_) {
        if (row.port != 0 && fields.response_port != row.port) {
            continue;
        }
        if (row.address.is_empty() ||
            row.address.contains(fields.response_address, client::Mapped::as_ipv4)) {
            return row.transport;
        }
    }
    return reported(fields);
}

}  // namespace tapir::edge
