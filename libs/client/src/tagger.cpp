#include "tapir/client/tagger.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include <openssl/crypto.h>

#include "address_key.hpp"
#include "aes.hpp"

namespace tapir::client {

namespace {

constexpr std::string_view key_purpose = "client tags";
constexpr std::size_t requests_abreast = 64;
constexpr std::size_t blocks_per_request = 3;
constexpr std::size_t v4_size = 4;

// The octet between fingerprint and address: each kind of tag is a domain of its own.
enum class Kind : std::uint8_t {
    client_v4 = 1,
    client_v6 = 2,
    network_v4 = 3,
    network_v6 = 4,
    client_day_v4 = 5,
    client_day_v6 = 6,
};

// Octets of the address that count.
constexpr unsigned client_v4_octets = 4;   // /32
constexpr unsigned client_v6_octets = 7;   // /56
constexpr unsigned network_v4_octets = 3;  // /24
constexpr unsigned network_v6_octets = 5;  // /40

// The same octets on every machine, whichever of them the processor puts first.
std::uint64_t big_endian(std::uint64_t value) {
    if constexpr (std::endian::native == std::endian::little) {
        value = __builtin_bswap64(value);
    }
    return value;
}
std::uint64_t little_endian(std::uint64_t value) {
    if constexpr (std::endian::native == std::endian::big) {
        value = __builtin_bswap64(value);
    }
    return value;
}

// An address as a number: its first octet is the lowest one. Of an IPv6 address the first eight.
struct Number {
    std::uint64_t octets = 0;
    bool is_v4 = false;
};
Number number_of(ByteView address) {
    Number number{.octets = 0, .is_v4 = address.size() == v4_size};
    if (number.is_v4) {
        std::memcpy(&number.octets, address.data(), v4_size);
    } else {
        std::memcpy(&number.octets, address.data(), sizeof number.octets);
    }
    number.octets = little_endian(number.octets);
    return number;
}

AesBlock block_of(std::uint64_t fingerprint, Kind kind, std::uint64_t address, unsigned octets) {
    const std::uint64_t kept = address & ((std::uint64_t{1} << 8U * octets) - 1);
    const std::array<std::uint64_t, 2> words = {
        big_endian(fingerprint), little_endian(kept << 8U | static_cast<std::uint64_t>(kind))};
    AesBlock block;
    static_assert(sizeof words == sizeof block);
    std::memcpy(block.data(), words.data(), sizeof block);
    return block;
}

std::uint64_t tag_of(const AesBlock& block) {
    std::uint64_t tag = 0;
    std::memcpy(&tag, block.data(), sizeof tag);
    tag = big_endian(tag);
    return tag == 0 ? 1 : tag;  // sketches do not count 0
}

}  // namespace

std::string_view to_string(TagFate fate) {
    switch (fate) {
        case TagFate::counted:
            return "counted";
        case TagFate::absent:
            return "absent";
        case TagFate::malformed:
            return "malformed";
        case TagFate::outside:
            return "outside";
    }
    return "unknown";
}

struct Tagger::Impl {
    Aes128 aes;
    std::shared_ptr<const NetworkSet> networks;

    TagFate fate_of(const OpenAddress& open, dnstap::ClientAddress address) const {
        if (open.is_valid) [[likely]] {
            return networks->contains(open, Mapped::as_ipv4) ? TagFate::counted : TagFate::outside;
        }
        return address.is_absent() ? TagFate::absent : TagFate::malformed;
    }

    void tag_some(std::span<const TagRequest> requests, std::span<Tags> tags) {
        std::array<AesBlock, requests_abreast * blocks_per_request> blocks;
        std::size_t count = 0;
        for (std::size_t i = 0; i < requests.size(); ++i) {
            const TagRequest& request = requests[i];
            const OpenAddress open = open_unmapped(request.address);
            tags[i] = {};
            tags[i].fate = fate_of(open, request.address);
            if (tags[i].fate != TagFate::counted) {
                continue;
            }
            const Number client = number_of(open.octets);
            tags[i].family = client.is_v4 ? Family::ipv4 : Family::ipv6;
            blocks[count++] =
                block_of(request.name_fingerprint, client.is_v4 ? Kind::client_v4 : Kind::client_v6,
                         client.octets, client.is_v4 ? client_v4_octets : client_v6_octets);
            blocks[count++] = block_of(
                request.name_fingerprint, client.is_v4 ? Kind::network_v4 : Kind::network_v6,
                client.octets, client.is_v4 ? network_v4_octets : network_v6_octets);
            if (request.with_day) {
                blocks[count++] =
                    block_of(0, client.is_v4 ? Kind::client_day_v4 : Kind::client_day_v6,
                             client.octets, client.is_v4 ? client_v4_octets : client_v6_octets);
            }
        }
        aes.encrypt(std::span(blocks).first(count));
        const AesBlock* next = blocks.data();
        for (std::size_t i = 0; i < requests.size(); ++i) {
            if (tags[i].fate == TagFate::counted) {
                tags[i].client = ClientTag{tag_of(*next++)};
                tags[i].network = NetworkTag{tag_of(*next++)};
                if (requests[i].with_day) {
                    tags[i].client_day = ClientDayTag{tag_of(*next++)};
                }
            }
        }
    }
};

Tagger::Tagger(const DayKey& key, std::shared_ptr<const NetworkSet> client_networks,
               Engine engine) {
    TAPIR_ASSERT(client_networks != nullptr);
    std::array<std::byte, aes_key_size> aes_key{};
    key.derive(key_purpose, aes_key);
    impl_ = std::make_unique<Impl>(
        Impl{Aes128(aes_key, engine == Engine::best), std::move(client_networks)});
    OPENSSL_cleanse(aes_key.data(), aes_key.size());
}

Tagger::Tagger(Tagger&&) noexcept = default;
Tagger& Tagger::operator=(Tagger&&) noexcept = default;
Tagger::~Tagger() = default;

void Tagger::tag(std::span<const TagRequest> requests, std::span<Tags> tags) {
    TAPIR_ASSERT(requests.size() == tags.size());
    for (std::size_t i = 0; i < requests.size(); i += requests_abreast) {
        const std::size_t count = std::min(requests_abreast, requests.size() - i);
        impl_->tag_some(requests.subspan(i, count), tags.subspan(i, count));
    }
}

Tags Tagger::tag(const TagRequest& request) {
    Tags tags;
    impl_->tag_some(std::span(&request, 1), std::span(&tags, 1));
    return tags;
}

}  // namespace tapir::client
