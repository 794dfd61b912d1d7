// What a resolver was asked and answered: once for the ground truth, once as a frame for the edge.
//
//     Query query;
//     FrameWriter writer;
//     while (source.next(query)) { pipeline.add(writer.frame_of(query)); }
//
// A Source gives the same queries whenever it is made anew with the same arguments, in ascending
// order of time. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/time.hpp"
#include "tapir/dns/message_writer.hpp"
#include "tapir/dns/rr.hpp"

namespace tapir::utility {

// Somebody of the traffic: nobody real, or an address of a recorded exercise.
struct Client {
    std::array<std::byte, 16> octets{};
    bool is_v6 = false;

    ByteView address() const { return ByteView(octets).first(is_v6 ? 16 : 4); }
    // What the edge takes for one client (R2): the address, or its /56.
    ByteView person() const { return ByteView(octets).first(is_v6 ? 7 : 4); }
    // And for one network: the /24, or the /40.
    ByteView network() const { return ByteView(octets).first(is_v6 ? 5 : 3); }
};
// 100 clients of IPv4 in a /24, 250 of IPv6 in a /40; every fourth is one of IPv6. 0 to 63 999.
Client made_up_client(std::uint32_t number);
inline constexpr std::uint32_t made_up_client_count_max = 64'000;
// "10.47.1.100", "fd00::1"; nothing for what is no address.
std::optional<Client> client_from_text(std::string_view text);

struct Query {
    UtcTime time;
    Client client;
    std::string name;  // presentation form, with or without its final dot
    dns::RrType type = dns::RrType::a;
    std::uint16_t rcode = 0;
};

class Source {
public:
    virtual ~Source() = default;
    // False: there is none after the one before.
    virtual bool next(Query& query) = 0;
};

// Writes CLIENT_RESPONSE frames of dnstap.
class FrameWriter {
public:
    // Nothing: the name is none. Valid until the next call.
    std::optional<ByteView> frame_of(const Query& query);

private:
    dns::MessageWriter message_{dns::Header{}};
    Bytes inner_;
    Bytes outer_;
};

}  // namespace tapir::utility
