// Whatever a list says: each client is in it exactly if a plain look at every line says so, naming
// everything twice changes nothing, and errors name their place.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string>

#include <arpa/inet.h>

#include "tapir/client/network_set.hpp"

namespace {

using namespace tapir;
using namespace tapir::client;

constexpr std::size_t v4_size = 4;
constexpr unsigned mapped_bits = 96;
constexpr std::array<std::byte, 12> mapped_prefix = {
    std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},    std::byte{0},
    std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0xFF}, std::byte{0xFF}};

struct Network {
    Bytes octets;
    unsigned bits = 0;

    bool has(ByteView address) const {
        for (unsigned i = 0; i < bits; ++i) {
            const auto difference = std::to_integer<unsigned>(octets[i / 8] ^ address[i / 8]);
            if ((difference >> (7 - i % 8) & 1U) != 0) {
                return false;
            }
        }
        return true;
    }
    bool is_mapped() const {
        return bits >= mapped_bits && std::ranges::equal(ByteView(octets).first(12), mapped_prefix);
    }
};

// A line of a list that was accepted.
std::optional<Network> network_of(std::string line) {
    if (line.ends_with('\r')) {
        line.pop_back();
    }
    if (line.empty() || line.front() == '#') {
        return std::nullopt;
    }
    const std::size_t slash = line.find('/');
    const std::string address = line.substr(0, slash);
    Network network{.octets = Bytes(16)};
    if (inet_pton(AF_INET, address.c_str(), network.octets.data()) == 1) {
        network.octets.resize(v4_size);
    } else {
        TAPIR_ASSERT(inet_pton(AF_INET6, address.c_str(), network.octets.data()) == 1);
    }
    network.bits = slash == std::string::npos
                       ? static_cast<unsigned>(8 * network.octets.size())
                       : static_cast<unsigned>(std::stoul(line.substr(slash + 1)));
    TAPIR_ASSERT(network.bits <= 8 * network.octets.size());
    return network;
}

// Whether one network holds the client, as the header says it.
bool holds(const Network& network, ByteView client, Mapped mapped) {
    const bool is_mapped_client =
        client.size() == 16 && std::ranges::equal(client.first(12), mapped_prefix);
    if (is_mapped_client && mapped == Mapped::as_ipv4) {
        client = client.subspan(12);
    }
    if (network.octets.size() == client.size()) {
        return network.has(client);
    }
    if (client.size() == v4_size && mapped == Mapped::as_ipv4 && network.is_mapped()) {
        Bytes as_v6 = to_bytes(mapped_prefix);
        append(as_v6, client);
        return network.has(as_v6);
    }
    return false;
}

bool holds(std::string_view text, ByteView client, Mapped mapped) {
    bool is_in = false;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const auto network = network_of(std::string(text.substr(0, end)));
        is_in = is_in || (network && holds(*network, client, mapped));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return is_in;
}

void check(const NetworkSet& set, const NetworkSet& twice, std::string_view text, ByteView client) {
    for (const Mapped mapped : {Mapped::as_ipv4, Mapped::as_ipv6}) {
        const bool is_in = set.contains(dnstap::ClientAddress(client), mapped);
        TAPIR_ASSERT(twice.contains(dnstap::ClientAddress(client), mapped) == is_in);
        TAPIR_ASSERT(holds(text, client, mapped) == is_in);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView octets = std::as_bytes(std::span(data, size));
    const auto set = NetworkSet::parse(as_text(octets), "list");
    if (!set) {
        TAPIR_ASSERT(set.error().what().starts_with("list:"));
        return 0;
    }
    const std::string text(as_text(octets));
    const auto twice = NetworkSet::parse(text + "\n" + text, "list");
    TAPIR_ASSERT(twice.has_value());
    if (size >= 16) {
        check(*set, *twice, text, octets.first(4));
        check(*set, *twice, text, octets.last(16));
        Bytes mapped = to_bytes(mapped_prefix);
        append(mapped, octets.first(4));
        check(*set, *twice, text, mapped);
    }
    // The networks' own addresses, and what lies beside them.
    std::string_view rest = text;
    for (int lines = 0; lines < 8 && !rest.empty(); ++lines) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        if (auto network = network_of(std::string(rest.substr(0, end)))) {
            check(*set, *twice, text, network->octets);
            if (network->bits > 0) {
                network->octets[(network->bits - 1) / 8] ^=
                    static_cast<std::byte>(0x80U >> ((network->bits - 1) % 8));
                check(*set, *twice, text, network->octets);
            }
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return 0;
}
