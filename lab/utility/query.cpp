#include "query.hpp"

#include <algorithm>

#include <arpa/inet.h>

#include "protobuf.hpp"
#include "tapir/base/assert.hpp"

namespace tapir::utility {
namespace {

using bench::put_bytes;
using bench::put_fixed32;
using bench::put_number;

constexpr std::uint32_t clients_in_v4_network = 100;
constexpr std::uint32_t clients_in_v6_network = 250;
constexpr std::uint64_t client_response = 6;
constexpr std::uint64_t message_type = 1;  // of dnstap

}  // namespace

Client made_up_client(std::uint32_t number) {
    TAPIR_ASSERT(number < made_up_client_count_max);
    Client client;
    client.is_v6 = number % 4 == 0;
    Bytes address;
    if (client.is_v6) {
        append_u32(address, 0xFD00'7A00);
        append_u8(address, static_cast<std::uint8_t>(number / clients_in_v6_network));
        append_u16(address, static_cast<std::uint16_t>(number));
        append_u8(address, 0);
        append_u64(address, 0x0200'5EFF'FE00'0001 + number);
    } else {
        const std::uint32_t network = number / clients_in_v4_network;
        append_u16(address, static_cast<std::uint16_t>(0x0A00U | (network >> 8U)));
        append_u8(address, static_cast<std::uint8_t>(network));
        append_u8(address, static_cast<std::uint8_t>(1 + number % clients_in_v4_network));
    }
    std::ranges::copy(address, client.octets.begin());
    return client;
}

std::optional<Client> client_from_text(std::string_view text) {
    Client client;
    const std::string terminated(text);
    client.is_v6 = text.find(':') != std::string_view::npos;
    const int family = client.is_v6 ? AF_INET6 : AF_INET;
    if (::inet_pton(family, terminated.c_str(), client.octets.data()) != 1) {
        return std::nullopt;
    }
    return client;
}

std::optional<ByteView> FrameWriter::frame_of(const Query& query) {
    const auto name = dns::Name::from_text(query.name);
    if (!name) {
        return std::nullopt;
    }
    message_.reset({.id = 7, .flags = static_cast<std::uint16_t>(0x8180U | query.rcode)});
    const bool fits = message_.add_question(*name, query.type, dns::RrClass::in);
    TAPIR_ASSERT(fits);
    constexpr std::int64_t second = 1'000'000'000;
    inner_.clear();
    put_number(inner_, 1, client_response);
    put_number(inner_, 2, query.client.is_v6 ? 2 : 1);
    put_number(inner_, 3, 1);  // UDP
    put_bytes(inner_, 4, query.client.address());
    put_number(inner_, 12, static_cast<std::uint64_t>(query.time.seconds()));
    put_fixed32(inner_, 13, static_cast<std::uint32_t>(query.time.ns() % second));
    put_bytes(inner_, 14, message_.view());
    outer_.clear();
    put_bytes(outer_, 14, inner_);
    put_number(outer_, 15, message_type);
    return outer_;
}

}  // namespace tapir::utility
