// How a client asked: what its resolver says, corrected by what the operator knows.
//
//     const Listeners listeners = TRY(Listeners::from(settings));    // [[listener]]
//     result.transports[index_of(listeners.transport_of(fields))] += 1;
//
// unbound and BIND say TCP of DNS over TLS, and unbound says nothing of DNS over HTTPS. What nobody
// knows is `unknown`, and shown as that. Listeners never change, so threads may share them.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tapir/client/network_set.hpp"
#include "tapir/dnstap/message.hpp"
#include "tapir/text/settings.hpp"

namespace tapir::edge {

enum class Transport : std::uint8_t { unknown, udp, tcp, dot, doh, doq, dnscrypt };
inline constexpr std::size_t transport_count = 7;
// As in labels and settings: "dot".
std::string_view to_string(Transport transport);

using TransportCounts = std::array<std::uint64_t, transport_count>;

class Listeners {
public:
    static constexpr std::size_t count_max = 64;

    // None: what the resolver says counts.
    Listeners() = default;
    // From the array of tables `listener`. Errors name file, line and field.
    static Result<Listeners> from(const text::Settings& settings);

    // The first listener that fits decides, else the resolver.
    Transport transport_of(const dnstap::ResponseFields& fields) const {
        return rows_.empty() ? reported(fields) : corrected(fields);
    }

private:
    struct Row {
        client::NetworkSet address;  // empty: any
        std::uint32_t port = 0;      // 0: any
        Transport transport = Transport::unknown;
    };
    static Transport reported(const dnstap::ResponseFields& fields);
    Transport corrected(const dnstap::ResponseFields& fields) const;

    std::vector<Row> rows_;
};

// The table of settings that this file reads.
text::Setting listener_setting();

}  // namespace tapir::edge
