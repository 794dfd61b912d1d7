// Tags: what stands for a client, and for its network, in everything after this library
// (DESIGN.md R1, R2).
//
//     Tagger tagger(key, client_networks);                  // anew each UTC day
//     tagger.tag(requests, tags);                           // a batch: requests[i] to tags[i]
//     if (tags[i].fate == TagFate::counted) { ... tags[i].client, tags[i].network ... }
//
// A tag is the first 8 octets of one AES-128 block, under a key derived from K(d), over: name
// fingerprint (8), kind (1), truncated address (7). A client is an IPv4 address or an IPv6 /56, a
// network an IPv4 /24 or an IPv6 /40; each kind is its own domain, so that tags of different kinds
// never mean the same. IPv4-mapped addresses are IPv4. The same client has unrelated tags under
// different names and on different days. A tag never is 0.
//
// One Tagger per thread; the key schedule is wiped when it goes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "tapir/client/address.hpp"
#include "tapir/client/day_key.hpp"
#include "tapir/client/network_set.hpp"
#include "tapir/dnstap/client_address.hpp"

namespace tapir::client {

// Plain numbers that carry no address; types, so that they do not mix.
enum class ClientTag : std::uint64_t {};
enum class NetworkTag : std::uint64_t {};
// The client whatever it asked for: for the cap on what one client may start.
enum class ClientDayTag : std::uint64_t {};

// What became of an address. Each value names a counter.
enum class TagFate : std::uint8_t {
    counted,    // the tags are there
    absent,     // no address in the frame: counts as no client
    malformed,  // neither 4 nor 16 octets: the same
    outside,    // not in client_networks: counts for nothing
};
inline constexpr std::size_t tag_fate_count = 4;
std::string_view to_string(TagFate fate);

struct TagRequest {
    std::uint64_t name_fingerprint = 0;
    dnstap::ClientAddress address;  // its frame must live until tag() is back
    bool with_day = true;           // whether Tags::client_day is asked for: it costs a block
};

struct Tags {
    ClientTag client{};  // these three are 0 unless counted
    NetworkTag network{};
    ClientDayTag client_day{};  // and 0 unless asked for
    Family family = Family::ipv4;
    TagFate fate = TagFate::absent;
};

class Tagger {
public:
    // How the blocks are encrypted. The results are the same.
    enum class Engine : std::uint8_t {
        best,     // the processor's AES instructions, if it has them
        openssl,  // OpenSSL, on any processor
    };

    Tagger(const DayKey& key, std::shared_ptr<const NetworkSet> client_networks,
           Engine engine = Engine::best);
    Tagger(Tagger&&) noexcept;
    Tagger& operator=(Tagger&&) noexcept;
    ~Tagger();

    // tags[i] for requests[i]; both spans have the same size (asserted). Does not allocate.
    void tag(std::span<const TagRequest> requests, std::span<Tags> tags);
    // One alone; slower per address than a batch.
    Tags tag(const TagRequest& request);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::client
